package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openmail"
	"openmail/internal/outgoing"
)

// cold is a mail to those whom it may be the first for, of whom the account may
// have so many.
func (h *house) cold(most int, to ...string) outgoing.Acceptance {
	a := h.acceptance("", to...)
	q := openmail.PerDay("cold.account", h.account, most, time.Now(), "")
	q.Code = openmail.CodeColdOutreach
	a.Cold, a.Contacts = []openmail.Quota{q}, to
	return a
}

// takes accepts it, as sending does, and returns the code that it was refused with.
func (h *house) takes(a outgoing.Acceptance) openmail.Code {
	h.t.Helper()
	h.check(h.Acquaint(h.t.Context(), h.scope, h.inbox))
	_, err := h.AcceptMail(h.t.Context(), h.scope, a)
	return openmail.CodeOf(err)
}

func TestFirstContactsAreCountedOnceEach(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.addInbox("joe")
		h.file(mail{}) // of ann@sender.test
		for i, c := range []struct {
			to   []string
			code openmail.Code
		}{
			{[]string{"ann@sender.test"}, ""},
			{[]string{"a@b.test", "b@b.test"}, ""},
			{[]string{"a@b.test", "ann@sender.test", "b@b.test"}, ""}, // as often as they like
			{[]string{"c@b.test", "d@b.test"}, openmail.CodeColdOutreach},
			{[]string{"joe@openmail.test", "joe+tag@openmail.test"}, ""}, // one's own
			{[]string{"c@b.test"}, ""},                                   // what was refused left nothing
			{[]string{"d@b.test"}, openmail.CodeColdOutreach},
			{[]string{"c@b.test"}, ""},
		} {
			if got := h.takes(h.cold(3, c.to...)); got != c.code {
				t.Errorf("%d, to %v: %q, want %q", i, c.to, got, c.code)
			}
		}
		if _, total, err := h.Messages(t.Context(), h.scope, h.inbox.ID, openmail.Outbound, openmail.Page{Limit: 1}); total != 6 || err != nil {
			t.Errorf("%d mails, %v", total, err)
		}
	})
}

func TestNoFirstContactTooManyIsTakenHoweverManyComeAtATime(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		var wg sync.WaitGroup
		var taken atomic.Int32
		for i := range 40 {
			a := h.cold(7, fmt.Sprintf("a%d@b.test", i))
			wg.Go(func() {
				switch _, err := h.AcceptMail(t.Context(), h.scope, a); openmail.CodeOf(err) {
				case "":
					taken.Add(1)
				case openmail.CodeColdOutreach:
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := taken.Load(); n != 7 {
			t.Errorf("%d were taken, want 7", n)
		}
	})
}

func TestContactsAreFoundInWhatCameBeforeThereWasALimit(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		from := func(i int) string { return fmt.Sprintf("Ann%d@sender.test", i) }
		for first := 0; first < 1200; first += 100 { // more than is read at a time
			var all sync.WaitGroup
			for i := first; i < first+100; i++ {
				f := h.filing(mail{})
				f.Copies[0].Message.From.Addr = from(i)
				all.Go(func() {
					if _, err := h.File(t.Context(), f); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		h.accept(h.acceptance("", "out@b.test", "cc@b.test"))
		for _, addr := range []string{"ann0@sender.test", "ann640@sender.test", "ann1199@sender.test", "out@b.test"} {
			if got := h.takes(h.cold(0, addr)); got != "" {
				t.Errorf("%s is a stranger", addr)
			}
		}
		late := h.filing(mail{})
		late.Copies[0].Message.From.Addr = "late@sender.test"
		_, err := h.File(t.Context(), late)
		h.check(err)
		if l, s := h.takes(h.cold(0, "late@sender.test")), h.takes(h.cold(0, "stranger@sender.test")); l != "" || s != openmail.CodeColdOutreach {
			t.Errorf("late: %q, a stranger: %q", l, s)
		}
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now()))
		if err := h.Acquaint(t.Context(), h.scope, h.inbox); err != nil {
			t.Errorf("of an inbox that is gone: %v", err)
		}
		if err := h.Acquaint(t.Context(), openmail.Scope{Account: h.addAccount()}, h.inbox); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("another's inbox: %v", err)
		}
	})
}

func TestWhatIsTurnedAwayMakesNoContact(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.file(mail{verdict: &openmail.Verdict{Reason: "blocked_by_rule"}})
		if got := h.takes(h.cold(0, "ann@sender.test")); got != openmail.CodeColdOutreach {
			t.Errorf("%q", got)
		}
	})
}
