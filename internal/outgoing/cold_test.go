package outgoing_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/outgoing"
)

// limited makes the room anew with limits of first contacts.
func (w *world) limited(c outgoing.Cold) {
	w.settings.Cold, w.settings.Contacts = c, w.db
	w.out = outgoing.New(w.settings)
}

func TestFirstContactsOfADayAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{answer: accepts})
		w.limited(outgoing.Cold{Inbox: 2, NewAccount: 3, Account: 4})
		first := w.letter("a@other.test")
		first.Key, first.CC = "k", []string{"A@other.test", "b@other.test", w.jane.Address}
		w.send(first)
		e := w.refused(openmail.CodeColdOutreach, "", w.letter("c@other.test"))
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		if q := e.Quota; q == nil || q.Scope != "inbox" || q.Most != 2 || !q.Until.Equal(midnight) {
			t.Errorf("refused with %+v", e.Quota)
		}
		w.send(first) // again, under its key
		w.send(w.letter("b@other.test"))
		// Who writes is no stranger.
		m := w.arrives(w.jane.Address, "From: C <C@other.test>\nSubject: hello\n\nHi.\n")
		w.send(w.letter("c@other.test"))
		// Nor is who is copied because they wrote.
		copied := w.arrives(w.jane.Address, "From: boss@other.test\nTo: d@other.test\nCc: jane@openmail.test\nSubject: all\n\nHi.\n")
		reply := w.letter("d@other.test")
		reply.Thread = copied.Thread
		w.refused(openmail.CodeColdOutreach, "", reply)
		reply.To = "c@other.test"
		if got := w.message(w.send(reply).Message); len(got.CC) != 1 || m.Inbox != w.jane.ID {
			t.Errorf("copied are %v", got.CC)
		}
		// The account's limit is that of all its inboxes.
		joe := w.inbox(w.scope.Account, "joe", "")
		of := func(n int) outgoing.Request {
			l := w.letter(fmt.Sprintf("x%d@other.test", n))
			l.Inbox = joe.ID
			return l
		}
		w.send(of(1))
		if e := w.refused(openmail.CodeColdOutreach, "", of(2)); e.Quota.Scope != "customer" || e.Quota.Most != 3 {
			t.Errorf("refused with %+v", e.Quota)
		}
		time.Sleep(24 * time.Hour)
		w.send(w.letter("c2@other.test"))
		// An inbox that is no longer new has no limit of its own, and an
		// account that is not has a higher one.
		time.Sleep(30 * 24 * time.Hour)
		for n := range 4 {
			w.send(w.letter(fmt.Sprintf("y%d@other.test", n)))
		}
		if e := w.refused(openmail.CodeColdOutreach, "", w.letter("z@other.test")); e.Quota.Scope != "customer" || e.Quota.Most != 4 {
			t.Errorf("refused with %+v", e.Quota)
		}
	})
}

func TestARateComesBeforeFirstContacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.settings.PerMinute = 1
		w.limited(outgoing.Cold{Inbox: 1})
		w.send(w.letter("a@other.test"))
		w.refused(openmail.CodeRateLimit, "", w.letter("b@other.test"))
		time.Sleep(time.Minute)
		w.refused(openmail.CodeColdOutreach, "", w.letter("b@other.test"))
		w.send(w.letter("a@other.test")) // what was refused took nothing of the rate
		w.settings.PerMinute = 0
		w.limited(outgoing.Cold{})
		w.send(w.letter("b@other.test"))
	})
}
