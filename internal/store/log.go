package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
)

// maxPage bounds the payloads that one read of the log returns, in bytes.
const maxPage = 1 << 20

// maxScan bounds how many positions one page of a filtered list looks at.
const maxScan = 20_000

const eventColumns = `e.account_id, e.seq, e.id, e.type, e.pod_id, e.inbox_id, e.thread_id, e.message_id, e.occurred_at,
	e.lane, e.state, e.reason, e.channel, e.attempts, e.posts, e.due_at, e.delivered_at`

// eventRow receives the columns of an event.
type eventRow struct {
	openmail.Event
	occurred, due, delivered int64
}

// into are the places of eventColumns.
func (r *eventRow) into() []any {
	d := &r.Delivery
	return []any{
		&r.Account, &r.Position, &r.ID, &r.Type, &r.Pod, &r.Inbox, &r.Thread, &r.Message, &r.occurred,
		&r.Lane, &d.State, &d.Reason, &d.Channel, &d.Attempts, &d.Posts, &r.due, &r.delivered,
	}
}

func (r *eventRow) event() openmail.Event {
	r.OccurredAt, r.Delivery.Due, r.Delivery.DeliveredAt = moment(r.occurred), moment(r.due), moment(r.delivered)
	return r.Event
}

func scanEvent(s scanner) (openmail.Event, error) {
	var r eventRow
	err := s.Scan(r.into()...)
	return r.event(), err
}

// fullColumns are an event and its message, for its payload.
const fullColumns = eventColumns + ", " + messageColumns

const fullFrom = " from event e join message m on m.id = e.message_id and m.trashed_at = 0"

// found runs what begins a select, with conditions of its own behind it.
type found func(what string) (*sql.Rows, error)

// received returns those of the events found that have a message, with payloads.
func (db *DB) received(ctx context.Context, f found) ([]openmail.Event, error) {
	rows, err := f("select " + fullColumns + fullFrom)
	if err != nil {
		return nil, err
	}
	return db.events(ctx, rows)
}

// events reads a select of fullColumns and returns the events with payloads. It
// stops after about maxPage bytes of them.
func (db *DB) events(ctx context.Context, rows *sql.Rows) ([]openmail.Event, error) {
	all, messages, err := db.logged(ctx, rows)
	if err != nil {
		return nil, err
	}
	for i := range all {
		// Only now: with rows open it would need a second connection, and
		// readers could wait for each other's.
		if err := db.addTexts(ctx, &messages[i]); err != nil {
			return nil, err
		}
		all[i].Payload = db.payload(all[i], messages[i].Message)
		messages[i] = row{} // the payload has it all
	}
	return all, nil
}

// logged reads events and their messages, and closes rows.
func (db *DB) logged(ctx context.Context, rows *sql.Rows) (all []openmail.Event, messages []row, err error) {
	defer rows.Close()
	for size := 0; size < maxPage && rows.Next(); {
		e, m, err := db.full(ctx, rows)
		if err != nil {
			return nil, nil, err
		}
		size += 1024 + min(len(m.BodyText), api.MaxEventText) + int(m.texts)
		all, messages = append(all, e), append(messages, m)
	}
	return all, messages, rows.Err()
}

// full reads an event and its message, but for what an event does not carry and
// the texts of its files.
func (db *DB) full(ctx context.Context, s scanner) (openmail.Event, row, error) {
	var r eventRow
	var mr messageRow
	if err := s.Scan(append(r.into(), mr.into()...)...); err != nil {
		return openmail.Event{}, row{}, err
	}
	e := r.event()
	m, err := mr.message()
	if err != nil {
		return e, m, err
	}
	text, err := db.unpack(ctx, m.body, m.sizes.text) // an event carries no HTML
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A body that is gone must not hold up every event behind it: this
		// one goes without its text, and whoever reads the message is told.
		db.cfg.Logger.ErrorContext(ctx, "store.body_missing", "message", m.ID, "event", e.ID)
	case err != nil:
		return e, m, fmt.Errorf("message %s: %w", m.ID, err)
	}
	m.BodyText, m.body = string(text), packed{}
	return e, m, nil
}

// Head returns the position of the newest event of the scope's account; 0 when
// there has been none. It is never ahead of what After finds.
func (db *DB) Head(ctx context.Context, scope openmail.Scope) (p openmail.Position, err error) {
	err = db.row(ctx, "select seq from account where id = $1", []any{scope.Account}, &p)
	return p, orNotFound(err, "account")
}

// Find returns the position of an event. The error, openmail.CodeNotFound,
// names the oldest event that is still there.
func (db *DB) Find(ctx context.Context, scope openmail.Scope, event string) (p openmail.Position, err error) {
	for _, table := range []string{"event", "event_gone"} {
		q := newQuery("select e.seq from " + table + " e where e.id = ").arg(event).inLog(scope)
		if err = db.row(ctx, q.text(), q.args, &p); !errors.Is(err, sql.ErrNoRows) {
			return p, err
		}
	}
	var oldest string
	q := newQuery("select e.id from event e").ofLog(scope).and(" order by e.seq limit 1")
	if err := db.row(ctx, q.text(), q.args, &oldest); errors.Is(err, sql.ErrNoRows) {
		return 0, openmail.Errorf(openmail.CodeNotFound, "unknown event id, and there are no events stored")
	} else if err != nil {
		return 0, err
	}
	return 0, openmail.Errorf(openmail.CodeNotFound, "unknown event id; the oldest event still stored is %s", oldest)
}

