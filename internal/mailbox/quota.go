package mailbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"openmail"
)

// Quotas is where it is counted how often something was done.
type Quotas interface {
	// TakeQuotas counts one of each, or none and the error of the one that
	// is spent. It is on disk when it returns.
	TakeQuotas(ctx context.Context, scope openmail.Scope, quotas []openmail.Quota) error
	// GiveBackQuotas takes back what TakeQuotas counted.
	GiveBackQuotas(ctx context.Context, scope openmail.Scope, quotas []openmail.Quota) error
}

// inboxes is Inboxes under a name that none of its methods has.
type inboxes = Inboxes

// limited is Inboxes of which an account makes so many in a day.
type limited struct {
	inboxes
	quotas Quotas
	perDay int
}

// Limited is in, of which an account makes at most so many in a day (UTC):
// openmail.CodeRateLimit.
func Limited(in Inboxes, q Quotas, perDay int) Inboxes { return limited{in, q, perDay} }

// CreateInbox implements Inboxes. What was not made does not count.
func (l limited) CreateInbox(ctx context.Context, scope openmail.Scope, in openmail.Inbox) error {
	q := []openmail.Quota{openmail.PerDay("inbox.day", in.Account, l.perDay, time.Now(), fmt.Sprintf("Max %d inboxes created per day per account", l.perDay))}
	if err := l.quotas.TakeQuotas(ctx, scope, q); err != nil {
		return err
	}
	err := l.inboxes.CreateInbox(ctx, scope, in)
	if err != nil {
		err = errors.Join(err, l.quotas.GiveBackQuotas(context.WithoutCancel(ctx), scope, q))
	}
	return err
}
