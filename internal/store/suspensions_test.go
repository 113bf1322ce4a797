package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/dispatch"
	"openmail/internal/id"
	"openmail/internal/outgoing"
)

func (h *house) suspend(kind openmail.SuspendedKind, name string) outgoing.SuspensionChange {
	h.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := openmail.Suspension{Kind: kind, ID: name, Reason: openmail.SuspendedAbuse, Since: now}
	c, err := h.Suspend(h.t.Context(), openmail.Operator(), s, id.New(openmail.PrefixEvent))
	h.check(err)
	return c
}

func (h *house) reactivate(kind openmail.SuspendedKind, name string) outgoing.SuspensionChange {
	h.t.Helper()
	c, err := h.Reactivate(h.t.Context(), openmail.Operator(), openmail.Suspension{Kind: kind, ID: name}, id.New(openmail.PrefixEvent), time.Now())
	h.check(err)
	return c
}

// told are the types of all events, oldest first.
func (h *house) told() (types []string) {
	h.t.Helper()
	all, _, err := h.Events(h.t.Context(), h.scope, dispatch.Filter{}, 0, 100)
	h.check(err)
	for i := range all {
		types = append(types, string(all[len(all)-1-i].Type))
	}
	return types
}

// sending is the code that a mail of an inbox is refused with; "" when it is
// taken.
func (h *house) sending(in openmail.Inbox) openmail.Code {
	h.t.Helper()
	a := h.acceptance("", "a@b.test")
	a.Message.Inbox, a.Pod = in.ID, in.Pod
	_, err := h.AcceptMail(h.t.Context(), h.scope, a)
	return openmail.CodeOf(err)
}

func (h *house) read(inbox string) openmail.Inbox {
	h.t.Helper()
	in, err := h.Inbox(h.t.Context(), h.scope, inbox)
	h.check(err)
	return in
}

func TestASuspendedInboxSendsNothingUntilItIsReactivated(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		jane, joe := h.read(h.inbox.ID), h.read(h.addInbox("joe").ID)
		first := h.suspend(openmail.SuspendedInbox, jane.ID)
		again := h.suspend(openmail.SuspendedInbox, strings.ToUpper(jane.Address))
		if !first.Changed || again.Changed || again.Event.ID != "" || again.Suspension != first.Suspension {
			t.Errorf("first %+v\nagain %+v", first, again)
		}
		if got := h.read(jane.ID); got.Suspension == nil || *got.Suspension != first.Suspension {
			t.Errorf("the inbox has %+v, want %+v", got.Suspension, first.Suspension)
		}
		if j, o := h.sending(jane), h.sending(joe); j != openmail.CodeSuspended || o != "" {
			t.Errorf("jane sends: %q, joe: %q", j, o)
		}
		h.file(mail{}) // it receives
		if c := h.reactivate(openmail.SuspendedInbox, jane.ID); !c.Changed || c.Suspension != first.Suspension {
			t.Errorf("reactivated: %+v", c)
		}
		if c := h.reactivate(openmail.SuspendedInbox, jane.ID); c.Changed || c.ID != jane.ID {
			t.Errorf("reactivated again: %+v", c)
		}
		if got := h.read(jane.ID); got.Suspension != nil || h.sending(jane) != "" {
			t.Errorf("after that: %+v", got.Suspension)
		}
		if got := fmt.Sprint(h.told()); got != "[inbox.suspended message.received inbox.reactivated]" {
			t.Errorf("told %s", got)
		}
	})
}

func TestASuspensionConcernsWhatBelongsToIt(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		pod := h.addPod("acme")
		h.suspend(openmail.SuspendedPod, pod.ID)
		later, jane := h.read(h.addInboxIn(pod.ID, "later").ID), h.read(h.inbox.ID)
		if h.sending(later) != openmail.CodeSuspended || h.sending(jane) != "" || later.Suspension == nil || later.Suspension.Kind != openmail.SuspendedPod {
			t.Errorf("of an inbox made later: %+v", later.Suspension)
		}
		// An account wins over an inbox, that over a pod.
		h.suspend(openmail.SuspendedInbox, later.ID)
		if got := h.read(later.ID).Suspension; got == nil || got.Kind != openmail.SuspendedInbox {
			t.Errorf("with one of its own: %+v", got)
		}
		h.suspend(openmail.SuspendedAccount, h.account)
		pods, _, err := h.Pods(t.Context(), h.scope, openmail.Page{Limit: 10})
		h.check(err)
		for _, p := range pods {
			if p.Suspension == nil || p.Suspension.Kind != openmail.SuspendedAccount {
				t.Errorf("the pod %s has %+v", p.ClientID, p.Suspension)
			}
		}
		if h.sending(later) != openmail.CodeBanned || h.sending(jane) != openmail.CodeBanned {
			t.Error("a banned account sends")
		}
		all, err := h.Suspended(t.Context(), h.scope, 10)
		if err != nil || len(all) != 3 || all[0].Kind != openmail.SuspendedAccount {
			t.Errorf("suspended: %+v, %v", all, err)
		}
		h.check(h.DeleteInbox(t.Context(), h.scope, later.ID, time.Now()))
		h.check(h.DeletePod(t.Context(), h.scope, pod.ID, time.Now()))
		if all, err = h.Suspended(t.Context(), h.scope, 10); err != nil || len(all) != 1 {
			t.Errorf("after they went: %+v, %v", all, err)
		}
	})
}

