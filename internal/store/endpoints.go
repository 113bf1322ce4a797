package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"openmail"
)

// endpoint row reading, by the reader or inside a transaction.
const selectEndpoint = "select id, account_id, inbox_id, url, secret, next_secret, enabled, disabled_reason, created_at from endpoint where account_id = $1 and inbox_id = $2"

func (db *DB) scanEndpoint(s scanner) (e openmail.Endpoint, err error) {
	var secret, next []byte
	var created int64
	if err = s.Scan(&e.ID, &e.Account, &e.Inbox, &e.URL, &secret, &next, &e.Enabled, &e.DisabledReason, &created); err != nil {
		return e, err
	}
	e.CreatedAt = moment(created)
	if e.Secret, err = db.unsealed(secret, e.ID); err != nil {
		return e, err
	}
	e.NextSecret, err = db.unsealed(next, e.ID)
	return e, err
}

// endpointIn reads the endpoint of an inbox, or with "" that of the account, in a
// transaction; nil when there is no enabled one.
func (db *DB) endpointIn(t *tx, account, inbox string) (*openmail.Endpoint, error) {
	rows, err := t.query(selectEndpoint, account, inbox)
	e, err := db.oneEndpoint(rows, err)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !e.Enabled {
		return nil, nil
	}
	return &e, err
}

// route is whether an event of an inbox could be posted, and in which lane.
func (t *tx) route(account, inbox string) (webhook bool, lane string, err error) {
	var to sql.NullString
	err = t.row("select "+endpointFor, []any{account, inbox}, &to)
	return to.Valid, to.String, err
}

// endpointFor is whose endpoint takes the events of account $1's inbox $2: the
// inbox's id where its own is enabled, else ” where the account's is, else null.
const endpointFor = "(select max(w.inbox_id) from endpoint w where w.account_id = $1 and w.inbox_id in ('', $2) and w.enabled = 1)"

func (db *DB) oneEndpoint(rows *sql.Rows, err error) (openmail.Endpoint, error) {
	if err != nil {
		return openmail.Endpoint{}, fmt.Errorf("read the endpoint: %w", err)
	}
	found, err := collect(rows, db.scanEndpoint)
	if err != nil {
		return openmail.Endpoint{}, fmt.Errorf("read the endpoint: %w", err)
	}
	if len(found) == 0 {
		return openmail.Endpoint{}, sql.ErrNoRows
	}
	return found[0], nil
}

// Endpoint implements dispatch.Endpoints.
func (db *DB) Endpoint(ctx context.Context, scope openmail.Scope, inbox string) (openmail.Endpoint, error) {
	if !scope.WholeAccount() {
		return openmail.Endpoint{}, notFound("webhook")
	}
	rows, err := db.query(ctx, selectEndpoint, scope.Account, inbox)
	e, err := db.oneEndpoint(rows, err)
	return e, orNotFound(err, "webhook")
}

// PutEndpoint implements dispatch.Endpoints.
func (db *DB) PutEndpoint(ctx context.Context, scope openmail.Scope, e openmail.Endpoint) error {
	if !scope.Covers(e.Account, "", "") {
		return notFound("account")
	}
	err := db.w.write(ctx, func(t *tx) error {
		if e.Inbox != "" { // it stays until this is written, or takes it along
			var id string
			if err := t.row("select id from inbox where id = $1 and account_id = $2"+t.w.dialect.lockOf("inbox"), []any{e.Inbox, e.Account}, &id); err != nil {
				return orNotFound(err, "inbox")
			}
		}
		return db.putEndpoint(t, e)
	}, e.Account)
	if err != nil || e.Inbox == "" || !e.Enabled {
		return err
	}
	if err := db.takeOver(ctx, e); err != nil { // the account's lane moves them, when it comes to them
		db.cfg.Logger.Warn("store.take_over", "inbox", e.Inbox, "error", err)
	}
	return nil
}

// takeOver gives an inbox's lane what of its events waits for a post in the
// account's: the endpoint there may be why it waits, and let it wait for hours.
func (db *DB) takeOver(ctx context.Context, e openmail.Endpoint) error {
	type waiting struct{ due, seq int64 }
	var all []waiting
	for from := int64(1); ; from = all[len(all)-1].due {
		rows, err := db.query(ctx, `select due_at, seq from event
			where account_id = $1 and lane = '' and state = 'due' and due_at > 0 and due_at >= $2 and inbox_id = $3 order by due_at limit $4`,
			e.Account, from, e.Inbox, sweepBatch)
		if err != nil {
			return err
		}
		if all, err = collect(rows, func(s scanner) (w waiting, err error) { return w, s.Scan(&w.due, &w.seq) }); err != nil || len(all) == 0 {
			return err
		}
		err = db.w.write(ctx, func(t *tx) error {
			for _, w := range all {
				if _, err := t.exec("update event set lane = $1 where account_id = $2 and seq = $3 and lane = '' and state = 'due'", e.Inbox, e.Account, w.seq); err != nil {
					return err
				}
			}
			return nil
		}, e.Account)
		if err != nil || len(all) < sweepBatch {
			return err
		}
	}
}

func (db *DB) putEndpoint(t *tx, e openmail.Endpoint) error {
	_, err := t.exec(`insert into endpoint (id, account_id, inbox_id, url, secret, next_secret, enabled, disabled_reason, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (account_id, inbox_id) do update set id = excluded.id, url = excluded.url, secret = excluded.secret, next_secret = excluded.next_secret,
		enabled = excluded.enabled, disabled_reason = excluded.disabled_reason, created_at = excluded.created_at`,
		e.ID, e.Account, e.Inbox, e.URL, db.sealed(e.Secret, e.ID), db.sealed(e.NextSecret, e.ID), flag(e.Enabled), e.DisabledReason, micros(e.CreatedAt))
	return err
}

// DeleteEndpoint implements dispatch.Endpoints.
func (db *DB) DeleteEndpoint(ctx context.Context, scope openmail.Scope, inbox string) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("delete from endpoint where account_id = ").arg(scope.Account).and(" and inbox_id = ").arg(inbox).within(scope, "account_id", "")
		_, err := t.exec(q.text(), q.args...)
		return err
	})
}

// disable stops an endpoint that has said 410, unless it was changed since.
func (t *tx) disable(e openmail.Endpoint) error {
	_, err := t.exec("update endpoint set enabled = 0, disabled_reason = $1 where id = $2 and url = $3",
		"the endpoint answered 410 Gone", e.ID, e.URL)
	return err
}
