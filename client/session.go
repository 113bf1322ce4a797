package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"openmail"
)

// session is what one connection has been told so far.
type session struct {
	*listener
	conn       *conn
	subscribed bool
	complaint  string // the text of the last error frame
}

// frame acts on one frame of the server. What it does not know it leaves alone.
func (s *session) frame(ctx context.Context, raw []byte) error {
	var head struct {
		Type  string `json:"type"`
		Event string `json:"event"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return fmt.Errorf("read the event stream: %w", err)
	}
	switch head.Type {
	case "subscribed":
		return s.onSubscribed(ctx)
	case "error":
		return s.onError(raw)
	case "pong":
		return s.onPong()
	case "":
		return s.onEvent(raw)
	}
	return nil
}

// onSubscribed begins a connection that stands. A complaint before it was about
// the position, for the rest of the subscription holds.
func (s *session) onSubscribed(ctx context.Context) error {
	if s.subscribed {
		return nil // renewed
	}
	if s.complaint != "" && !s.subscribed {
		s.tell(State{Kind: StateGap, Err: openmail.Errorf(openmail.CodeNotFound, "%s", s.complaint)})
		// From the newest event on, by a new connection: without a position
		// the next one could lose what happens until then.
		s.forget()
		return errAgain
	}
	s.subscribed = true
	if s.position == "" {
		if err := s.checkEmpty(ctx); err != nil {
			return err
		}
	}
	s.failures = 0
	s.renew()
	s.tell(State{Kind: StateConnected, ResumeID: s.position, Empty: s.position == "" && !s.noLog})
	return nil
}

// renew subscribes to everything again now and then: to the key of a pod that is
// the inboxes which the pod had when it subscribed, and new ones come by this. It
// repeats nothing that came already.
func (s *session) renew() {
	if len(s.options.Inboxes) == 0 {
		s.conn.wait.Go(func() { s.conn.repeat(renewal, s.subscribe("")) })
	}
}

// onError keeps what the server complains of. Before the subscription is
// confirmed that is the subscription or its position, and the answer to a ping
// tells which: frames are answered in order.
func (s *session) onError(raw []byte) error {
	var frame struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(raw, &frame); err != nil {
		return fmt.Errorf("read the event stream: %w", err)
	}
	s.complaint = frame.Message
	if s.subscribed {
		return nil
	}
	return s.conn.writeText([]byte(`{"type":"ping"}`))
}

func (s *session) onPong() error {
	if s.complaint != "" && !s.subscribed {
		return openmail.Errorf(openmail.CodeBadRequest, "the server refused the subscription: %s", s.complaint)
	}
	return nil
}

// onEvent hands an event on. After a complaint that did not end the connection
// the server has left something out, such as the rest of a long replay: going
// on after the last event gets it.
func (s *session) onEvent(raw []byte) error {
	if s.complaint != "" {
		return fmt.Errorf("the server interrupted the stream: %s", s.complaint)
	}
	e, err := parseEvent(raw)
	if err != nil {
		return err
	}
	err = s.handle(e)
	if !s.options.Ack || err != nil && !errors.Is(err, errLimit) {
		return err
	}
	return errors.Join(err, s.conn.writeText(ackOf(e.ID)))
}
