package dispatch

import (
	"context"
	"time"

	"openmail"
)

// redeliverPage bounds how many events are sent again in one transaction.
const redeliverPage = 200

// Again sends events again when their owner asks.
type Again struct {
	resends   Resends
	listeners *Listeners
	waker     Waker
}

// NewAgain returns an Again.
func NewAgain(r Resends, l *Listeners, w Waker) *Again { return &Again{r, l, w} }

// Redeliver sends one event again, from the beginning: to the sockets that
// listen, else by webhook. What is on its way already is left as it is. It
// returns the event; openmail.CodeNotFound.
func (a *Again) Redeliver(ctx context.Context, scope openmail.Scope, event string) (openmail.Event, error) {
	again, err := a.page(ctx, scope, Filter{ID: event}, 0, 1)
	if err != nil {
		return openmail.Event{}, err
	}
	if len(again) == 0 {
		return openmail.Event{}, openmail.Errorf(openmail.CodeNotFound, "There is no such event.")
	}
	return again[0], nil
}

// RedeliverAll sends again what the filter matches, oldest first, and returns
// how many events those were. What happens while it does is on its way for the
// first time, and left alone.
func (a *Again) RedeliverAll(ctx context.Context, scope openmail.Scope, f Filter) (count int, err error) {
	if now := time.Now().Add(time.Microsecond); f.Until.IsZero() || f.Until.After(now) {
		f.Until = now // does not include the moment itself
	}
	var after openmail.Position
	for {
		again, err := a.page(ctx, scope, f, after, redeliverPage)
		if err != nil || len(again) == 0 {
			return count, err
		}
		count += len(again)
		after = again[len(again)-1].Position
	}
}

func (a *Again) page(ctx context.Context, scope openmail.Scope, f Filter, after openmail.Position, limit int) ([]openmail.Event, error) {
	again, err := a.resends.Redeliver(ctx, scope, f, after, limit, a.listeners.Wanted)
	if err != nil {
		return nil, err
	}
	for _, e := range again {
		if e.Delivery.State == openmail.StateArmed {
			a.listeners.Offer(e)
		}
		a.waker.Wake(Lane{e.Account, e.Lane})
	}
	return again, nil
}
