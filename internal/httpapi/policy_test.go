package httpapi_test

import (
	"net/http"
	"slices"
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
	w.fails(400, openmail.CodeBadRequest, "direction", http.MethodPost, path, w.token, `{"type":"allow","value":"a@b.example","direction":"sideways"}`)
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
	w.fails(409, openmail.CodeRuleExists, "value", http.MethodPost, "/v1/policy/rules", w.token, rules[0])
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

func TestNoInboxIsInAPodThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.inbox("jane")
	if got := want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes?podId=pod_x", nil); got.Data == nil || len(got.Data) != 0 || got.Total != 0 {
		t.Errorf("inboxes: %+v", got)
	}
}

// levels are a pod with an inbox, and the queries that name them.
type levels struct {
	*world
	inbox    api.Inbox
	podID    string
	pod, one string // "?podId=…", "?inboxId=…"
	podKey   string
}

func newLevels(t *testing.T) levels {
	w := newWorld(t)
	pod := w.pod("acme")
	inbox := w.inboxIn("acme", "jane")
	return levels{w, inbox, pod.ID, "?podId=acme", "?inboxId=" + inbox.ID, w.podKey(pod.ID).Token}
}

func TestALevelInheritsAndSaysWhatHolds(t *testing.T) {
	l := newLevels(t)
	mode := func(query, mode string) api.Policy {
		t.Helper()
		return want[api.Policy](l.world, 200, http.MethodPut, "/v1/policy/mode"+query, `{"mode":"`+mode+`","direction":"outbound"}`)
	}
	rule := func(query, body string) api.Rule {
		t.Helper()
		return want[api.Rule](l.world, 201, http.MethodPost, "/v1/policy/rules"+query, body)
	}
	fresh := want[api.Policy](l.world, 200, http.MethodGet, "/v1/policy"+l.one, nil)
	if fresh.Scope != "inbox" || fresh.Outbound.Mode != "inherit" || fresh.Outbound.EffectiveMode != "none" || fresh.Inbound.Mode != "inherit" || fresh.Outbound.Rules == nil {
		t.Errorf("fresh: %+v", fresh)
	}
	mode("", "allowlist")
	of := rule("", `{"type":"allow","value":"good.example","direction":"outbound"}`)
	ofPod := rule(l.pod, `{"type":"block","value":"bad.example","direction":"outbound"}`)
	ofInbox := rule(l.one, `{"type":"allow","value":"own.example","direction":"outbound"}`)
	p := want[api.Policy](l.world, 200, http.MethodGet, "/v1/policy"+l.one, nil)
	if p.Outbound.Mode != "inherit" || p.Outbound.EffectiveMode != "allowlist" || p.Inbound.EffectiveMode != "none" || len(p.Outbound.Rules) != 3 {
		t.Fatalf("inherited: %+v", p)
	}
	for i, r := range []api.Rule{of, ofPod, ofInbox} {
		if got := p.Outbound.Rules[i]; got != r || got.Scope != []string{"account", "pod", "inbox"}[i] || got.SetBy != "account" || got.Direction != "outbound" {
			t.Errorf("rule %d: %+v, want %+v", i, got, r)
		}
	}
	if p := mode(l.pod, "none"); p.Scope != "pod" || p.Outbound.EffectiveMode != "none" || len(p.Outbound.Rules) != 2 {
		t.Errorf("the pod's: %+v", p)
	}
	if p := mode(l.one, "allowlist"); p.Outbound.EffectiveMode != "allowlist" {
		t.Errorf("the inbox's: %+v", p)
	}
	if p := mode(l.one, "inherit"); p.Outbound.EffectiveMode != "none" {
		t.Errorf("inherited again: %+v", p)
	}
	// A rule is removed where it stands.
	rules := "/v1/policy/rules/"
	l.fails(403, openmail.CodeInheritedRule, "", http.MethodDelete, rules+of.ID+l.one, l.token, nil)
	l.fails(403, openmail.CodeInheritedRule, "", http.MethodDelete, rules+ofPod.ID+l.one, l.token, nil)
	l.fails(404, openmail.CodeNotFound, "", http.MethodDelete, rules+ofInbox.ID+l.pod, l.token, nil)
	l.fails(404, openmail.CodeNotFound, "", http.MethodDelete, rules+ofPod.ID, l.token, nil)
	for query, id := range map[string]string{"": of.ID, l.pod: ofPod.ID, l.one: ofInbox.ID} {
		want[any](l.world, 204, http.MethodDelete, rules+id+query, nil)
	}
	if p := want[api.Policy](l.world, 200, http.MethodGet, "/v1/policy"+l.one, nil); len(p.Outbound.Rules) != 0 {
		t.Errorf("left: %+v", p)
	}
}

