package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"openmail/api"
)

// spawned is an inbox with a key that reaches nothing else.
type spawned struct {
	Inbox  api.Inbox  `json:"inbox"`
	APIKey api.APIKey `json:"apiKey"`
}

func (c *cli) inboxSpawn() *cobra.Command {
	var in func() api.InboxCreate
	var keyName string
	cmd := c.command("spawn", "Make an inbox and a key that reaches only it", func(ctx context.Context, s *session, _ []string) error {
		made, err := s.spawn(ctx, in(), keyName)
		if err != nil {
			return err
		}
		return show(s.out, made, func(made spawned) error {
			fmt.Fprintln(s.Stderr, "keep the key: it is not shown again")
			if err := s.out.inbox(made.Inbox); err != nil {
				return err
			}
			return s.out.pairs("key id", made.APIKey.ID, "key", made.APIKey.Token)
		})
	})
	in = newInboxFlags(cmd)
	cmd.Flags().StringVar(&keyName, "key-name", "", "what the key is for")
	return cmd
}

// spawn makes both or neither.
func (s *session) spawn(ctx context.Context, in api.InboxCreate, keyName string) (spawned, error) {
	inbox, err := s.client.CreateInbox(ctx, in)
	if err != nil {
		return spawned{}, err
	}
	key, err := s.client.CreateInboxKey(ctx, inbox.ID, api.APIKeyCreate{Name: orNil(keyName)})
	if err == nil {
		return spawned{inbox, key}, nil
	}
	// Also when it was interrupted: an inbox that nobody has a key to is in the way.
	if undo := s.client.DeleteInbox(context.WithoutCancel(ctx), inbox.ID); undo != nil {
		return spawned{}, fmt.Errorf("no key was made (%v), and the inbox %s stays: %v", s.explain(err), inbox.ID, s.explain(undo))
	}
	return spawned{}, err
}
