package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/client"
)

func (c *cli) usageCommand() *cobra.Command {
	var from, to, by string
	cmd := c.command("usage", "Show what the inboxes received, sent and store", func(ctx context.Context, s *session, _ []string) (err error) {
		var f client.UsageFilter
		switch by {
		case "inbox":
		case "account":
			f.ByAccount = true
		default:
			return usage("--group-by is inbox or account")
		}
		if f.From, err = day("from", from); err != nil {
			return err
		}
		if f.To, err = day("to", to); err != nil {
			return err
		}
		u, err := s.client.Usage(ctx, f)
		if err != nil {
			return err
		}
		return show(s.out, u, s.out.usage)
	})
	cmd.Flags().StringVar(&from, "from", "", "the first day (2026-02-01), a time, or so long ago (72h); 30 days before --to")
	cmd.Flags().StringVar(&to, "to", "", "the end: a day is its beginning; now")
	cmd.Flags().StringVar(&by, "group-by", "inbox", "inbox, or account: only the totals")
	return cmd
}

// day is moment, that takes a date too.
func day(flag, text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	t, err := moment(flag, text)
	if err != nil {
		return t, usage("--%s is a day such as 2026-02-24, a time such as 2026-02-24T10:00:00Z, or how long ago, such as 72h", flag)
	}
	return t, nil
}

func (p printer) usage(u api.Usage) error {
	row := func(name string, c api.UsageCounts) []string {
		return []string{name, strconv.Itoa(c.Inbound), strconv.Itoa(c.Outbound), size(c.AttachmentBytes), size(c.StoredBytes)}
	}
	t := table{head: []string{"INBOX", "INBOUND", "OUTBOUND", "ATTACHMENTS", "STORED"}}
	for _, in := range u.Inboxes {
		t.rows = append(t.rows, row(in.Address, in.UsageCounts))
	}
	t.rows = append(t.rows, row("all "+strconv.Itoa(u.Total), u.Totals))
	if err := p.pairs("from", when(u.From), "to", when(u.To)); err != nil {
		return err
	}
	return p.table(t)
}

func (c *cli) feedbackCommands() *cobra.Command {
	var in api.FeedbackCreate
	var about api.FeedbackContext
	cmd := c.command("feedback [message]", "Say what is wrong, tedious or missing", func(ctx context.Context, s *session, args []string) error {
		in.Message = strings.TrimSpace(strings.Join(append(args, in.Message), " "))
		if in.Message == "" {
			return usage("what would you like to say? openmail feedback --type bug \"…\"")
		}
		if about != (api.FeedbackContext{}) {
			in.Context = &about
		}
		if err := s.client.GiveFeedback(ctx, in); err != nil {
			return err
		}
		return s.out.done("thank you: it is kept for the operator of the server (openmail feedback list)")
	})
	cmd.Flags().StringVar(&in.Type, "type", "friction", "bug, friction or feature_request")
	cmd.Flags().StringVar(&in.Message, "message", "", "another way to give the message")
	cmd.Flags().StringVar(&about.Endpoint, "endpoint", "", "what it is about: a method and path")
	cmd.Flags().StringVar(&about.ErrorCode, "error-code", "", "the code of an error that it is about")
	cmd.Flags().StringVar(&about.RequestID, "request-id", "", "a request that it is about")
	cmd.AddCommand(c.feedbackList())
	return cmd
}

func (c *cli) feedbackList() *cobra.Command {
	var page openmail.Page
	cmd := c.command("list", "List what was said with keys of the account, newest first", func(ctx context.Context, s *session, _ []string) error {
		list, err := s.client.FeedbackPage(ctx, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Feedback]) error {
			t := table{head: []string{"DATE", "TYPE", "KEY", "ABOUT", "MESSAGE"}}
			for _, f := range list.Data {
				t.rows = append(t.rows, []string{when(f.CreatedAt), f.Type, f.KeyID, aboutOf(f), f.Message})
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

func aboutOf(f api.Feedback) string {
	if f.Context == nil {
		return "-"
	}
	return strings.Join(strings.Fields(f.Context.Endpoint+" "+f.Context.ErrorCode+" "+f.Context.RequestID), " ")
}
