package store

import (
	"context"
	"fmt"
	"strings"

	"openmail"
)

const suppressionColumns = "account_id, address, type, reason, created_at"

func scanSuppression(s scanner) (x openmail.Suppression, err error) {
	var created int64
	err = s.Scan(&x.Account, &x.Address, &x.Type, &x.Reason, &created)
	x.CreatedAt = moment(created)
	return x, err
}

// suppress adds an address; of one that is there already nothing changes.
func (t *tx) suppress(s openmail.Suppression) error {
	_, err := t.exec(`insert into suppression (account_id, address, type, reason, created_at) values ($1, $2, $3, $4, $5)
		on conflict (account_id, address) do nothing`, s.Account, strings.ToLower(s.Address), string(s.Type), s.Reason, micros(s.CreatedAt))
	return err
}

// SuppressedAmong implements outgoing.Store.
func (db *DB) SuppressedAmong(ctx context.Context, scope openmail.Scope, addrs []string) ([]openmail.Suppression, error) {
	var all []openmail.Suppression
	for _, addr := range addrs {
		rows, err := db.query(ctx, "select "+suppressionColumns+" from suppression where account_id = $1 and address = $2", scope.Account, addr)
		if err != nil {
			return nil, err
		}
		found, err := collect(rows, scanSuppression)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// Suppressions implements outgoing.Suppressions.
func (db *DB) Suppressions(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Suppression, int, error) {
	where := func(q *query) *query { return q.and(" from suppression where 1 = 1").within(scope, "account_id", "") }
	total, err := db.count(ctx, where(newQuery("select count(*)")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the suppressions: %w", err)
	}
	q := where(newQuery("select " + suppressionColumns)).and(" order by created_at desc, address").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the suppressions: %w", err)
	}
	all, err := collect(rows, scanSuppression)
	return all, total, err
}

// DeleteSuppression implements outgoing.Suppressions.
func (db *DB) DeleteSuppression(ctx context.Context, scope openmail.Scope, address string) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("delete from suppression where address = ").arg(strings.ToLower(address)).within(scope, "account_id", "")
		return t.must(notFound("suppression"), q.text(), q.args...)
	})
}
