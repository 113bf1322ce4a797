package httpapi

import (
	"context"
	"net/http"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
)

func (s *Server) eventRoutes() {
	const tag = "Events"
	add(s, route{method: http.MethodGet, path: "/v1/events", id: "listEvents", tag: tag, summary: "List events, newest first"}, s.listEvents)
	add(s, route{method: http.MethodGet, path: "/v1/events/{id}", id: "getEvent", tag: tag, summary: "Get an event with its payload"}, s.getEvent)
	add(s, route{method: http.MethodGet, path: "/v1/events/{id}/attempts", id: "listAttempts", tag: tag, summary: "List the tries to hand an event over, oldest first"}, s.listAttempts)
	add(s, route{method: http.MethodPost, path: "/v1/events/{id}/redeliver", id: "redeliverEvent", tag: tag, summary: "Send an event again", status: http.StatusAccepted}, s.redeliver)
	add(s, route{method: http.MethodPost, path: "/v1/events/redeliver", id: "redeliverEvents", tag: tag, summary: "Send many events again", status: http.StatusAccepted}, s.redeliverAll)
}

// listEventsInput chooses events. Its limit is that of other lists.
type listEventsInput struct {
	Caller
	State   string    `query:"state" enum:"armed,due,posting,delivered,failed"`
	InboxID string    `query:"inboxId" maxLength:"200"`
	Type    string    `query:"type" maxLength:"100"`
	Since   time.Time `query:"since" doc:"Occurred then or later"`
	Until   time.Time `query:"until" doc:"Occurred before"`
	Limit   int       `query:"limit" default:"50" minimum:"1" doc:"At most 100 are returned, whatever is asked for"`
	Cursor  string    `query:"cursor" maxLength:"100" doc:"What the page before gave as next"`
}

const maxEvents = 100

func (s *Server) listEvents(ctx context.Context, in *listEventsInput) (*reply[api.EventList], error) {
	f := dispatch.Filter{
		State: openmail.State(in.State), Inbox: in.InboxID, Type: openmail.EventType(in.Type),
		Since: in.Since, Until: in.Until,
	}
	if err := s.within(ctx, in.scope(), &f); err != nil {
		return nil, err
	}
	before, err := s.cursors.open(in.key.Account, in.Cursor)
	if err != nil {
		return nil, err
	}
	events, next, err := s.c.Journal.Events(ctx, in.scope(), f, before, min(in.Limit, maxEvents))
	if err != nil {
		return nil, err
	}
	out := api.EventList{Data: each(events, eventJSON)}
	if next > 0 {
		cursor := s.cursors.seal(in.key.Account, next)
		out.Next = &cursor
	}
	return body(out), nil
}

// within keeps a filter to what a scope is limited to: naming an inbox beyond it
// is refused.
func (s *Server) within(ctx context.Context, scope openmail.Scope, f *dispatch.Filter) error {
	if scope.Inbox != "" && f.Inbox == "" {
		f.Inbox = scope.Inbox
	}
	if f.Inbox == "" || scope.WholeAccount() {
		return nil
	}
	_, err := s.c.Mailbox.Inbox(ctx, scope, f.Inbox)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return nil // and so are its events
	}
	return err
}

func (s *Server) getEvent(ctx context.Context, in *Named) (*reply[api.Event], error) {
	e, err := s.c.Journal.Event(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	out := eventJSON(e)
	out.Payload = payloadJSON(e)
	return body(out), nil
}

func (s *Server) listAttempts(ctx context.Context, in *Named) (*reply[api.Rows[api.Attempt]], error) {
	// Of an event that is not there the attempts are not an empty list.
	if _, err := s.c.Journal.Event(ctx, in.scope(), in.ID); err != nil {
		return nil, err
	}
	attempts, err := s.c.Journal.Attempts(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(api.Rows[api.Attempt]{Data: each(attempts, attemptJSON)}), nil
}

func (s *Server) redeliver(ctx context.Context, in *Named) (*reply[api.Redelivered], error) {
	e, err := s.c.Redeliverer.Redeliver(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(api.Redelivered{ID: e.ID, State: string(e.Delivery.State)}), nil
}

type redeliverAllInput struct {
	Caller
	Body *api.Redeliver
}

func (s *Server) redeliverAll(ctx context.Context, in *redeliverAllInput) (*reply[api.Count], error) {
	var f dispatch.Filter
	if b := in.Body; b != nil {
		f = dispatch.Filter{
			State: openmail.State(b.State), Inbox: b.InboxID, Type: openmail.EventType(b.Type),
			Since: b.Since.Time, Until: b.Until.Time,
		}
	}
	if err := s.within(ctx, in.scope(), &f); err != nil {
		return nil, err
	}
	n, err := s.c.Redeliverer.RedeliverAll(ctx, in.scope(), f)
	if err != nil {
		return nil, err
	}
	return body(api.Count{Count: n}), nil
}
