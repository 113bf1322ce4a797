package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"openmail"
	"openmail/api"
)

// EventFilter narrows a list of events. The zero filter is the first page of all
// of them.
type EventFilter struct {
	State        openmail.State // "": any
	InboxID      string         // "": any
	Type         string         // "": any
	Since, Until time.Time      // of occurring; zero: open
	Limit        int            // rows of a page, at most 100; 0: the server's default
	Cursor       string         // Next of the page before; "": the first page
}

func (f EventFilter) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("state", string(f.State))
	set("inboxId", f.InboxID)
	set("type", f.Type)
	set("cursor", f.Cursor)
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(api.TimeFormat))
	}
	if !f.Until.IsZero() {
		q.Set("until", f.Until.UTC().Format(api.TimeFormat))
	}
	if f.Limit != 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// EventPage is one page of the event log, newest first, without payloads.
func (c *Client) EventPage(ctx context.Context, f EventFilter) (api.EventList, error) {
	return fetch[api.EventList](ctx, c, request{method: http.MethodGet, path: "/v1/events", query: f.query()})
}

// Events walks the event log, newest first, starting at f.Cursor.
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		if f.Limit == 0 {
			f.Limit = pageSize
		}
		for {
			page, err := c.EventPage(ctx, f)
			if err != nil {
				yield(api.Event{}, err)
				return
			}
			for _, e := range page.Data {
				if !yield(e, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			f.Cursor = *page.Next
		}
	}
}

// Event is one entry of the event log, with its payload.
func (c *Client) Event(ctx context.Context, id string) (api.Event, error) {
	return fetch[api.Event](ctx, c, request{method: http.MethodGet, path: "/v1/events/{}", ids: []string{id}})
}

// Attempts lists every try to hand an event over, oldest first.
func (c *Client) Attempts(ctx context.Context, event string) ([]api.Attempt, error) {
	return rows[api.Attempt](ctx, c, request{method: http.MethodGet, path: "/v1/events/{}/attempts", ids: []string{event}})
}

// Redeliver has an event handed over once more.
func (c *Client) Redeliver(ctx context.Context, event string) (api.Redelivered, error) {
	return fetch[api.Redelivered](ctx, c, request{method: http.MethodPost, path: "/v1/events/{}/redeliver", ids: []string{event}})
}

// RedeliverAll has every event that in describes handed over once more, and
// tells how many they are.
func (c *Client) RedeliverAll(ctx context.Context, in api.Redeliver) (api.Count, error) {
	return fetch[api.Count](ctx, c, request{method: http.MethodPost, path: "/v1/events/redeliver", body: in})
}
