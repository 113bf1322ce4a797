package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"openmail"
	"openmail/internal/delivery"
	"openmail/internal/dispatch"
)

// Drop implements dispatch.Receipts.
func (db *DB) Drop(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, listening dispatch.Listening) (again []openmail.Event, lanes []dispatch.Lane, err error) {
	l := losing{db: db, ctx: ctx, scope: scope, rules: db.cfg.Rules, listening: listening}
	if err := l.write(func() error { return l.all(lost) }); err != nil {
		return nil, nil, fmt.Errorf("drop: %w", err)
	}
	return l.again, l.lanes, nil
}

// Return implements dispatch.Receipts.
func (db *DB) Return(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, heirs, listening dispatch.Listening) (again []openmail.Event, lanes []dispatch.Lane, err error) {
	l := losing{db: db, ctx: ctx, scope: scope, rules: db.cfg.Rules, listening: listening, heirs: heirs}
	if err := l.write(func() error { return l.all(lost) }); err != nil {
		return nil, nil, fmt.Errorf("return: %w", err)
	}
	return l.again, l.lanes, nil
}

// Abandon implements dispatch.Receipts. A reader looks first: mostly there is
// nothing.
func (db *DB) Abandon(ctx context.Context, scope openmail.Scope, from openmail.Position, held func(openmail.Event) bool, listening dispatch.Listening) (again []openmail.Event, lanes []dispatch.Lane, err error) {
	for more := true; more; {
		page, err := db.armedFrom(ctx, scope, from)
		if err != nil {
			return again, lanes, fmt.Errorf("abandon: %w", err)
		}
		if more = len(page) == maxFallen; more {
			from = page[len(page)-1].Position + 1
		}
		if page = slices.DeleteFunc(page, held); len(page) == 0 {
			continue
		}
		l := losing{db: db, ctx: ctx, scope: scope, rules: db.cfg.Rules, listening: listening}
		if err := l.write(func() error { return l.abandoned(page, held) }); err != nil {
			return again, lanes, fmt.Errorf("abandon: %w", err)
		}
		again, lanes = append(again, l.again...), append(lanes, l.lanes...)
	}
	return again, lanes, nil
}

// losing takes note of what was lost with sockets.
type losing struct {
	*tx
	db        *DB
	ctx       context.Context
	scope     openmail.Scope
	rules     delivery.Rules // but for each account's deadline
	listening dispatch.Listening
	heirs     dispatch.Listening // of a group that goes on; nil: it was none

	again []openmail.Event // what other sockets are to have, with payloads
	lanes []dispatch.Lane  // where something has changed
}

// write runs do in a transaction, from the beginning each time.
func (l *losing) write(do func() error) error {
	return l.db.w.write(l.ctx, func(t *tx) error {
		l.tx, l.again, l.lanes = t, nil, nil
		return do()
	})
}

// all takes note of each.
func (l *losing) all(lost []dispatch.Receipt) error {
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
		if l.inherits(&e) && !inherited(&e.Delivery) || !l.inherits(&e) && e.Delivery.State != openmail.StateArmed {
			continue
		}
		if err := l.pass(e); err != nil {
			return err
		}
	}
	return nil
}

// pass lets another socket have an event, with the number of its next attempt.
func (l *losing) pass(e openmail.Event) error {
	full, err := l.db.locked(l.ctx, l.tx, openmail.Scope{Account: e.Account}, dispatch.Filter{}, []openmail.Position{e.Position})
	for i := range full {
		full[i].Delivery.Attempts = e.Delivery.Attempts
	}
	l.again = append(l.again, full...)
	return err
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
func (l *losing) one(e *openmail.Event, r dispatch.Receipt) error {
	if e.Delivery.State == openmail.StateDelivered {
		return nil
	}
	if err := l.attempt(e.ID, pushed(r, openmail.OutcomeLost, "the socket ended before its receipt")); err != nil {
		return err
	}
	return l.fall(e, delivery.Input{Kind: delivery.Dropped, At: r.At, Attempt: r.Attempt})
}

// fall writes what becomes of an event that a socket does not have any more.
func (l *losing) fall(e *openmail.Event, in delivery.Input) error {
	rules, err := l.rulesOf(e.Account, l.rules)
	if err != nil {
		return err
	}
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

// armedFrom reads the next armed deliveries, in the order of the log.
func (db *DB) armedFrom(ctx context.Context, scope openmail.Scope, from openmail.Position) ([]openmail.Event, error) {
	q := newQuery("select " + eventColumns + " from event e where e.account_id = ").arg(scope.Account).and(" and e.seq >= ").arg(int64(from)).
		and(" and e.state = 'armed'").inLog(scope).and(" order by e.seq limit ").arg(maxFallen)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanEvent)
}

// abandoned drops those that are still armed, and that nobody has got meanwhile.
func (l *losing) abandoned(events []openmail.Event, held func(openmail.Event) bool) error {
	for _, found := range events {
		e, err := l.eventAt(l.scope, found.Account, found.Position)
		if errors.Is(err, sql.ErrNoRows) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if e.Delivery.State != openmail.StateArmed || held(e) {
			continue
		}
		if err := l.fall(&e, delivery.Input{Kind: delivery.Dropped, At: time.Now(), Attempt: e.Delivery.Attempts}); err != nil {
			return err
		}
		if e.Delivery.State != openmail.StateArmed {
			continue
		}
		if err := l.pass(e); err != nil {
			return err
		}
	}
	return nil
}
