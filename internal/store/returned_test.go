package store_test

import (
	"testing"
	"time"

	"openmail"
	"openmail/internal/dispatch"
)

func TestWhatAGroupGetsBackIsWhatNoWebhookHasTaken(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		socket := listening(true)
		lost := func(p openmail.Position, attempt int) []dispatch.Receipt {
			return []dispatch.Receipt{{Account: h.account, Position: p, Attempt: attempt, PushedAt: time.Now(), At: time.Now()}}
		}
		back := func(heirs dispatch.Listening, r []dispatch.Receipt) []openmail.Event {
			t.Helper()
			again, _, err := h.Return(t.Context(), openmail.Operator(), r, heirs, socket)
			h.check(err)
			return again
		}
		failed := h.file(mail{})
		h.setWebhook()
		due, posted := h.file(mail{}), h.file(mail{})
		h.sockets = true
		armed := h.file(mail{})

		if again := back(socket, lost(4, 1)); len(again) != 1 || again[0].ID != armed.Event || again[0].Delivery.Attempts != 2 || len(again[0].Payload) == 0 {
			t.Errorf("what was armed: %+v", again)
		}
		if d := h.event(armed.Event).Delivery; d.State != openmail.StateArmed || d.Attempts != 2 {
			t.Errorf("what was armed is %+v", d)
		}
		if again := back(socket, lost(2, 1)); len(again) != 1 || again[0].ID != due.Event || h.event(due.Event).Delivery.State != openmail.StateArmed {
			t.Errorf("what waited for its post: %+v, then %+v", again, h.event(due.Event).Delivery)
		}
		claimed := h.claim(dispatch.Lane{Account: h.account})
		if len(claimed.Posts) != 1 || claimed.Posts[0].Event.ID != posted.Event {
			t.Fatalf("claimed %+v", claimed)
		}
		if again := back(socket, lost(3, 1)); len(again) != 0 || h.event(posted.Event).Delivery.State != openmail.StatePosting {
			t.Errorf("what is being posted: %+v", again)
		}
		if again := back(socket, lost(1, 1)); len(again) != 1 || again[0].ID != failed.Event || again[0].Delivery.Attempts != 2 || h.event(failed.Event).Delivery.State != openmail.StateFailed {
			t.Errorf("what had failed and was replayed: %+v", again)
		}

		// Confirmed by a socket outside the group: it does for the log, not for
		// the group.
		h.check(h.Confirm(t.Context(), h.scope, lost(2, 2)))
		if again := back(socket, lost(2, 2)); len(again) != 1 || again[0].Delivery.Attempts != 3 || h.event(due.Event).Delivery.State != openmail.StateDelivered {
			t.Errorf("what another socket confirmed: %+v", again)
		}

		// Nobody of the group wants it any more, and there is a webhook.
		if again := back(listening(false), lost(4, 2)); len(again) != 0 || h.event(armed.Event).Delivery.State != openmail.StateDue {
			t.Errorf("without an heir: %+v, then %+v", again, h.event(armed.Event).Delivery)
		}
		if attempts, err := h.Attempts(t.Context(), h.scope, armed.Event); err != nil || len(attempts) != 2 || attempts[1].Outcome != openmail.OutcomeLost {
			t.Errorf("attempts %+v, %v", attempts, err)
		}
	})
}

func TestUndeliveredIsWhatNobodyHasConfirmed(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		first, second, third := h.file(mail{}), h.file(mail{}), h.file(mail{})
		h.file(mail{})
		r := dispatch.Receipt{Account: h.account, Position: 2, Attempt: 1, PushedAt: time.Now(), At: time.Now()}
		h.check(h.Confirm(t.Context(), h.scope, []dispatch.Receipt{r}))
		got, err := h.Undelivered(t.Context(), h.scope, 0, 3, 10)
		h.check(err)
		if len(got) != 2 || got[0].ID != first.Event || got[1].ID != third.Event || len(got[1].Payload) == 0 {
			t.Errorf("got %+v without %s", got, second.Event)
		}
		if got, err = h.Undelivered(t.Context(), h.scope, 1, 3, 10); len(got) != 1 || got[0].ID != third.Event || err != nil {
			t.Errorf("after the first: %+v, %v", got, err)
		}
		if got, err = h.Undelivered(t.Context(), h.scope, 0, 4, 1); len(got) != 1 || got[0].ID != first.Event || err != nil {
			t.Errorf("one of them: %+v, %v", got, err)
		}
		stranger := openmail.Scope{Account: "acc_other"}
		if got, err = h.Undelivered(t.Context(), stranger, 0, 4, 10); len(got) != 0 || err != nil {
			t.Errorf("of another account: %+v, %v", got, err)
		}
	})
}
