package store

import (
	"context"
	"fmt"

	"openmail"
)

const selectSigningKeys = "select domain, selector, algorithm, private_key, created_at from dkim_key where domain = $1 order by selector"

func (db *DB) scanSigningKey(s scanner) (k openmail.SigningKey, err error) {
	var private []byte
	var created int64
	if err = s.Scan(&k.Domain, &k.Selector, &k.Algorithm, &private, &created); err != nil {
		return k, err
	}
	k.CreatedAt = moment(created)
	text, err := db.unsealed(private, k.String())
	k.Private = []byte(text)
	return k, err
}

// SigningKeys implements mailauth.Keys.
func (db *DB) SigningKeys(ctx context.Context, scope openmail.Scope, domain string) ([]openmail.SigningKey, error) {
	if !scope.IsOperator() {
		return nil, notFound("signing key")
	}
	rows, err := db.query(ctx, selectSigningKeys, domain)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	return collect(rows, db.scanSigningKey)
}

// PutSigningKeys implements mailauth.Keys. Of two nodes that put keys at the same
// time one waits for the other at the first key, and then reads what that wrote.
func (db *DB) PutSigningKeys(ctx context.Context, scope openmail.Scope, domain string, keys []openmail.SigningKey) (held []openmail.SigningKey, err error) {
	if !scope.IsOperator() {
		return nil, notFound("signing key")
	}
	err = db.w.write(ctx, func(t *tx) error {
		if held, err = db.signingKeysIn(t, domain); err != nil || len(held) > 0 {
			return err
		}
		for _, k := range keys {
			if err := db.addSigningKey(t, domain, k); err != nil {
				return err
			}
		}
		held, err = db.signingKeysIn(t, domain)
		return err
	})
	return held, err
}

func (db *DB) addSigningKey(t *tx, domain string, k openmail.SigningKey) error {
	k.Domain = domain
	_, err := t.exec(`insert into dkim_key (domain, selector, algorithm, private_key, created_at) values ($1, $2, $3, $4, $5)
		on conflict (domain, selector) do nothing`,
		k.Domain, k.Selector, k.Algorithm, db.sealed(string(k.Private), k.String()), micros(k.CreatedAt))
	return err
}

func (db *DB) signingKeysIn(t *tx, domain string) ([]openmail.SigningKey, error) {
	rows, err := t.query(selectSigningKeys, domain)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	return collect(rows, db.scanSigningKey)
}