func TestALevelThatCannotBeMeantIsRefused(t *testing.T) {
	l := newLevels(t)
	both := l.pod + "&inboxId=" + l.inbox.ID
	for _, c := range []struct {
		status       int
		code         openmail.Code
		field        string
		method, path string
		body         any
	}{
		{400, openmail.CodeBadRequest, "inboxId", "GET", "/v1/policy" + both, nil},
		{400, openmail.CodeBadRequest, "inboxId", "PUT", "/v1/policy" + both, `{}`},
		{400, openmail.CodeBadRequest, "inboxId", "PUT", "/v1/policy/mode" + both, `{"mode":"allowlist"}`},
		{400, openmail.CodeBadRequest, "inboxId", "POST", "/v1/policy/rules" + both, `{"type":"allow","value":"a@b.example"}`},
		{400, openmail.CodeBadRequest, "inboxId", "GET", "/v1/policy/audit" + both, nil},
		{404, openmail.CodeNotFound, "", "GET", "/v1/policy?podId=nobody", nil},
		{404, openmail.CodeNotFound, "", "GET", "/v1/policy/audit?inboxId=inb_nobody", nil},
		{404, openmail.CodeNotFound, "", "POST", "/v1/policy/rules?inboxId=inb_nobody", `{"type":"allow","value":"a@b.example"}`},
		{400, openmail.CodeBadRequest, "mode", "PUT", "/v1/policy/mode", `{"mode":"inherit"}`},
		{400, openmail.CodeBadRequest, "mode", "PUT", "/v1/policy", `{"outbound":{"mode":"inherit"}}`},
		{400, openmail.CodeBadRequest, "outbound.rules", "PUT", "/v1/policy", `{"outbound":{"mode":"none","rules":[{"type":"allow","value":"a@b.example","direction":"inbound"}]}}`},
		{400, openmail.CodeBadRequest, "action", "GET", "/v1/policy/audit?action=nothing", nil},
		{400, openmail.CodeBadRequest, "since", "GET", "/v1/policy/audit?since=yesterday", nil},
	} {
		l.fails(c.status, c.code, c.field, c.method, c.path, l.token, c.body)
	}
	// All or nothing: the side that is right is not written either.
	l.fails(400, openmail.CodeBadRequest, "value", http.MethodPut, "/v1/policy", l.token, `{"inbound":{"mode":"allowlist"},"outbound":{"mode":"none","rules":[{"type":"allow","value":"@@"}]}}`)
	if p := want[api.Policy](l.world, 200, http.MethodGet, "/v1/policy", nil); p.Inbound.Mode != "none" {
		t.Errorf("half of it was written: %+v", p)
	}
}

