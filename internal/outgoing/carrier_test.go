package outgoing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/outgoing"
)

func TestMailForAnInboxOfThisServerArrivesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		joe := w.inbox(w.scope.Account, "joe", "Joe")
		w.start()
		defer w.halt()
		sent := w.send(outgoing.Request{Inbox: w.jane.ID, To: "Joe <joe+tag@openmail.test>", CC: []string{"joe@openmail.test"}, Subject: "Hello", Body: "Hi"})
		synctest.Wait()
		got := w.messages(joe)
		if len(got) != 1 || got[0].Subject != "Hello" || got[0].From.String() != "Jane Doe <jane@openmail.test>" || got[0].RFCMessageID != sent.RFCMessageID || w.events(got[0].ID) != 1 {
			t.Fatalf("joe has %+v", got)
		}
		m := w.message(sent.Message)
		if m.Status != openmail.StatusSent || m.Deliveries[0].State != openmail.StatusSent || m.Deliveries[0].Attempts != 1 || m.Deliveries[1].State != openmail.StatusSent {
			t.Errorf("jane has %+v", m)
		}
		// The answer comes into the thread that jane began.
		w.send(outgoing.Request{Inbox: joe.ID, To: got[0].From.String(), Body: "Hi yourself", Thread: got[0].Thread})
		synctest.Wait()
		if all := w.messages(w.jane); len(all) != 2 || all[1].Thread != sent.Thread || all[1].Subject != "Re: Hello" {
			t.Errorf("jane has %+v", all)
		}
	})
}

func TestAnInboxCanWriteToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.start()
		defer w.halt()
		sent := w.send(w.letter("jane@openmail.test"))
		synctest.Wait()
		if all := w.messages(w.jane); len(all) != 2 || all[1].Direction != openmail.Inbound || all[0].Status != openmail.StatusSent || all[0].ID != sent.Message {
			t.Errorf("jane has %+v", all)
		}
	})
}

// A crash between the delivery and its record makes a second delivery, of the
// same bytes: the inbox takes them once.
func TestADeliveryThatWasNotWrittenDownIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		joe := w.inbox(w.scope.Account, "joe", "")
		w.queue = &forgetful{Queue: w.db}
		w.build()
		w.start()
		sent := w.send(w.letter(joe.Address))
		synctest.Wait()
		w.halt()
		if m := w.message(sent.Message); m.Status != openmail.StatusPending || len(w.messages(joe)) != 1 {
			t.Fatalf("after the crash: %+v", m)
		}
		w.queue = w.db
		w.build()
		w.start()
		defer w.halt()
		time.Sleep(time.Second)
		synctest.Wait()
		if m := w.message(sent.Message); m.Status != openmail.StatusSent || m.Deliveries[0].Attempts != 2 || len(w.messages(joe)) != 1 {
			t.Errorf("after the start: %+v, %d mails", m, len(w.messages(joe)))
		}
	})
}

// What the other server has said is written as soon as the database can: else
// the mail would go out once more.
func TestAnAnswerIsWrittenDownAlsoAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: accepts}
		w := newWorld(t, r)
		w.queue = &hiccup{Queue: w.db, left: 3}
		w.build()
		w.start()
		defer w.halt()
		sent := w.send(w.letter("a@other.test"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if m := w.message(sent.Message); m.Status != openmail.StatusSent || len(r.seen()) != 1 {
			t.Errorf("%d offers: %+v", len(r.seen()), m.Deliveries)
		}
	})
}

// hiccup is a queue that fails a few times to settle.
type hiccup struct {
	outgoing.Queue
	left int
}

func (q *hiccup) SettleMail(ctx context.Context, scope openmail.Scope, c outgoing.Claimed, settled []outgoing.Settled, at time.Time) error {
	if q.left--; q.left >= 0 {
		return errors.New("not now")
	}
	return q.Queue.SettleMail(ctx, scope, c, settled, at)
}

// A crash between the report and its record makes a second report, of the same
// bytes, also where it tells that the mail was given up.
func TestAReportThatWasNotWrittenDownIsFiledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: says(outgoing.FateDeferred, 451, "4.7.1", "greylisted")}
		w := newWorld(t, r)
		w.start()
		sent := w.send(w.letter("a@other.test"))
		time.Sleep(5*24*time.Hour - time.Minute)
		synctest.Wait()
		w.halt()
		w.queue = &unreported{Queue: w.db}
		w.build()
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		w.halt()
		tried := w.message(sent.Message).Deliveries[0].Attempts
		w.queue = w.db
		w.build()
		w.start()
		defer w.halt()
		time.Sleep(time.Hour)
		synctest.Wait()
		all := w.messages(w.jane)
		if len(all) != 2 || tried < 15 || !strings.Contains(all[1].BodyText, "tried for 5 days") {
			t.Errorf("jane has %d mails after %d attempts: %+v", len(all), tried, all)
		}
	})
}

