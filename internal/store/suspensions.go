package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/delivery"
	"openmail/internal/outgoing"
)

// What stops an inbox or a pod from sending is found beside it, in stopColumns.
// Of several suspensions the least id counts, which begins with what it is of:
// an account's, an inbox's, a pod's.
const (
	stopColumns = "coalesce(s.subject, ''), coalesce(s.kind, ''), coalesce(s.reason, ''), coalesce(s.since_at, 0)"
	noStop      = "'', '', '', 0"
	stopOfInbox = " left join suspension s on s.subject = (select min(x.subject) from suspension x where x.subject in (i.account_id, i.id, i.pod_id))"
	stopOfPod   = " left join suspension s on s.subject = (select min(x.subject) from suspension x where x.subject in (p.account_id, p.id))"
)

// stopRow receives stopColumns.
type stopRow struct {
	openmail.Suspension
	since int64
}

func (r *stopRow) into() []any { return []any{&r.ID, &r.Kind, &r.Reason, &r.since} }

// suspension is what was received; nil for none.
func (r *stopRow) suspension(account string) *openmail.Suspension {
	if r.ID == "" {
		return nil
	}
	r.Account, r.Since = account, moment(r.since)
	return &r.Suspension
}

// mayBeSent is the error for mail of an inbox that is suspended, by itself or
// with what it belongs to.
func (t *tx) mayBeSent(account, pod, inbox string) error {
	var r stopRow
	err := t.row("select subject, kind, reason, since_at from suspension where subject = (select min(subject) from suspension where subject in ($1, $2, $3))", []any{account, inbox, pod}, r.into()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a suspension: %w", err)
	}
	return r.suspension(account).Err()
}

// subject is what a suspension concerns, as it stands.
type subject struct{ id, account, pod, inbox, address string }

// subjectOf finds it; of an inbox also by its address.
func subjectOf(kind openmail.SuspendedKind, name string) (statement string, args []any, err error) {
	switch kind {
	case openmail.SuspendedInbox:
		column := "id"
		if strings.Contains(name, "@") {
			column, name = "address", openmail.BaseAddress(name)
		}
		statement = "select id, account_id, pod_id, id, address from inbox where " + column + " = $1"
	case openmail.SuspendedPod:
		statement = "select id, account_id, id, '', '' from pod where id = $1"
	case openmail.SuspendedAccount:
		statement = "select id, id, '', '', '' from account where id = $1"
	default:
		return "", nil, openmail.FieldErrorf(openmail.CodeBadRequest, "kind", "There are inboxes, pods and accounts.")
	}
	return statement, []any{name}, nil
}

func (s *subject) into() []any { return []any{&s.id, &s.account, &s.pod, &s.inbox, &s.address} }

// onSubject does something to what a suspension concerns, in one transaction
// that holds its account; openmail.CodeNotFound.
func (db *DB) onSubject(ctx context.Context, scope openmail.Scope, kind openmail.SuspendedKind, name string, do func(*tx, subject) error) error {
	statement, args, err := subjectOf(kind, name)
	if err != nil {
		return err
	}
	var s subject
	if err := db.row(ctx, statement, args, s.into()...); err != nil {
		return orNotFound(err, string(kind))
	}
	if !scope.Covers(s.account, s.pod, s.inbox) {
		return notFound(string(kind))
	}
	return db.w.write(ctx, func(t *tx) error {
		if err := t.row(statement, args, s.into()...); err != nil {
			return orNotFound(err, string(kind)) // it went meanwhile
		}
		return do(t, s)
	}, s.account)
}

// Suspend implements outgoing.Suspensions.
func (db *DB) Suspend(ctx context.Context, scope openmail.Scope, s openmail.Suspension, event string) (c outgoing.SuspensionChange, err error) {
	err = db.onSubject(ctx, scope, s.Kind, s.ID, func(t *tx, of subject) error {
		c = outgoing.SuspensionChange{Suspension: s}
		c.ID, c.Account = of.id, of.account
		n, err := t.exec("insert into suspension (subject, kind, account_id, reason, since_at) values ($1, $2, $3, $4, $5) on conflict (subject) do nothing",
			of.id, string(s.Kind), of.account, string(s.Reason), micros(s.Since))
		if err != nil {
			return err
		}
		if c.Changed = n == 1; !c.Changed {
			c.Suspension, _, err = t.suspensionOf(of)
			return err
		}
		e := openmail.Event{ID: event, Type: suspendedType(s.Kind), OccurredAt: s.Since}
		c.Event, err = t.tell(db.cfg.Rules, e, of, s.Reason)
		return err
	})
	return c, err
}

