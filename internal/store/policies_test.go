package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/mailbox"
)

// rule is one of the house's account, or of a narrower level.
func (h *house) rule(at openmail.Scope, value string, byAccount bool) openmail.Rule {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return openmail.Rule{
		ID: id.At(openmail.PrefixRule, now), At: at, Direction: openmail.Inbound, Type: openmail.RuleBlock, Value: value,
		ByAccount: byAccount, CreatedAt: now,
	}
}

// record is one of what happened at a level.
func record(at openmail.Scope, action openmail.PolicyAction, when time.Time) openmail.PolicyRecord {
	return openmail.PolicyRecord{
		ID: id.At(openmail.PrefixRecord, when), At: at, Action: action, Direction: openmail.Inbound, Key: "key_1", CreatedAt: when.Truncate(time.Microsecond),
	}
}

// refused is a record of mail that was refused.
func refused(at openmail.Scope, d openmail.Direction, addr string, when time.Time) openmail.PolicyRecord {
	r := record(at, openmail.PolicyRefused, when)
	r.Direction, r.Address, r.Reason = d, addr, openmail.ReasonUnknown
	return r
}

func (h *house) records(at openmail.Scope, f mailbox.RecordFilter, p openmail.Page) ([]openmail.PolicyRecord, int) {
	h.t.Helper()
	all, total, err := h.PolicyRecords(h.t.Context(), at, f, p)
	h.check(err)
	return all, total
}

func TestARuleThatTheAccountTakesOverStaysAsOldAsItIs(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		pod := h.scope.InPod(h.addPod("acme").ID)
		first := h.rule(pod, "evil.test", false)
		first.CreatedAt = first.CreatedAt.Add(-time.Hour)
		if got, err := h.AddRule(t.Context(), pod, first, 10, record(pod, openmail.RuleAdded, time.Now())); got != first || err != nil {
			t.Fatalf("added %+v, %v", got, err)
		}
		got, err := h.AddRule(t.Context(), h.scope, h.rule(pod, "evil.test", true), 10, record(pod, openmail.RuleAdded, time.Now()))
		want := first
		want.ByAccount = true
		if got != want || err != nil {
			t.Errorf("taken over: %+v, %v; want %+v", got, err, want)
		}
		if got, err := h.Rule(t.Context(), h.scope, first.ID); got != want || err != nil {
			t.Errorf("read: %+v, %v", got, err)
		}
		if all, _ := h.records(h.scope, mailbox.RecordFilter{}, openmail.Page{Limit: 1}); all[0].Rule != first.ID {
			t.Errorf("the record names %s", all[0].Rule)
		}
		for _, byAccount := range []bool{true, false} {
			_, err := h.AddRule(t.Context(), h.scope, h.rule(pod, "evil.test", byAccount), 10, record(pod, openmail.RuleAdded, time.Now()))
			if openmail.CodeOf(err) != openmail.CodeRuleExists {
				t.Errorf("again, by the account %v: %v", byAccount, err)
			}
		}
	})
}

func TestAFullLevelStillKnowsTheRulesThatItHas(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		pod := h.scope.InPod(h.addPod("acme").ID)
		add := func(value string, byAccount bool) error {
			_, err := h.AddRule(t.Context(), h.scope, h.rule(pod, value, byAccount), 2, record(pod, openmail.RuleAdded, time.Now()))
			return err
		}
		h.check(add("one.test", false))
		h.check(add("two.test", true))
		if err := add("two.test", true); openmail.CodeOf(err) != openmail.CodeRuleExists {
			t.Errorf("the same: %v", err)
		}
		if err := add("three.test", true); openmail.CodeOf(err) != openmail.CodeBadRequest {
			t.Errorf("a third: %v", err)
		}
		if err := add("one.test", true); err != nil {
			t.Errorf("one that is taken over: %v", err)
		}
		p, err := h.Policy(t.Context(), h.scope, openmail.Inbound, pod)
		if err != nil || len(p[1].Rules) != 2 {
			t.Errorf("rules %+v, %v", p, err)
		}
		if _, total := h.records(pod, mailbox.RecordFilter{}, openmail.Page{Limit: 10}); total != 3 {
			t.Errorf("%d records, want one of each that was added or taken over", total)
		}
	})
}

