package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"openmail"
)

// keepTallies is how long counts are kept: longer than any quota lasts.
const keepTallies = 48 * time.Hour

// QuotasLeft implements outgoing.Quotas and mailbox.Quotas.
func (db *DB) QuotasLeft(ctx context.Context, _ openmail.Scope, quotas []openmail.Quota) error {
	for _, q := range quotas {
		var n int
		err := db.row(ctx, "select n from tally where name = $1 and subject = $2 and start_at = $3", []any{q.Name, q.Of, micros(q.From)}, &n)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read a quota: %w", err)
		}
		if n >= q.Most {
			return q.Spent()
		}
	}
	return nil
}

// TakeQuotas implements mailbox.Quotas.
func (db *DB) TakeQuotas(ctx context.Context, _ openmail.Scope, quotas []openmail.Quota) error {
	return db.w.write(ctx, func(t *tx) error { return t.takeQuotas(quotas) })
}

func (t *tx) takeQuotas(quotas []openmail.Quota) error {
	for _, q := range quotas {
		takes := max(q.Takes, 1)
		if takes > q.Most {
			return q.Spent()
		}
		// Nothing is added where the quota is spent, and then no row has changed.
		err := t.must(q.Spent(), `insert into tally (name, subject, start_at, n) values ($1, $2, $3, $5)
			on conflict (name, subject, start_at) do update set n = tally.n + $5 where tally.n + $5 <= $4`, q.Name, q.Of, micros(q.From), q.Most, takes)
		if err != nil {
			return err
		}
	}
	return nil
}

// GiveBackQuotas implements mailbox.Quotas.
func (db *DB) GiveBackQuotas(ctx context.Context, _ openmail.Scope, quotas []openmail.Quota) error {
	return db.w.write(ctx, func(t *tx) error {
		for _, q := range quotas {
			if _, err := t.exec("update tally set n = n - 1 where name = $1 and subject = $2 and start_at = $3 and n > 0", q.Name, q.Of, micros(q.From)); err != nil {
				return err
			}
		}
		return nil
	})
}

func sweepTallies(t *tx, before int64) (int64, error) {
	return t.exec("delete from tally where (name, subject, start_at) in (select name, subject, start_at from tally where start_at < $1 limit $2)", before, sweepBatch)
}
