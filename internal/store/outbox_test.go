package store_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/outgoing"
)

// acceptance is a mail of jane's to some recipients, due now.
func (h *house) acceptance(key string, to ...string) outgoing.Acceptance {
	messageID := id.New(openmail.PrefixMessage)
	raw := []byte("Message-ID: <" + messageID + "@x>\r\nSubject: out\r\n\r\nHi.")
	now := time.Now().UTC().Truncate(time.Microsecond)
	a := outgoing.Acceptance{
		Raw: raw, Digest: sha256.Sum256(raw), Key: key, Hash: sha256.Sum256([]byte(key)), KeyAfter: now.Add(-24 * time.Hour),
		Message: openmail.Message{
			ID: messageID, Account: h.account, Inbox: h.inbox.ID, Thread: id.New(openmail.PrefixThread), Direction: openmail.Outbound, Status: openmail.StatusPending,
			From: openmail.Address{Addr: h.inbox.Address}, ToAddr: to[0], Subject: "out", BodyText: "Hi.", RFCMessageID: "<" + messageID + "@x>",
			SizeBytes: int64(len(raw)), CreatedAt: now,
		},
	}
	for _, addr := range to {
		a.Queued = append(a.Queued, outgoing.Queued{Recipient: addr, Domain: openmail.Address{Addr: addr}.Domain(), Due: now})
	}
	return a
}

func (h *house) accept(a outgoing.Acceptance) outgoing.Sent {
	h.t.Helper()
	sent, err := h.AcceptMail(h.t.Context(), h.scope, a)
	h.check(err)
	return sent
}

func (h *house) claimMail(domain string, at time.Time) outgoing.Claimed {
	h.t.Helper()
	c, err := h.ClaimMail(h.t.Context(), openmail.Operator(), domain, at)
	h.check(err)
	return c
}

func (h *house) mailLanes(at time.Time) (due []string, next time.Time) {
	h.t.Helper()
	due, next, err := h.MailLanes(h.t.Context(), openmail.Operator(), at, 100)
	h.check(err)
	return due, next
}

// became is every delivery of a claim with the same end.
func became(c outgoing.Claimed, n outgoing.Next, a outgoing.Answer) (all []outgoing.Settled) {
	for _, d := range c.Due {
		all = append(all, outgoing.Settled{Due: d, Next: n, Answer: a})
	}
	return all
}

func TestAcceptedMailIsReadAsItWasSent(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		a := h.acceptance("k", "a@b.test", "c@d.test")
		sent := h.accept(a)
		got, err := h.Message(t.Context(), h.scope, sent.Message)
		h.check(err)
		want := a.Message
		for _, q := range a.Queued {
			want.Deliveries = append(want.Deliveries, openmail.MailDelivery{Recipient: q.Recipient, State: openmail.StatusPending, NextAt: q.Due})
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		listed, total, err := h.Messages(t.Context(), h.scope, h.inbox.ID, openmail.Outbound, openmail.Page{Limit: 5})
		h.check(err)
		if total != 1 || len(listed[0].Deliveries) != 2 {
			t.Errorf("listed %+v", listed)
		}
	})
}

func TestAKeyIsTakenOnceHoweverManyComeAtATime(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		var wg sync.WaitGroup
		sent := make([]outgoing.Sent, 16)
		for i := range sent {
			a := h.acceptance("k", "a@b.test")
			wg.Go(func() {
				var err error
				if sent[i], err = h.AcceptMail(t.Context(), h.scope, a); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, s := range sent {
			if s != sent[0] {
				t.Errorf("%+v and %+v", s, sent[0])
			}
		}
		if _, total, err := h.Messages(t.Context(), h.scope, h.inbox.ID, "", openmail.Page{Limit: 5}); total != 1 || err != nil {
			t.Errorf("%d messages, %v", total, err)
		}
		// A day later it stands for nothing.
		a := h.acceptance("k", "a@b.test")
		a.KeyAfter = sent[0].CreatedAt.Add(time.Microsecond)
		if again := h.accept(a); again.Message != a.Message.ID {
			t.Errorf("the old key was answered with %+v", again)
		}
		if _, err := h.Sweep(t.Context(), time.Now().Add(72*time.Hour)); err != nil {
			t.Error(err)
		}
		if _, err := h.SentBefore(t.Context(), h.scope, "k", time.Time{}); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("after the sweep: %v", err)
		}
	})
}

func TestAcceptStoresAllOrNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		a := h.acceptance("k", "a@b.test")
		a.Message.Thread, a.Reply = "thr_none", true
		if _, err := h.AcceptMail(t.Context(), h.scope, a); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("into no thread: %v", err)
		}
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now()))
		if _, err := h.AcceptMail(t.Context(), h.scope, h.acceptance("k", "a@b.test")); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("from no inbox: %v", err)
		}
		if _, err := h.SentBefore(t.Context(), h.scope, "k", time.Time{}); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("the key: %v", err)
		}
		if due, next := h.mailLanes(time.Now().Add(time.Hour)); len(due) != 0 || !next.IsZero() {
			t.Errorf("due %v, next %v", due, next)
		}
	})
}

func TestAClaimIsOneMessageToOneDomainUnderALease(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		first := h.accept(h.acceptance("", "a@b.test", "b@b.test", "c@d.test"))
		second := h.accept(h.acceptance("", "a@b.test"))
		now := time.Now()
		if due, _ := h.mailLanes(now); !slices.Equal(due, []string{"b.test", "d.test"}) && !slices.Equal(due, []string{"d.test", "b.test"}) {
			t.Errorf("due %v", due)
		}
		c := h.claimMail("b.test", now)
		if c.Message.ID != first.Message || len(c.Due) != 2 || !c.More || c.Due[0].Attempts != 1 || c.Inbox.ID != h.inbox.ID {
			t.Errorf("claimed %+v", c)
		}
		if raw, err := h.MailBytes(t.Context(), openmail.Operator(), first.Message); err != nil || !strings.HasPrefix(string(raw), "Message-ID: ") || !strings.HasSuffix(string(raw), "Hi.") {
			t.Errorf("its bytes are %q, %v", raw, err)
		}
		if _, err := h.MailBytes(t.Context(), openmail.Scope{Account: "acc_other"}, first.Message); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("another account: %v", err)
		}
		if next := h.claimMail("b.test", now); next.Message.ID != second.Message || next.More {
			t.Errorf("claimed %+v", next)
		}
		if none := h.claimMail("b.test", now); len(none.Due) != 0 {
			t.Errorf("claimed twice: %+v", none)
		}
		if due, next := h.mailLanes(now); !slices.Equal(due, []string{"d.test"}) || next.Sub(now).Round(time.Second) != outgoing.Lease {
			t.Errorf("due %v, next in %v", due, next.Sub(now))
		}
		// The lease runs out; whoever had it comes too late.
		later := now.Add(outgoing.Lease + time.Second)
		again := h.claimMail("b.test", later)
		if again.Message.ID != first.Message || again.Due[0].Attempts != 2 {
			t.Errorf("after the lease: %+v", again)
		}
		h.check(h.SettleMail(t.Context(), openmail.Operator(), c, became(c, outgoing.Next{State: openmail.StatusFailed}, outgoing.Answer{}), later))
		if m, err := h.Message(t.Context(), h.scope, first.Message); err != nil || m.Status != openmail.StatusPending {
			t.Errorf("the late one decided: %+v, %v", m, err)
		}
	})
}