func TestRefusalsOfAnHourAreCountedInRecordsOfABoundedNumber(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		in := h.addInboxIn(h.addPod("acme").ID, "bob")
		at := openmail.Scope{Account: h.account, Pod: in.Pod, Inbox: in.ID}
		hour := time.Now().UTC().Truncate(time.Hour)
		refuse := func(d openmail.Direction, addr string, when time.Time) {
			h.check(h.RecordRefusal(t.Context(), at, refused(at, d, addr, when)))
		}
		for range 3 {
			refuse(openmail.Outbound, "eve@evil.test", hour)
		}
		all, total := h.records(at, mailbox.RecordFilter{}, openmail.Page{Limit: 10})
		if total != 1 || all[0].Times != 3 || all[0].Address != "eve@evil.test" || !all[0].CreatedAt.Equal(hour) {
			t.Fatalf("one address, three times: %+v of %d", all, total)
		}
		for i := range 150 {
			refuse(openmail.Outbound, fmt.Sprint(i, "@evil.test"), hour.Add(time.Minute))
		}
		refuse(openmail.Outbound, "eve@evil.test", hour.Add(59*time.Minute)) // known: still counted by name
		all, total = h.records(at, mailbox.RecordFilter{}, openmail.Page{Limit: 200})
		times := map[string]int{}
		for _, r := range all {
			times[r.Address] += r.Times
		}
		if total != 101 || times["eve@evil.test"] != 4 || times[""] != 51 {
			t.Errorf("%d records, %d of one address, %d of others", total, times["eve@evil.test"], times[""])
		}
		refuse(openmail.Inbound, "eve@evil.test", hour)
		refuse(openmail.Outbound, "eve@evil.test", hour.Add(time.Hour))
		if _, total = h.records(at, mailbox.RecordFilter{}, openmail.Page{Limit: 1}); total != 103 {
			t.Errorf("%d records after the other way and the next hour", total)
		}
		outside := h.scope.InPod("pod_other")
		if err := h.RecordRefusal(t.Context(), outside, refused(at, openmail.Inbound, "a@b.test", hour)); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("recorded in another's pod: %v", err)
		}
	})
}

func TestRecordsAreChosenByLevelActionDirectionAndTime(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		in := h.addInboxIn(h.addPod("acme").ID, "bob")
		inbox := openmail.Scope{Account: h.account, Pod: in.Pod, Inbox: in.ID}
		pod := h.scope.InPod(in.Pod)
		now := time.Now().UTC().Truncate(time.Hour).Add(time.Microsecond)
		var want []string // oldest first
		change := func(at openmail.Scope, when time.Time) {
			r := record(at, openmail.RuleAdded, when)
			_, err := h.AddRule(t.Context(), h.scope, h.rule(at, fmt.Sprint(len(want), ".test"), true), 10, r)
			h.check(err)
			want = append(want, r.ID)
		}
		change(h.scope, now.Add(-3*time.Minute))
		change(pod, now.Add(-2*time.Minute))
		change(inbox, now.Add(-time.Minute))
		r := refused(inbox, openmail.Outbound, "eve@evil.test", now)
		h.check(h.RecordRefusal(t.Context(), h.scope, r))
		want = append(want, r.ID)
		slices.Reverse(want) // newest first
		for name, c := range map[string]struct {
			at   openmail.Scope
			f    mailbox.RecordFilter
			want []string
		}{
			"of the account":     {h.scope, mailbox.RecordFilter{}, want},
			"of the pod":         {pod, mailbox.RecordFilter{}, want[:3]},
			"of the inbox":       {inbox, mailbox.RecordFilter{}, want[:2]},
			"refused":            {h.scope, mailbox.RecordFilter{Action: openmail.PolicyRefused}, want[:1]},
			"added":              {pod, mailbox.RecordFilter{Action: openmail.RuleAdded}, want[1:3]},
			"inbound":            {h.scope, mailbox.RecordFilter{Direction: openmail.Inbound}, want[1:]},
			"added, outbound":    {h.scope, mailbox.RecordFilter{Action: openmail.RuleAdded, Direction: openmail.Outbound}, nil},
			"since":              {h.scope, mailbox.RecordFilter{Since: now}, want[:1]},
			"a moment later":     {h.scope, mailbox.RecordFilter{Since: now.Add(time.Microsecond)}, nil},
			"until":              {h.scope, mailbox.RecordFilter{Until: now}, want[1:]},
			"until, and after":   {h.scope, mailbox.RecordFilter{Until: now.Add(time.Microsecond)}, want},
			"since, before 1970": {h.scope, mailbox.RecordFilter{Since: time.Unix(-1e9, 0)}, want},
			"another's":          {openmail.Scope{Account: "acc_other"}, mailbox.RecordFilter{}, nil},
		} {
			all, total := h.records(c.at, c.f, openmail.Page{Limit: 10})
			var got []string
			for _, r := range all {
				got = append(got, r.ID)
			}
			if !slices.Equal(got, c.want) || total != len(c.want) {
				t.Errorf("%s: %v of %d, want %v", name, got, total, c.want)
			}
		}
		if all, total := h.records(h.scope, mailbox.RecordFilter{}, openmail.Page{Limit: 2, Offset: 1}); len(all) != 2 || all[0].ID != want[1] || total != 4 {
			t.Errorf("the second page: %+v of %d", all, total)
		}
	})
}

