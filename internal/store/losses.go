package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"openmail"
	"openmail/internal/delivery"
	"openmail/internal/dispatch"
)

// Drop implements dispatch.Receipts.
func (db *DB) Drop(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, listening dispatch.Listening) (lanes []dispatch.Lane, err error) {
	err = db.w.write(ctx, func(t *tx) error {
		l := losing{tx: t, scope: scope, rules: db.cfg.Rules, listening: listening}
		err := l.all(lost, nil)
		lanes = l.lanes
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("drop: %w", err)
	}
	return lanes, nil
}

// Return implements dispatch.Receipts.
func (db *DB) Return(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, heirs, listening dispatch.Listening) (again []openmail.Event, lanes []dispatch.Lane, err error) {
	err = db.w.write(ctx, func(t *tx) error {
		again = again[:0]
		l := losing{tx: t, scope: scope, rules: db.cfg.Rules, listening: listening, heirs: heirs}
		err := l.all(lost, func(e openmail.Event) error {
			own := openmail.Scope{Account: e.Account}
			full, err := db.locked(ctx, t, own, dispatch.Filter{}, []openmail.Position{e.Position})
			for i := range full {
				full[i].Delivery.Attempts = e.Delivery.Attempts
			}
			again = append(again, full...)
			return err
		})
		lanes = l.lanes
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("return: %w", err)
	}
	return again, lanes, nil
}

// losing takes note of what was lost with sockets.
type losing struct {
	*tx
	scope     openmail.Scope
	rules     delivery.Rules // but for each account's deadline
	listening dispatch.Listening
	heirs     dispatch.Listening // of a group that goes on; nil: it was none
	lanes     []dispatch.Lane    // where something has changed
}

// all takes note of each. heir is told of what another socket of the group is to
// have, with the number of its next attempt.
func (l *losing) all(lost []dispatch.Receipt, heir func(openmail.Event) error) error {
	for _, r := range inOrder(lost) {
		e, err := l.eventAt(l.scope, r.Account, r.Position)
		if errors.Is(err, sql.ErrNoRows) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if err := l.one(&e, r); err != nil {
			return err
		}
		if l.inherits(&e) && inherited(&e.Delivery) {
			if err := heir(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// inherits reports whether another socket of the group wants an event.
func (l *losing) inherits(e *openmail.Event) bool {
	return l.heirs != nil && l.heirs(e.Account, e.Inbox, e.Type)
}

// inherited reports whether another socket of a group is to have what was lost,
// and numbers its attempt: what is armed is counted already. What a webhook has
// taken, or is posting, it is not; what a socket outside the group confirmed it is.
func inherited(d *openmail.Delivery) bool {
	switch {
	case d.State == openmail.StateArmed:
		return true
	case d.State == openmail.StateFailed, d.State == openmail.StateDelivered && d.Channel == openmail.ChannelWebSocket:
		d.Attempts++
		return true
	}
	return false
}

// one writes that an event was lost with a socket, and what becomes of it.
func (l *losing) one(e *openmail.Event, r dispatch.Receipt) (err error) {
	if e.Delivery.State == openmail.StateDelivered {
		return nil
	}
	if err := l.attempt(e.ID, pushed(r, openmail.OutcomeLost, "the socket ended before its receipt")); err != nil {
		return err
	}
	rules, err := l.rulesOf(e.Account, l.rules)
	if err != nil {
		return err
	}
	in := delivery.Input{Kind: delivery.Dropped, At: r.At, Attempt: r.Attempt}
	in.Route.Socket = l.listening(e.Account, e.Inbox, e.Type)
	if l.inherits(e) {
		in.Kind, in.Route.Socket = delivery.Returned, true
	}
	if in.Route.Webhook, e.Lane, err = l.route(e.Account, e.Inbox); err != nil {
		return err
	}
	next, changed := rules.Next(e.Delivery, in)
	if !changed {
		return nil
	}
	if lane := (dispatch.Lane{Account: e.Account, Inbox: e.Lane}); !slices.Contains(l.lanes, lane) {
		l.lanes = append(l.lanes, lane)
	}
	err = l.settle(*e, next)
	e.Delivery = next
	return err
}
