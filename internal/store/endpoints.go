package store

import (
	"context"
	"database/sql"
	"fmt"

	"openmail"
)

// endpoint row reading, by the reader or inside a transaction.
const selectEndpoint = "select id, account_id, url, secret, next_secret, enabled, disabled_reason, created_at from endpoint where account_id = $1"

func (db *DB) scanEndpoint(s scanner) (e openmail.Endpoint, err error) {
	var secret, next []byte
	var created int64
	if err = s.Scan(&e.ID, &e.Account, &e.URL, &secret, &next, &e.Enabled, &e.DisabledReason, &created); err != nil {
		return e, err
	}
	e.CreatedAt = moment(created)
	if e.Secret, err = db.unsealed(secret, e.ID); err != nil {
		return e, err
	}
	e.NextSecret, err = db.unsealed(next, e.ID)
	return e, err
}

// endpointIn reads the account's endpoint in a transaction; sql.ErrNoRows.
func (db *DB) endpointIn(t *tx, account string) (openmail.Endpoint, error) {
	rows, err := t.query(selectEndpoint, account)
	return db.oneEndpoint(rows, err)
}

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
func (db *DB) Endpoint(ctx context.Context, scope openmail.Scope) (openmail.Endpoint, error) {
	if !scope.WholeAccount() {
		return openmail.Endpoint{}, notFound("webhook")
	}
	rows, err := db.query(ctx, selectEndpoint, scope.Account)
	e, err := db.oneEndpoint(rows, err)
	return e, orNotFound(err, "webhook")
}

// PutEndpoint implements dispatch.Endpoints.
func (db *DB) PutEndpoint(ctx context.Context, scope openmail.Scope, e openmail.Endpoint) error {
	if !scope.Covers(e.Account, "", "") {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error {
		_, err := t.exec(`insert into endpoint (id, account_id, url, secret, next_secret, enabled, disabled_reason, created_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8)
			on conflict (account_id) do update set id = excluded.id, url = excluded.url, secret = excluded.secret, next_secret = excluded.next_secret,
			enabled = excluded.enabled, disabled_reason = excluded.disabled_reason, created_at = excluded.created_at`,
			e.ID, e.Account, e.URL, db.sealed(e.Secret, e.ID), db.sealed(e.NextSecret, e.ID), flag(e.Enabled), e.DisabledReason, micros(e.CreatedAt))
		return err
	})
}

// DeleteEndpoint implements dispatch.Endpoints.
func (db *DB) DeleteEndpoint(ctx context.Context, scope openmail.Scope) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("delete from endpoint where account_id = ").arg(scope.Account).within(scope, "account_id", "")
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
