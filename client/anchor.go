package client

import (
	"context"
	"fmt"
	"time"

	"openmail"
	"openmail/api"
)

// anchor finds a position to go on after, where none is known yet. Without one,
// what happens while the first connection is down would be lost if it had not
// brought an event before.
func (l *listener) anchor(ctx context.Context) error {
	switch {
	case l.position != "" || l.noLog:
		return nil
	case l.fromStart:
		return l.first(ctx)
	}
	for e, err := range l.client.Events(ctx, EventFilter{Limit: 1}) {
		if err != nil {
			return l.withoutLog(err)
		}
		l.position, l.at = e.ID, e.OccurredAt.Time
		return nil
	}
	l.fromStart = true // the log is empty: whatever it has later is new
	return nil
}

// withoutLog lets a server pass that has no list of events, or none for this
// key, unless what it has is asked for. Such a stream resumes from its first
// event on.
func (l *listener) withoutLog(err error) error {
	code := openmail.CodeOf(err)
	if (code == openmail.CodeNotFound || code == openmail.CodeForbidden) && !l.options.FromStart {
		l.noLog = true
		return nil
	}
	return fmt.Errorf("find the place to start from: %w", err)
}

// first handles the oldest event of the log, which no subscription reaches: one
// begins after an event.
func (l *listener) first(ctx context.Context) error {
	oldest, err := l.oldest(ctx)
	if err != nil {
		return l.withoutLog(err)
	}
	if oldest.ID == "" {
		return nil
	}
	if oldest.InboxID == nil || !l.wants.Wants(*oldest.InboxID, openmail.EventType(oldest.Type)) {
		l.position, l.at = oldest.ID, oldest.OccurredAt.Time
		return nil
	}
	full, err := l.client.Event(ctx, oldest.ID)
	if err != nil {
		return fmt.Errorf("read the oldest event: %w", err)
	}
	e, err := parseEvent(full.Payload)
	if err != nil {
		return err
	}
	return l.handle(e)
}

// oldest walks the log to its end. The zero Event says that it is empty.
func (l *listener) oldest(ctx context.Context) (api.Event, error) {
	var last api.Event
	for e, err := range l.client.Events(ctx, EventFilter{}) {
		if err != nil {
			return api.Event{}, err
		}
		last = e
	}
	return last, nil
}

// checkEmpty closes the gap between finding the log empty and subscribing: an
// event of that moment is neither after a position nor live.
func (l *listener) checkEmpty(ctx context.Context) error {
	if l.noLog {
		return nil
	}
	for _, err := range l.client.Events(ctx, EventFilter{Limit: 1}) {
		if err != nil {
			return fmt.Errorf("look for events: %w", err)
		}
		return errAgain
	}
	return nil
}

// forget gives the position up, for the newest event's.
func (l *listener) forget() {
	l.position, l.at, l.fromStart = "", time.Time{}, false
}
