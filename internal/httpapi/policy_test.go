package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
)

func TestPolicyIsReplacedAndKeepsTheRulesThatStay(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/policy"
	first := want[api.Policy](w, 200, http.MethodPut, path, `{"inbound":{"mode":"allowlist","rules":[
		{"type":"allow","value":" Bob@Bücher.Example "},{"type":"allow","value":"bob@bücher.example"},{"type":"block","value":"*.Spam.example."}]}}`)
	if first.Scope != "account" || first.Inbound.Mode != "allowlist" || first.Inbound.EffectiveMode != "allowlist" || len(first.Inbound.Rules) != 2 {
		t.Fatalf("first: %+v", first)
	}
	if first.Inbound.Rules[0].Value != "bob@xn--bcher-kva.example" || first.Inbound.Rules[1].Value != "*.spam.example" {
		t.Errorf("values: %+v", first.Inbound.Rules)
	}
	second := want[api.Policy](w, 200, http.MethodPut, path, `{"inbound":{"mode":"none","rules":[{"type":"block","value":"*.spam.example"},{"type":"block","value":"evil.example"}]}}`)
	if second.Inbound.Mode != "none" || second.Inbound.Rules[0].ID != first.Inbound.Rules[1].ID {
		t.Errorf("second: %+v", second)
	}
	third := want[api.Policy](w, 200, http.MethodPut, path+"/mode", `{"mode":"allowlist","direction":"inbound"}`)
	if third.Inbound.Mode != "allowlist" || len(third.Inbound.Rules) != 2 {
		t.Errorf("third: %+v", third)
	}
	read := want[api.Policy](w, 200, http.MethodGet, path, nil)
	if read.Inbound.Mode != "allowlist" || len(read.Inbound.Rules) != 2 {
		t.Errorf("read: %+v", read)
	}
	if empty := want[api.Policy](w, 200, http.MethodPut, path, `{"inbound":{"mode":"none","rules":[]}}`); len(empty.Inbound.Rules) != 0 {
		t.Errorf("emptied: %+v", empty)
	}
}

func TestRuleIsAddedOnceAndRemoved(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/policy/rules"
	rule := want[api.Rule](w, 201, http.MethodPost, path, `{"type":"block","value":"Evil.Example","direction":"inbound"}`)
	if rule.Value != "evil.example" || rule.Type != "block" || rule.Direction != "inbound" {
		t.Errorf("rule: %+v", rule)
	}
	w.fails(409, openmail.CodeRuleExists, "value", http.MethodPost, path, w.token, `{"type":"block","value":"evil.example"}`)
	want[any](w, 204, http.MethodDelete, path+"/"+rule.ID, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, path+"/"+rule.ID, w.token, nil)
	for _, value := range []string{"", "@b.example", "a b@c.example", "a@", "*.", "*.*.example", "a@b..example", "*@b.example@", strings.Repeat("a", 300), "a@b\u0000.example"} {
		w.fails(400, openmail.CodeBadRequest, "value", http.MethodPost, path, w.token, api.RuleCreate{Type: "allow", Value: value})
	}
	w.fails(400, openmail.CodeBadRequest, "direction", http.MethodPost, path, w.token, `{"type":"allow","value":"a@b.example","direction":"outbound"}`)
	w.fails(400, openmail.CodeBadRequest, "type", http.MethodPost, path, w.token, `{"type":"maybe","value":"a@b.example"}`)
}

func TestPolicyTakesTenThousandRulesAndNoMore(t *testing.T) {
	w := newWorld(t)
	rules := make([]api.RuleCreate, 10_000)
	for i := range rules {
		rules[i] = api.RuleCreate{Type: "allow", Value: "sender-" + strings.Repeat("0123456789"[i%10:i%10+1], 1+i/10%20) + "-" + time.Duration(i).String() + "@somewhere.example"}
	}
	put := api.PolicyPut{Inbound: &api.PolicySidePut{Mode: "none", Rules: rules}}
	if got := want[api.Policy](w, 200, http.MethodPut, "/v1/policy", put); len(got.Inbound.Rules) != len(rules) {
		t.Errorf("%d rules", len(got.Inbound.Rules))
	}
	w.fails(400, openmail.CodeBadRequest, "rules", http.MethodPost, "/v1/policy/rules", w.token, `{"type":"allow","value":"one@too-many.example"}`)
	put.Inbound.Rules = append(rules, api.RuleCreate{Type: "allow", Value: "one@too-many.example"})
	w.fails(400, openmail.CodeBadRequest, "inbound.rules", http.MethodPut, "/v1/policy", w.token, put)
}

