package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
)

// pageFlags adds --limit and --offset.
func pageFlags(cmd *cobra.Command, p *openmail.Page) {
	cmd.Flags().IntVar(&p.Limit, "limit", 50, "how many to list, at most 100")
	cmd.Flags().IntVar(&p.Offset, "offset", 0, "how many to skip")
}

// inboxFlag adds --inbox-id, which names the inbox by its id or its address.
func inboxFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "inbox-id", "", "the inbox, by id or address (OPENMAIL_INBOX_ID, OPENMAIL_ADDRESS)")
}

// inbox is the id of the inbox that a command is about: the one that was named,
// the default, or the only one that there is.
func (s *session) inbox(ctx context.Context, named string) (string, error) {
	switch {
	case named != "":
		return s.inboxNamed(ctx, named)
	case s.env("OPENMAIL_INBOX_ID") != "":
		return s.env("OPENMAIL_INBOX_ID"), nil
	case s.env("OPENMAIL_ADDRESS") != "":
		return s.inboxNamed(ctx, s.env("OPENMAIL_ADDRESS"))
	case s.state.DefaultInboxID != "":
		return s.state.DefaultInboxID, nil
	}
	list, err := s.client.InboxPage(ctx, openmail.Page{Limit: 2})
	switch {
	case err != nil:
		return "", err
	case len(list.Data) == 0:
		return "", fmt.Errorf("there is no inbox yet: make one with `openmail inbox create`")
	case len(list.Data) > 1:
		return "", usage("which of %d inboxes? give --inbox-id, or set OPENMAIL_INBOX_ID", list.Total)
	}
	return list.Data[0].ID, nil
}

// inboxNamed finds an inbox by its address; an id is taken as it is.
func (s *session) inboxNamed(ctx context.Context, name string) (string, error) {
	if !strings.Contains(name, "@") {
		return name, nil
	}
	for inbox, err := range s.client.Inboxes(ctx) {
		if err != nil {
			return "", err
		}
		if strings.EqualFold(inbox.Address, name) {
			return inbox.ID, nil
		}
	}
	return "", fmt.Errorf("no inbox has the address %s: see `openmail inbox list`", name)
}

func (c *cli) inboxCommands() *cobra.Command {
	return c.group(
		"inbox", "Make, list and remove inboxes",
		c.inboxList(), c.inboxCreate(), c.inboxSpawn(), c.inboxGet(), c.inboxUpdate(), c.inboxDelete(), c.inboxWebhookCommands(), c.keyCommands(inboxKeys),
	)
}

func (c *cli) inboxList() *cobra.Command {
	var page openmail.Page
	var pod string
	cmd := c.command("list", "List inboxes, newest first", func(ctx context.Context, s *session, _ []string) error {
		list, err := s.inboxPage(ctx, pod, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Inbox]) error {
			t := table{head: []string{"ID", "ADDRESS", "NAME", "CREATED"}}
			for _, i := range list.Data {
				t.rows = append(t.rows, []string{i.ID, i.Address, orDash(i.DisplayName), when(i.CreatedAt)})
			}
			if err := s.out.table(t); err != nil {
				return err
			}
			return s.out.more(len(list.Data), page.Offset, list.Total)
		})
	})
	pageFlags(cmd, &page)
	podFlags(cmd, &pod, "only the inboxes of this pod, by id or clientId")
	return cmd
}

func (s *session) inboxPage(ctx context.Context, pod string, page openmail.Page) (api.List[api.Inbox], error) {
	if pod != "" {
		return s.client.PodInboxPage(ctx, pod, page)
	}
	return s.client.InboxPage(ctx, page)
}

func (p printer) inbox(i api.Inbox) error {
	list := []string{"id", i.ID, "address", i.Address, "name", orDash(i.DisplayName), "pod", i.PodID, "created", when(i.CreatedAt)}
	if i.WebhookURL != nil {
		list = append(list, "webhook", *i.WebhookURL)
	}
	if i.WebhookDisabledReason != nil {
		list = append(list, "disabled", *i.WebhookDisabledReason)
	}
	if i.WebhookSecret != "" {
		list = append(list, "secret", i.WebhookSecret)
	}
	return p.pairs(list...)
}

// newInboxFlags adds the flags that describe an inbox to make.
func newInboxFlags(cmd *cobra.Command) func() api.InboxCreate {
	var in api.InboxCreate
	var name, pod, webhook string
	cmd.Flags().StringVar(&in.MailboxName, "mailbox-name", "", "the part before the @; left out: eight characters at random")
	cmd.Flags().StringVar(&name, "display-name", "", "the name beside the address")
	cmd.Flags().StringVar(&in.Domain, "domain", "", "the part after the @; left out: the server's default")
	podFlags(cmd, &pod, "the pod, by id or clientId, for good; left out: the key's, else the default one")
	cmd.Flags().StringVar(&webhook, "webhook-url", "", "where its events are posted; left out: to the account's webhook")
	return func() api.InboxCreate {
		in.DisplayName, in.PodID, in.WebhookURL = orNil(name), orNil(pod), orNil(webhook)
		return in
	}
}