// unreported is a queue whose process dies before a report is settled.
type unreported struct{ outgoing.Queue }

func (q unreported) SettleMail(ctx context.Context, scope openmail.Scope, c outgoing.Claimed, settled []outgoing.Settled, at time.Time) error {
	if settled[0].State == openmail.StatusFailed {
		return errors.New("killed")
	}
	return q.Queue.SettleMail(ctx, scope, c, settled, at)
}

// forgetful is a queue whose process dies before anything is settled.
type forgetful struct{ outgoing.Queue }

func (forgetful) SettleMail(context.Context, openmail.Scope, outgoing.Claimed, []outgoing.Settled, time.Time) error {
	return errors.New("killed")
}

func TestAnAddressOfOursThatLeadsNowhereIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		// A report is no stranger's mail: it comes in whatever the rules say.
		w.policy(openmail.Inbound, openmail.ModeAllowlist)
		w.start()
		defer w.halt()
		sent := w.send(w.letter("nobody@openmail.test"))
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		all := w.messages(w.jane)
		if len(all) != 2 || all[0].Status != openmail.StatusFailed || all[0].Deliveries[0].Enhanced != "5.1.1" {
			t.Fatalf("jane has %+v", all)
		}
		r := all[1]
		if r.Thread != sent.Thread || r.InReplyTo != sent.RFCMessageID || r.From.Addr != "MAILER-DAEMON@openmail.test" || r.Envelope.MailFrom != "" || w.events(r.ID) != 1 ||
			!strings.Contains(r.BodyText, "nobody@openmail.test") || !strings.Contains(r.BodyText, "550 5.1.1") {
			t.Errorf("the report is %+v", r)
		}
		raw := w.raw(r.ID)
		for _, want := range []string{"multipart/report", "report-type=delivery-status", "Final-Recipient: rfc822; nobody@openmail.test\r\nAction: failed\r\nStatus: 5.1.1\r\n", "Subject: Hello", "Auto-Submitted: auto-replied"} {
			if !strings.Contains(raw, want) {
				t.Errorf("the report lacks %q: %s", want, raw)
			}
		}
		if found, _ := w.db.SuppressedAmong(t.Context(), w.scope, []string{"nobody@openmail.test"}); len(found) != 0 {
			t.Errorf("an address of ours is suppressed: %+v", found)
		}
		// A reply goes past the report to what was said before it.
		next := w.message(w.send(outgoing.Request{Inbox: w.jane.ID, To: "joe@other.test", Body: "again", Thread: sent.Thread}).Message)
		if next.InReplyTo != sent.RFCMessageID || !strings.Contains(next.BodyText, "> How are you?") {
			t.Errorf("the next is %+v", next)
		}
	})
}

func TestARefusedRecipientIsReportedOnceAndSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: says(outgoing.FateRefused, 550, "5.1.1", "no such\r\nX: user ü")}
		w := newWorld(t, r)
		w.start()
		sent := w.send(w.letter("gone@other.test"))
		synctest.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		w.halt()
		w.build()
		w.start()
		defer w.halt()
		time.Sleep(time.Hour)
		synctest.Wait()
		if all := w.messages(w.jane); len(all) != 2 || w.events(all[0].ID) != 0 || w.events(all[1].ID) != 1 || all[0].Status != openmail.StatusFailed || !strings.Contains(w.raw(all[1].ID), "Remote-MTA: dns; mx.other.test\r\nDiagnostic-Code: smtp; 550 5.1.1 no such X: user ?\r\n") {
			t.Errorf("jane has %+v", all)
		}
		if seen := r.seen(); len(seen) != 1 || seen[0].From == "" || !strings.HasPrefix(seen[0].From, "jane+bounce.") || seen[0].To[0] != "gone@other.test" || string(seen[0].Mail) != w.raw(sent.Message) {
			t.Errorf("offered %+v", seen)
		}
		w.refused(openmail.CodeSuppressed, "to", w.letter("gone@other.test"))
	})
}

