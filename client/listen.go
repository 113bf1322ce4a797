package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"openmail"
)

const (
	firstDelay = time.Second
	maxDelay   = 30 * time.Second
	remembered = 1000 // ids by which a repeated event is recognised
)

// ListenOptions says what to listen to, and from where.
type ListenOptions struct {
	Inboxes []string             // ids; none: all that the key reaches
	Types   []openmail.EventType // none: all
	// LastEventID is the event to go on after, the ResumeID of the last one
	// that was handled. "" begins with what happens from now on.
	LastEventID string
	// FromStart begins with the oldest event that the server still has, when
	// LastEventID is "".
	FromStart bool
	// Limit ends the loop, without an error, once so many events were handled
	// and the server was told; 0: never.
	Limit int
	// Ack has the server count an event as received only when it is told that
	// it was handled, by a message of its own. Without it the answer to a ping
	// tells that, which a proxy in between might give by itself.
	Ack bool
	// Group is a name, of at most 64 bytes, that says with whom the events are
	// shared: of the sockets with the same one exactly one gets each event. ""
	// shares nothing.
	Group string
	// OnState is called when the connection changes, by the goroutine that
	// runs the loop; nil: nobody wants to know.
	OnState func(State)
}

// StateKind names what became of the connection.
type StateKind string

// The kinds of State.
const (
	StateConnected    StateKind = "connected"    // events come as they happen
	StateReconnecting StateKind = "reconnecting" // Err ended the connection; the next try is in Delay
	// StateGap: the server does not know LastEventID any more. What it still
	// has from before now will not come.
	StateGap StateKind = "gap"
)

// State is a change of the connection.
type State struct {
	Kind  StateKind
	Delay time.Duration // of StateReconnecting
	Err   error         // of StateReconnecting and StateGap
	// ResumeID, of StateConnected, is what to give as
	// ListenOptions.LastEventID to miss nothing that happens from here on,
	// even if no event comes before the program ends. It is "" while the
	// account has had no event.
	ResumeID string
	// Empty, of StateConnected, says that the account has had no event: then it
	// is ListenOptions.FromStart that misses nothing from here on.
	Empty bool
}

// String says the state as a person would.
func (s State) String() string {
	switch s.Kind {
	case StateReconnecting:
		return fmt.Sprintf("%v: reconnecting in %v", s.Err, s.Delay.Round(100*time.Millisecond))
	case StateGap:
		return fmt.Sprintf("%v: going on with what happens from now on", s.Err)
	}
	return string(s.Kind)
}

// Listen is the event stream. It connects, connects again whenever the
// connection ends, and goes on where it stopped: no event is left out, and none
// comes twice unless more than 1,000 others came in between. Delays between
// tries double from 1 s to 30 s and start over once a connection stands.
//
// An event counts as handled when the loop asks for the next one; only then is
// the server told so, and only then will it not come again. Whoever breaks out
// of the loop leaves the event at hand unhandled.
//
// The loop ends with an error when ctx ends, when the key is refused (codes
// unauthorized and forbidden), when an inbox is not the key's to read, and when
// the account has as many connections as it may (code rate_limit_exceeded).
func (c *Client) Listen(ctx context.Context, o ListenOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		l := &listener{
			client: c, options: o, yield: yield, seen: newRecent(remembered),
			position: o.LastEventID, fromStart: o.FromStart, wants: openmail.Subscription{}.With(o.Inboxes, o.Types),
		}
		if err := l.run(ctx); !errors.Is(err, errStop) && !errors.Is(err, errLimit) {
			yield(Event{}, err)
		}
	}
}

var (
	errStop  = errors.New("the loop ended")
	errLimit = errors.New("the last event was handled")
	errAgain = errors.New("connect again at once")
)

// listener is one run of Listen.
type listener struct {
	client  *Client
	options ListenOptions
	yield   func(Event, error) bool
	seen    *recent
	wants   openmail.Subscription

	position  string    // the event to go on after; "" when none is known
	at        time.Time // when that happened; zero when unknown
	fromStart bool      // without a position, everything in the log is still to come
	noLog     bool      // the server has no list of events
	failures  int       // since a connection last stood
	handled   int       // events
}