func TestTheStatusOfAMessageFollowsFromItsDeliveries(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		sent := h.accept(h.acceptance("", "a@b.test", "c@d.test"))
		now := time.Now()
		status := func(messageID string) openmail.Status {
			m, err := h.Message(t.Context(), h.scope, messageID)
			h.check(err)
			return m.Status
		}
		settle := func(domain string, n outgoing.Next) {
			c := h.claimMail(domain, now)
			h.check(h.SettleMail(t.Context(), openmail.Operator(), c, became(c, n, outgoing.Answer{Code: 250, Enhanced: "2.0.0", Text: "ok", Server: "mx", TLS: "dane"}), now))
		}
		settle("b.test", outgoing.Next{State: openmail.StatusSent})
		if s := status(sent.Message); s != openmail.StatusPending {
			t.Errorf("one of two: %s", s)
		}
		settle("d.test", outgoing.Next{State: openmail.StatusPending, Due: now.Add(time.Minute)})
		if _, next := h.mailLanes(now); !next.Equal(now.Add(time.Minute).UTC().Truncate(time.Microsecond)) {
			t.Errorf("next %v", next)
		}
		now = now.Add(time.Minute)
		settle("d.test", outgoing.Next{State: openmail.StatusSent})
		if s := status(sent.Message); s != openmail.StatusSent {
			t.Errorf("both: %s", s)
		}
		if due, next := h.mailLanes(now.Add(time.Hour)); len(due) != 0 || !next.IsZero() {
			t.Errorf("still due: %v, %v", due, next)
		}
		failed := h.accept(h.acceptance("", "a@b.test", "c@d.test"))
		now = time.Now().Add(2 * time.Minute)
		settle("b.test", outgoing.Next{State: openmail.StatusFailed, Due: now, Suppress: true})
		if s := status(failed.Message); s != openmail.StatusFailed {
			t.Errorf("one given up: %s", s)
		}
		if found, err := h.SuppressedAmong(t.Context(), h.scope, []string{"a@b.test", "c@d.test"}); err != nil || len(found) != 1 || found[0].Type != openmail.SuppressedBounce {
			t.Errorf("suppressed %+v, %v", found, err)
		}
		if c := h.claimMail("b.test", now); len(c.Due) != 1 || c.Due[0].State != openmail.StatusFailed {
			t.Errorf("its report: %+v", c)
		}
	})
}

func TestWhatIsHeldIsResumedInBatches(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		for range 5 {
			a := h.acceptance("", "a@b.test")
			a.Queued[0].Due, a.Queued[0].Note = time.Time{}, "no way out"
			h.accept(a)
		}
		ctx, now := t.Context(), time.Now()
		if domains, err := h.RecoverMail(ctx, openmail.Operator(), now, 2); err != nil || len(domains) != 0 {
			t.Errorf("nothing is leased: %v, %v", domains, err)
		}
		queued, held, _, err := h.MailBacklog(ctx, openmail.Operator())
		if err != nil || queued != 0 || held != 5 {
			t.Errorf("%d queued, %d held, %v", queued, held, err)
		}
		batches := 0
		for {
			domains, err := h.ResumeMail(ctx, openmail.Operator(), now, 2)
			h.check(err)
			if len(domains) == 0 {
				break
			}
			batches++
		}
		if queued, held, oldest, err := h.MailBacklog(ctx, openmail.Operator()); err != nil || batches != 3 || queued != 5 || held != 0 || oldest.IsZero() {
			t.Errorf("%d batches, %d queued, %d held, %v, %v", batches, queued, held, oldest, err)
		}
	})
}

func TestWhatIsDeletedIsNoLongerQueued(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		one := h.accept(h.acceptance("", "a@b.test"))
		h.accept(h.acceptance("", "a@b.test"))
		h.check(h.DeleteMessage(ctx, h.scope, one.Message))
		h.check(h.DeleteInbox(ctx, h.scope, h.inbox.ID, time.Now()))
		if c := h.claimMail("b.test", time.Now()); len(c.Due) != 0 {
			t.Errorf("claimed %+v", c)
		}
		if due, _ := h.mailLanes(time.Now()); len(due) != 0 { // the claim found the lane empty
			t.Errorf("due %v", due)
		}
		if queued, _, _, err := h.MailBacklog(ctx, openmail.Operator()); queued != 0 || err != nil {
			t.Errorf("%d queued, %v", queued, err)
		}
	})
}

func TestAConversationIsWhatAReplyNeeds(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		first := h.file(mail{id: "<0@x>", subject: "Topic", text: "first"})
		for i := range 120 {
			h.file(mail{id: fmt.Sprintf("<%d@x>", i+1), inReplyTo: "<0@x>", text: fmt.Sprint("text ", i+1)})
		}
		report := h.filing(mail{id: "<report@x>", inReplyTo: "<0@x>", text: "not delivered"})
		report.Copies[0].Message.Envelope.MailFrom = ""
		_, err := h.File(t.Context(), report)
		h.check(err)
		c, err := h.Conversation(t.Context(), h.scope, h.inbox.ID, first.Thread)
		h.check(err)
		if c.Thread.Subject != "Topic" || len(c.IDs) != 101 || c.IDs[0] != "<0@x>" || c.Last.BodyText == "not delivered" || c.Last.BodyText == "" || c.Inbound.ID != c.Last.ID {
			t.Errorf("%d ids, first %s; last %+v", len(c.IDs), c.IDs[0], c.Last)
		}
		other := openmail.Scope{Account: h.addAccount()}
		if _, err := h.Conversation(t.Context(), other, h.inbox.ID, first.Thread); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("another account: %v", err)
		}
		if _, err := h.Conversation(t.Context(), h.scope, h.addInbox("joe").ID, first.Thread); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("another inbox: %v", err)
		}
	})
}

