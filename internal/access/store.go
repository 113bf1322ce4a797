package access

import (
	"context"
	"time"

	"openmail"
)

// Keys is where keys are kept: the SHA-256 of each, never the key.
type Keys interface {
	// KeyByHash returns the key with that hash, revoked or not;
	// openmail.CodeNotFound. It is the one read that takes no Scope: it is
	// what scopes are made from.
	KeyByHash(ctx context.Context, hash [32]byte) (openmail.Key, error)
	// CreateKey writes a key, unless as many of that owner are there already:
	// openmail.CodeKeyLimit. openmail.CodeNotFound when what it reaches is
	// gone.
	CreateKey(ctx context.Context, scope openmail.Scope, k openmail.Key, hash [32]byte, limit int) error
	// ListKeys returns the keys of an owner that are not revoked, newest
	// first.
	ListKeys(ctx context.Context, scope openmail.Scope, of Owner) ([]openmail.Key, error)
	// RevokeKey revokes one; openmail.CodeNotFound unless it is in the list
	// of that owner.
	RevokeKey(ctx context.Context, scope openmail.Scope, of Owner, id string, at time.Time) error
}

// Owner is what keys reach: an inbox with the pod that it is in, a pod, or with
// neither the whole account.
type Owner struct{ Pod, Inbox string }

// Uses is what the store knows of the use and the end of keys.
type Uses interface {
	// RevokedSince returns the ids of the keys that were revoked at or after
	// that moment.
	RevokedSince(ctx context.Context, scope openmail.Scope, t time.Time) ([]string, error)
	// TouchKeys notes when keys were last used.
	TouchKeys(ctx context.Context, scope openmail.Scope, used map[string]time.Time) error
}

// Accounts is where accounts are kept.
type Accounts interface {
	// CreateAccount writes an account with its first key.
	CreateAccount(ctx context.Context, scope openmail.Scope, a openmail.Account, k openmail.Key, hash [32]byte) error
	// Accounts returns all that the scope covers, oldest first.
	Accounts(ctx context.Context, scope openmail.Scope) ([]openmail.Account, error)
	// SetReceiptDeadline sets that of the scope's account; openmail.CodeNotFound.
	SetReceiptDeadline(ctx context.Context, scope openmail.Scope, d time.Duration) error
}