func TestAnothersAccountCannotSuspend(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		stranger := openmail.Scope{Account: h.addAccount()}
		for kind, name := range map[openmail.SuspendedKind]string{
			openmail.SuspendedInbox: h.inbox.ID, openmail.SuspendedPod: h.read(h.inbox.ID).Pod, openmail.SuspendedAccount: h.account,
		} {
			s := openmail.Suspension{Kind: kind, ID: name, Since: time.Now()}
			_, err := h.Suspend(t.Context(), stranger, s, "evt_1")
			_, err2 := h.Reactivate(t.Context(), stranger, s, "evt_1", time.Now())
			if openmail.CodeOf(err) != openmail.CodeNotFound || openmail.CodeOf(err2) != openmail.CodeNotFound {
				t.Errorf("%s: %v, %v", kind, err, err2)
			}
			s.ID = "nothing"
			if _, err = h.Suspend(t.Context(), openmail.Operator(), s, "evt_1"); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("no %s: %v", kind, err)
			}
		}
		if len(h.told()) != 0 {
			t.Errorf("told %v", h.told())
		}
	})
}

func TestManyWhoSuspendAtATimeMakeOneEvent(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				s := openmail.Suspension{Kind: openmail.SuspendedInbox, ID: h.inbox.ID, Since: time.Now()}
				if _, err := h.Suspend(t.Context(), openmail.Operator(), s, id.New(openmail.PrefixEvent)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := h.told(); len(got) != 1 {
			t.Errorf("told %v", got)
		}
	})
}

func TestALifecycleEventGoesByWebhookOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.setWebhook()
		pod := h.read(h.inbox.ID).Pod
		inbox, whole := h.suspend(openmail.SuspendedInbox, h.inbox.ID), h.suspend(openmail.SuspendedPod, pod)
		filed := h.file(mail{})
		pushed, err := h.After(t.Context(), h.scope, 0, 10)
		if err != nil || len(pushed) != 1 || pushed[0].ID != filed.Event {
			t.Errorf("a socket reads %+v, %v", pushed, err)
		}
		claimed := h.claim(dispatch.Lane{Account: h.account})
		if len(claimed.Posts) != 3 {
			t.Fatalf("claimed %+v", claimed)
		}
		for i, want := range []string{
			`{"event":"inbox.suspended","event_id":"` + inbox.Event.ID + `","occurred_at":"` + inbox.Since.Format("2006-01-02T15:04:05.000Z") +
				`","inbox_id":"` + h.inbox.ID + `","inbox_address":"` + h.inbox.Address + `","pod_id":"` + pod + `","reason":"abuse"}`,
			`{"event":"pod.suspended","event_id":"` + whole.Event.ID + `","occurred_at":"` + whole.Since.Format("2006-01-02T15:04:05.000Z") +
				`","inbox_id":null,"inbox_address":null,"pod_id":"` + pod + `","reason":"abuse"}`,
		} {
			p := claimed.Posts[i]
			if got := string(p.Event.Payload); got != want || p.Event.Delivery.State != openmail.StatePosting || string(h.event(p.Event.ID).Payload) != want {
				t.Errorf("posts %s, want %s", got, want)
			}
		}
	})
}

func TestALifecycleEventIsRetriedSentAgainAndSwept(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		own := h.webhookOf(h.inbox)
		e := h.suspend(openmail.SuspendedInbox, h.inbox.ID).Event
		if e.Lane != h.inbox.ID || own.URL == "" {
			t.Errorf("it is in the lane %q", e.Lane)
		}
		post := h.claim(h.laneOf(h.inbox)).Posts[0]
		h.check(h.Settle(t.Context(), h.scope, []dispatch.Settled{{Post: post, Attempt: openmail.Attempt{N: 1, At: time.Now(), Outcome: openmail.OutcomeRefused}}}))
		if d := h.event(e.ID).Delivery; d.State != openmail.StateDue || time.Until(d.Due) < 20*time.Second {
			t.Errorf("after a refusal: %+v", d)
		}
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now())) // what happened stays true
		again, err := h.Redeliver(t.Context(), h.scope, dispatch.Filter{Type: openmail.InboxSuspended}, 0, 10, listening(false))
		if err != nil || len(again) != 1 || again[0].Delivery.State != openmail.StateFailed || len(again[0].Payload) == 0 {
			t.Errorf("sent again: %+v, %v", again, err)
		}
		_, err = h.Sweep(t.Context(), time.Now().Add(60*24*time.Hour))
		h.check(err)
		if _, err := h.Event(t.Context(), h.scope, e.ID); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("after the sweep: %v", err)
		}
	})
}