func TestAPodsKeyTightensItsPodAndLoosensNothing(t *testing.T) {
	l := newLevels(t)
	other := l.inboxIn(l.pod2(), "elsewhere")
	refused := func(method, path string, body any) {
		t.Helper()
		e := wantAs[api.Error](l.world, l.podKey, 403, method, path, body)
		if e.Code != "forbidden" || !strings.Contains(e.Message, "This key reaches") {
			t.Errorf("%s %s: %+v", method, path, e)
		}
	}
	may := func(status int, method, path string, body any) {
		t.Helper()
		wantAs[any](l.world, l.podKey, status, method, path, body)
	}
	block, allow := `{"type":"block","value":"evil.example"}`, `{"type":"allow","value":"good.example"}`
	// The account's policy and another pod's are not its own.
	for _, query := range []string{"", "?podId=other", "?inboxId=" + other.ID} {
		refused(http.MethodGet, "/v1/policy"+query, nil)
		refused(http.MethodPut, "/v1/policy"+query, `{"inbound":{"mode":"allowlist"}}`)
		refused(http.MethodPut, "/v1/policy/mode"+query, `{"mode":"allowlist"}`)
		refused(http.MethodPost, "/v1/policy/rules"+query, block)
	}
	refused(http.MethodGet, "/v1/policy/audit?podId=other", nil)
	for _, query := range []string{l.pod, l.one} {
		refused(http.MethodPut, "/v1/policy/mode"+query, `{"mode":"none"}`)
		refused(http.MethodPut, "/v1/policy"+query, `{"inbound":{"mode":"none"}}`)
		may(201, http.MethodPost, "/v1/policy/rules"+query, block)
		may(201, http.MethodPost, "/v1/policy/rules"+query, allow)
	}
	// An allowlist of its own it fills, at the level where it is.
	may(200, http.MethodPut, "/v1/policy"+l.pod, `{"inbound":{"mode":"allowlist","rules":[`+allow+`]}}`)
	refused(http.MethodPost, "/v1/policy/rules"+l.one, `{"type":"allow","value":"more.example"}`)
	may(201, http.MethodPost, "/v1/policy/rules"+l.one, `{"type":"block","value":"more.example"}`)
	may(200, http.MethodPut, "/v1/policy/mode"+l.pod, `{"mode":"inherit"}`)
	// The account sets an allowlist: from now on nothing is added to it.
	ofAccount := want[api.Rule](l.world, 201, http.MethodPost, "/v1/policy/rules", `{"type":"allow","value":"friends.example"}`)
	want[api.Policy](l.world, 200, http.MethodPut, "/v1/policy/mode", `{"mode":"allowlist"}`)
	for _, query := range []string{l.pod, l.one} {
		refused(http.MethodPost, "/v1/policy/rules"+query, `{"type":"allow","value":"more.example"}`)
		refused(http.MethodPut, "/v1/policy"+query, `{"inbound":{"mode":"allowlist","rules":[{"type":"allow","value":"more.example"}]}}`)
	}
	// What the account's key set for the pod stays.
	mine := want[api.Rule](l.world, 201, http.MethodPost, "/v1/policy/rules"+l.pod, `{"type":"block","value":"always.example"}`)
	want[api.Policy](l.world, 200, http.MethodPut, "/v1/policy/mode"+l.pod, `{"mode":"allowlist"}`)
	refused(http.MethodDelete, "/v1/policy/rules/"+mine.ID+l.pod, nil)
	refused(http.MethodPut, "/v1/policy"+l.pod, `{"inbound":{"mode":"allowlist","rules":[]}}`)
	refused(http.MethodPut, "/v1/policy/mode"+l.pod, `{"mode":"inherit"}`)
	if e := wantAs[api.Error](l.world, l.podKey, 403, http.MethodDelete, "/v1/policy/rules/"+ofAccount.ID+l.pod, nil); e.Code != "inherited_rule" {
		t.Errorf("the account's rule: %+v", e)
	}
	// It sees its own rules, and of the account's only that there is an allowlist.
	p := wantAs[api.Policy](l.world, l.podKey, 200, http.MethodGet, "/v1/policy"+l.one, nil)
	if p.Inbound.EffectiveMode != "allowlist" {
		t.Errorf("what holds: %+v", p.Inbound)
	}
	for _, r := range p.Inbound.Rules {
		if r.Scope == "account" {
			t.Errorf("it sees %+v", r)
		}
	}
}

// pod2 is another pod.
func (l levels) pod2() string { return l.world.pod("other").ID }

func TestAnInboxesKeyHasNothingToDoWithPolicies(t *testing.T) {
	l := newLevels(t)
	key := l.inboxKey(l.inbox.ID).Token
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/v1/policy", nil},
		{"PUT", "/v1/policy", `{"inbound":{"mode":"allowlist"}}`},
		{"PUT", "/v1/policy/mode", `{"mode":"allowlist"}`},
		{"POST", "/v1/policy/rules", `{"type":"block","value":"a@b.example"}`},
		{"DELETE", "/v1/policy/rules/rule_x", nil},
		{"GET", "/v1/policy/audit", nil},
	} {
		for _, query := range []string{"", l.pod, l.one} {
			l.fails(403, openmail.CodeForbidden, "", c.method, c.path+query, key, c.body)
		}
	}
}

