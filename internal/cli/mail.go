package cli

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/client"
)

// about is a command about one thing, named by a flag or an argument.
func (c *cli) about(use, flag, short string, do func(ctx context.Context, s *session, id string) error) *cobra.Command {
	var id string
	cmd := c.command(use+" ["+flag+"]", short, func(ctx context.Context, s *session, args []string) error {
		id, err := idOf(args, 0, id, flag)
		if err != nil {
			return err
		}
		return do(ctx, s, id)
	})
	cmd.Flags().StringVar(&id, flag, "", "which one")
	return cmd
}

func (c *cli) threadCommands() *cobra.Command {
	return c.group(
		"threads", "Read conversations",
		c.threadList(), c.threadGet(), c.threadMark("read", true), c.threadMark("unread", false),
		c.about("delete", "thread-id", "Put a thread into the trash", func(ctx context.Context, s *session, id string) error {
			if err := s.client.DeleteThread(ctx, id); err != nil {
				return err
			}
			return s.out.done("%s is deleted", id)
		}),
	)
}

func (c *cli) threadList() *cobra.Command {
	var f client.ThreadFilter
	var inbox, isRead string
	cmd := c.command("list", "List an inbox's threads, the last written to first", func(ctx context.Context, s *session, _ []string) error {
		if isRead != "" {
			read, err := strconv.ParseBool(isRead)
			if err != nil {
				return usage("--is-read is true or false")
			}
			f.IsRead = &read
		}
		id, err := s.inbox(ctx, inbox)
		if err != nil {
			return err
		}
		list, err := s.client.ThreadPage(ctx, id, f)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Thread]) error { return s.out.threads(list, f.Page.Offset) })
	})
	inboxFlag(cmd, &inbox)
	cmd.Flags().StringVar(&isRead, "is-read", "", "true or false; left out: both")
	pageFlags(cmd, &f.Page)
	return cmd
}

func (p printer) threads(list api.List[api.Thread], offset int) error {
	t := table{head: []string{"ID", "READ", "MESSAGES", "LAST MESSAGE", "SUBJECT"}}
	for _, x := range list.Data {
		t.rows = append(t.rows, []string{x.ID, yesNo(x.IsRead), strconv.Itoa(x.MessageCount), when(x.LastMessageAt), x.Subject})
	}
	t.mark = func(i int) string {
		if list.Data[i].IsRead {
			return ""
		}
		return bold
	}
	if err := p.table(t); err != nil {
		return err
	}
	return p.more(len(list.Data), offset, list.Total)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (c *cli) threadGet() *cobra.Command {
	return c.about("get", "thread-id", "Show a conversation, oldest message first", func(ctx context.Context, s *session, id string) error {
		thread, err := s.client.Thread(ctx, id)
		if err != nil {
			return err
		}
		return show(s.out, thread, func(thread api.ThreadMessages) error {
			for i, m := range thread.Data {
				if i > 0 {
					if err := s.out.line(""); err != nil {
						return err
					}
				}
				if err := s.out.message(m); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (c *cli) threadMark(use string, read bool) *cobra.Command {
	return c.about(use, "thread-id", "Mark a thread as "+use, func(ctx context.Context, s *session, id string) error {
		if err := s.client.MarkThread(ctx, id, read); err != nil {
			return err
		}
		return s.out.done("%s is %s", id, use)
	})
}

func (c *cli) messageCommands() *cobra.Command {
	return c.group(
		"messages", "Read mail",
		c.messageList(),
		c.about("get", "message-id", "Show a message", func(ctx context.Context, s *session, id string) error {
			m, err := s.client.Message(ctx, id)
			if err != nil {
				return err
			}
			return show(s.out, m, s.out.message)
		}),
		c.messageRaw(),
		c.about("delete", "message-id", "Remove a message, for good", func(ctx context.Context, s *session, id string) error {
			if err := s.client.DeleteMessage(ctx, id); err != nil {
				return err
			}
			return s.out.done("%s is deleted", id)
		}),
	)
}

func (c *cli) messageList() *cobra.Command {
	var f client.MessageFilter
	var inbox, direction string
	cmd := c.command("list", "List an inbox's messages, newest first", func(ctx context.Context, s *session, _ []string) error {
		f.Direction = openmail.Direction(direction)
		if direction != "" && f.Direction != openmail.Inbound && f.Direction != openmail.Outbound {
			return usage("--direction is inbound or outbound")
		}
		id, err := s.inbox(ctx, inbox)
		if err != nil {
			return err
		}
		list, err := s.client.MessagePage(ctx, id, f)
		if err != nil {
			return err
		}
		return show(s.out, list, func(list api.List[api.Message]) error { return s.out.messages(list, f.Page.Offset) })
	})
	inboxFlag(cmd, &inbox)
	cmd.Flags().StringVar(&direction, "direction", "", "inbound or outbound; left out: both")
	pageFlags(cmd, &f.Page)
	return cmd
}

func (p printer) messages(list api.List[api.Message], offset int) error {
	t := table{head: []string{"ID", "DATE", "FROM", "TO", "SUBJECT"}}
	for _, m := range list.Data {
		t.rows = append(t.rows, []string{m.ID, when(m.CreatedAt), m.FromAddr, m.ToAddr, m.Subject})
	}
	if err := p.table(t); err != nil {
		return err
	}
	return p.more(len(list.Data), offset, list.Total)
}

// message shows a mail as a mail program would.
func (p printer) message(m api.Message) error {
	list := []string{"id", m.ID, "thread", m.ThreadID, "from", m.FromAddr, "to", m.ToAddr}
	for _, cc := range m.CC {
		list = append(list, "cc", cc)
	}
	list = append(list, "date", when(m.CreatedAt), "subject", m.Subject)
	for _, a := range m.Attachments {
		list = append(list, "attachment", a.Filename+", "+a.ContentType+", "+size(a.SizeBytes))
	}
	for _, d := range m.Deliveries {
		list = append(list, d.State, strings.TrimSpace(d.Recipient+"  "+d.LastAnswer))
	}
	if m.HiddenText {
		list = append(list, "warning", "text that its HTML hides was cut out")
	}
	if m.Partial {
		list = append(list, "warning", "this is not all: see messages raw")
	}
	if err := p.pairs(list...); err != nil {
		return err
	}
	if m.BodyOmitted {
		return p.line("(too large for a list: messages get %s)", m.ID)
	}
	if m.BodyText == "" {
		return nil
	}
	if _, err := io.WriteString(p.to, "\n"); err != nil {
		return err
	}
	return p.text(m.BodyText)
}

func (c *cli) messageRaw() *cobra.Command {
	var output string
	cmd := c.about("raw", "message-id", "Print a message's bytes as they came in", func(ctx context.Context, s *session, id string) error {
		d, err := s.client.RawMessage(ctx, id)
		if err != nil {
			return err
		}
		defer d.Close()
		if output != "" {
			return s.save(d, output, true)
		}
		_, err = io.Copy(s.rawWriter(), d)
		return err
	})
	cmd.Flags().StringVar(&output, "output", "", "a file to write to instead of stdout")
	return cmd
}

// rawWriter is stdout; what would move a terminal's cursor is replaced where
// stdout is one.
func (s *session) rawWriter() io.Writer {
	if isTerminal(s.Stdout) {
		return tame{s.Stdout}
	}
	return s.Stdout
}

// tame is a terminal that a stranger's bytes cannot command.
type tame struct{ to io.Writer }

func (t tame) Write(p []byte) (int, error) {
	if _, err := io.WriteString(t.to, harmless(string(p), true)); err != nil {
		return 0, err
	}
	return len(p), nil
}
