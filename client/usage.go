package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"openmail"
	"openmail/api"
)

// UsageFilter says which days a report of usage covers, and of what.
type UsageFilter struct {
	From, To time.Time // whose days are counted whole; zero: the last 30 days
	// ByAccount leaves the inboxes out: only the totals are counted.
	ByAccount bool
	Page      openmail.Page // of the inboxes; the zero one has 10,000
}

// Usage tells what the inboxes of the account received, sent and store. It
// wants a key of the account.
func (c *Client) Usage(ctx context.Context, f UsageFilter) (api.Usage, error) {
	q := url.Values{}
	for name, t := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.ByAccount {
		q.Set("group_by", "account")
	}
	return fetch[api.Usage](ctx, c, request{method: http.MethodGet, path: "/v1/usage", query: pageQuery(q, f.Page)})
}

// GiveFeedback says what is wrong, tedious or missing.
func (c *Client) GiveFeedback(ctx context.Context, in api.FeedbackCreate) error {
	_, err := fetch[api.OK](ctx, c, request{method: http.MethodPost, path: "/v1/feedback", body: in})
	return err
}

// FeedbackPage is one page of what was said with keys of the account, newest
// first. It wants a key of the account.
func (c *Client) FeedbackPage(ctx context.Context, p openmail.Page) (api.List[api.Feedback], error) {
	return fetch[api.List[api.Feedback]](ctx, c, request{method: http.MethodGet, path: "/v1/feedback", query: pageQuery(nil, p)})
}

// Feedback walks what was said with keys of the account, newest first.
func (c *Client) Feedback(ctx context.Context) iter.Seq2[api.Feedback, error] {
	return all(openmail.Page{}, func(p openmail.Page) (api.List[api.Feedback], error) { return c.FeedbackPage(ctx, p) })
}
