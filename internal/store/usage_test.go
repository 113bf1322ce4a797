package store_test

import (
	"testing"
	"time"

	"openmail"
	"openmail/internal/intake"
	"openmail/internal/mailbox"
	"openmail/internal/store"
)

func (h *house) usage(from, to time.Time) mailbox.Usage {
	h.t.Helper()
	u, err := h.Usage(h.t.Context(), h.scope, from, to, openmail.Page{Limit: 100})
	h.check(err)
	return u
}

// filedAt files a mail on a day.
func (h *house) filedAt(when time.Time, m mail) intake.Filed {
	h.t.Helper()
	f := h.filing(m)
	for i := range f.Copies {
		f.Copies[i].Message.CreatedAt = when
	}
	filed, err := h.File(h.t.Context(), f)
	h.check(err)
	return filed[0]
}

func TestWhatAnInboxDoesIsCountedOnItsDay(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		const day = 24 * time.Hour
		today := time.Now().UTC().Truncate(day)
		idle := h.addInbox("idle")
		h.filedAt(today.Add(-1), mail{})
		f := h.filing(mail{})
		filed, err := h.File(t.Context(), f)
		h.check(err)
		again, err := h.File(t.Context(), f)
		h.check(err)
		if !again[0].Duplicate {
			t.Fatal("the same bytes were taken twice")
		}
		h.file(mail{verdict: &openmail.Verdict{Reason: openmail.ReasonBlocked}})
		a := h.acceptance("k", "a@b.test")
		h.accept(a)
		h.accept(a) // the answer is repeated, and nothing is sent
		m, err := h.Message(t.Context(), h.scope, filed[0].Message)
		h.check(err)
		stored := 2*m.SizeBytes + a.Message.SizeBytes

		u := h.usage(today, today.Add(day))
		want := mailbox.Counts{Inbound: 1, Outbound: 1, AttachmentBytes: 3, StoredBytes: stored}
		if u.Totals != want || u.Count != 2 || len(u.Inboxes) != 2 || u.Inboxes[0] != (mailbox.InboxUsage{Inbox: idle.ID, Address: idle.Address}) ||
			u.Inboxes[1] != (mailbox.InboxUsage{Inbox: h.inbox.ID, Address: h.inbox.Address, Counts: want}) {
			t.Errorf("today %+v, want %+v", u, want)
		}
		if got := h.usage(today.Add(-day), today).Totals; got != (mailbox.Counts{Inbound: 1, AttachmentBytes: 3, StoredBytes: stored}) {
			t.Errorf("yesterday %+v", got)
		}
		h.check(h.TrashThread(t.Context(), h.scope, filed[0].Thread, time.Now()))
		if got := h.usage(today, today.Add(day)).Totals; got.Inbound != 1 || got.StoredBytes != stored-m.SizeBytes {
			t.Errorf("with a thread in the trash %+v", got)
		}
	})
}

func TestUsageOutlivesItsInboxAndEndsWithItsTime(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		const day = 24 * time.Hour
		today := time.Now().UTC().Truncate(day)
		h.file(mail{})
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now()))
		u := h.usage(today, today.Add(day))
		want := mailbox.Counts{Inbound: 1, AttachmentBytes: 3}
		if u.Totals != want || len(u.Inboxes) != 1 || u.Inboxes[0] != (mailbox.InboxUsage{Inbox: h.inbox.ID, Address: h.inbox.Address, Counts: want}) {
			t.Errorf("of an inbox that is gone: %+v", u)
		}
		_, err := h.Sweep(t.Context(), time.Now().Add(store.KeepUsage+2*day))
		h.check(err)
		if u := h.usage(today, today.Add(day)); u.Count != 0 || u.Totals != (mailbox.Counts{}) {
			t.Errorf("after its time %+v", u)
		}
	})
}

func TestUsageIsThatOfOneAccount(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.file(mail{})
		from, to := time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour)
		u, err := h.Usage(t.Context(), openmail.Scope{Account: h.addAccount()}, from, to, openmail.Page{Limit: 10})
		if err != nil || u.Count != 0 || u.Totals != (mailbox.Counts{}) {
			t.Errorf("another account sees %+v, %v", u, err)
		}
		_, err = h.Usage(t.Context(), openmail.Scope{Account: h.account, Inbox: h.inbox.ID}, from, to, openmail.Page{Limit: 10})
		if openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("a narrower scope: %v", err)
		}
	})
}

func TestFeedbackIsKeptForItsTimeAndCounted(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		quota := openmail.PerDay("feedback.day", h.account, 2, now, "enough")
		said := mailbox.Feedback{ID: "fbk_1", By: openmail.Scope{Account: h.account, Pod: "pod_1", Inbox: "inb_1"}, Key: "key_1", Type: mailbox.FeedbackBug, Message: "It broke.", Endpoint: "GET /v1/me", ErrorCode: "internal_error", RequestID: "req_1", CreatedAt: now}
		h.check(h.CreateFeedback(t.Context(), said.By, said, quota))
		more := said
		more.ID, more.By = "fbk_2", h.scope
		h.check(h.CreateFeedback(t.Context(), h.scope, more, quota))
		third := more
		third.ID = "fbk_3"
		if err := h.CreateFeedback(t.Context(), h.scope, third, quota); openmail.CodeOf(err) != openmail.CodeRateLimit {
			t.Errorf("the third of two: %v", err)
		}
		all, total, err := h.Feedback(t.Context(), h.scope, openmail.Page{Limit: 5})
		if err != nil || total != 2 || len(all) != 2 || all[0] != more || all[1] != said {
			t.Errorf("%+v, %d, %v", all, total, err)
		}
		_, total, err = h.Feedback(t.Context(), openmail.Scope{Account: h.addAccount()}, openmail.Page{Limit: 5})
		if err != nil || total != 0 {
			t.Errorf("another account sees %d, %v", total, err)
		}
		_, err = h.Sweep(t.Context(), now.Add(store.KeepFeedback+time.Hour))
		h.check(err)
		if _, total, err = h.Feedback(t.Context(), h.scope, openmail.Page{Limit: 5}); err != nil || total != 0 {
			t.Errorf("after its time %d, %v", total, err)
		}
	})
}
