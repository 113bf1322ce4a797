// Package access is the room that knows who asks, and how far the key reaches.
//
// A key is a random text that its holder sends with every request. Only its
// SHA-256 is kept: as the text has 256 bits of entropy, the hash needs neither
// salt nor stretching, and finding it by equality of hashes tells nothing to
// somebody who measures time. Nothing is cached, so a revoked key ends with
// its next request.
package access

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"openmail"
	"openmail/internal/id"
)

// MaxKeys is how many active keys an inbox may have, a pod of those that reach
// all of it, and an account of those that reach all of it.
const MaxKeys = 20

// Bounds of what is remembered and kept.
const (
	maxName     = 255    // characters of a key's name
	maxToken    = 512    // bytes of what is looked up at all
	maxFamiliar = 10_000 // keys remembered by Familiar
)

// Inboxes is asked what a new key is to reach. Where the scope does not reach it
// the error may be openmail.CodeForbidden and name the boundary.
type Inboxes interface {
	// Inbox returns one; openmail.CodeNotFound.
	Inbox(ctx context.Context, scope openmail.Scope, id string) (openmail.Inbox, error)
	// Pod returns the pod with that id or clientId; openmail.CodeNotFound.
	Pod(ctx context.Context, scope openmail.Scope, name string) (openmail.Pod, error)
}

// Config is what an Access works with. Every field but OnRevoke and Logger is
// needed.
type Config struct {
	Keys     Keys
	Uses     Uses
	Accounts Accounts
	Inboxes  Inboxes
	// OnRevoke is called with the id of each key that was revoked here, after
	// it was. It closes what the key holds open, and does not block.
	OnRevoke func(key string)
	Logger   *slog.Logger // nil: nothing is logged
}

// Access answers who a token belongs to, and manages keys.
type Access struct {
	c Config

	mu       sync.Mutex
	used     map[string]time.Time  // key id to last use, not yet written
	familiar map[[32]byte]struct{} // hashes of tokens that were good lately
}

// New returns an Access. Its Run writes when keys were used.
func New(c Config) *Access {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Access{c: c, used: map[string]time.Time{}, familiar: map[[32]byte]struct{}{}}
}

// Authenticate returns the key that token is the text of. The error is
// openmail.CodeUnauthorized when it is unknown or revoked.
func (a *Access) Authenticate(ctx context.Context, token string) (openmail.Key, error) {
	if token == "" || len(token) > maxToken {
		return openmail.Key{}, unauthorized()
	}
	hash := sha256.Sum256([]byte(token))
	key, err := a.c.Keys.KeyByHash(ctx, hash)
	switch {
	case openmail.CodeOf(err) == openmail.CodeNotFound, err == nil && !key.RevokedAt.IsZero():
		a.forget(hash)
		return openmail.Key{}, unauthorized()
	case err != nil:
		return openmail.Key{}, err
	}
	a.note(hash, key.ID)
	return key, nil
}

// Familiar reports whether token was good the last time it was looked up,
// without asking the store.
func (a *Access) Familiar(token string) bool {
	hash := sha256.Sum256([]byte(token))
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.familiar[hash]
	return ok
}

func unauthorized() error {
	return openmail.Errorf(openmail.CodeUnauthorized, "Missing or invalid Authorization header")
}

func (a *Access) note(hash [32]byte, key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used[key] = time.Now()
	if _, ok := a.familiar[hash]; !ok && len(a.familiar) >= maxFamiliar {
		for any := range a.familiar { // whichever comes first: it is only a hint
			delete(a.familiar, any)
			break
		}
	}
	a.familiar[hash] = struct{}{}
}

func (a *Access) forget(hash [32]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.familiar, hash)
}

// CreateKey makes a key for an inbox, for a pod, which its clientId may name, or
// for the whole account. The token is shown this once and kept nowhere. The
// error is openmail.CodeKeyLimit when there are MaxKeys already.
func (a *Access) CreateKey(ctx context.Context, scope openmail.Scope, of Owner, name string) (openmail.Key, string, error) {
	of, err := a.owner(ctx, scope, of)
	if err != nil {
		return openmail.Key{}, "", err
	}
	if err := checkName(name); err != nil {
		return openmail.Key{}, "", err
	}
	token := NewToken()
	key, hash := describe(token)
	key.Account, key.Pod, key.Inbox, key.Name = scope.Account, of.Pod, of.Inbox, name
	if err := a.c.Keys.CreateKey(ctx, scope, key, hash, MaxKeys); err != nil {
		return openmail.Key{}, "", err
	}
	return key, token, nil
}

// Keys lists the keys of an owner that are not revoked, newest first.
func (a *Access) Keys(ctx context.Context, scope openmail.Scope, of Owner) ([]openmail.Key, error) {
	of, err := a.owner(ctx, scope, of)
	if err != nil {
		return nil, err
	}
	return a.c.Keys.ListKeys(ctx, scope, of)
}

// Revoke ends a key of that list for good.
func (a *Access) Revoke(ctx context.Context, scope openmail.Scope, of Owner, key string) error {
	of, err := a.owner(ctx, scope, of)
	if err != nil {
		return err
	}
	if err := a.c.Keys.RevokeKey(ctx, scope, of, key, time.Now()); err != nil {
		return err
	}
	if a.c.OnRevoke != nil {
		a.c.OnRevoke(key)
	}
	return nil
}

// owner is the owner as it is stored, if the scope may manage its keys: a key of
// a pod may manage those of the inboxes in it.
func (a *Access) owner(ctx context.Context, scope openmail.Scope, of Owner) (Owner, error) {
	need := scope.NeedAccount
	if of.Inbox != "" {
		need = scope.NeedPod
	}
	if err := need("manage these keys"); err != nil {
		return Owner{}, err
	}
	switch {
	case of.Inbox != "":
		in, err := a.c.Inboxes.Inbox(ctx, scope, of.Inbox)
		return Owner{in.Pod, in.ID}, err
	case of.Pod != "":
		p, err := a.c.Inboxes.Pod(ctx, scope, of.Pod)
		return Owner{Pod: p.ID}, err
	}
	return Owner{}, nil
}

func checkName(name string) error {
	if utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) {
		return openmail.FieldErrorf(openmail.CodeBadRequest, "name", "A key's name has at most %d characters.", maxName)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return openmail.FieldErrorf(openmail.CodeBadRequest, "name", "A key's name has no control characters.")
		}
	}
	return nil
}

// describe is the stored form of a token that was just made, without its owner.
func describe(token string) (openmail.Key, [32]byte) {
	now := time.Now()
	prefix, last4 := hint(token)
	return openmail.Key{
		ID: id.At(openmail.PrefixKey, now), Prefix: prefix, Last4: last4, CreatedAt: now,
	}, sha256.Sum256([]byte(token))
}
