package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
)

func (c *cli) quarantineCommands() *cobra.Command {
	return c.group(
		"quarantine", "Look at the mail that a rule turned away",
		c.quarantineList(),
		c.about("get", "id", "Show a mail in quarantine", func(ctx context.Context, s *session, id string) error {
			q, err := s.client.Quarantined(ctx, id)
			if err != nil {
				return err
			}
			return show(s.out, q, s.out.quarantined)
		}),
		c.about("release", "id", "Make it a message, with its event", func(ctx context.Context, s *session, id string) error {
			r, err := s.client.Release(ctx, id)
			if err != nil {
				return err
			}
			return show(s.out, r, func(r api.Released) error {
				return s.out.pairs("message", r.MessageID, "thread", r.ThreadID, "event", r.EventID)
			})
		}),
		c.about("delete", "id", "Remove it for good", func(ctx context.Context, s *session, id string) error {
			if err := s.client.DeleteQuarantined(ctx, id); err != nil {
				return err
			}
			return s.out.done("%s is deleted", id)
		}),
	)
}

func (c *cli) quarantineList() *cobra.Command {
	var page openmail.Page
	cmd := c.command("list", "List the mail in quarantine, newest first", func(ctx context.Context, s *session, _ []string) error {
		list, err := s.client.QuarantinePage(ctx, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Quarantined]) error {
			t := table{head: []string{"ID", "DATE", "FROM", "REASON", "SUBJECT"}}
			for _, q := range list.Data {
				t.rows = append(t.rows, []string{q.ID, when(q.CreatedAt), q.FromAddr, q.Reason, q.Subject})
			}
			if err := s.out.table(t); err != nil {
				return err
			}
			return s.out.more(len(list.Data), page.Offset, list.Total)
		})
	})
	pageFlags(cmd, &page)
	return cmd
}

func (p printer) quarantined(q api.Quarantined) error {
	return p.pairs(
		"id", q.ID, "inbox", q.InboxID, "from", q.FromAddr, "subject", q.Subject, "reason", q.Reason,
		"rule", orDash(q.RuleID), "size", size(q.SizeBytes), "date", when(q.CreatedAt), "kept until", when(q.ExpiresAt),
	)
}

func (c *cli) webhookCommands() *cobra.Command {
	return c.group(
		"webhook", "Say where events are posted when no socket listens",
		c.webhookGet(), c.webhookSet(), c.webhookClear(), c.webhookTest(),
		c.webhookSecret("rotate-secret", "Make a new secret; the old one is invalid at once", func(ctx context.Context, s *session) (api.WebhookSecret, error) {
			return s.client.RotateWebhookSecret(ctx)
		}),
		c.webhookSecret("next-secret", "Make a secret that signs beside the old one", func(ctx context.Context, s *session) (api.WebhookSecret, error) {
			return s.client.NextWebhookSecret(ctx)
		}),
		c.command("activate-secret", "Let the next secret take the place of the old one", func(ctx context.Context, s *session, _ []string) error {
			if err := s.client.ActivateWebhookSecret(ctx); err != nil {
				return err
			}
			return s.out.done("the next secret is the secret now")
		}),
	)
}

func (p printer) webhook(w api.Webhook) error {
	list := []string{"url", w.URL, "enabled", yesNo(w.Enabled), "created", when(w.CreatedAt)}
	if w.DisabledReason != nil {
		list = append(list, "disabled", *w.DisabledReason)
	}
	if w.WebhookSecret != "" {
		list = append(list, "secret", w.WebhookSecret)
	}
	return p.pairs(list...)
}

func (c *cli) webhookGet() *cobra.Command {
	return c.command("get", "Show the webhook", func(ctx context.Context, s *session, _ []string) error {
		w, err := s.client.Webhook(ctx)
		if openmail.CodeOf(err) == openmail.CodeNotFound {
			return fmt.Errorf("there is no webhook: set one with `openmail webhook set <url>`")
		}
		if err != nil {
			return err
		}
		return show(s.out, w, s.out.webhook)
	})
}

func (c *cli) webhookSet() *cobra.Command {
	return c.about("set", "url", "Set where events are posted", func(ctx context.Context, s *session, url string) error {
		w, err := s.client.PutWebhook(ctx, api.WebhookPut{URL: url})
		if err != nil {
			return err
		}
		return show(s.out, w, s.out.webhook)
	})
}

func (c *cli) webhookClear() *cobra.Command {
	return c.command("clear", "Post no events any more", func(ctx context.Context, s *session, _ []string) error {
		if err := s.client.DeleteWebhook(ctx); err != nil {
			return err
		}
		return s.out.done("the webhook is removed")
	})
}

func (c *cli) webhookTest() *cobra.Command {
	return c.command("test", "Post a test event, and tell how it was answered", func(ctx context.Context, s *session, _ []string) error {
		r, err := s.client.TestWebhook(ctx)
		if err != nil {
			return err
		}
		return show(s.out, r, s.out.webhookTest)
	})
}

func (p printer) webhookTest(r api.WebhookTest) error {
	return p.pairs("ok", yesNo(r.OK), "status", strconv.Itoa(r.Status), "took", strconv.FormatInt(r.TookMS, 10)+" ms", "answer", cut(r.Response, 200))
}

func (c *cli) webhookSecret(use, short string, make func(context.Context, *session) (api.WebhookSecret, error)) *cobra.Command {
	return c.command(use, short, func(ctx context.Context, s *session, _ []string) error {
		secret, err := make(ctx, s)
		if err != nil {
			return err
		}
		return show(s.out, secret, func(w api.WebhookSecret) error { return s.out.pairs("secret", w.WebhookSecret) })
	})
}
