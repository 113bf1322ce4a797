package store

import (
	"context"
	"fmt"
	"time"

	"openmail"
	"openmail/internal/access"
)

const keyColumns = "id, account_id, pod_id, inbox_id, name, prefix, last4, created_at, last_used_at, revoked_at"

func scanKey(s scanner) (k openmail.Key, err error) {
	var created, used, revoked int64
	err = s.Scan(&k.ID, &k.Account, &k.Pod, &k.Inbox, &k.Name, &k.Prefix, &k.Last4, &created, &used, &revoked)
	k.CreatedAt, k.LastUsedAt, k.RevokedAt = moment(created), moment(used), moment(revoked)
	return k, err
}

// KeyByHash implements access.Keys.
func (db *DB) KeyByHash(ctx context.Context, hash [32]byte) (openmail.Key, error) {
	return only("key", scanKey)(db.query(ctx, "select "+keyColumns+" from api_key where hash = $1", hash[:]))
}

// CreateKey implements access.Keys.
func (db *DB) CreateKey(ctx context.Context, scope openmail.Scope, k openmail.Key, hash [32]byte, limit int) error {
	if !scope.Covers(k.Account, k.Pod, k.Inbox) {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error {
		if err := t.holdOwner(k); err != nil {
			return err
		}
		var n int
		err := t.row("select count(*) from api_key where account_id = $1 and pod_id = $2 and inbox_id = $3 and revoked_at = 0",
			[]any{k.Account, k.Pod, k.Inbox}, &n)
		if err != nil {
			return err
		}
		if n >= limit {
			return openmail.Errorf(openmail.CodeKeyLimit, "There are %d active keys, which is the limit: revoke one first.", n)
		}
		return t.insertKey(k, hash)
	}, k.Account)
}

// holdOwner keeps what a new key reaches from being deleted until it is written:
// that would have revoked the key.
func (t *tx) holdOwner(k openmail.Key) error {
	var id string
	switch {
	case k.Inbox != "":
		err := t.row("select id from inbox where id = $1 and account_id = $2 and pod_id = $3"+t.w.dialect.lockOf("inbox"), []any{k.Inbox, k.Account, k.Pod}, &id)
		return orNotFound(err, "inbox")
	case k.Pod != "":
		err := t.row("select id from pod where id = $1 and account_id = $2"+t.w.dialect.lockOf("pod"), []any{k.Pod, k.Account}, &id)
		return orNotFound(err, "pod")
	}
	return nil
}

func (t *tx) insertKey(k openmail.Key, hash [32]byte) error {
	_, err := t.exec(`insert into api_key (id, account_id, pod_id, inbox_id, name, hash, prefix, last4, created_at, last_used_at, revoked_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0)`,
		k.ID, k.Account, k.Pod, k.Inbox, k.Name, hash[:], k.Prefix, k.Last4, micros(k.CreatedAt))
	return err
}

// ListKeys implements access.Keys.
func (db *DB) ListKeys(ctx context.Context, scope openmail.Scope, of access.Owner) ([]openmail.Key, error) {
	q := newQuery("select "+keyColumns+" from api_key where revoked_at = 0 and pod_id = ").arg(of.Pod).and(" and inbox_id = ").arg(of.Inbox).
		inPod(scope, "account_id", "pod_id", "inbox_id").and(" order by id desc")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list the keys: %w", err)
	}
	return collect(rows, scanKey)
}

// RevokeKey implements access.Keys.
func (db *DB) RevokeKey(ctx context.Context, scope openmail.Scope, of access.Owner, id string, at time.Time) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("update api_key set revoked_at = ").arg(micros(at)).and(" where revoked_at = 0 and id = ").arg(id).
			and(" and pod_id = ").arg(of.Pod).and(" and inbox_id = ").arg(of.Inbox).inPod(scope, "account_id", "pod_id", "inbox_id")
		return t.must(notFound("key"), q.text(), q.args...)
	})
}

// RevokedSince implements access.Uses.
func (db *DB) RevokedSince(ctx context.Context, scope openmail.Scope, since time.Time) ([]string, error) {
	// The bound keeps to the index even when since is the zero time.
	q := newQuery("select id from api_key where revoked_at > 0 and revoked_at >= ").arg(micros(since)).inPod(scope, "account_id", "pod_id", "inbox_id")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list the revoked keys: %w", err)
	}
	return collect(rows, func(s scanner) (id string, err error) { return id, s.Scan(&id) })
}

// TouchKeys implements access.Uses.
func (db *DB) TouchKeys(ctx context.Context, scope openmail.Scope, used map[string]time.Time) error {
	return db.w.write(ctx, func(t *tx) error {
		for id, at := range used {
			q := newQuery("update api_key set last_used_at = ").arg(micros(at)).and(" where id = ").arg(id).inPod(scope, "account_id", "pod_id", "inbox_id")
			if _, err := t.exec(q.text(), q.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// CreateAccount implements access.Accounts.
func (db *DB) CreateAccount(ctx context.Context, scope openmail.Scope, a openmail.Account, k openmail.Key, hash [32]byte) error {
	if !scope.IsOperator() {
		return openmail.Errorf(openmail.CodeForbidden, "Only the operator makes accounts.")
	}
	return db.w.write(ctx, func(t *tx) error {
		_, err := t.exec(`insert into account (id, name, seq, receipt_deadline, created_at) values ($1, $2, 0, $3, $4)`,
			a.ID, a.Name, a.ReceiptDeadline.Microseconds(), micros(a.CreatedAt))
		if err != nil {
			return err
		}
		if err := t.insertDefaultPod(a); err != nil {
			return err
		}
		return t.insertKey(k, hash)
	})
}

// SetReceiptDeadline implements access.Accounts.
func (db *DB) SetReceiptDeadline(ctx context.Context, scope openmail.Scope, d time.Duration) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("update account set receipt_deadline = ").arg(d.Microseconds()).and(" where id = ").arg(scope.Account).within(scope, "id", "")
		return t.must(notFound("account"), q.text(), q.args...)
	})
}

// Accounts implements access.Accounts.
func (db *DB) Accounts(ctx context.Context, scope openmail.Scope) ([]openmail.Account, error) {
	q := newQuery("select id, name, receipt_deadline, created_at from account where 1 = 1").within(scope, "id", "").and(" order by id")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list the accounts: %w", err)
	}
	return collect(rows, func(s scanner) (a openmail.Account, err error) {
		var deadline, created int64
		err = s.Scan(&a.ID, &a.Name, &deadline, &created)
		a.ReceiptDeadline, a.CreatedAt = time.Duration(deadline)*time.Microsecond, moment(created)
		return a, err
	})
}
