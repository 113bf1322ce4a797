package access

import (
	"context"
	"time"

	"openmail"
	"openmail/internal/delivery"
)

// Account returns the account that the scope reaches as a whole.
func (a *Access) Account(ctx context.Context, scope openmail.Scope) (openmail.Account, error) {
	if err := scope.NeedAccount("see the account's settings"); err != nil {
		return openmail.Account{}, err
	}
	accounts, err := a.c.Accounts.Accounts(ctx, openmail.Scope{Account: scope.Account})
	if err != nil {
		return openmail.Account{}, err
	}
	if len(accounts) == 0 {
		return openmail.Account{}, openmail.Errorf(openmail.CodeNotFound, "There is no such account.")
	}
	return accounts[0], nil
}

// SetReceiptDeadline sets how long a pushed event of the account may stay
// without a receipt, from delivery.MinDeadline to delivery.MaxDeadline; 0 leaves
// it to the server. What has been pushed already keeps the deadline that it has.
func (a *Access) SetReceiptDeadline(ctx context.Context, scope openmail.Scope, d time.Duration) error {
	if err := scope.NeedAccount("change the account's settings"); err != nil {
		return err
	}
	if d != 0 && (d < delivery.MinDeadline || d > delivery.MaxDeadline) {
		return openmail.FieldErrorf(openmail.CodeBadRequest, "receiptDeadlineSeconds",
			"The receipt deadline is %.0f to %.0f seconds, or null for the server's own.",
			delivery.MinDeadline.Seconds(), delivery.MaxDeadline.Seconds())
	}
	return a.c.Accounts.SetReceiptDeadline(ctx, scope, d)
}