func TestADeferredMailIsTriedWithPausesAndGivenUpAfterFiveDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: says(outgoing.FateDeferred, 451, "4.7.1", "greylisted")}
		w := newWorld(t, r)
		w.start()
		defer w.halt()
		start := time.Now()
		sent := w.send(w.letter("a@other.test"))
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		m := w.message(sent.Message)
		if d := m.Deliveries[0]; m.Status != openmail.StatusPending || d.Attempts != 4 || d.Answer != "greylisted" || d.NextAt.Sub(d.LastAt).Round(time.Second) != time.Hour {
			t.Errorf("after half an hour: %+v", m)
		}
		time.Sleep(5*24*time.Hour + time.Hour)
		synctest.Wait()
		var at []time.Duration
		for _, o := range r.seen() {
			at = append(at, o.at.Sub(start).Round(time.Minute))
			if string(o.Mail) != w.raw(sent.Message) {
				t.Error("other bytes were offered")
			}
		}
		if len(at) < 15 || !slices.Equal(at[:5], []time.Duration{0, time.Minute, 6 * time.Minute, 21 * time.Minute, 81 * time.Minute}) || at[len(at)-1] != 5*24*time.Hour {
			t.Errorf("offered after %v", at)
		}
		all := w.messages(w.jane)
		if len(all) != 2 || all[0].Status != openmail.StatusFailed || !strings.Contains(w.raw(all[1].ID), "Status: 5.4.7") || !strings.Contains(all[1].BodyText, "given up") {
			t.Errorf("jane has %+v", all)
		}
		w.send(w.letter("a@other.test")) // it is not suppressed: nobody said that there is no such address
	})
}

func TestRecipientsOfOneDomainShareAConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: accepts}
		w := newWorld(t, r)
		w.start()
		defer w.halt()
		l := w.letter("a@other.test")
		l.CC = []string{"b@other.test", "c@third.test"}
		sent := w.send(l)
		synctest.Wait()
		seen := r.seen()
		if len(seen) != 2 || len(seen[0].To)+len(seen[1].To) != 3 || w.message(sent.Message).Status != openmail.StatusSent {
			t.Errorf("offered %+v", seen)
		}
	})
}

func TestOneRecipientThatIsGivenUpFailsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(ctx context.Context, p outgoing.Parcel) outgoing.Answer {
			if p.Domain == "other.test" {
				return accepts(ctx, p)
			}
			return says(outgoing.FateRefused, 554, "5.7.1", "no")(ctx, p)
		}}
		w := newWorld(t, r)
		w.start()
		defer w.halt()
		l := w.letter("a@other.test")
		l.CC = []string{"c@third.test"}
		sent := w.send(l)
		time.Sleep(time.Second)
		synctest.Wait()
		m := w.message(sent.Message)
		if m.Status != openmail.StatusFailed || m.Deliveries[0].State != openmail.StatusSent || m.Deliveries[1].State != openmail.StatusFailed || m.Deliveries[0].Server == "" {
			t.Errorf("%+v", m)
		}
		w.send(w.letter("c@third.test")) // a refusal of the mail is none of the address
	})
}

func TestMailWithoutAWayOutWaitsVisiblyUntilThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.start()
		sent := w.send(w.letter("a@other.test"))
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		m := w.message(sent.Message)
		if d := m.Deliveries[0]; m.Status != openmail.StatusPending || d.Attempts != 0 || !d.NextAt.IsZero() || !strings.Contains(d.Answer, "OPENMAIL_RELAY") {
			t.Fatalf("%+v", m)
		}
		w.halt()
		time.Sleep(6 * 24 * time.Hour)
		w.remote = &remote{answer: says(outgoing.FateDeferred, 451, "4.0.0", "later")}
		w.build()
		w.start()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		// Patience begins now: it was not tried before.
		if m = w.message(sent.Message); m.Status != openmail.StatusPending || m.Deliveries[0].Attempts != 1 {
			t.Fatalf("with a relay: %+v", m)
		}
		w.halt()
		// The way out is gone again: what is due waits, and counts no attempt.
		w.remote = nil
		w.build()
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		if m = w.message(sent.Message); m.Status != openmail.StatusPending || m.Deliveries[0].Attempts != 1 || !m.Deliveries[0].NextAt.IsZero() {
			t.Fatalf("without it: %+v", m)
		}
		w.halt()
		w.remote = &remote{answer: accepts}
		w.build()
		w.start()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if m = w.message(sent.Message); m.Status != openmail.StatusSent || m.Deliveries[0].Attempts != 2 {
			t.Errorf("at last: %+v", m)
		}
		w.halt()
	})
}

