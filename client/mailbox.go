package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"openmail"
	"openmail/api"
)

// InboxPage is one page of the inboxes that the key reaches, newest first.
func (c *Client) InboxPage(ctx context.Context, p openmail.Page) (api.List[api.Inbox], error) {
	return fetch[api.List[api.Inbox]](ctx, c, request{method: http.MethodGet, path: "/v1/inboxes", query: pageQuery(nil, p)})
}

// Inboxes walks every inbox that the key reaches, newest first.
func (c *Client) Inboxes(ctx context.Context) iter.Seq2[api.Inbox, error] {
	return all(openmail.Page{}, func(p openmail.Page) (api.List[api.Inbox], error) { return c.InboxPage(ctx, p) })
}

// PodInboxPage is InboxPage within one pod, named by its id or clientId.
func (c *Client) PodInboxPage(ctx context.Context, pod string, p openmail.Page) (api.List[api.Inbox], error) {
	q := url.Values{"podId": {pod}}
	return fetch[api.List[api.Inbox]](ctx, c, request{method: http.MethodGet, path: "/v1/inboxes", query: pageQuery(q, p)})
}

// Inbox is one inbox.
func (c *Client) Inbox(ctx context.Context, id string) (api.Inbox, error) {
	return fetch[api.Inbox](ctx, c, request{method: http.MethodGet, path: "/v1/inboxes/{}", ids: []string{id}})
}

// CreateInbox makes an inbox, whose address takes mail when it returns. The
// codes to expect are invalid_mailbox_name, invalid_domain, invalid_pod,
// invalid_webhook_url and address_taken.
func (c *Client) CreateInbox(ctx context.Context, in api.InboxCreate) (api.Inbox, error) {
	return fetch[api.Inbox](ctx, c, request{method: http.MethodPost, path: "/v1/inboxes", body: in})
}

// UpdateInbox changes what in sets and answers with the inbox as it is then.
func (c *Client) UpdateInbox(ctx context.Context, id string, in api.InboxUpdate) (api.Inbox, error) {
	return fetch[api.Inbox](ctx, c, request{method: http.MethodPatch, path: "/v1/inboxes/{}", ids: []string{id}, body: in})
}

// TestInboxWebhook is TestWebhook for an inbox's own webhook.
func (c *Client) TestInboxWebhook(ctx context.Context, id string) (api.WebhookTest, error) {
	return fetch[api.WebhookTest](ctx, c, request{method: http.MethodPost, path: "/v1/inboxes/{}/webhook/test", ids: []string{id}})
}

// RotateInboxWebhookSecret makes a new secret for an inbox's own webhook. The old
// one is invalid at once.
func (c *Client) RotateInboxWebhookSecret(ctx context.Context, id string) (api.WebhookSecret, error) {
	return fetch[api.WebhookSecret](ctx, c, request{method: http.MethodPost, path: "/v1/inboxes/{}/webhook/rotate-secret", ids: []string{id}})
}

// DeleteInbox removes an inbox with its messages and its keys, for good.
func (c *Client) DeleteInbox(ctx context.Context, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/inboxes/{}", ids: []string{id}})
}

// MessageFilter narrows a list of messages. The zero filter is the first page
// of all of them.
type MessageFilter struct {
	Direction openmail.Direction // "": both
	Page      openmail.Page
}

// MessagePage is one page of an inbox's messages, newest first.
func (c *Client) MessagePage(ctx context.Context, inbox string, f MessageFilter) (api.List[api.Message], error) {
	q := url.Values{}
	if f.Direction != "" {
		q.Set("direction", string(f.Direction))
	}
	return fetch[api.List[api.Message]](ctx, c, request{
		method: http.MethodGet, path: "/v1/inboxes/{}/messages", ids: []string{inbox}, query: pageQuery(q, f.Page),
	})
}

// Messages walks an inbox's messages, newest first, starting at f.Page.
func (c *Client) Messages(ctx context.Context, inbox string, f MessageFilter) iter.Seq2[api.Message, error] {
	return all(f.Page, func(p openmail.Page) (api.List[api.Message], error) {
		f.Page = p
		return c.MessagePage(ctx, inbox, f)
	})
}

