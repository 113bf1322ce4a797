package outgoing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"openmail"
)

// Cold is how many people may be written to in a day, in UTC, who have never
// exchanged mail with the inbox that writes; 0: any number.
type Cold struct {
	Inbox      int // from one inbox, while it is new
	NewAccount int // from all inboxes of an account, while it is new
	Account    int // and later
}

// coldNew is how long an inbox or an account is new.
const coldNew = 30 * 24 * time.Hour

// Contacts is what is known of whom an inbox has exchanged mail with.
type Contacts interface {
	// Acquaint notes with whom an inbox has exchanged mail, as far as it has
	// not been noted before. What comes in at the same moment may be noted
	// later.
	Acquaint(ctx context.Context, scope openmail.Scope, inbox openmail.Inbox) error
	// Accounts returns all that the scope covers.
	Accounts(ctx context.Context, scope openmail.Scope) ([]openmail.Account, error)
}

// meet has the mail count who is new to its inbox. Who is copied because they
// wrote the mail that is answered is not.
func (o *Outgoing) meet(ctx context.Context, scope openmail.Scope, d addressed, a *Acceptance) error {
	if o.c.Cold == (Cold{}) {
		return nil
	}
	account, err := o.c.Contacts.Accounts(ctx, openmail.Scope{Account: d.inbox.Account})
	if err == nil && len(account) == 0 {
		err = errors.New("it is gone")
	}
	if err != nil {
		return fmt.Errorf("read the account: %w", err)
	}
	if a.Cold = o.c.Cold.quotas(d.inbox, account[0], d.now); len(a.Cold) == 0 {
		return nil
	}
	for _, asked := range append([]openmail.Address{d.to}, d.letter.cc...) {
		if addr := strings.ToLower(asked.Addr); !slices.Contains(a.Contacts, addr) && !same(addr, d.inbox.Address) {
			a.Contacts = append(a.Contacts, addr)
		}
	}
	if err := o.c.Contacts.Acquaint(ctx, scope, d.inbox); err != nil {
		return fmt.Errorf("look for contacts: %w", err)
	}
	return nil
}

func (c Cold) quotas(inbox openmail.Inbox, account openmail.Account, now time.Time) (all []openmail.Quota) {
	add := func(name, of, scope string, most int, text string) {
		if most == 0 {
			return
		}
		q := openmail.PerDay(name, of, most, now, fmt.Sprintf(text, most))
		q.Code, q.Scope = openmail.CodeColdOutreach, scope
		all = append(all, q)
	}
	if now.Sub(inbox.CreatedAt) < coldNew {
		add("cold.inbox", inbox.ID, "inbox", c.Inbox, "Max %d new recipients per day for an inbox in its first 30 days")
	}
	most := c.Account
	if now.Sub(account.CreatedAt) < coldNew {
		most = c.NewAccount
	}
	add("cold.account", account.ID, "customer", most, "Max %d new recipients per day per account")
	return all
}
