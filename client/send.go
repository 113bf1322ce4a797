package client

import (
	"context"
	"crypto/rand"
	"iter"
	"net/http"
	"strings"
	"time"

	"openmail"
	"openmail/api"
)

// slowest is how many bytes of a mail may take a second to reach the server.
const slowest = 128 << 10

// Send has an inbox send a mail, or reply in the thread that in names. When it
// returns the server has the mail on disk and sees to it that it arrives; what
// became of that is in the message's Deliveries. To call it again with the
// same key and the same mail sends nothing and answers the same, for 24 hours;
// "" is a key that nobody else has. The codes to expect are bad_request,
// idempotency_conflict, recipient_suppressed, rate_limit_exceeded, too_large.
func (c *Client) Send(ctx context.Context, inbox string, in api.SendRequest, key string) (api.Sent, error) {
	if key == "" {
		key = strings.ToLower(rand.Text())
	}
	size := len(in.Body) + len(in.BodyHTML)
	for _, a := range in.Attachments {
		size += len(a.Data)
	}
	slow := *c
	slow.timeout += time.Duration(size/slowest) * time.Second
	return fetch[api.Sent](ctx, &slow, request{
		method: http.MethodPost, path: "/v1/inboxes/{}/send", ids: []string{inbox}, body: in,
		header: http.Header{"Idempotency-Key": {key}},
	})
}

// SuppressionPage is one page of the addresses that get no more mail, newest
// first.
func (c *Client) SuppressionPage(ctx context.Context, p openmail.Page) (api.List[api.Suppression], error) {
	return fetch[api.List[api.Suppression]](ctx, c, request{method: http.MethodGet, path: "/v1/suppressions", query: pageQuery(nil, p)})
}

// Suppressions walks the addresses that get no more mail, newest first.
func (c *Client) Suppressions(ctx context.Context) iter.Seq2[api.Suppression, error] {
	return all(openmail.Page{}, func(p openmail.Page) (api.List[api.Suppression], error) { return c.SuppressionPage(ctx, p) })
}

// DeleteSuppression lets mail go to an address again.
func (c *Client) DeleteSuppression(ctx context.Context, address string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/suppressions/{}", ids: []string{address}})
}