func TestALevelThatIsGoneKeepsNoPolicyAndGetsNone(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		pod := h.addPod("acme")
		in := h.addInboxIn(pod.ID, "bob")
		for _, at := range []openmail.Scope{{Account: h.account, Pod: pod.ID, Inbox: in.ID}, h.scope.InPod(pod.ID)} {
			_, err := h.AddRule(t.Context(), h.scope, h.rule(at, "evil.test", true), 10, record(at, openmail.RuleAdded, time.Now()))
			h.check(err)
			if at.Inbox != "" {
				h.check(h.DeleteInbox(t.Context(), h.scope, in.ID, time.Now()))
			} else {
				h.check(h.DeletePod(t.Context(), h.scope, pod.ID, time.Now()))
			}
			if p, err := h.Policy(t.Context(), h.scope, openmail.Inbound, at); err != nil || p.Mode() != openmail.ModeNone || len(p[len(p)-1].Rules) != 0 {
				t.Errorf("left: %+v, %v", p, err)
			}
			_, err = h.AddRule(t.Context(), h.scope, h.rule(at, "evil.test", true), 10, record(at, openmail.RuleAdded, time.Now()))
			if openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("a rule of what is gone: %v", err)
			}
			change := mailbox.PolicyChange{Level: openmail.PolicyLevel{At: at, Mode: openmail.ModeNone}, Record: record(at, openmail.PolicyModeSet, time.Now())}
			if err := h.ChangePolicy(t.Context(), h.scope, at, nil, func([]openmail.Policy) ([]mailbox.PolicyChange, error) { return []mailbox.PolicyChange{change}, nil }); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("a mode of what is gone: %v", err)
			}
			if _, total := h.records(h.scope, mailbox.RecordFilter{}, openmail.Page{Limit: 1}); total == 0 {
				t.Error("what was done is no longer told")
			}
		}
	})
}

func TestRecordsAreSweptWhenTheyAreOld(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		now := time.Now()
		at := openmail.Scope{Account: h.account, Pod: h.inbox.Pod, Inbox: h.inbox.ID}
		h.check(h.RecordRefusal(t.Context(), at, refused(at, openmail.Inbound, "old@evil.test", now.Add(-100*time.Hour))))
		h.check(h.RecordRefusal(t.Context(), at, refused(at, openmail.Inbound, "new@evil.test", now)))
		_, err := h.Sweep(t.Context(), now)
		h.check(err)
		if all, total := h.records(at, mailbox.RecordFilter{}, openmail.Page{Limit: 5}); total != 1 || all[0].Address != "new@evil.test" {
			t.Errorf("left: %+v", all)
		}
	})
}
