package store_test

import (
	"slices"
	"testing"
	"time"

	"openmail"
	"openmail/internal/dispatch"
	"openmail/internal/id"
)

// webhookOf gives an inbox an endpoint of its own.
func (h *house) webhookOf(in openmail.Inbox) openmail.Endpoint {
	h.t.Helper()
	e := openmail.Endpoint{
		ID: id.New(openmail.PrefixEndpoint), Account: in.Account, Inbox: in.ID, URL: "https://" + in.ID + ".test/hook",
		Secret: "whsec_" + in.ID, Enabled: true, CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	h.check(h.PutEndpoint(h.t.Context(), h.scope, e))
	return e
}

func (h *house) laneOf(in openmail.Inbox) dispatch.Lane {
	return dispatch.Lane{Account: h.account, Inbox: in.ID}
}

func (h *house) claim(l dispatch.Lane) dispatch.Claimed {
	h.t.Helper()
	c, err := h.Claim(h.t.Context(), h.scope, dispatch.Claim{Lane: l, At: time.Now().Add(time.Second), Posts: 8, Listening: listening(false)})
	h.check(err)
	return c
}

func (h *house) lanes() []dispatch.Lane {
	h.t.Helper()
	lanes, err := h.Lanes(h.t.Context(), openmail.Operator())
	h.check(err)
	return lanes
}

func TestAnEventGoesToItsInboxesEndpointElseToTheAccounts(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		whole, own := h.setWebhook(), h.addInbox("own")
		mine := h.webhookOf(own)
		toOwn, toWhole := h.file(mail{to: []openmail.Inbox{own}}), h.file(mail{})
		if toOwn.Lane != own.ID || toWhole.Lane != "" {
			t.Errorf("filed in the lanes %q and %q", toOwn.Lane, toWhole.Lane)
		}
		if lanes := h.lanes(); len(lanes) != 2 || !slices.Contains(lanes, h.laneOf(own)) || !slices.Contains(lanes, dispatch.Lane{Account: h.account}) {
			t.Errorf("lanes %+v", lanes)
		}
		for _, c := range []struct {
			lane  dispatch.Lane
			event string
			to    openmail.Endpoint
		}{{h.laneOf(own), toOwn.Event, mine}, {dispatch.Lane{Account: h.account}, toWhole.Event, whole}} {
			claimed := h.claim(c.lane)
			if len(claimed.Posts) != 1 || claimed.Posts[0].Event.ID != c.event || claimed.Posts[0].Endpoint != c.to {
				t.Errorf("lane %+v: %+v", c.lane, claimed)
			}
		}
	})
}

func TestWhatWaitsFollowsTheEndpointsAsTheyAreNow(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.setWebhook()
		filed := h.file(mail{})
		account, own := dispatch.Lane{Account: h.account}, h.laneOf(h.inbox)
		mine := h.webhookOf(h.inbox) // set while the event waits for the account's
		if lanes := h.lanes(); !slices.Equal(lanes, []dispatch.Lane{own}) {
			t.Fatalf("lanes %+v", lanes)
		}
		h.check(h.DeleteEndpoint(ctx, h.scope, h.inbox.ID)) // and taken away again
		if c := h.claim(own); len(c.Posts) != 0 || !slices.Equal(c.Moved, []dispatch.Lane{account}) {
			t.Fatalf("claimed %+v", c)
		}
		h.check(h.PutEndpoint(ctx, h.scope, mine))
		c := h.claim(own)
		if len(c.Posts) != 1 || c.Posts[0].Event.ID != filed.Event || c.Posts[0].Endpoint != mine {
			t.Fatalf("claimed %+v", c)
		}
		h.check(h.Settle(ctx, h.scope, []dispatch.Settled{{
			Post: c.Posts[0], Attempt: openmail.Attempt{N: 1, Channel: openmail.ChannelWebhook, At: time.Now(), Status: 410, Outcome: openmail.OutcomeGone},
		}}))
		in, err := h.Inbox(ctx, h.scope, h.inbox.ID)
		if in.Webhook == nil || in.Webhook.Enabled || in.Webhook.DisabledReason == "" || in.Webhook.Secret != "" || err != nil {
			t.Errorf("the inbox's webhook: %+v, %v", in.Webhook, err)
		}
		if e, err := h.Endpoint(ctx, h.scope, ""); !e.Enabled || err != nil {
			t.Errorf("the account's endpoint was disabled too: %+v, %v", e, err)
		}
		if again := h.file(mail{}); again.Lane != "" || again.State != openmail.StateDue {
			t.Errorf("past a disabled webhook: %+v", again)
		}
	})
}

func TestWithoutAnyEndpointWhatWaitedHasNoRoute(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.webhookOf(h.inbox)
		filed := h.file(mail{})
		h.check(h.DeleteEndpoint(t.Context(), h.scope, h.inbox.ID))
		h.claim(h.laneOf(h.inbox))
		h.claim(dispatch.Lane{Account: h.account})
		if d := h.event(filed.Event).Delivery; d.Reason != openmail.ReasonNoRoute {
			t.Errorf("in the end: %+v", d)
		}
		h.webhookOf(h.inbox)
		again, err := h.Redeliver(t.Context(), h.scope, dispatch.Filter{ID: filed.Event}, 0, 1, listening(false))
		if len(again) != 1 || again[0].Lane != h.inbox.ID || again[0].Delivery.State != openmail.StateDue || err != nil {
			t.Errorf("sent again: %+v, %v", again, err)
		}
	})
}

func TestOffersAndLossesKnowTheLaneOfAnInbox(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		own := h.addInbox("own")
		h.webhookOf(own)
		h.file(mail{to: []openmail.Inbox{own}})
		h.setWebhook()
		h.file(mail{})
		all := func(openmail.Event) bool { return true }
		if offered, err := h.Offer(t.Context(), openmail.Scope{Account: h.account, Inbox: own.ID}, 2, all, 10); len(offered) != 1 || offered[0].Inbox != own.ID || err != nil {
			t.Fatalf("offered to a key of the inbox: %+v, %v", offered, err)
		}
		if offered, err := h.Offer(t.Context(), h.scope, 2, all, 10); len(offered) != 1 || offered[0].Inbox != h.inbox.ID || err != nil {
			t.Fatalf("offered to the account: %+v, %v", offered, err)
		}
		_, lanes, err := h.Drop(t.Context(), openmail.Operator(), []dispatch.Receipt{{Account: h.account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}}, listening(false))
		if !slices.Equal(lanes, []dispatch.Lane{h.laneOf(own)}) || err != nil {
			t.Errorf("due again in %+v, %v", lanes, err)
		}
	})
}

func TestAWebhookGoesWithItsInbox(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		e := h.webhookOf(h.inbox)
		h.file(mail{})
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now()))
		if _, err := h.Endpoint(t.Context(), h.scope, h.inbox.ID); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("the endpoint: %v", err)
		}
		if err := h.PutEndpoint(t.Context(), h.scope, e); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("an endpoint for an inbox that is gone: %v", err)
		}
		if lanes := h.lanes(); len(lanes) != 0 {
			t.Errorf("lanes %+v", lanes)
		}
	})
}
