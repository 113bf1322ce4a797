package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"openmail/api"
)

func (c *cli) accountCommands() *cobra.Command {
	return c.group("account", "Look at the account's settings and change them", c.accountGet(), c.accountUpdate())
}

func (c *cli) accountGet() *cobra.Command {
	return c.command("get", "Show the account", func(ctx context.Context, s *session, _ []string) error {
		a, err := s.client.Account(ctx)
		if err != nil {
			return err
		}
		return show(s.out, a, s.out.account)
	})
}

func (p printer) account(a api.Account) error {
	deadline := "the server's"
	if a.ReceiptDeadlineSeconds != nil {
		deadline = strconv.Itoa(*a.ReceiptDeadlineSeconds) + " s"
	}
	return p.pairs("id", a.ID, "name", a.Name, "receipt deadline", deadline, "created", when(a.CreatedAt))
}

func (c *cli) accountUpdate() *cobra.Command {
	var deadline string
	cmd := c.command("update", "Change the account", func(ctx context.Context, s *session, _ []string) error {
		in, err := accountChange(deadline)
		if err != nil {
			return err
		}
		a, err := s.client.UpdateAccount(ctx, in)
		if err != nil {
			return err
		}
		return show(s.out, a, s.out.account)
	})
	cmd.Flags().StringVar(&deadline, "receipt-deadline", "", "seconds that a pushed event may stay without a receipt, 3 to 120, or default for the server's own")
	return cmd
}

// accountChange is what the flag asks for.
func accountChange(deadline string) (in api.AccountUpdate, err error) {
	switch deadline {
	case "":
		return in, usage("nothing to change: give --receipt-deadline")
	case "default":
		in.ReceiptDeadlineSeconds.Set = true
		return in, nil
	}
	seconds, err := strconv.Atoi(deadline)
	if err != nil {
		return in, usage("--receipt-deadline is a number of seconds, or default")
	}
	in.ReceiptDeadlineSeconds = api.Optional[int]{Set: true, Value: &seconds}
	return in, nil
}
