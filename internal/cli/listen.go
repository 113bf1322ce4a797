package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/client"
)

// saveEvery is how often the position of listen is written, at most: what is
// shown twice after a crash is what came in that time.
const saveEvery = time.Second

type listenFlags struct {
	inboxes, types []string
	from, group    string
	fromStart, ack bool
	count          int
}

func (c *cli) listenCommand() *cobra.Command {
	var flags listenFlags
	cmd := c.command("listen", "Print events as they happen, going on where the last run stopped", func(ctx context.Context, s *session, _ []string) error {
		if flags.fromStart && flags.from != "" {
			return usage("--from-start and --last-event-id exclude each other")
		}
		return s.listen(ctx, flags)
	})
	f := cmd.Flags()
	f.StringSliceVar(&flags.inboxes, "inbox-id", nil, "only these inboxes, by id or address; left out: all")
	f.StringSliceVar(&flags.types, "event-types", nil, "only these types; left out: all")
	f.StringVar(&flags.from, "last-event-id", "", "begin after this event instead of where the last run stopped")
	f.BoolVar(&flags.fromStart, "from-start", false, "begin with the oldest event that the server still has")
	f.BoolVar(&flags.ack, "ack", false, "confirm each event by a message once it is printed, for proxies that answer pings themselves")
	f.StringVar(&flags.group, "group", "", "share the events with all who listen in the group of that name: each goes to one of them")
	f.IntVar(&flags.count, "count", 0, "end after so many events; 0: never")
	return cmd
}

func (s *session) listen(ctx context.Context, flags listenFlags) error {
	o, err := s.listenOptions(ctx, flags)
	if err != nil {
		return err
	}
	save := saver{session: s}
	o.OnState = func(st client.State) {
		s.tellState(st)
		save.anchor(st)
	}
	for event, err := range s.client.Listen(ctx, o) {
		if err == nil {
			err = s.show(event)
		}
		if err != nil {
			return errors.Join(unlessInterrupted(ctx, err), save.flush())
		}
		if err := save.position(event.ResumeID); err != nil {
			return err
		}
	}
	return save.flush()
}

// unlessInterrupted is no error when it was the user who ended the command.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *session) listenOptions(ctx context.Context, flags listenFlags) (client.ListenOptions, error) {
	o := client.ListenOptions{FromStart: flags.fromStart, Limit: flags.count, Ack: flags.ack, Group: flags.group}
	if !flags.fromStart {
		o.LastEventID = cmp.Or(flags.from, s.state.LastEventID)
	}
	for _, name := range flags.inboxes {
		id, err := s.inboxNamed(ctx, name)
		if err != nil {
			return o, err
		}
		o.Inboxes = append(o.Inboxes, id)
	}
	for _, t := range flags.types {
		o.Types = append(o.Types, openmail.EventType(t))
	}
	return o, nil
}

// tellState says on stderr what the stream does.
func (s *session) tellState(st client.State) {
	text := "listening to " + s.base
	switch st.Kind {
	case client.StateReconnecting:
		text = fmt.Sprintf("%v: reconnecting in %v", s.explain(st.Err), st.Delay.Round(100*time.Millisecond))
	case client.StateGap:
		text = fmt.Sprintf("%s: events may be missing; --from-start prints all that the server still has", messageOf(st.Err))
	}
	fmt.Fprintln(s.Stderr, oneLine(text))
}

// show prints an event: a line for people, or its JSON in a line.
func (s *session) show(e client.Event) error {
	if !s.json {
		return s.out.line("%s  %s  %s -> %s  %s", when(e.OccurredAt), e.ID, cmp.Or(e.Message.From, string(e.Type)), cmp.Or(e.Message.To, e.InboxID), e.Message.Subject)
	}
	line := e.Raw
	if bytes.IndexByte(line, '\n') >= 0 {
		var b bytes.Buffer
		if err := json.Compact(&b, line); err != nil {
			return err
		}
		line = b.Bytes()
	}
	_, err := s.Stdout.Write(append(harmlessJSON(line), '\n'))
	return err
}

// saver writes the position, at most once in a while.
type saver struct {
	*session
	at      string
	dirty   bool
	written time.Time
}

func (v *saver) position(id string) error {
	v.at, v.dirty = id, true
	if time.Since(v.written) < saveEvery {
		return nil
	}
	return v.flush()
}

// anchor notes where a connection begins, so that the next run misses nothing
// though this one sees no event. It is written with the next position, or at
// the end.
func (v *saver) anchor(st client.State) {
	if st.Kind == client.StateConnected && st.ResumeID != "" && v.at != st.ResumeID {
		v.at, v.dirty = st.ResumeID, true
	}
}

func (v *saver) flush() error {
	if !v.dirty {
		return nil
	}
	v.dirty, v.written = false, time.Now()
	return v.update(func(s *state) { s.LastEventID, s.FromStart = v.at, false })
}
