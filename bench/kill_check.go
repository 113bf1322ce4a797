package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"openmail"
	"openmail/api"
	"openmail/client"
)

// check looks at what was acknowledged before the kill, one mail at a time as
// an agent would read it, and at deliveries that nobody has looked after.
func (k *killing) check(ctx context.Context, s *server, c *client.Client) error {
	var mu sync.Mutex
	blame := func(fault string) {
		mu.Lock()
		defer mu.Unlock()
		k.faults[fault]++
	}
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, a := range k.senders.unchecked() {
		g.Go(func() error {
			fault, err := checkMail(reading, c, a, i%10 == 0)
			if fault != "" {
				blame(fault)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err := k.waiting(ctx, s)
	return err
}

// checkMail reads one mail, with its bytes where they are wanted.
func checkMail(ctx context.Context, c *client.Client, a acknowledged, raw bool) (fault string, err error) {
	m, err := c.Message(ctx, a.id)
	answer, _ := errors.AsType[*client.Error](err)
	switch {
	case answer != nil && (answer.Status == http.StatusNotFound || answer.Status == http.StatusInternalServerError):
		return faultLost, nil // also where its body is gone or broken
	case err != nil:
		return "", err
	case m.RFCMessageID != a.mailID:
		return faultChanged, nil
	case !raw && m.SizeBytes < 64<<10:
		return "", nil
	}
	d, err := c.RawMessage(ctx, a.id)
	if err != nil {
		return faultLost, nil
	}
	defer d.Close()
	h := sha256.New()
	if _, err := io.Copy(h, d); err != nil || [32]byte(h.Sum(nil)) != a.digest {
		return faultChanged, nil
	}
	return "", nil
}

// waiting counts the deliveries that have not ended, and notes how far the
// oldest lies past its due time.
func (k *killing) waiting(ctx context.Context, s *server) (n int, err error) {
	counts, err := s.metrics(ctx, "openmail_deliveries_waiting")
	if err != nil {
		return 0, err
	}
	for _, c := range counts {
		n += int(c)
	}
	late, err := s.metrics(ctx, "openmail_deliveries_overdue_seconds")
	for _, l := range late {
		k.overdue = max(k.overdue, l)
	}
	return n, err
}

// last starts the server once more, lets every delivery end, and compares all
// that the server tells with all that it was told.
func (k *killing) last(ctx context.Context) (err error) {
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(k.setRoute(ctx, c, route{webhook: true}), k.check(ctx, s, c), k.settle(ctx, s)); err != nil {
		return err
	}
	messages, err := k.messages(ctx, c)
	if err != nil {
		return err
	}
	events, err := eventLog(ctx, c)
	if err != nil {
		return err
	}
	k.faults[faultRefused] = int(k.senders.refused.Load())
	k.compare(messages, events)
	if err := k.replay(ctx, c, events); err != nil {
		return err
	}
	k.claims(events)
	return nil
}

// settle waits until no delivery is under way any more.
func (k *killing) settle(ctx context.Context, s *server) error {
	for end := time.Now().Add(settleIn); ; {
		n, err := k.waiting(ctx, s)
		if err != nil || n == 0 {
			return err
		}
		if time.Now().After(end) {
			k.faults[faultWaiting] = n
			return nil
		}
		k.b.progress.say("%d deliveries are under way", n)
		if err := rest(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// messages lists everything in all inboxes, and blames what is there twice.
func (k *killing) messages(ctx context.Context, c *client.Client) (map[string]api.Message, error) {
	all := map[string]api.Message{}
	for _, in := range k.inboxes {
		once := map[string]bool{}
		for m, err := range c.Messages(ctx, in.ID, client.MessageFilter{Page: openmail.Page{Limit: 100}}) {
			if err != nil {
				return nil, err
			}
			if once[m.RFCMessageID] {
				k.faults[faultTwice]++
			}
			once[m.RFCMessageID] = true
			all[m.ID] = m
		}
	}
	return all, nil
}

// eventLog lists every event, oldest first.
func eventLog(ctx context.Context, c *client.Client) ([]api.Event, error) {
	var all []api.Event
	for e, err := range c.Events(ctx, client.EventFilter{Limit: 100}) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.Reverse(all)
	return all, nil
}

// compare holds messages and events against each other, and both against what
// was acknowledged.
func (k *killing) compare(messages map[string]api.Message, events []api.Event) {
	of := map[string]int{}
	for _, e := range events {
		if e.MessageID == nil {
			continue // a mail has none such
		}
		of[*e.MessageID]++
		if _, ok := messages[*e.MessageID]; !ok {
			k.faults[faultNoMessage]++
		}
	}
	copies := map[string]int{} // of each mail, over all inboxes
	for id, m := range messages {
		copies[m.RFCMessageID]++
		if of[id] != 1 {
			k.faults[faultNoEvent]++
		}
	}
	for _, a := range k.senders.acked {
		if _, ok := messages[a.id]; !ok || copies[a.mailID] < len(a.to) {
			k.faults[faultLost]++
		}
	}
}

// replay has a new socket read the log from its beginning, and lets the
// listener that resumed after each kill catch up. The first has to get what the
// list shows, in its order: a position that was skipped would be missing. The
// second has to get all of it; what was offered to it ahead of its turn while
// it was a webhook's, it may have in another order.
func (k *killing) replay(ctx context.Context, c *client.Client, events []api.Event) error {
	if len(events) == 0 {
		return nil
	}
	want := ids(events)
	ctx, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	fresh := newListener()
	if err := errors.Join(fresh.catchUp(ctx, c, len(want)), k.listen.catchUp(ctx, c, len(want))); err != nil {
		return err
	}
	k.faults[faultReplay] = differences(want, fresh.order)
	for _, id := range want {
		if !k.listen.has(id) {
			k.faults[faultStream]++
		}
	}
	return nil
}

// catchUp listens until so many events were seen in all, or ctx ends.
func (l *listener) catchUp(ctx context.Context, c *client.Client, n int) error {
	if l.count() >= n {
		return nil
	}
	for e, err := range c.Listen(ctx, client.ListenOptions{LastEventID: l.resume, FromStart: true}) {
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err != nil {
			return nil // what is missing is counted by whoever compares
		}
		if l.take(e); l.count() >= n {
			return nil
		}
	}
	return nil
}

// ids are those of events.
func ids(events []api.Event) []string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = e.ID
	}
	return all
}

// differences counts the places in which two lists differ.
func differences(want, got []string) (n int) {
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			n++
		}
	}
	return n
}

// claims looks whether every delivery has ended rightly: one that counts as
// delivered was received here, and none was given up.
func (k *killing) claims(events []api.Event) {
	for _, e := range events {
		switch openmail.State(e.State) {
		case openmail.StateDelivered:
			if !k.hook.has(e.ID) && !k.listen.has(e.ID) {
				k.faults[faultClaimed]++
			}
		case openmail.StateFailed:
			if e.Reason == nil || openmail.Reason(*e.Reason) != openmail.ReasonNoRoute {
				k.faults[faultGivenUp]++
			}
		}
	}
}
