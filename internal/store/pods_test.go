package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/access"
	"openmail/internal/dispatch"
	"openmail/internal/id"
	"openmail/internal/store"
)

func (h *house) addPod(clientID string) openmail.Pod {
	h.t.Helper()
	p := openmail.Pod{ID: id.New(openmail.PrefixPod), Account: h.account, ClientID: clientID, Name: "Pod", CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	h.check(h.CreatePod(h.t.Context(), h.scope, p))
	return p
}

func (h *house) addInboxIn(pod, name string) openmail.Inbox {
	h.t.Helper()
	in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Pod: pod, Address: name + "@openmail.test", CreatedAt: time.Now()}
	h.check(h.CreateInbox(h.t.Context(), h.scope, in))
	return in
}

func TestAnAccountIsMadeWithItsDefaultPod(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		p, err := h.Pod(t.Context(), h.scope, "")
		h.check(err)
		in, err := h.Inbox(t.Context(), h.scope, h.inbox.ID)
		if !p.IsDefault || in.Pod != p.ID || err != nil {
			t.Errorf("pod %+v, inbox %+v, %v", p, in, err)
		}
		if err := h.DeletePod(t.Context(), h.scope, p.ID, time.Now()); openmail.CodeOf(err) != openmail.CodeDefaultPod {
			t.Errorf("deleting it: %v", err)
		}
	})
}

func TestAPodIsReadAsItWasWritten(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx, p := t.Context(), h.addPod("acme")
		for _, name := range []string{p.ID, "acme"} {
			if got, err := h.Pod(ctx, h.scope, name); got != p || err != nil {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, p)
			}
		}
		other := h.addPod("other")
		taken := p
		taken.ID = id.New(openmail.PrefixPod)
		if err := h.CreatePod(ctx, h.scope, taken); openmail.CodeOf(err) != openmail.CodeClientIDTaken {
			t.Errorf("a taken clientId: %v", err)
		}
		other.ClientID = "acme"
		if err := h.UpdatePod(ctx, h.scope, other); openmail.CodeOf(err) != openmail.CodeClientIDTaken {
			t.Errorf("changed to a taken clientId: %v", err)
		}
		p.ClientID, p.Name = "", ""
		h.check(h.UpdatePod(ctx, h.scope, p))
		if got, err := h.Pod(ctx, h.scope, p.ID); got != p || err != nil {
			t.Errorf("cleared: %+v, %v", got, err)
		}
		pods, total, err := h.Pods(ctx, h.scope, openmail.Page{Limit: 2})
		if total != 3 || len(pods) != 2 || !pods[0].IsDefault || err != nil {
			t.Errorf("%d pods: %+v, %v", total, pods, err)
		}
	})
}

func TestAPodWithInboxesStaysAndItsKeysEndWithIt(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx, p := t.Context(), h.addPod("acme")
		in := h.addInboxIn(p.ID, "joe")
		key := openmail.Key{ID: id.New(openmail.PrefixKey), Account: h.account, Pod: p.ID, CreatedAt: time.Now()}
		h.check(h.CreateKey(ctx, h.scope, key, [32]byte{1}, 20))
		inboxKey := openmail.Key{ID: id.New(openmail.PrefixKey), Account: h.account, Pod: p.ID, Inbox: in.ID, CreatedAt: time.Now()}
		h.check(h.CreateKey(ctx, h.scope.InPod(p.ID), inboxKey, [32]byte{2}, 1)) // the pod's key does not count
		if err := h.DeletePod(ctx, h.scope, p.ID, time.Now()); openmail.CodeOf(err) != openmail.CodePodNotEmpty {
			t.Errorf("deleting a pod with an inbox: %v", err)
		}
		h.check(h.DeleteInbox(ctx, h.scope, in.ID, time.Now()))
		h.check(h.DeletePod(ctx, h.scope, p.ID, time.Now()))
		revoked, err := h.RevokedSince(ctx, openmail.Operator(), time.Time{})
		if len(revoked) != 2 || !slices.Contains(revoked, key.ID) || !slices.Contains(revoked, inboxKey.ID) || err != nil {
			t.Errorf("revoked %v, %v", revoked, err)
		}
		gone := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Pod: p.ID, Address: "new@openmail.test"}
		if err := h.CreateInbox(ctx, h.scope, gone); openmail.CodeOf(err) != openmail.CodeInvalidPod {
			t.Errorf("an inbox in a pod that is gone: %v", err)
		}
		for _, k := range []openmail.Key{key, inboxKey} {
			if k.ID = id.New(openmail.PrefixKey); openmail.CodeOf(h.CreateKey(ctx, h.scope, k, [32]byte{3}, 20)) != openmail.CodeNotFound {
				t.Errorf("a key of what is gone was made: %+v", k)
			}
		}
	})
}

