package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"openmail"
	"openmail/api"
	"openmail/client"
)

// doubles tells what lay between the relay's 250 and the server's record.
type doubles struct {
	cut     int // mails whose conversation a kill ended after their 250
	within  int // taken again, though 250 was said before the kill
	unheard int // taken again, when 250 was said to a server that was dead
}

// same reports whether two handovers are of the same mail.
func (h handover) same(g handover) bool { return h.from == g.from && h.digest == g.digest }

// last starts the server once more, has every request answered and every mail
// sent, and compares.
func (k *sending) last(ctx context.Context) (err error) {
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := errors.Join(k.clients.drain(ctx, s, false), k.allSent(ctx, s)); err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	var messages []api.Message
	for _, in := range k.clients.inboxes {
		for m, err := range c.Messages(ctx, in.ID, client.MessageFilter{Page: openmail.Page{Limit: 100}}) {
			if err != nil {
				return err
			}
			messages = append(messages, m)
		}
	}
	k.compareStore(messages)
	k.compareSink(k.sink.handovers())
	return nil
}

// allSent waits until no mail waits in the queue.
func (k *sending) allSent(ctx context.Context, s *server) error {
	for end := time.Now().Add(settleIn); ; {
		values, err := s.metrics(ctx, "openmail_mail_queue")
		if err != nil || values[0]+values[1] == 0 || time.Now().After(end) {
			return err
		}
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// compareStore holds the messages in all inboxes against the keys.
func (k *sending) compareStore(messages []api.Message) {
	out, in := map[string][]api.Message{}, map[string]int{}
	for _, m := range messages {
		if m.Direction == string(openmail.Outbound) {
			out[m.Subject] = append(out[m.Subject], m)
		} else {
			in[m.RFCMessageID]++
		}
	}
	f := k.clients.faults
	for _, o := range k.clients.done {
		mine := out[o.key]
		switch {
		case len(mine) > 1:
			f[faultKeyTwice]++
		case len(mine) == 0 || mine[0].ID != o.answer.MessageID || mine[0].RFCMessageID != o.answer.ProviderMessageID:
			f[faultKeyNone]++
		case mine[0].Status != string(openmail.StatusSent):
			f[faultUnsent]++
		}
		if want := map[bool]int{true: 1}[o.local != ""]; in[o.answer.ProviderMessageID] != want {
			f[faultCopy]++
		}
	}
}

// compareSink holds what the relay took against the keys. A mail may come again
// only when a kill ended the conversation in which it was taken before.
func (k *sending) compareSink(all []handover) {
	type copyOf struct{ mail, to string }
	took := map[copyOf][]handover{}
	for _, h := range all {
		for _, to := range h.to {
			took[copyOf{h.mailID, to}] = append(took[copyOf{h.mailID, to}], h)
		}
		if h.quit.IsZero() && k.killed(h.opened) {
			k.found.cut++
		}
	}
	f := k.clients.faults
	for _, o := range k.clients.done {
		for _, to := range o.to {
			c := copyOf{o.answer.ProviderMessageID, to}
			if len(took[c]) == 0 {
				f[faultUnmailed]++
			}
			k.doubles(took[c])
			delete(took, c)
		}
	}
	f[faultStranger] += len(took)
}

// doubles judges the copies of one mail for one recipient.
func (k *sending) doubles(copies []handover) {
	slices.SortFunc(copies, func(a, b handover) int { return a.answered.Compare(b.answered) })
	for i := 1; i < len(copies); i++ {
		first, again := copies[i-1], copies[i]
		if !first.same(again) {
			k.clients.faults[faultOther]++
		}
		died := k.killAfter(first.opened)
		switch {
		case !first.quit.IsZero() || died.IsZero() || again.opened.Before(died):
			k.clients.faults[faultDouble]++
		case first.answered.Before(died):
			k.found.within++
		default:
			k.found.unheard++
		}
	}
}

// killAfter is the first kill after a moment; zero when there was none.
func (k *sending) killAfter(at time.Time) time.Time {
	for _, kill := range k.kills {
		if kill.After(at) {
			return kill
		}
	}
	return time.Time{}
}

func (k *sending) killed(after time.Time) bool { return !k.killAfter(after).IsZero() }

// quantile of values in any order; NaN when there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}
