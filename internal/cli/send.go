package cli

import (
	"context"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
)

// maxAttached is how many bytes of files a mail takes.
const maxAttached = 25 << 20

// sendFlags are the flags of send.
type sendFlags struct {
	mail           api.SendRequest
	inbox, key     string
	attach         []string
	noQuote, quote bool
}

func (c *cli) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := c.command("send", "Send a mail, or reply in a thread", func(ctx context.Context, s *session, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		inbox, err := s.inbox(ctx, f.inbox)
		if err != nil {
			return err
		}
		sent, err := s.client.Send(ctx, inbox, f.mail, f.key)
		if err != nil {
			return err
		}
		return show(s.out, sent, func(sent api.Sent) error {
			return s.out.pairs("message", sent.MessageID, "thread", sent.ThreadID, "status", sent.Status, "message id", sent.ProviderMessageID)
		})
	})
	flags := cmd.Flags()
	flags.StringVar(&f.mail.To, "to", "", "who gets it: jane@example.com, or Jane <jane@example.com>")
	flags.StringVar(&f.mail.Subject, "subject", "", "the subject; a reply has the thread's")
	flags.StringVar(&f.mail.Body, "body", "", "plain text or HTML, which is found out")
	flags.StringVar(&f.mail.BodyHTML, "body-html", "", "HTML, where --body is to be its plain text")
	flags.StringVar(&f.mail.ThreadID, "thread-id", "", "the thread to reply in")
	flags.StringVar(&f.mail.ReplyTo, "reply-to", "", "where answers shall go")
	flags.StringArrayVar(&f.mail.CC, "cc", nil, "who gets a copy; may be repeated")
	flags.StringArrayVar(&f.attach, "attach", nil, "a file to attach; may be repeated")
	flags.StringVar(&f.key, "idempotency-key", "", "the same key with the same mail sends it once; left out: one that nobody has")
	flags.BoolVar(&f.noQuote, "no-quote", false, "a reply without the message that it answers")
	inboxFlag(cmd, &f.inbox)
	return cmd
}

// check says what is missing before the server is asked, and reads the files.
func (f *sendFlags) check() error {
	switch {
	case f.mail.To == "":
		return usage("--to is missing")
	case f.mail.Body == "":
		return usage("--body is missing")
	case f.mail.Subject == "" && f.mail.ThreadID == "":
		return usage("--subject is missing: only a reply (--thread-id) has the thread's")
	}
	if f.noQuote {
		f.mail.IncludeQuote = &f.quote
	}
	left := int64(maxAttached)
	for _, name := range f.attach {
		file, err := attachment(name, left)
		if err != nil {
			return err
		}
		left -= int64(len(file.Data))
		f.mail.Attachments = append(f.mail.Attachments, file)
	}
	return nil
}

// attachment reads a file of at most so many bytes.
func attachment(name string, most int64) (api.SendAttachment, error) {
	file, err := os.Open(name)
	if err != nil {
		return api.SendAttachment{}, fmt.Errorf("--attach: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return api.SendAttachment{}, fmt.Errorf("--attach: %w", err)
	}
	if int64(len(data)) > most {
		return api.SendAttachment{}, fmt.Errorf("--attach %s: the files of a mail have at most 25 MB in all", name)
	}
	return api.SendAttachment{Filename: filepath.Base(name), ContentType: mime.TypeByExtension(filepath.Ext(name)), Data: data}, nil
}

func (c *cli) suppressionCommands() *cobra.Command {
	return c.group(
		"suppressions", "See which addresses get no more mail",
		c.suppressionList(),
		c.about("delete", "address", "Let mail go to an address again", func(ctx context.Context, s *session, address string) error {
			if err := s.client.DeleteSuppression(ctx, address); err != nil {
				return err
			}
			return s.out.done("%s gets mail again", address)
		}),
	)
}

func (c *cli) suppressionList() *cobra.Command {
	var page openmail.Page
	cmd := c.command("list", "List them, newest first", func(ctx context.Context, s *session, _ []string) error {
		list, err := s.client.SuppressionPage(ctx, page)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Suppression]) error {
			t := table{head: []string{"ADDRESS", "TYPE", "SINCE", "REASON"}}
			for _, x := range list.Data {
				t.rows = append(t.rows, []string{x.Address, x.Type, when(x.CreatedAt), x.Reason})
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