// Message is one message.
func (c *Client) Message(ctx context.Context, id string) (api.Message, error) {
	return fetch[api.Message](ctx, c, request{method: http.MethodGet, path: "/v1/messages/{}", ids: []string{id}})
}

// DeleteMessage removes a message for good.
func (c *Client) DeleteMessage(ctx context.Context, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/messages/{}", ids: []string{id}})
}

// ThreadFilter narrows a list of threads. The zero filter is the first page of
// all of them.
type ThreadFilter struct {
	IsRead *bool // nil: read and unread
	Page   openmail.Page
}

// ThreadPage is one page of an inbox's threads, the last written to first.
func (c *Client) ThreadPage(ctx context.Context, inbox string, f ThreadFilter) (api.List[api.Thread], error) {
	q := url.Values{}
	if f.IsRead != nil {
		q.Set("is_read", strconv.FormatBool(*f.IsRead))
	}
	return fetch[api.List[api.Thread]](ctx, c, request{
		method: http.MethodGet, path: "/v1/inboxes/{}/threads", ids: []string{inbox}, query: pageQuery(q, f.Page),
	})
}

// Threads walks an inbox's threads, the last written to first, starting at
// f.Page.
func (c *Client) Threads(ctx context.Context, inbox string, f ThreadFilter) iter.Seq2[api.Thread, error] {
	return all(f.Page, func(p openmail.Page) (api.List[api.Thread], error) {
		f.Page = p
		return c.ThreadPage(ctx, inbox, f)
	})
}

// Thread is a whole conversation, oldest message first. Reading it does not
// mark it read.
func (c *Client) Thread(ctx context.Context, id string) (api.ThreadMessages, error) {
	return fetch[api.ThreadMessages](ctx, c, request{method: http.MethodGet, path: "/v1/threads/{}/messages", ids: []string{id}})
}

// MarkThread sets whether a thread counts as read.
func (c *Client) MarkThread(ctx context.Context, id string, read bool) error {
	// is_read is the spelling that every version of the interface takes.
	body := struct {
		IsRead bool `json:"is_read"`
	}{read}
	return c.exec(ctx, request{method: http.MethodPatch, path: "/v1/threads/{}", ids: []string{id}, body: body})
}

// DeleteThread puts a thread into the trash: a later mail starts a new one.
func (c *Client) DeleteThread(ctx context.Context, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/threads/{}", ids: []string{id}})
}

// QuarantinePage is one page of the mail that a rule turned away, newest first.
func (c *Client) QuarantinePage(ctx context.Context, p openmail.Page) (api.List[api.Quarantined], error) {
	return fetch[api.List[api.Quarantined]](ctx, c, request{method: http.MethodGet, path: "/v1/quarantine", query: pageQuery(nil, p)})
}

// Quarantine walks the mail that a rule turned away, newest first.
func (c *Client) Quarantine(ctx context.Context) iter.Seq2[api.Quarantined, error] {
	return all(openmail.Page{}, func(p openmail.Page) (api.List[api.Quarantined], error) { return c.QuarantinePage(ctx, p) })
}

// Quarantined is one mail that a rule turned away.
func (c *Client) Quarantined(ctx context.Context, id string) (api.Quarantined, error) {
	return fetch[api.Quarantined](ctx, c, request{method: http.MethodGet, path: "/v1/quarantine/{}", ids: []string{id}})
}

// Release makes a mail that was turned away a message of its inbox, with the
// event that it would have had.
func (c *Client) Release(ctx context.Context, id string) (api.Released, error) {
	return fetch[api.Released](ctx, c, request{method: http.MethodPost, path: "/v1/quarantine/{}/release", ids: []string{id}})
}

// DeleteQuarantined removes a mail that was turned away, for good.
func (c *Client) DeleteQuarantined(ctx context.Context, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/quarantine/{}", ids: []string{id}})
}
