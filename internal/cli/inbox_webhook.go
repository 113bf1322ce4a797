package cli

import (
	"context"

	"github.com/spf13/cobra"

	"openmail/api"
)

func (c *cli) inboxWebhookCommands() *cobra.Command {
	return c.group(
		"webhook", "Say where the events of one inbox are posted",
		c.inboxWebhookSet(),
		c.aboutInbox("clear", "Post its events to the account's webhook again", func(ctx context.Context, s *session, id string) error {
			if _, err := s.client.UpdateInbox(ctx, id, api.InboxUpdate{WebhookURL: api.Optional[string]{Set: true}}); err != nil {
				return err
			}
			return s.out.done("the webhook of %s is removed", id)
		}),
		c.aboutInbox("test", "Post a test event, and tell how it was answered", func(ctx context.Context, s *session, id string) error {
			r, err := s.client.TestInboxWebhook(ctx, id)
			if err != nil {
				return err
			}
			return show(s.out, r, s.out.webhookTest)
		}),
		c.aboutInbox("rotate-secret", "Make a new secret; the old one is invalid at once", func(ctx context.Context, s *session, id string) error {
			secret, err := s.client.RotateInboxWebhookSecret(ctx, id)
			if err != nil {
				return err
			}
			return show(s.out, secret, func(w api.WebhookSecret) error { return s.out.pairs("secret", w.WebhookSecret) })
		}),
	)
}

func (c *cli) inboxWebhookSet() *cobra.Command {
	var url string
	cmd := c.aboutInbox("set", "Set where its events are posted", func(ctx context.Context, s *session, id string) error {
		if url == "" {
			return usage("where to? give --webhook-url")
		}
		inbox, err := s.client.UpdateInbox(ctx, id, api.InboxUpdate{WebhookURL: api.Optional[string]{Set: true, Value: &url}})
		if err != nil {
			return err
		}
		return show(s.out, inbox, s.out.inbox)
	})
	cmd.Flags().StringVar(&url, "webhook-url", "", "the URL")
	return cmd
}
