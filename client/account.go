package client

import (
	"context"
	"net/http"
	"time"

	"openmail/api"
)

// Health is what a server says of itself to anybody.
type Health struct {
	api.Health
	// Date is the server's clock as its answer had it, in whole seconds; zero
	// when the answer had none.
	Date time.Time
}

// Health asks whether the server answers. It needs no key.
func (c *Client) Health(ctx context.Context) (Health, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/health"})
	if err != nil {
		return Health{}, err
	}
	defer resp.Body.Close()
	var h Health
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		h.Date = date
	}
	return h, decode(resp, &h.Health)
}

// Me tells who the key is and how far it reaches.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	return fetch[api.Me](ctx, c, request{method: http.MethodGet, path: "/v1/me"})
}

// Account returns the account's settings.
func (c *Client) Account(ctx context.Context) (api.Account, error) {
	return fetch[api.Account](ctx, c, request{method: http.MethodGet, path: "/v1/account"})
}

// UpdateAccount changes the account's settings: fields that are not set stay.
func (c *Client) UpdateAccount(ctx context.Context, in api.AccountUpdate) (api.Account, error) {
	return fetch[api.Account](ctx, c, request{method: http.MethodPatch, path: "/v1/account", body: in})
}

// Keys lists the account's keys that are not revoked, without their tokens.
func (c *Client) Keys(ctx context.Context) ([]api.APIKey, error) {
	return rows[api.APIKey](ctx, c, request{method: http.MethodGet, path: "/v1/api-keys"})
}

// CreateKey makes a key for the whole account. Its Token is never shown again.
func (c *Client) CreateKey(ctx context.Context, in api.APIKeyCreate) (api.APIKey, error) {
	return fetch[api.APIKey](ctx, c, request{method: http.MethodPost, path: "/v1/api-keys", body: in})
}

// RevokeKey makes a key of the account invalid at once.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/api-keys/{}", ids: []string{id}})
}

// InboxKeys lists an inbox's keys that are not revoked, without their tokens.
func (c *Client) InboxKeys(ctx context.Context, inbox string) ([]api.APIKey, error) {
	return rows[api.APIKey](ctx, c, request{method: http.MethodGet, path: "/v1/inboxes/{}/api-keys", ids: []string{inbox}})
}

// CreateInboxKey makes a key that reaches one inbox. Its Token is never shown
// again.
func (c *Client) CreateInboxKey(ctx context.Context, inbox string, in api.APIKeyCreate) (api.APIKey, error) {
	return fetch[api.APIKey](ctx, c, request{method: http.MethodPost, path: "/v1/inboxes/{}/api-keys", ids: []string{inbox}, body: in})
}

// RevokeInboxKey makes a key of an inbox invalid at once.
func (c *Client) RevokeInboxKey(ctx context.Context, inbox, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/inboxes/{}/api-keys/{}", ids: []string{inbox, id}})
}

// Webhook is where the account's events are posted; not_found when nowhere.
func (c *Client) Webhook(ctx context.Context) (api.Webhook, error) {
	return fetch[api.Webhook](ctx, c, request{method: http.MethodGet, path: "/v1/webhook"})
}

// PutWebhook sets where events are posted. The answer has the secret only when
// there was none before; the code is invalid_webhook_url when the server may
// not post there.
func (c *Client) PutWebhook(ctx context.Context, in api.WebhookPut) (api.Webhook, error) {
	return fetch[api.Webhook](ctx, c, request{method: http.MethodPut, path: "/v1/webhook", body: in})
}

// DeleteWebhook ends posting.
func (c *Client) DeleteWebhook(ctx context.Context) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/webhook"})
}

// TestWebhook has a setup.test event posted and tells how that went; the code is
// webhook_failed when the endpoint did not answer with 2xx.
func (c *Client) TestWebhook(ctx context.Context) (api.WebhookTest, error) {
	return fetch[api.WebhookTest](ctx, c, request{method: http.MethodPost, path: "/v1/webhook/test"})
}

// RotateWebhookSecret makes a new secret. The old one is invalid at once.
func (c *Client) RotateWebhookSecret(ctx context.Context) (api.WebhookSecret, error) {
	return fetch[api.WebhookSecret](ctx, c, request{method: http.MethodPost, path: "/v1/webhook/rotate-secret"})
}

// NextWebhookSecret makes a second secret that signs beside the first, until it
// is activated: a rotation during which no signature is ever refused.
func (c *Client) NextWebhookSecret(ctx context.Context) (api.WebhookSecret, error) {
	return fetch[api.WebhookSecret](ctx, c, request{method: http.MethodPost, path: "/v1/webhook/next-secret"})
}

// ActivateWebhookSecret puts the secret of NextWebhookSecret in the place of the
// first.
func (c *Client) ActivateWebhookSecret(ctx context.Context) error {
	return c.exec(ctx, request{method: http.MethodPost, path: "/v1/webhook/activate-secret"})
}

// Sockets lists the open connections of the event stream.
func (c *Client) Sockets(ctx context.Context) ([]api.Socket, error) {
	return rows[api.Socket](ctx, c, request{method: http.MethodGet, path: "/v1/sockets"})
}

// CloseSocket ends one connection of the event stream. Its client will connect
// again, unless its key was revoked.
func (c *Client) CloseSocket(ctx context.Context, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/sockets/{}", ids: []string{id}})
}

// Ticket makes a ticket that opens one event stream within a minute, for a
// browser that should not hold the key.
func (c *Client) Ticket(ctx context.Context) (api.Ticket, error) {
	return fetch[api.Ticket](ctx, c, request{method: http.MethodPost, path: "/v1/ws/ticket"})
}