func TestABounceIsWrittenWithTheMailThatReportsIt(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		a := h.acceptance("", "Bob@b.test", "c@b.test")
		a.Message.Envelope.MailFrom = "jane+bounce.x@openmail.test"
		sent := h.accept(a)
		c := h.claimMail("b.test", time.Now())
		h.check(h.SettleMail(t.Context(), openmail.Operator(), c, became(c, outgoing.Next{State: openmail.StatusSent}, outgoing.Answer{}), time.Now()))
		about, err := h.SentFrom(t.Context(), openmail.Scope{Account: h.account, Inbox: h.inbox.ID}, "jane+bounce.x@openmail.test")
		if err != nil || about.ID != sent.Message {
			t.Fatalf("%+v, %v", about, err)
		}
		f := h.filing(mail{subject: "Undeliverable"})
		f.Copies[0].Bounce = &intake.Bounce{Message: about.ID, Failed: []intake.Failure{{Recipients: []string{"bob@b.test", "eve@b.test"}, Enhanced: "5.1.1", Text: "no"}}}
		_, err = h.File(t.Context(), f)
		h.check(err)
		m, err := h.Message(t.Context(), h.scope, sent.Message)
		if err != nil || m.Status != openmail.StatusFailed || m.Deliveries[0].State != openmail.StatusFailed || m.Deliveries[0].Answer != "no" || m.Deliveries[1].State != openmail.StatusSent {
			t.Errorf("%+v, %v", m, err)
		}
		if found, err := h.SuppressedAmong(t.Context(), h.scope, []string{"bob@b.test", "eve@b.test"}); err != nil || len(found) != 1 {
			t.Errorf("suppressed %+v, %v", found, err)
		}
		if _, err := h.SentFrom(t.Context(), openmail.Scope{Account: h.account, Inbox: h.addInbox("joe").ID}, "jane+bounce.x@openmail.test"); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("another inbox: %v", err)
		}
	})
}

func TestAQuotaIsCountedExactly(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx, now := t.Context(), time.Now()
		minute := openmail.PerMinute("a", "inb_1", 3, now, "Max 3")
		both := []openmail.Quota{openmail.PerDay("b", "inb_1", 10, now, "Max 10"), minute}
		var wg sync.WaitGroup
		errs := make([]error, 12)
		for i := range errs {
			wg.Go(func() { errs[i] = h.TakeQuotas(ctx, openmail.Operator(), both) })
		}
		wg.Wait()
		spent := 0
		for _, err := range errs {
			if openmail.CodeOf(err) == openmail.CodeRateLimit {
				spent++
			}
		}
		if spent != 9 {
			t.Errorf("%d of 12 were refused: %v", spent, errs)
		}
		// Who was refused by the one has not taken of the other.
		seven := both[:1]
		for range 7 {
			h.check(h.TakeQuotas(ctx, openmail.Operator(), seven))
		}
		if err := h.QuotasLeft(ctx, openmail.Operator(), both); openmail.CodeOf(err) != openmail.CodeRateLimit || !strings.Contains(err.Error(), "Max 10") {
			t.Errorf("left: %v", err)
		}
		h.check(h.GiveBackQuotas(ctx, openmail.Operator(), both))
		h.check(h.QuotasLeft(ctx, openmail.Operator(), both))
		h.check(h.QuotasLeft(ctx, openmail.Operator(), []openmail.Quota{openmail.PerMinute("a", "inb_1", 3, now.Add(time.Minute), ""), openmail.PerMinute("a", "inb_2", 3, now, "")}))
		if _, err := h.Sweep(ctx, now.Add(72*time.Hour)); err != nil {
			t.Error(err)
		}
		h.check(h.TakeQuotas(ctx, openmail.Operator(), []openmail.Quota{minute}))
	})
}
