package outgoing_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/mailbox"
	"openmail/internal/outgoing"
)

// policy has a key of the account set with whom it exchanges mail.
func (w *world) policy(d openmail.Direction, mode openmail.Mode, rules ...openmail.Rule) {
	w.t.Helper()
	now := time.Now()
	for i := range rules {
		rules[i].ID, rules[i].At, rules[i].Direction, rules[i].ByAccount, rules[i].CreatedAt = id.At(openmail.PrefixRule, now), w.scope, d, true, now
	}
	check(w.t, w.db.ChangePolicy(w.t.Context(), w.scope, w.scope, nil, func([]openmail.Policy) ([]mailbox.PolicyChange, error) {
		return []mailbox.PolicyChange{{
			Level:        openmail.PolicyLevel{At: w.scope, Mode: mode, ByAccount: true, Rules: rules},
			ReplaceRules: true,
			Record:       openmail.PolicyRecord{ID: id.At(openmail.PrefixRecord, now), At: w.scope, Action: openmail.PolicyReplaced, Direction: d, CreatedAt: now},
		}}, nil
	}))
}

func allow(values ...string) (rules []openmail.Rule) {
	for _, v := range values {
		rules = append(rules, openmail.Rule{Type: openmail.RuleAllow, Value: v})
	}
	return rules
}

func block(value string) openmail.Rule { return openmail.Rule{Type: openmail.RuleBlock, Value: value} }

// refusals are the records of what was refused.
func (w *world) refusals() []openmail.PolicyRecord {
	w.t.Helper()
	all, total, err := w.db.PolicyRecords(w.t.Context(), w.scope, mailbox.RecordFilter{Action: openmail.PolicyRefused}, openmail.Page{Limit: 100})
	check(w.t, err)
	if total != len(all) {
		w.t.Errorf("%d of %d records", len(all), total)
	}
	return all
}

func TestMailToWhomThePolicyRefusesIsNotSentAtAll(t *testing.T) {
	for name, c := range map[string]struct {
		mode                     openmail.Mode
		rules                    []openmail.Rule
		change                   func(*outgoing.Request)
		field, recipient, reason string // "": sent
	}{
		"no rules":                    {openmail.ModeNone, nil, nil, "", "", ""},
		"an empty allowlist":          {openmail.ModeAllowlist, nil, nil, "to", "Bob@good.test", openmail.ReasonUnknown},
		"on the allowlist":            {openmail.ModeAllowlist, allow("good.test"), nil, "", "", ""},
		"by address":                  {openmail.ModeAllowlist, allow("bob@good.test"), nil, "", "", ""},
		"below a domain is not it":    {openmail.ModeAllowlist, allow("*.good.test"), nil, "to", "Bob@good.test", openmail.ReasonUnknown},
		"below a domain":              {openmail.ModeAllowlist, allow("*.good.test"), func(r *outgoing.Request) { r.To = "bob@a.b.good.test" }, "", "", ""},
		"blocked":                     {openmail.ModeNone, []openmail.Rule{block("good.test")}, nil, "to", "Bob@good.test", openmail.ReasonBlocked},
		"block wins":                  {openmail.ModeAllowlist, append(allow("good.test"), block("bob@good.test")), nil, "to", "Bob@good.test", openmail.ReasonBlocked},
		"a copy":                      {openmail.ModeAllowlist, allow("good.test"), func(r *outgoing.Request) { r.CC = []string{"c@good.test", "Eve <eve@evil.test>"} }, "cc", "eve@evil.test", openmail.ReasonUnknown},
		"where answers go":            {openmail.ModeAllowlist, allow("good.test"), func(r *outgoing.Request) { r.ReplyTo = "eve@evil.test" }, "replyTo", "eve@evil.test", openmail.ReasonUnknown},
		"where answers may go":        {openmail.ModeAllowlist, allow("good.test"), func(r *outgoing.Request) { r.ReplyTo = "c@good.test" }, "", "", ""},
		"an inbox of ours by its tag": {openmail.ModeNone, []openmail.Rule{block("joe@" + home)}, func(r *outgoing.Request) { r.To = "joe+x@" + home }, "to", "joe+x@" + home, openmail.ReasonBlocked},
		"elsewhere a tag is a name":   {openmail.ModeNone, []openmail.Rule{block("bob@good.test")}, func(r *outgoing.Request) { r.To = "bob+x@good.test" }, "", "", ""},
		"with its accent apart":       {openmail.ModeNone, []openmail.Rule{block("jürgen@good.test")}, func(r *outgoing.Request) { r.To = "ju\u0308rgen@good.test" }, "to", "ju\u0308rgen@good.test", openmail.ReasonBlocked},
		"a domain in its own script":  {openmail.ModeNone, []openmail.Rule{block("xn--bcher-kva.test")}, func(r *outgoing.Request) { r.To = "bob@Bücher.test" }, "to", "bob@xn--bcher-kva.test", openmail.ReasonBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.policy(openmail.Outbound, c.mode, c.rules...)
			r := w.letter("Bob@Good.test")
			r.By = "key_1"
			if c.change != nil {
				c.change(&r)
			}
			if c.reason == "" {
				w.send(r)
				if n := len(w.refusals()); n != 0 {
					t.Errorf("%d records of a mail that was sent", n)
				}
				return
			}
			e := w.refused(openmail.CodeNotPermitted, c.field, r)
			if e.Recipient != c.recipient || e.Type != c.reason {
				t.Errorf("refused with %+v", e)
			}
			if n := len(w.messages(w.jane)); n != 0 {
				t.Errorf("%d messages of a mail that was refused", n)
			}
			got := w.refusals()
			if len(got) != 1 || got[0].Address != c.recipient || got[0].Reason != c.reason || got[0].At.Inbox != w.jane.ID || got[0].Key != "key_1" ||
				got[0].Direction != openmail.Outbound || (got[0].Rule != "") != (c.reason == openmail.ReasonBlocked) {
				t.Errorf("recorded as %+v", got)
			}
		})
	}
}

