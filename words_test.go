package openmail_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"openmail"
)

func TestAScopeCoversItsAccountAndNoMoreThanItsPodOrInbox(t *testing.T) {
	account := openmail.Scope{Account: "acc_1"}
	pod := openmail.Scope{Account: "acc_1", Pod: "pod_1"}
	inbox := openmail.Scope{Account: "acc_1", Pod: "pod_1", Inbox: "inb_1"}
	for _, c := range []struct {
		scope               openmail.Scope
		account, pod, inbox string
		want                bool
	}{
		{openmail.Scope{}, "acc_1", "pod_1", "inb_1", false},
		{openmail.Scope{}, "", "", "", false},
		{account, "acc_1", "pod_1", "inb_1", true},
		{account, "acc_1", "", "", true},
		{account, "acc_2", "pod_1", "inb_1", false},
		{pod, "acc_1", "pod_1", "inb_1", true},
		{pod, "acc_1", "pod_1", "", true},
		{pod, "acc_1", "pod_2", "inb_2", false},
		{pod, "acc_1", "", "", false},
		{pod, "acc_2", "pod_1", "inb_1", false},
		{inbox, "acc_1", "pod_1", "inb_1", true},
		{inbox, "acc_1", "pod_1", "inb_2", false},
		{inbox, "acc_1", "pod_1", "", false},
		{inbox, "acc_1", "", "", false},
		{inbox, "acc_2", "pod_1", "inb_1", false},
		{openmail.Operator(), "acc_2", "pod_9", "inb_9", true},
	} {
		if got := c.scope.Covers(c.account, c.pod, c.inbox); got != c.want {
			t.Errorf("%+v covers %s %s %s: %v", c.scope, c.account, c.pod, c.inbox, got)
		}
	}
}

func TestARefusalNamesTheBoundaryThatWasCrossed(t *testing.T) {
	account := openmail.Scope{Account: "acc_1"}
	pod := openmail.Scope{Account: "acc_1", Pod: "pod_1"}
	inbox := openmail.Scope{Account: "acc_1", Pod: "pod_1", Inbox: "inb_1"}
	for name, c := range map[string]struct {
		err  error
		text string // "": not refused
	}{
		"account, needs an account": {account.NeedAccount("do that"), ""},
		"account, needs a pod":      {account.NeedPod("do that"), ""},
		"account, needs an inbox":   {account.NeedInbox("inb_2"), ""},
		"pod, needs an account":     {pod.NeedAccount("do that"), "This key reaches one pod only: it cannot do that."},
		"pod, needs a pod":          {pod.NeedPod("do that"), ""},
		"pod, elsewhere":            {pod.OutsidePod(), "This key reaches the pod pod_1 only."},
		"inbox, needs an account":   {inbox.NeedAccount("do that"), "This key reaches one inbox only: it cannot do that."},
		"inbox, needs a pod":        {inbox.NeedPod("do that"), "This key reaches one inbox only: it cannot do that."},
		"inbox, its own":            {inbox.NeedInbox("inb_1"), ""},
		"inbox, another":            {inbox.NeedInbox("inb_2"), "This key reaches the inbox inb_1 only."},
		"nobody, needs a pod":       {openmail.Scope{}.NeedPod("do that"), "cannot do that"},
	} {
		if c.text == "" && c.err != nil || c.text != "" && (openmail.CodeOf(c.err) != openmail.CodeForbidden || !strings.Contains(c.err.Error(), c.text)) {
			t.Errorf("%s: %v, want %q", name, c.err, c.text)
		}
	}
}

func TestASnapshotOfNothingWantsNothing(t *testing.T) {
	s := openmail.Subscription{}.Only(nil, nil)
	if !s.Active() || s.Wants("a", openmail.MessageReceived) || len(s.Inboxes()) != 0 {
		t.Errorf("%+v", s)
	}
	s = s.Only([]string{"b", "a"}, nil)
	if !s.Wants("a", openmail.MessageReceived) || s.Wants("c", openmail.MessageReceived) || !slices.Equal(s.Inboxes(), []string{"a", "b"}) {
		t.Errorf("%+v", s)
	}
	if s = s.Only([]string{"b"}, nil); s.Wants("a", openmail.MessageReceived) {
		t.Error("an inbox that is gone from the snapshot is still wanted")
	}
}