// A mail whose bytes are damaged is not tried for ever, and its sender is told.
func TestAMailThatCannotBeReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: accepts}
		w := newWorld(t, r)
		w.mails = unreadable{}
		w.build()
		w.start()
		defer w.halt()
		sent := w.send(w.letter("a@other.test"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if m := w.message(sent.Message); m.Status != openmail.StatusPending || m.Deliveries[0].Attempts > 5 || m.Deliveries[0].Answer == "" {
			t.Errorf("after an hour: %+v", m.Deliveries)
		}
		time.Sleep(6 * 24 * time.Hour)
		synctest.Wait()
		all := w.messages(w.jane)
		if len(all) != 2 || all[0].Status != openmail.StatusFailed || !strings.Contains(all[1].BodyText, "a@other.test") || len(r.seen()) != 0 {
			t.Errorf("%d offers: %+v", len(r.seen()), all)
		}
	})
}

// unreadable is a store whose disk is damaged.
type unreadable struct{}

func (unreadable) MailBytes(context.Context, openmail.Scope, string) ([]byte, error) {
	return nil, errors.New("damaged")
}

// A database that fails for a moment at the start leaves nothing to wait for the
// next one.
func TestMailThatWaitedIsTakenUpAlsoAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		sent := w.send(w.letter("a@other.test"))
		w.remote = &remote{answer: accepts}
		f := &failing{Queue: w.db, Held: w.db}
		w.queue, w.held = f, f
		w.build()
		w.start()
		defer w.halt()
		time.Sleep(time.Minute)
		synctest.Wait()
		if m := w.message(sent.Message); m.Status != openmail.StatusSent || f.recovers != 2 {
			t.Errorf("%+v", m.Deliveries)
		}
	})
}

// failing is a queue of which the first look at what was left fails.
type failing struct {
	outgoing.Queue
	outgoing.Held
	recovers, resumes int
}

func (f *failing) RecoverMail(ctx context.Context, scope openmail.Scope, at time.Time, limit int) ([]string, error) {
	if f.recovers++; f.recovers == 1 {
		return nil, errors.New("not now")
	}
	return f.Queue.RecoverMail(ctx, scope, at, limit)
}

func (f *failing) ResumeMail(ctx context.Context, scope openmail.Scope, at time.Time, limit int) ([]string, error) {
	if f.resumes++; f.resumes == 1 {
		return nil, errors.New("not now")
	}
	return f.Held.ResumeMail(ctx, scope, at, limit)
}

func TestASlowDomainHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(ctx context.Context, p outgoing.Parcel) outgoing.Answer {
			if p.Domain == "slow.test" {
				<-ctx.Done() // until the conversation is cut
				return says(outgoing.FateDeferred, 0, "4.4.2", "too slow")(ctx, p)
			}
			return accepts(ctx, p)
		}}
		w := newWorld(t, r)
		for i := range 60 {
			w.send(w.letter(fmt.Sprintf("a%d@slow.test", i)))
		}
		fast := w.send(w.letter("a@fast.test"))
		w.start()
		time.Sleep(time.Second)
		synctest.Wait()
		if m := w.message(fast.Message); m.Status != openmail.StatusSent {
			t.Errorf("the fast one waits: %+v", m.Deliveries)
		}
		time.Sleep(outgoing.Patience)
		synctest.Wait()
		if r.most["slow.test"] != 4 {
			t.Errorf("%d conversations with one domain at a time", r.most["slow.test"])
		}
		w.halt()
	})
}

func TestManyDomainsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(ctx context.Context, p outgoing.Parcel) outgoing.Answer {
			time.Sleep(time.Second)
			return accepts(ctx, p)
		}}
		w := newWorld(t, r)
		for i := range 200 {
			w.send(w.letter(fmt.Sprintf("a%d@d%d.test", i, i%20)))
		}
		w.start()
		defer w.halt()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		// 32 are under way at a time. Everybody is served before anybody has
		// had his share; who gets the rest depends on who asks first.
		served := map[string]int{}
		for _, o := range r.seen()[:32] {
			served[o.Domain]++
		}
		for domain, n := range served {
			if n > 4 {
				t.Errorf("%s has had %d of the first 32 turns", domain, n)
			}
		}
		if len(served) != 20 || len(r.seen()) != 200 {
			t.Errorf("%d domains, %d offers", len(served), len(r.seen()))
		}
	})
}

func TestDeletingAMessageStopsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: says(outgoing.FateDeferred, 451, "4.0.0", "later")}
		w := newWorld(t, r)
		w.start()
		defer w.halt()
		sent := w.send(w.letter("a@other.test"))
		kept := w.send(w.letter("b@other.test"))
		synctest.Wait()
		check(t, w.db.DeleteMessage(t.Context(), w.scope, sent.Message))
		check(t, w.db.TrashThread(t.Context(), w.scope, kept.Thread, time.Now())) // hides it, and it goes on
		time.Sleep(time.Hour)
		synctest.Wait()
		counts := map[string]int{}
		for _, o := range r.seen() {
			counts[o.To[0]]++
		}
		if counts["a@other.test"] != 1 || counts["b@other.test"] < 3 {
			t.Errorf("offers %v", counts)
		}
	})
}

func TestStoppingWritesWhatTheOtherServerSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(ctx context.Context, p outgoing.Parcel) outgoing.Answer {
			time.Sleep(10 * time.Second) // while it is stopped
			return accepts(ctx, p)
		}}
		w := newWorld(t, r)
		w.start()
		sent := w.send(w.letter("a@other.test"))
		synctest.Wait()
		w.halt()
		if m := w.message(sent.Message); m.Status != openmail.StatusSent {
			t.Errorf("%+v", m)
		}
	})
}

func TestLargeMailsAreHeldAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(ctx context.Context, p outgoing.Parcel) outgoing.Answer {
			time.Sleep(time.Minute)
			return accepts(ctx, p)
		}}
		w := newWorld(t, r)
		w.maxHeld = 600_000 // four of these mails
		w.build()
		var sent []outgoing.Sent
		for i := range 8 {
			l := w.letter(fmt.Sprintf("a@d%d.test", i))
			l.Attachments = []outgoing.File{{Filename: "a", Data: make([]byte, 100_000)}}
			sent = append(sent, w.send(l))
		}
		w.start()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(r.seen()); n != 4 {
			t.Errorf("%d large mails at a time", n)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		w.halt()
		for _, s := range sent {
			if m := w.message(s.Message); m.Status != openmail.StatusSent || m.Deliveries[0].Attempts != 1 {
				t.Errorf("%+v", m.Deliveries)
			}
		}
	})
}

// What another server has taken is written down before anything else is said to
// it: however long its goodbye takes, and whoever else is asked meanwhile, a
// crash then makes no second mail of it.
func TestATakenMailIsWrittenDownWhileTheConversationGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{}
		w := newWorld(t, r)
		var sent outgoing.Sent
		var states []openmail.MailDelivery
		r.answer = func(_ context.Context, p outgoing.Parcel) outgoing.Answer {
			if len(p.To) == 1 {
				return accepts(nil, p)
			}
			p.Taken([]int{1}, accepts(nil, p))
			states = w.message(sent.Message).Deliveries
			return says(outgoing.FateDeferred, 452, "4.2.2", "full")(nil, p)
		}
		sent = w.send(outgoing.Request{Inbox: w.jane.ID, To: "a@other.test", CC: []string{"b@other.test"}, Subject: "x", Body: "y"})
		w.start()
		defer w.halt()
		synctest.Wait()
		if len(states) != 2 || states[0].State != openmail.StatusPending || states[1].State != openmail.StatusSent || states[1].Code != 250 {
			t.Fatalf("while the conversation went on: %+v", states)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		m, offers := w.message(sent.Message), r.seen()
		if len(offers) != 2 || !slices.Equal(offers[1].To, []string{"a@other.test"}) || m.Status != openmail.StatusSent || m.Deliveries[1].Attempts != 1 {
			t.Errorf("%d offers: %+v", len(offers), m.Deliveries)
		}
	})
}

// A crash before the record makes a second offer: of the same bytes, with the
// same Message-ID and the same sender, by which the other side can tell.
func TestASecondOfferAfterACrashIsTheSameMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: func(_ context.Context, p outgoing.Parcel) outgoing.Answer {
			p.Taken([]int{0}, accepts(nil, p))
			return accepts(nil, p)
		}}
		w := newWorld(t, r)
		w.queue = &forgetful{Queue: w.db}
		w.build()
		w.start()
		sent := w.send(w.letter("a@other.test"))
		synctest.Wait()
		w.halt()
		w.queue = w.db
		w.build()
		w.start()
		defer w.halt()
		time.Sleep(time.Second)
		synctest.Wait()
		offers := r.seen()
		if len(offers) != 2 || string(offers[0].Mail) != string(offers[1].Mail) || offers[0].From != offers[1].From || !strings.Contains(string(offers[1].Mail), "Message-Id: "+sent.RFCMessageID+"\r\n") {
			t.Errorf("%d offers of %s", len(offers), sent.RFCMessageID)
		}
		if m := w.message(sent.Message); m.Status != openmail.StatusSent {
			t.Errorf("it is %s", m.Status)
		}
	})
}