// After returns the events of a scope that follow a position, oldest first,
// with payloads: at most limit of them and about a megabyte, but never none
// while there are more.
func (db *DB) After(ctx context.Context, scope openmail.Scope, after openmail.Position, limit int) ([]openmail.Event, error) {
	if scope.WholeAccount() {
		if events, ok := db.tail.after(scope.Account, after, limit); ok && (db.dialect.single || fresh(events)) {
			return events, nil
		}
	}
	q := newQuery("select " + fullColumns + fullFrom).ofLog(scope).and(" and e.seq > ").arg(int64(after)).
		and(" order by e.seq limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	return db.events(ctx, rows)
}

// Undelivered is After for what nobody has confirmed yet, up to and including a
// position, as the log has it now.
func (db *DB) Undelivered(ctx context.Context, scope openmail.Scope, after, upTo openmail.Position, limit int) ([]openmail.Event, error) {
	q := newQuery("select " + fullColumns + fullFrom).ofLog(scope).and(" and e.seq > ").arg(int64(after)).and(" and e.seq <= ").arg(int64(upTo)).
		and(" and e.state <> 'delivered' order by e.seq limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	return db.events(ctx, rows)
}

// freshFor is how long the tail is believed where others write too: it does not
// hear of what they delete, or of their attempts.
const freshFor = 5 * time.Second

// fresh reports whether there are events, all of them of just now.
func fresh(events []openmail.Event) bool {
	return len(events) > 0 && time.Since(events[0].OccurredAt) < freshFor
}

// Event implements dispatch.Journal.
func (db *DB) Event(ctx context.Context, scope openmail.Scope, id string) (openmail.Event, error) {
	one := func(what string) (*sql.Rows, error) {
		q := newQuery(what + " where e.id = ").arg(id).inLog(scope)
		return db.query(ctx, q.text(), q.args...)
	}
	all, err := db.received(ctx, one)
	if err == nil && len(all) == 0 {
		all, err = lifecycles(one)
	}
	if err != nil {
		return openmail.Event{}, fmt.Errorf("read the event: %w", err)
	}
	if len(all) == 0 {
		return openmail.Event{}, notFound("event")
	}
	return all[0], nil
}

// Events implements dispatch.Journal.
func (db *DB) Events(ctx context.Context, scope openmail.Scope, f dispatch.Filter, before openmail.Position, limit int) ([]openmail.Event, openmail.Position, error) {
	if before == 0 {
		head, err := db.Head(ctx, scope)
		if err != nil {
			return nil, 0, err
		}
		before = head + 1
	}
	floor, err := db.floor(ctx, scope, before)
	if err != nil {
		return nil, 0, fmt.Errorf("list the events: %w", err)
	}
	q := newQuery("select " + eventColumns + " from event e").ofLog(scope).
		and(" and e.seq < ").arg(int64(before)).and(" and e.seq >= ").arg(int64(floor)).filtered(f).and(" order by e.seq desc limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the events: %w", err)
	}
	all, err := collect(rows, scanEvent)
	if err != nil {
		return nil, 0, fmt.Errorf("list the events: %w", err)
	}
	next := floor
	if len(all) == limit {
		next = all[limit-1].Position
	}
	if next <= 1 { // positions begin at 1
		next = 0
	}
	return all, next, nil
}

// floor is where a page of a filtered list stops looking: maxScan positions
// before the one given, of those that the scope's pod has where it has one.
func (db *DB) floor(ctx context.Context, scope openmail.Scope, before openmail.Position) (p openmail.Position, err error) {
	if scope.Pod == "" {
		return max(before-maxScan, 0), nil
	}
	q := newQuery("select e.seq from event e").ofLog(openmail.Scope{Account: scope.Account, Pod: scope.Pod}).and(" and e.seq < ").arg(int64(before)).
		and(" order by e.seq desc limit 1 offset ").arg(maxScan - 1)
	err = db.row(ctx, q.text(), q.args, &p)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return p, err
}

// filtered adds the conditions of a filter.
func (q *query) filtered(f dispatch.Filter) *query {
	if f.State != "" {
		q.and(" and e.state = ").arg(string(f.State))
	}
	if f.Inbox != "" {
		q.and(" and e.inbox_id = ").arg(f.Inbox)
	}
	if f.Type != "" {
		q.and(" and e.type = ").arg(string(f.Type))
	}
	if !f.Since.IsZero() {
		q.and(" and e.occurred_at >= ").arg(micros(f.Since))
	}
	if !f.Until.IsZero() {
		q.and(" and e.occurred_at < ").arg(micros(f.Until))
	}
	if f.ID != "" {
		q.and(" and e.id = ").arg(f.ID)
	}
	return q
}

// Attempts implements dispatch.Journal.
func (db *DB) Attempts(ctx context.Context, scope openmail.Scope, event string) ([]openmail.Attempt, error) {
	var known string
	q := newQuery("select e.id from event e where e.id = ").arg(event).inLog(scope)
	if err := db.row(ctx, q.text(), q.args, &known); err != nil {
		return nil, orNotFound(err, "event")
	}
	rows, err := db.query(ctx, "select n, channel, at, took, status, outcome, error, remote, response from attempt where event_id = $1 order by at, n", event)
	if err != nil {
		return nil, fmt.Errorf("list the attempts: %w", err)
	}
	return collect(rows, func(s scanner) (a openmail.Attempt, err error) {
		var at, took int64
		err = s.Scan(&a.N, &a.Channel, &at, &took, &a.Status, &a.Outcome, &a.Error, &a.Remote, &a.Response)
		a.At, a.Took = moment(at), time.Duration(took)*time.Microsecond
		return a, err
	})
}