// orNil leaves out what is empty.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *cli) inboxCreate() *cobra.Command {
	var in func() api.InboxCreate
	cmd := c.command("create", "Make an inbox", func(ctx context.Context, s *session, _ []string) error {
		inbox, err := s.client.CreateInbox(ctx, in())
		if err != nil {
			return err
		}
		return show(s.out, inbox, s.out.inbox)
	})
	in = newInboxFlags(cmd)
	return cmd
}

// aboutInbox is a command about one inbox, named by --id, --inbox-id or an
// argument; an address will do.
func (c *cli) aboutInbox(use, short string, do func(ctx context.Context, s *session, id string) error) *cobra.Command {
	var id, inboxID string
	cmd := c.command(use+" [id]", short, func(ctx context.Context, s *session, args []string) error {
		if id == "" {
			id = inboxID
		}
		name, err := idOf(args, 0, id, "id")
		if err != nil {
			return err
		}
		found, err := s.inboxNamed(ctx, name)
		if err != nil {
			return err
		}
		return do(ctx, s, found)
	})
	cmd.Flags().StringVar(&id, "id", "", "the inbox, by id or address")
	cmd.Flags().StringVar(&inboxID, "inbox-id", "", "another name of --id")
	return cmd
}

func (c *cli) inboxGet() *cobra.Command {
	return c.aboutInbox("get", "Show an inbox", func(ctx context.Context, s *session, id string) error {
		inbox, err := s.client.Inbox(ctx, id)
		if err != nil {
			return err
		}
		return show(s.out, inbox, s.out.inbox)
	})
}

func (c *cli) inboxUpdate() *cobra.Command {
	var name, webhook string
	var cmd *cobra.Command
	cmd = c.aboutInbox("update", "Change an inbox's name or webhook", func(ctx context.Context, s *session, id string) error {
		in := api.InboxUpdate{DisplayName: given(cmd, "display-name", &name), WebhookURL: given(cmd, "webhook-url", &webhook)}
		if in == (api.InboxUpdate{}) {
			return usage("nothing to change: give --display-name or --webhook-url, with \"\" for none")
		}
		inbox, err := s.client.UpdateInbox(ctx, id, in)
		if err != nil {
			return err
		}
		return show(s.out, inbox, s.out.inbox)
	})
	cmd.Flags().StringVar(&name, "display-name", "", "the name beside the address; \"\" for none")
	cmd.Flags().StringVar(&webhook, "webhook-url", "", "where its events are posted; \"\" for the account's webhook")
	return cmd
}

func (c *cli) inboxDelete() *cobra.Command {
	return c.aboutInbox("delete", "Remove an inbox with its messages, for good", func(ctx context.Context, s *session, id string) error {
		if err := s.client.DeleteInbox(ctx, id); err != nil {
			return err
		}
		if s.state.DefaultInboxID == id {
			if err := s.update(func(st *state) { st.DefaultInboxID, st.DefaultInboxAddress = "", "" }); err != nil {
				return err
			}
		}
		return s.out.done("%s is deleted", id)
	})
}

func (c *cli) initCommand() *cobra.Command {
	var in func() api.InboxCreate
	cmd := c.command("init", "Make an inbox, and make it the default of other commands", func(ctx context.Context, s *session, _ []string) error {
		inbox, err := s.defaultInbox(ctx, in())
		if err != nil {
			return err
		}
		if err := s.update(func(st *state) {
			st.DefaultInboxID, st.DefaultInboxAddress = inbox.ID, inbox.Address
			s.saveKey(st)
		}); err != nil {
			return err
		}
		return show(s.out, inbox, s.out.inbox)
	})
	in = newInboxFlags(cmd)
	return cmd
}

// defaultInbox is the default that there is already, unless another one is
// described; init may be run again and again.
func (s *session) defaultInbox(ctx context.Context, in api.InboxCreate) (api.Inbox, error) {
	if s.state.DefaultInboxID != "" && in == (api.InboxCreate{}) {
		inbox, err := s.client.Inbox(ctx, s.state.DefaultInboxID)
		if openmail.CodeOf(err) != openmail.CodeNotFound {
			return inbox, err
		}
	}
	return s.client.CreateInbox(ctx, in)
}