func TestNoSubscriptionWantsWhatGoesByWebhookOnly(t *testing.T) {
	for _, kind := range []openmail.EventType{openmail.InboxSuspended, openmail.InboxReactivated, openmail.PodSuspended, openmail.PodReactivated} {
		for _, s := range []openmail.Subscription{openmail.Subscription{}.With(nil, nil), openmail.Subscription{}.With([]string{"a"}, []openmail.EventType{kind})} {
			if s.Wants("a", kind) || s.Wants("", kind) || !kind.IsLifecycle() {
				t.Errorf("%s is wanted", kind)
			}
		}
	}
}

func TestSubscriptionsAccumulate(t *testing.T) {
	const received, other = openmail.MessageReceived, openmail.EventType("other.thing")
	var s openmail.Subscription
	ask := func(step string, want ...string) {
		t.Helper()
		var got []string
		for _, inbox := range []string{"a", "b", "c"} {
			for _, kind := range []openmail.EventType{received, other} {
				if s.Wants(inbox, kind) {
					got = append(got, inbox+" "+string(kind))
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: wants %q, want %q", step, got, want)
		}
	}
	ask("nothing subscribed")
	s = s.With([]string{"b"}, []openmail.EventType{received})
	ask("one inbox", "b message.received")
	before := s
	s = s.With([]string{"a"}, []openmail.EventType{other})
	ask("another", "a message.received", "a other.thing", "b message.received", "b other.thing")
	if before.Wants("a", received) {
		t.Error("With changed the subscription that it was called on")
	}
	s = s.Without([]string{"a"})
	ask("without one", "b message.received", "b other.thing")
	s = s.With(nil, nil)
	ask("everything", "a message.received", "a other.thing", "b message.received", "b other.thing", "c message.received", "c other.thing")
	if len(s.Inboxes()) != 0 || len(s.Types()) != 0 {
		t.Errorf("everything is shown as %v, %v", s.Inboxes(), s.Types())
	}
	s = s.Without([]string{"c"})
	ask("everything but one", "a message.received", "a other.thing", "b message.received", "b other.thing")
	s = s.With([]string{"c"}, nil)
	ask("the one again", "a message.received", "a other.thing", "b message.received", "b other.thing", "c message.received", "c other.thing")
	s = s.Without(nil)
	ask("nothing again")
	s = openmail.Subscription{}.With([]string{"a"}, nil).Without([]string{"a"})
	ask("its only inbox given up")
	if s.Active() {
		t.Error("nothing is left, and it is active")
	}
}

func TestAddressesAreWrittenAndTakenApart(t *testing.T) {
	for _, c := range []struct {
		in   openmail.Address
		want string
	}{
		{openmail.Address{Addr: "a@b.c"}, "a@b.c"},
		{openmail.Address{Name: "Ann Lee", Addr: "a@b.c"}, "Ann Lee <a@b.c>"},
		{openmail.Address{Name: `Lee, "Ann"`, Addr: "a@b.c"}, `"Lee, \"Ann\"" <a@b.c>`},
		{openmail.Address{Name: `back\slash`, Addr: "a@b.c"}, `"back\\slash" <a@b.c>`},
	} {
		if got := c.in.String(); got != c.want {
			t.Errorf("%+v is written %s, want %s", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{
		"Jane@Example.COM": "jane@example.com", "jane+tag@x": "jane@x", "jane+a+b@x": "jane@x", "+tag@x": "+tag@x",
		`"a@b"@x`: `"a@b"@x`, "jane": "jane", "": "",
	} {
		if got := openmail.BaseAddress(in); got != want {
			t.Errorf("BaseAddress(%q) is %q, want %q", in, got, want)
		}
	}
	if d := (openmail.Address{Addr: "x@Y.Z"}).Domain(); d != "y.z" {
		t.Errorf("the domain is %q", d)
	}
}

func TestAPolicyDecidesByItsRules(t *testing.T) {
	allow := func(v string) openmail.Rule { return openmail.Rule{ID: "rule_a", Type: openmail.RuleAllow, Value: v} }
	block := func(v string) openmail.Rule { return openmail.Rule{ID: "rule_b", Type: openmail.RuleBlock, Value: v} }
	for _, c := range []struct {
		name  string
		mode  openmail.Mode
		rules []openmail.Rule
		from  string
		want  string // "" is admitted
	}{
		{"no rules", openmail.ModeNone, nil, "a@b.c", ""},
		{"block by address", openmail.ModeNone, []openmail.Rule{block("a@b.c")}, "A@B.C", openmail.ReasonBlocked},
		{"block by domain", openmail.ModeNone, []openmail.Rule{block("b.c")}, "a@b.c", openmail.ReasonBlocked},
		{"a domain is not its subdomain", openmail.ModeNone, []openmail.Rule{block("b.c")}, "a@x.b.c", ""},
		{"a wildcard is not the domain itself", openmail.ModeNone, []openmail.Rule{block("*.b.c")}, "a@b.c", ""},
		{"a wildcard, two below", openmail.ModeNone, []openmail.Rule{block("*.b.c")}, "a@x.y.b.c", openmail.ReasonBlocked},
		{"a look-alike", openmail.ModeNone, []openmail.Rule{block("b.c")}, "a@evilb.c", ""},
		{"empty allowlist", openmail.ModeAllowlist, nil, "a@b.c", openmail.ReasonUnknown},
		{"allowed", openmail.ModeAllowlist, []openmail.Rule{allow("b.c")}, "a@b.c", ""},
		{"block wins", openmail.ModeAllowlist, []openmail.Rule{allow("a@b.c"), block("b.c")}, "a@b.c", openmail.ReasonBlocked},
		{"by the name that DNS has", openmail.ModeNone, []openmail.Rule{block("xn--bcher-kva.test")}, "bob@Bücher.test", openmail.ReasonBlocked},
		{"by its address that DNS has", openmail.ModeNone, []openmail.Rule{block("bob@xn--bcher-kva.test")}, "bob@bücher.test", openmail.ReasonBlocked},
		{"allowed by the name that DNS has", openmail.ModeAllowlist, []openmail.Rule{allow("xn--bcher-kva.test")}, "bob@bücher.test", ""},
		{"with a dot behind", openmail.ModeNone, []openmail.Rule{block("b.test")}, "a@b.test.", openmail.ReasonBlocked},
		{"with a wide dot", openmail.ModeNone, []openmail.Rule{block("b.test")}, "a@b．test", openmail.ReasonBlocked},
		{"in quotes that it does not need", openmail.ModeNone, []openmail.Rule{block("a.b@c.test")}, `"a.\b"@c.test`, openmail.ReasonBlocked},
		{"in quotes that it needs", openmail.ModeNone, []openmail.Rule{block("a b@c.test")}, `"a b"@c.test`, ""},
		{"with its accent apart", openmail.ModeNone, []openmail.Rule{block("jürgen@c.test")}, "ju\u0308rgen@c.test", openmail.ReasonBlocked},
		{"a domain that is none", openmail.ModeNone, []openmail.Rule{block("b.test")}, "a@xn--\x00.b.test", ""},
		{"nobody", openmail.ModeAllowlist, []openmail.Rule{allow("b.c")}, "", openmail.ReasonUnknown},
	} {
		v := openmail.Policy{{Mode: c.mode, Rules: c.rules}}.Admits(c.from)
		if v.Admitted != (c.want == "") || v.Reason != c.want {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestTheLevelsOfAPolicyDecideTogether(t *testing.T) {
	allow := openmail.Rule{ID: "rule_a", Type: openmail.RuleAllow, Value: "b.c"}
	accounts := allow
	accounts.ByAccount = true
	block := openmail.Rule{ID: "rule_b", Type: openmail.RuleBlock, Value: "b.c"}
	level := func(mode openmail.Mode, byAccount bool, rules ...openmail.Rule) openmail.PolicyLevel {
		return openmail.PolicyLevel{Mode: mode, ByAccount: byAccount, Rules: rules}
	}
	const none, list, inherit = openmail.ModeNone, openmail.ModeAllowlist, openmail.ModeInherit
	for _, c := range []struct {
		name   string
		policy openmail.Policy
		mode   openmail.Mode
		want   string // "" is admitted
	}{
		{"nobody says anything", openmail.Policy{level(none, true), level(inherit, false), level(inherit, false)}, none, ""},
		{"an allowlist is inherited", openmail.Policy{level(list, true), level(inherit, false), level(inherit, false)}, list, openmail.ReasonUnknown},
		{"with its rules", openmail.Policy{level(list, true, accounts), level(inherit, false), level(inherit, false)}, list, ""},
		{"the inbox adds to it", openmail.Policy{level(list, true), level(inherit, false), level(inherit, false, accounts)}, list, ""},
		{"the narrowest mode holds", openmail.Policy{level(list, true), level(none, true), level(inherit, false)}, none, ""},
		{"an allowlist below none", openmail.Policy{level(none, true), level(inherit, false), level(list, true)}, list, openmail.ReasonUnknown},
		{"a block above wins", openmail.Policy{level(none, true, block), level(list, true, accounts)}, list, openmail.ReasonBlocked},
		{"a block below wins", openmail.Policy{level(list, true, accounts), level(inherit, false), level(inherit, false, block)}, list, openmail.ReasonBlocked},
		{"a pod's key does not open an account's allowlist", openmail.Policy{level(list, true), level(none, false, allow)}, none, openmail.ReasonUnknown},
		{"nor by an allowlist of its own", openmail.Policy{level(list, true), level(list, false, allow)}, list, openmail.ReasonUnknown},
		{"it fills its own", openmail.Policy{level(none, true), level(list, false, allow)}, list, ""},
		{"and narrows what is open", openmail.Policy{level(none, true), level(list, false)}, list, openmail.ReasonUnknown},
		{"two allowlists, the account's rule", openmail.Policy{level(list, true, accounts), level(list, false)}, list, ""},
		{"none of the account ends its allowlist", openmail.Policy{level(list, true), level(none, true), level(list, false, allow)}, list, ""},
	} {
		if got := c.policy.Mode(); got != c.mode {
			t.Errorf("%s: mode %s", c.name, got)
		}
		if v := c.policy.Admits("a@b.c"); v.Admitted != (c.want == "") || v.Reason != c.want {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestAScopeStandsForItsLevels(t *testing.T) {
	s := openmail.Scope{Account: "acc", Pod: "pod", Inbox: "inb"}
	if got := s.Levels(); !slices.Equal(got, []string{"acc", "pod", "inb"}) {
		t.Errorf("levels %q", got)
	}
	for n, want := range map[int]openmail.Scope{1: {Account: "acc"}, 2: {Account: "acc", Pod: "pod"}, 3: s} {
		if got := s.Above(n); got != want {
			t.Errorf("the first %d: %+v", n, got)
		}
	}
}

func TestARuleIsNamedByNoMoreValuesThanADomainHasLabels(t *testing.T) {
	if n := len(openmail.RuleValues("a@" + strings.Repeat("x.", 5000) + "y")); n > 140 {
		t.Errorf("%d values", n)
	}
	if got := openmail.RuleValues("Ann@a.b.c"); !slices.Equal(got, []string{"ann@a.b.c", "a.b.c", "*.b.c", "*.c"}) {
		t.Errorf("values %q", got)
	}
}

func TestTheScheduleEndsAfterItsLastPost(t *testing.T) {
	s := openmail.DefaultSchedule()
	for n, want := range []time.Duration{0, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		if got, ok := s.After(n); got != want || !ok {
			t.Errorf("after %d posts: %v, %v", n, got, ok)
		}
	}
	for _, n := range []int{-1, 5, 100} {
		if _, ok := s.After(n); ok {
			t.Errorf("there is a post after %d", n)
		}
	}
}

func TestAnErrorKeepsItsCodeAndItsCause(t *testing.T) {
	cause := errors.New("disk")
	err := fmt.Errorf("filing: %w", &openmail.Error{Code: openmail.CodeStorageFull, Message: "full", Err: cause})
	if openmail.CodeOf(err) != openmail.CodeStorageFull || !errors.Is(err, cause) {
		t.Errorf("%v has code %s", err, openmail.CodeOf(err))
	}
	if openmail.CodeOf(cause) != openmail.CodeInternal || openmail.CodeOf(nil) != "" {
		t.Error("what has no code is internal, and nil is nothing")
	}
	seen := map[openmail.Code]bool{}
	for _, c := range openmail.Codes() {
		if seen[c.Code] || c.Meaning == "" {
			t.Errorf("the catalogue has %s twice, or without a meaning", c.Code)
		}
		seen[c.Code] = true
	}
}

func TestAnExtractionHasTextOrAReason(t *testing.T) {
	for e, want := range map[openmail.Extraction]struct{ text, final bool }{
		openmail.ExtractionPDF: {true, true}, openmail.ExtractionOCR: {true, true}, openmail.ExtractionOffice: {true, true},
		openmail.ExtractionCSV: {true, true}, openmail.ExtractionText: {true, true},
		openmail.ExtractionUnsupported: {false, true}, openmail.ExtractionTooLarge: {false, true}, openmail.ExtractionPDFError: {false, true},
		openmail.ExtractionOCRError: {false, true}, openmail.ExtractionOfficeError: {false, true}, openmail.ExtractionCSVError: {false, true},
		openmail.ExtractionTextError: {false, true}, openmail.ExtractionTimeout: {}, openmail.ExtractionTooMany: {}, openmail.ExtractionFailed: {}, "": {},
	} {
		if e.HasText() != want.text || e.Final() != want.final || (e.Why() == "") != want.text {
			t.Errorf("%q: text %v, final %v, %q", e, e.HasText(), e.Final(), e.Why())
		}
	}
}