func TestQuarantinedMailIsListedReleasedAndDeleted(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	one := w.mail(inbox, letter("one@x", "One"), time.Now(), openmail.Verdict{Reason: openmail.ReasonUnknown})
	two := w.mail(inbox, letter("two@x", "Two"), time.Now().Add(time.Second), openmail.Verdict{Reason: openmail.ReasonBlocked, Rule: "rule_1"})

	held := want[api.List[api.Quarantined]](w, 200, http.MethodGet, "/v1/quarantine", nil)
	if held.Total != 2 || held.Data[0].ID != two.Message || *held.Data[0].RuleID != "rule_1" || held.Data[1].RuleID != nil {
		t.Fatalf("held: %+v", held)
	}
	if got := want[api.Quarantined](w, 200, http.MethodGet, "/v1/quarantine/"+one.Message, nil); got.Reason != "not_on_allowlist" || got.Subject != "One" || !got.ExpiresAt.After(time.Now()) {
		t.Errorf("one: %+v", got)
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/messages/"+one.Message, w.token, nil)
	released := want[api.Released](w, 200, http.MethodPost, "/v1/quarantine/"+one.Message+"/release", nil)
	if m := want[api.Message](w, 200, http.MethodGet, "/v1/messages/"+released.MessageID, nil); m.Subject != "One" {
		t.Errorf("released: %+v", m)
	}
	want[api.Event](w, 200, http.MethodGet, "/v1/events/"+released.EventID, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodPost, "/v1/quarantine/"+one.Message+"/release", w.token, nil)
	want[any](w, 204, http.MethodDelete, "/v1/quarantine/"+two.Message, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/quarantine/"+two.Message, w.token, nil)
	if got := want[api.List[api.Quarantined]](w, 200, http.MethodGet, "/v1/quarantine", nil); got.Total != 0 || len(got.Data) != 0 {
		t.Errorf("left: %+v", got)
	}
}

func TestPolicyOfANarrowerScopeIsRefusedAndTheAccountsStays(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	rule := want[api.Rule](w, 201, http.MethodPost, "/v1/policy/rules", `{"type":"block","value":"evil.example"}`)
	for field, value := range map[string]string{"inboxId": inbox.ID, "podId": "pod_x"} {
		query := "?" + field + "=" + value
		w.fails(400, openmail.CodeBadRequest, field, http.MethodGet, "/v1/policy"+query, w.token, nil)
		w.fails(400, openmail.CodeBadRequest, field, http.MethodPut, "/v1/policy"+query, w.token, `{"inbound":{"mode":"allowlist","rules":[]}}`)
		w.fails(400, openmail.CodeBadRequest, field, http.MethodPut, "/v1/policy/mode"+query, w.token, `{"mode":"allowlist"}`)
		w.fails(400, openmail.CodeBadRequest, field, http.MethodPost, "/v1/policy/rules"+query, w.token, `{"type":"allow","value":"a@b.example"}`)
		w.fails(400, openmail.CodeBadRequest, field, http.MethodDelete, "/v1/policy/rules/"+rule.ID+query, w.token, nil)
	}
	if p := want[api.Policy](w, 200, http.MethodGet, "/v1/policy", nil); p.Inbound.Mode != "none" || len(p.Inbound.Rules) != 1 {
		t.Errorf("the account's policy: %+v", p)
	}
}

func TestNoInboxIsInAPodThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.inbox("jane")
	if got := want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes?podId=pod_x", nil); got.Data == nil || len(got.Data) != 0 || got.Total != 0 {
		t.Errorf("inboxes: %+v", got)
	}
}