func TestWhatWasChangedAndRefusedIsRecorded(t *testing.T) {
	l := newLevels(t)
	put := `{"outbound":{"mode":"allowlist","rules":[{"type":"allow","value":"good.example"},{"type":"block","value":"bad.example"}]}}`
	for range 2 { // the second changes nothing
		want[api.Policy](l.world, 200, http.MethodPut, "/v1/policy"+l.one, put)
	}
	wantAs[api.Policy](l.world, l.podKey, 200, http.MethodPut, "/v1/policy/mode"+l.pod, `{"mode":"allowlist"}`)
	rule := wantAs[api.Rule](l.world, l.podKey, 201, http.MethodPost, "/v1/policy/rules"+l.pod, `{"type":"block","value":"evil.example"}`)
	wantAs[any](l.world, l.podKey, 204, http.MethodDelete, "/v1/policy/rules/"+rule.ID+l.pod, nil)
	send := "/v1/inboxes/" + l.inbox.ID + "/send"
	for range 2 {
		e := l.fails(403, openmail.CodeNotPermitted, "cc", http.MethodPost, send, l.token, `{"to":"a@good.example","cc":"eve@evil.example","subject":"x","body":"y"}`)
		if e.Recipient != "eve@evil.example" || e.Type != "not_on_allowlist" {
			t.Errorf("refused with %+v", e)
		}
	}
	if strings.Contains(l.log.String(), "eve@") {
		t.Error("the log names who was refused")
	}
	want[api.Sent](l.world, 200, http.MethodPost, send, `{"to":"a@good.example","subject":"x","body":"y"}`)
	all := want[api.List[api.PolicyRecord]](l.world, 200, http.MethodGet, "/v1/policy/audit", nil)
	var got []string
	for _, r := range all.Data {
		got = append(got, r.Action+" "+r.Direction+" "+r.Scope)
	}
	wanted := []string{"refused outbound inbox", "rule_removed inbound pod", "rule_added inbound pod", "mode_set inbound pod", "policy_replaced outbound inbox"}
	if !slices.Equal(got, wanted) || all.Total != 5 {
		t.Fatalf("recorded %q of %d", got, all.Total)
	}
	refused, removed, added, mode, replaced := all.Data[0], all.Data[1], all.Data[2], all.Data[3], all.Data[4]
	if refused.Times != 2 || *refused.Address != "eve@evil.example" || *refused.Reason != "not_on_allowlist" || *refused.InboxID != l.inbox.ID || refused.KeyID == nil || refused.Value != nil {
		t.Errorf("refused: %+v", refused)
	}
	if *removed.RuleID != rule.ID || *added.RuleID != rule.ID || *added.Value != "evil.example" || *added.Type != "block" || *added.PodID != l.podID || added.InboxID != nil || added.Address != nil {
		t.Errorf("added: %+v, removed: %+v", added, removed)
	}
	if *mode.Mode != "allowlist" || mode.Added != nil || *replaced.Mode != "allowlist" || replaced.Added.Count != 2 || replaced.Added.First[0] != "allow good.example" || replaced.Removed.Count != 0 || replaced.Times != 1 {
		t.Errorf("mode: %+v, replaced: %+v", mode, replaced)
	}
	for query, n := range map[string]int{
		l.pod: 5, l.one: 2, "?action=refused": 1, "?direction=inbound": 3, "?action=rule_added&direction=outbound": 0,
		"?until=2020-01-01T00:00:00Z": 0, "?since=2020-01-01T00:00:00Z": 5, "?limit=1": 5,
	} {
		if got := want[api.List[api.PolicyRecord]](l.world, 200, http.MethodGet, "/v1/policy/audit"+query, nil); got.Total != n {
			t.Errorf("%s: %d records, want %d", query, got.Total, n)
		}
	}
	// A pod's key sees those of its pod, without being told to ask for them.
	if got := wantAs[api.List[api.PolicyRecord]](l.world, l.podKey, 200, http.MethodGet, "/v1/policy/audit", nil); got.Total != 5 {
		t.Errorf("the pod's: %+v", got)
	}
	if got := wantAs[api.List[api.PolicyRecord]](l.world, l.otherToken, 200, http.MethodGet, "/v1/policy/audit", nil); got.Total != 0 || got.Data == nil {
		t.Errorf("another's: %+v", got)
	}
}