func (l *listener) run(ctx context.Context) error {
	for {
		err := l.session(ctx)
		switch {
		case errors.Is(err, errAgain):
			continue
		case errors.Is(err, errStop), errors.Is(err, errLimit):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if final := finalError(err); final != nil {
			return final
		}
		delay := l.delay()
		l.tell(State{Kind: StateReconnecting, Delay: delay, Err: err})
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// delay doubles with each failure, and up to a quarter is added so that the
// clients of a server that restarts do not come back as one.
func (l *listener) delay() time.Duration {
	d := maxDelay
	if l.failures < 5 {
		d = firstDelay << l.failures
	}
	l.failures++
	return min(d+rand.N(d/4), maxDelay)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finalError is the error to end with, when another try would fail as well.
func finalError(err error) error {
	if e, ok := errors.AsType[*CloseError](err); ok {
		return finalClose(e)
	}
	e, ok := errors.AsType[*openmail.Error](err)
	if !ok {
		return nil
	}
	switch e.Code {
	case openmail.CodeUnavailable, openmail.CodeRateLimit, openmail.CodeInternal, openmail.CodeStorageFull:
		return nil
	}
	return err
}

func finalClose(e *CloseError) error {
	switch e.Code {
	case 4001:
		return &openmail.Error{Code: openmail.CodeUnauthorized, Message: "the key is unknown or was revoked", Err: e}
	case 4003:
		return &openmail.Error{Code: openmail.CodeForbidden, Message: "the key does not reach this event stream", Err: e}
	case 4008:
		return &openmail.Error{Code: openmail.CodeRateLimit, Message: "the account has as many open event streams as it may: close one", Err: e}
	}
	return nil
}

func (l *listener) tell(s State) {
	if l.options.OnState != nil {
		l.options.OnState(s)
	}
}

// session is one connection, from its opening to its end.
func (l *listener) session(ctx context.Context) error {
	if err := l.anchor(ctx); err != nil {
		return err
	}
	conn, err := l.client.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	if err := conn.writeText(l.subscribe(l.position)); err != nil {
		// A server that refuses the key may have closed by now, and said why.
		if _, why := conn.read(); why != nil {
			return why
		}
		return err
	}
	s := session{listener: l, conn: conn}
	for {
		raw, err := conn.read()
		if err != nil {
			return err
		}
		if err := s.frame(ctx, raw); err != nil {
			if errors.Is(err, errLimit) && !l.options.Ack {
				conn.settle()
			}
			return err
		}
	}
}

// subscribe is the message that asks for what is wanted, after a position unless
// that is empty.
func (l *listener) subscribe(position string) []byte {
	frame, _ := json.Marshal(struct { // strings always marshal
		Type        string               `json:"type"`
		InboxIDs    []string             `json:"inbox_ids,omitempty"`
		EventTypes  []openmail.EventType `json:"event_types,omitempty"`
		LastEventID string               `json:"last_event_id,omitempty"`
		Ack         bool                 `json:"ack,omitempty"`
		Group       string               `json:"group,omitempty"`
	}{"subscribe", l.options.Inboxes, l.options.Types, position, l.options.Ack, l.options.Group})
	return frame
}

// ackOf is the message that an event was handled.
func ackOf(event string) []byte {
	frame, _ := json.Marshal(struct {
		Type    string `json:"type"`
		EventID string `json:"event_id"`
	}{"ack", event})
	return frame
}

// handle gives an event to the loop, unless it did already.
func (l *listener) handle(e Event) error {
	late := !e.OccurredAt.IsZero() && e.OccurredAt.Before(l.at)
	e.ResumeID = e.ID
	if late {
		// An older event that nobody had confirmed. Going back to it would
		// repeat everything since.
		e.ResumeID = l.position
	}
	fresh := l.seen.add(e.ID)
	if fresh && !l.yield(e, nil) {
		return errStop
	}
	if !late {
		l.position, l.at = e.ID, e.OccurredAt.Time
	}
	if fresh {
		l.handled++
	}
	if fresh && l.handled == l.options.Limit {
		return errLimit
	}
	return nil
}