// Reactivate implements outgoing.Suspensions.
func (db *DB) Reactivate(ctx context.Context, scope openmail.Scope, s openmail.Suspension, event string, at time.Time) (c outgoing.SuspensionChange, err error) {
	err = db.onSubject(ctx, scope, s.Kind, s.ID, func(t *tx, of subject) (err error) {
		c = outgoing.SuspensionChange{}
		c.Suspension, c.Changed, err = t.suspensionOf(of)
		if !c.Changed || err != nil {
			c.Kind, c.ID, c.Account = s.Kind, of.id, of.account
			return err
		}
		if _, err := t.exec("delete from suspension where subject = $1", of.id); err != nil {
			return err
		}
		e := openmail.Event{ID: event, Type: reactivatedType(s.Kind), OccurredAt: at}
		c.Event, err = t.tell(db.cfg.Rules, e, of, "")
		return err
	})
	return c, err
}

// suspensionOf reads the one that something has by itself.
func (t *tx) suspensionOf(of subject) (_ openmail.Suspension, there bool, err error) {
	var r stopRow
	err = t.row("select subject, kind, reason, since_at from suspension where subject = $1", []any{of.id}, r.into()...)
	if errors.Is(err, sql.ErrNoRows) {
		return openmail.Suspension{}, false, nil
	}
	if err != nil {
		return openmail.Suspension{}, false, err
	}
	return *r.suspension(of.account), true, nil
}

// Suspended implements outgoing.Suspensions.
func (db *DB) Suspended(ctx context.Context, scope openmail.Scope, limit int) ([]openmail.Suspension, error) {
	q := newQuery("select subject, kind, reason, since_at, account_id from suspension where 1 = 1").within(scope, "account_id", "").
		and(" order by since_at desc, subject desc limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list the suspensions: %w", err)
	}
	return collect(rows, func(s scanner) (openmail.Suspension, error) {
		var r stopRow
		var account string
		if err := s.Scan(append(r.into(), &account)...); err != nil {
			return openmail.Suspension{}, err
		}
		return *r.suspension(account), nil
	})
}

// suspendedType and reactivatedType are the events that tell of a suspension
// and its end; "" where none does.

func suspendedType(k openmail.SuspendedKind) openmail.EventType {
	return map[openmail.SuspendedKind]openmail.EventType{
		openmail.SuspendedInbox: openmail.InboxSuspended, openmail.SuspendedPod: openmail.PodSuspended,
	}[k]
}

func reactivatedType(k openmail.SuspendedKind) openmail.EventType {
	return map[openmail.SuspendedKind]openmail.EventType{
		openmail.SuspendedInbox: openmail.InboxReactivated, openmail.SuspendedPod: openmail.PodReactivated,
	}[k]
}

// tell writes a lifecycle event with its place in the account's log and its
// delivery, which no socket is asked for. Without a type it writes nothing.
func (t *tx) tell(rules delivery.Rules, e openmail.Event, of subject, reason openmail.SuspensionReason) (openmail.Event, error) {
	if e.Type == "" {
		return openmail.Event{}, nil
	}
	e.Account, e.Pod, e.Inbox = of.account, of.pod, of.inbox
	var lane sql.NullString
	err := t.row("update account set seq = seq + 1 where id = $1 returning seq, "+endpointFor, []any{e.Account, e.Inbox}, &e.Position, &lane)
	t.wrote = true
	if err != nil {
		return e, fmt.Errorf("take a position: %w", err)
	}
	e.Lane = lane.String
	e.Delivery = rules.Born(e.OccurredAt, delivery.Route{Webhook: lane.Valid})
	if err := t.insertEvent(e); err != nil {
		return e, fmt.Errorf("insert the event: %w", err)
	}
	t.forget(e.Account) // the tail has no place for it
	_, err = t.exec("insert into lifecycle (event_id, inbox_address, reason) values ($1, $2, $3)", e.ID, of.address, string(reason))
	return e, err
}

// lifecycleWaits is whether an account $1 has a lifecycle event under way.
const lifecycleWaits = "select exists (select 1 from event where account_id = $1 and message_id = '' and due_at > 0)"

// lifecycles returns those of the events found that have no message, with
// payloads.
func lifecycles(f found) ([]openmail.Event, error) {
	rows, err := f("select " + eventColumns + ", l.inbox_address, l.reason from event e join lifecycle l on l.event_id = e.id")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(s scanner) (openmail.Event, error) {
		var r eventRow
		var l openmail.Lifecycle
		if err := s.Scan(append(r.into(), &l.InboxAddress, &l.Reason)...); err != nil {
			return openmail.Event{}, err
		}
		e := r.event()
		e.Payload = api.Lifecycle(e, l)
		return e, nil
	})
}
