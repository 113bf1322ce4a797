package mailbox_test

import (
	"context"
	"testing"

	"openmail"
	"openmail/internal/mailbox"
)

type stored = mailbox.Inboxes

// counted is a store of inboxes that refuses the address taken@x, and a quota.
type counted struct {
	stored
	made, taken int
}

func (c *counted) CreateInbox(_ context.Context, _ openmail.Scope, in openmail.Inbox) error {
	if in.Address == "taken@x" {
		return openmail.Errorf(openmail.CodeAddressTaken, "taken")
	}
	c.made++
	return nil
}

func (c *counted) TakeQuotas(_ context.Context, _ openmail.Scope, quotas []openmail.Quota) error {
	if c.taken >= quotas[0].Most {
		return quotas[0].Spent()
	}
	c.taken++
	return nil
}

func (c *counted) GiveBackQuotas(context.Context, openmail.Scope, []openmail.Quota) error {
	c.taken--
	return nil
}

func TestOnlyInboxesThatWereMadeCount(t *testing.T) {
	c := &counted{}
	in := mailbox.Limited(c, c, 2)
	for _, want := range []struct {
		address string
		code    openmail.Code
	}{
		{"taken@x", openmail.CodeAddressTaken}, {"a@x", ""}, {"taken@x", openmail.CodeAddressTaken}, {"b@x", ""}, {"c@x", openmail.CodeRateLimit},
	} {
		err := in.CreateInbox(t.Context(), openmail.Operator(), openmail.Inbox{Address: want.address, Account: "acc_1"})
		if openmail.CodeOf(err) != want.code {
			t.Errorf("%s: %v", want.address, err)
		}
	}
	if c.made != 2 || c.taken != 2 {
		t.Errorf("%d made, %d taken", c.made, c.taken)
	}
}