func TestASenderThatTriesAgainAndAgainFillsNoDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.policy(openmail.Outbound, openmail.ModeAllowlist)
		for range 20 {
			w.refused(openmail.CodeNotPermitted, "to", w.letter("eve@evil.test"))
		}
		if got := w.refusals(); len(got) != 1 || got[0].Times != 20 {
			t.Errorf("recorded as %+v", got)
		}
	})
}

func TestWhatWasSentUnderAKeyIsAnsweredWhateverThePolicySaysNow(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("bob@good.test")
	r.Key = "once"
	sent := w.send(r)
	w.policy(openmail.Outbound, openmail.ModeAllowlist)
	again := w.send(r)
	if !again.Replayed || again.Message != sent.Message {
		t.Errorf("answered %+v, first %+v", again, sent)
	}
	r.Key = "twice"
	w.refused(openmail.CodeNotPermitted, "to", r)
	w.policy(openmail.Outbound, openmail.ModeNone)
	if sent := w.send(r); sent.Replayed { // what was refused is not remembered
		t.Errorf("answered %+v", sent)
	}
}

func TestThePolicyIsAskedBeforeTheSuppressionsAndBeforeTheQuotas(t *testing.T) {
	w := newWorld(t, nil)
	w.suppress("eve@evil.test")
	w.policy(openmail.Outbound, openmail.ModeNone, block("evil.test"))
	w.settings.PerDay = 1
	w.out = outgoing.New(w.settings)
	w.refused(openmail.CodeNotPermitted, "to", w.letter("eve@evil.test"))
	w.policy(openmail.Outbound, openmail.ModeNone)
	w.refused(openmail.CodeSuppressed, "to", w.letter("eve@evil.test"))
	w.send(w.letter("bob@good.test")) // the day's one
	w.policy(openmail.Outbound, openmail.ModeAllowlist)
	w.refused(openmail.CodeNotPermitted, "to", w.letter("bob@good.test"))
}

// What is wrong in many ways is told of the first: key, form, an old answer,
// thread, policy, suppression, reachability, quota.
func TestTheChecksOfASendComeInTheirOrder(t *testing.T) {
	w := newWorld(t, nil)
	w.suppress("gone@typo.test")
	w.policy(openmail.Outbound, openmail.ModeNone, block("typo.test"))
	nowhere := "the domain does not exist"
	w.settings.PerDay, w.settings.NoMail = 1, func(_ context.Context, domain string) string {
		if domain == "typo.test" {
			return nowhere
		}
		return ""
	}
	w.out = outgoing.New(w.settings)
	first := w.letter("a@b.test") // the day's one
	first.Key = "k"
	w.send(first)
	r := outgoing.Request{Inbox: w.jane.ID, To: "gone@typo.test", Key: "k", Thread: "thr_none"}
	other := openmail.Scope{Account: w.scope.Account, Inbox: w.inbox(w.scope.Account, "joe", "").ID}
	if _, err := w.out.Send(t.Context(), other, r); openmail.CodeOf(err) != openmail.CodeForbidden {
		t.Errorf("a key of another inbox: %v", err)
	}
	for _, step := range []struct {
		code  openmail.Code
		field string
		mend  func()
	}{
		{openmail.CodeBadRequest, "body", func() { r.Subject, r.Body = "x", "y" }},
		{openmail.CodeIdempotency, "Idempotency-Key", func() { r.Key = "" }},
		{openmail.CodeNotFound, "", func() { r.Thread = "" }},
		{openmail.CodeNotPermitted, "to", func() { w.policy(openmail.Outbound, openmail.ModeNone) }},
		{openmail.CodeSuppressed, "to", func() { check(t, w.db.DeleteSuppression(t.Context(), w.scope, r.To)) }},
		{openmail.CodeNoMX, "to", func() { nowhere = "" }},
		{openmail.CodeRateLimit, "", func() { w.settings.PerDay = 2; w.out = outgoing.New(w.settings) }},
	} {
		w.refused(step.code, step.field, r)
		step.mend()
	}
	w.send(r)
}

func TestMailThatIsQueuedGoesOutWhateverThePolicySaysLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{answer: accepts})
		sent := w.send(w.letter("bob@good.test"))
		w.policy(openmail.Outbound, openmail.ModeAllowlist)
		w.start()
		defer w.halt()
		if m := w.message(sent.Message); m.Status != openmail.StatusSent || len(w.remote.seen()) != 1 {
			t.Errorf("the mail is %s after %d offers", m.Status, len(w.remote.seen()))
		}
	})
}

func TestACopyThatAReplyAddsIsAskedAboutToo(t *testing.T) {
	w := newWorld(t, nil)
	w.policy(openmail.Outbound, openmail.ModeAllowlist, allow("other.test")...)
	in := w.arrives("jane@openmail.test", "From: eve@stranger.test\nTo: bob@other.test\nCc: jane@openmail.test\nMessage-ID: <1@x>\nSubject: Hi\n\nHi\n")
	r := outgoing.Request{Inbox: w.jane.ID, To: "bob@other.test", Body: "ok", Thread: in.Thread}
	if e := w.refused(openmail.CodeNotPermitted, "", r); e.Recipient != "eve@stranger.test" {
		t.Errorf("refused with %+v", e)
	}
	w.policy(openmail.Outbound, openmail.ModeAllowlist, allow("other.test", "stranger.test")...)
	if m := w.message(w.send(r).Message); len(m.CC) != 1 {
		t.Errorf("copies to %v", m.CC)
	}
}