func TestAnAccountHasNoMoreInboxesThanItMayHoweverManyAreMadeAtATime(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		nodes := []*store.DB{h.limitedTo(3)}
		if h.at.database != "" {
			nodes = append(nodes, h.limitedTo(3))
		}
		var wg sync.WaitGroup
		errs := make([]error, 12)
		for i := range errs {
			in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Address: fmt.Sprintf("a%d@openmail.test", i), CreatedAt: time.Now()}
			wg.Go(func() { errs[i] = nodes[i%len(nodes)].CreateInbox(t.Context(), h.scope, in) })
		}
		wg.Wait()
		made := 1 // the house's own
		for _, err := range errs {
			switch openmail.CodeOf(err) {
			case "":
				made++
			case openmail.CodeInboxLimit:
			default:
				t.Error(err)
			}
		}
		if made != 3 {
			t.Errorf("%d inboxes were made", made)
		}
	})
}

// limitedTo is the house's store again, opened with a limit of inboxes.
func (h *house) limitedTo(n int) *store.DB {
	h.t.Helper()
	if h.at.database == "" {
		h.check(h.Close()) // one process at a time
	}
	db := openStore(h.t, h.at, func(c *store.Config) { c.MaxInboxes = n })
	if h.at.database == "" {
		h.DB = db // which the house closes
	} else {
		h.t.Cleanup(func() { h.check(db.Close()) })
	}
	return db
}

