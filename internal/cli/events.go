package cli

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/client"
)

func (c *cli) eventCommands() *cobra.Command {
	return c.group(
		"events", "Follow what became of events",
		c.eventList(), c.eventGet(), c.eventAttempts(), c.eventRedeliver(),
	)
}

// eventFlags are the flags that choose events.
type eventFlags struct {
	state, inbox, kind string
	span
}

func (f *eventFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.state, "state", "", "armed, due, posting, delivered or failed")
	cmd.Flags().StringVar(&f.inbox, "inbox-id", "", "of one inbox, by id or address")
	cmd.Flags().StringVar(&f.kind, "type", "", "of one type, such as message.received")
	f.span.add(cmd)
}

// span are the flags that choose a stretch of time.
type span struct{ since, until string }

func (s *span) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.since, "since", "", "not before this time (2026-02-24T10:00:00Z), or so long ago (90m, 36h)")
	cmd.Flags().StringVar(&s.until, "until", "", "before this time, or so long ago")
}

func (s span) times() (since, until time.Time, err error) {
	if since, err = moment("since", s.since); err != nil {
		return since, until, err
	}
	until, err = moment("until", s.until)
	return since, until, err
}

// any reports whether a flag chooses.
func (f *eventFlags) any() bool { return *f != eventFlags{} }

func (f *eventFlags) filter(ctx context.Context, s *session) (client.EventFilter, error) {
	since, until, err := f.times()
	if err != nil {
		return client.EventFilter{}, err
	}
	inbox, err := s.inboxNamed(ctx, f.inbox)
	return client.EventFilter{State: openmail.State(f.state), InboxID: inbox, Type: f.kind, Since: since, Until: until}, err
}

// moment reads a time, or how long ago it was; "" is the zero time.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usage("--%s is a time such as 2026-02-24T10:00:00Z, or how long ago, such as 90m", flag)
	}
	return t, nil
}

func (c *cli) eventList() *cobra.Command {
	var flags eventFlags
	var limit int
	var cursor string
	cmd := c.command("list", "List events, newest first", func(ctx context.Context, s *session, _ []string) error {
		f, err := flags.filter(ctx, s)
		if err != nil {
			return err
		}
		f.Limit, f.Cursor = limit, cursor
		list, err := s.client.EventPage(ctx, f)
		if err != nil {
			return err
		}
		return show(s.out, list, s.out.events)
	})
	flags.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "how many to list, at most 100")
	cmd.Flags().StringVar(&cursor, "cursor", "", "where the page before ended")
	return cmd
}

func (p printer) events(list api.EventList) error {
	t := table{head: []string{"ID", "OCCURRED", "TYPE", "STATE", "ATTEMPTS", "INBOX"}}
	for _, e := range list.Data {
		t.rows = append(t.rows, []string{e.ID, when(e.OccurredAt), e.Type, stateText(e), strconv.Itoa(e.Attempts), orDash(e.InboxID)})
	}
	t.mark = func(i int) string {
		if list.Data[i].State == string(openmail.StateFailed) {
			return red
		}
		return ""
	}
	if err := p.table(t); err != nil || list.Next == nil {
		return err
	}
	return p.line("there are more: --cursor %s", *list.Next)
}

// stateText is the state with how, or why.
func stateText(e api.Event) string {
	if e.Reason != nil {
		return e.State + " (" + *e.Reason + ")"
	}
	if e.Channel != nil {
		return e.State + " (" + *e.Channel + ")"
	}
	return e.State
}

func (c *cli) eventGet() *cobra.Command {
	return c.about("get", "event-id", "Show an event with its payload", func(ctx context.Context, s *session, id string) error {
		e, err := s.client.Event(ctx, id)
		if err != nil {
			return err
		}
		return show(s.out, e, func(e api.Event) error {
			if err := s.out.pairs(
				"id", e.ID, "type", e.Type, "state", stateText(e), "attempts", strconv.Itoa(e.Attempts),
				"pod", e.PodID, "inbox", orDash(e.InboxID), "thread", orDash(e.ThreadID), "message", orDash(e.MessageID),
				"occurred", when(e.OccurredAt), "delivered", when(e.DeliveredAt), "next attempt", when(e.NextAttemptAt),
			); err != nil || len(e.Payload) == 0 {
				return err
			}
			return s.out.encode(e.Payload)
		})
	})
}

func (c *cli) eventAttempts() *cobra.Command {
	return c.about("attempts", "event-id", "List the tries to hand an event over", func(ctx context.Context, s *session, id string) error {
		attempts, err := s.client.Attempts(ctx, id)
		if err != nil {
			return err
		}
		return show(s.out, api.Rows[api.Attempt]{Data: attempts}, func(list api.Rows[api.Attempt]) error {
			t := table{head: []string{"N", "AT", "CHANNEL", "TOOK", "OUTCOME", "STATUS", "REMOTE", "ERROR"}}
			for _, a := range list.Data {
				status := "-"
				if a.Status != 0 {
					status = strconv.Itoa(a.Status)
				}
				t.rows = append(t.rows, []string{
					strconv.Itoa(a.N), when(a.At), a.Channel, strconv.FormatInt(a.TookMS, 10) + " ms",
					a.Outcome, status, cmp.Or(a.Remote, "-"), cmp.Or(a.Error, "-"),
				})
			}
			return s.out.table(t)
		})
	})
}

func (c *cli) eventRedeliver() *cobra.Command {
	var flags eventFlags
	var all bool
	var id string
	cmd := c.command("redeliver [event-id]", "Send an event again, or with --all every one that the flags choose", func(ctx context.Context, s *session, args []string) error {
		if all {
			return s.redeliverAll(ctx, flags, len(args) > 0 || id != "")
		}
		if flags.any() {
			return usage("--state, --inbox-id, --type, --since and --until go with --all")
		}
		id, err := idOf(args, 0, id, "event-id")
		if err != nil {
			return err
		}
		r, err := s.client.Redeliver(ctx, id)
		if err != nil {
			return err
		}
		return show(s.out, r, func(r api.Redelivered) error { return s.out.line("%s is %s", r.ID, r.State) })
	})
	flags.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "every event that the other flags choose; without them every failed one")
	cmd.Flags().StringVar(&id, "event-id", "", "which one")
	return cmd
}

func (s *session) redeliverAll(ctx context.Context, flags eventFlags, named bool) error {
	if named {
		return usage("an event id and --all exclude each other")
	}
	f, err := flags.filter(ctx, s)
	if err != nil {
		return err
	}
	count, err := s.client.RedeliverAll(ctx, api.Redeliver{
		State: cmp.Or(string(f.State), string(openmail.StateFailed)), InboxID: f.InboxID, Type: f.Type,
		Since: api.Time{Time: f.Since}, Until: api.Time{Time: f.Until},
	})
	if err != nil {
		return err
	}
	return show(s.out, count, func(c api.Count) error { return s.out.line("%d events are sent again", c.Count) })
}
