package access

import (
	"context"
	"fmt"
	"strings"

	"openmail"
	"openmail/internal/id"
)

// First makes the first account with a key that reaches all of it, when there
// is no account yet. token is that key: rootKey, or when that is empty a new
// one. created is false, and token empty, when there is an account already.
func (a *Access) First(ctx context.Context, rootKey string) (token string, created bool, err error) {
	scope := openmail.Operator()
	accounts, err := a.c.Accounts.Accounts(ctx, scope)
	if err != nil {
		return "", false, fmt.Errorf("look for accounts: %w", err)
	}
	if len(accounts) > 0 {
		return "", false, nil
	}
	if token, err = firstToken(rootKey); err != nil {
		return "", false, err
	}
	key, hash := describe(token)
	account := openmail.Account{ID: id.New(openmail.PrefixAccount), Name: "default", CreatedAt: key.CreatedAt}
	key.Account, key.Name = account.ID, "root"
	if err := a.c.Accounts.CreateAccount(ctx, scope, account, key, hash); err != nil {
		return "", false, fmt.Errorf("create the first account: %w", err)
	}
	return token, true, nil
}

// firstToken is the key that the operator chose, or a new one.
func firstToken(rootKey string) (string, error) {
	if rootKey == "" {
		return NewToken(), nil
	}
	return rootKey, CheckRootKey(rootKey)
}

// CheckRootKey reports whether First would take a key that the operator chose;
// openmail.CodeBadRequest. How hard it is to guess is their affair; app warns
// of one that is shorter than those made here.
func CheckRootKey(rootKey string) error {
	const shortest = len(TokenPrefix) + 4
	printable := !strings.ContainsFunc(rootKey, func(r rune) bool { return r <= ' ' || r > '~' })
	if !strings.HasPrefix(rootKey, TokenPrefix) || len(rootKey) < shortest || len(rootKey) > maxToken || !printable {
		return openmail.Errorf(openmail.CodeBadRequest,
			"The root key must begin with %s and have %d to %d printable ASCII characters in all.", TokenPrefix, shortest, maxToken)
	}
	return nil
}