func TestAPodScopeSeesOnlyItsPod(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.sockets = true
		ctx, p := t.Context(), h.addPod("acme")
		in := h.addInboxIn(p.ID, "joe")
		mine, theirs := h.file(mail{to: []openmail.Inbox{in}}), h.file(mail{})
		held := h.file(mail{verdict: &openmail.Verdict{Reason: openmail.ReasonBlocked}})
		scope := h.scope.InPod(p.ID)
		for name, read := range map[string]func() error{
			"inbox":      func() error { _, err := h.Inbox(ctx, scope, h.inbox.ID); return err },
			"inbox at":   func() error { _, err := h.InboxAt(ctx, scope, h.inbox.Address); return err },
			"update":     func() error { return h.UpdateInbox(ctx, scope, h.inbox) },
			"delete":     func() error { return h.DeleteInbox(ctx, scope, h.inbox.ID, time.Now()) },
			"message":    func() error { _, err := h.Message(ctx, scope, theirs.Message); return err },
			"raw":        func() error { _, _, err := h.Raw(ctx, scope, theirs.Message); return err },
			"thread":     func() error { _, _, err := h.Thread(ctx, scope, theirs.Thread); return err },
			"read":       func() error { return h.SetRead(ctx, scope, theirs.Thread, true) },
			"trash":      func() error { return h.TrashThread(ctx, scope, theirs.Thread, time.Now()) },
			"remove":     func() error { return h.DeleteMessage(ctx, scope, theirs.Message) },
			"event":      func() error { _, err := h.Event(ctx, scope, theirs.Event); return err },
			"attempts":   func() error { _, err := h.Attempts(ctx, scope, theirs.Event); return err },
			"find":       func() error { _, err := h.Find(ctx, scope, theirs.Event); return err },
			"endpoint":   func() error { _, err := h.Endpoint(ctx, scope, ""); return err },
			"quarantine": func() error { _, err := h.QuarantinedOne(ctx, scope, held.Message); return err },
			"drop held":  func() error { return h.DeleteQuarantined(ctx, scope, held.Message) },
			"policy":     func() error { _, err := h.Policy(ctx, scope, openmail.Inbound, h.scope); return err },
			"pod":        func() error { _, err := h.Pod(ctx, scope, ""); return err },
			"drop pod":   func() error { return h.DeletePod(ctx, scope.InPod("pod_other"), p.ID, time.Now()) },
			"revoke":     func() error { return h.RevokeKey(ctx, scope, access.Owner{}, "key_x", time.Now()) },
		} {
			if err := read(); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, read := range map[string]func() error{
			"inbox":    func() error { _, err := h.Inbox(ctx, scope, in.ID); return err },
			"message":  func() error { _, err := h.Message(ctx, scope, mine.Message); return err },
			"thread":   func() error { _, _, err := h.Thread(ctx, scope, mine.Thread); return err },
			"read":     func() error { return h.SetRead(ctx, scope, mine.Thread, true) },
			"event":    func() error { _, err := h.Event(ctx, scope, mine.Event); return err },
			"attempts": func() error { _, err := h.Attempts(ctx, scope, mine.Event); return err },
			"find":     func() error { _, err := h.Find(ctx, scope, mine.Event); return err },
			"pod":      func() error { _, err := h.Pod(ctx, scope, "acme"); return err },
		} {
			if err := read(); err != nil {
				t.Errorf("its own %s: %v", name, err)
			}
		}
		if _, n, err := h.Messages(ctx, scope, h.inbox.ID, "", openmail.Page{Limit: 10}); n != 0 || err != nil {
			t.Errorf("%d messages of another pod, %v", n, err)
		}
		if _, n, err := h.Messages(ctx, scope, in.ID, "", openmail.Page{Limit: 10}); n != 1 || err != nil {
			t.Errorf("%d messages, %v", n, err)
		}
		if _, n, err := h.Threads(ctx, scope, in.ID, nil, openmail.Page{Limit: 10}); n != 1 || err != nil {
			t.Errorf("%d threads, %v", n, err)
		}
		if inboxes, n, err := h.Inboxes(ctx, scope, openmail.Page{Limit: 10}); n != 1 || inboxes[0].ID != in.ID || err != nil {
			t.Errorf("inboxes %+v, %v", inboxes, err)
		}
		if ids, err := h.InboxIDs(ctx, scope, 10); !slices.Equal(ids, []string{in.ID}) || err != nil {
			t.Errorf("ids %v, %v", ids, err)
		}
		if events, err := h.After(ctx, scope, 0, 10); len(events) != 1 || events[0].ID != mine.Event || events[0].Pod != p.ID || err != nil {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}

func TestThePagesOfAPodsEventsPassOverThoseOfOthers(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx, p := t.Context(), h.addPod("acme")
		in := h.addInboxIn(p.ID, "joe")
		first := h.file(mail{to: []openmail.Inbox{in}})
		for range 30 {
			h.file(mail{})
		}
		last := h.file(mail{to: []openmail.Inbox{in}})
		scope := h.scope.InPod(p.ID)
		page, next, err := h.Events(ctx, scope, dispatch.Filter{}, 0, 1)
		if len(page) != 1 || page[0].ID != last.Event || next != page[0].Position || err != nil {
			t.Fatalf("the first page: %+v, %d, %v", page, next, err)
		}
		page, next, err = h.Events(ctx, scope, dispatch.Filter{}, next, 5)
		if len(page) != 1 || page[0].ID != first.Event || next != 0 || err != nil {
			t.Errorf("the second page: %+v, %d, %v", page, next, err)
		}
		again, err := h.Redeliver(ctx, scope, dispatch.Filter{State: openmail.StateFailed}, 0, 10, listening(true))
		if len(again) != 2 || err != nil {
			t.Errorf("%d events sent again, %v", len(again), err)
		}
		if other, err := h.Redeliver(ctx, scope, dispatch.Filter{Inbox: h.inbox.ID}, 0, 10, listening(true)); len(other) != 0 || err != nil {
			t.Errorf("%d events of another pod sent again, %v", len(other), err)
		}
	})
}
