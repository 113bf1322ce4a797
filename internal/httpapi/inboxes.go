package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"openmail"
	"openmail/api"
	"openmail/internal/mailbox"
)

func (s *Server) inboxRoutes() {
	const tag = "Inboxes"
	add(s, route{method: http.MethodGet, path: "/v1/inboxes", id: "listInboxes", tag: tag, summary: "List inboxes, newest first"}, s.listInboxes)
	add(s, route{method: http.MethodPost, path: "/v1/inboxes", id: "createInbox", tag: tag, summary: "Create an inbox", status: http.StatusCreated}, s.createInbox)
	add(s, route{method: http.MethodGet, path: "/v1/inboxes/{id}", id: "getInbox", tag: tag, summary: "Get an inbox"}, s.getInbox)
	add(s, route{method: http.MethodPatch, path: "/v1/inboxes/{id}", id: "updateInbox", tag: tag, summary: "Change an inbox"}, s.updateInbox)
	add(s, route{method: http.MethodDelete, path: "/v1/inboxes/{id}", id: "deleteInbox", tag: tag, summary: "Delete an inbox and everything in it, for good"}, s.deleteInbox)
	add(s, route{method: http.MethodPost, path: "/v1/inboxes/{id}/webhook/rotate-secret", id: "rotateInboxSecret", tag: tag, summary: "Make a new secret for an inbox's webhook; the old one is invalid at once"}, s.rotateInboxSecret)
	add(s, route{method: http.MethodPost, path: "/v1/inboxes/{id}/webhook/test", id: "testInboxWebhook", tag: tag, summary: "Post a test event to an inbox's webhook"}, s.testInboxWebhook)
}

type listInput struct {
	Caller
	Paging
}

type listInboxesInput struct {
	Caller
	Paging
	PodID string `query:"podId" maxLength:"255" doc:"Only those of this pod, by id or clientId; none when there is no such pod"`
}

func (s *Server) listInboxes(ctx context.Context, in *listInboxesInput) (*reply[api.List[api.Inbox]], error) {
	inboxes, total, err := s.c.Mailbox.Inboxes(ctx, in.scope(), in.PodID, in.page())
	if err != nil {
		return nil, err
	}
	return body(list(inboxes, total, inboxJSON)), nil
}

type createInboxInput struct {
	Caller
	Body *api.InboxCreate
}

func (s *Server) createInbox(ctx context.Context, in *createInboxInput) (*reply[api.Inbox], error) {
	var asked api.InboxCreate
	if in.Body != nil {
		asked = *in.Body
	}
	webhook, err := s.webhookFor(ctx, in.scope(), orEmpty(asked.WebhookURL))
	if err != nil {
		return nil, err
	}
	created, err := s.c.Mailbox.CreateInbox(ctx, in.scope(), mailbox.NewInbox{
		Name: cmp.Or(asked.MailboxName, asked.Username), Domain: asked.Domain, Pod: orEmpty(asked.PodID),
		DisplayName: orEmpty(asked.DisplayName), ExternalID: orEmpty(asked.ExternalID), Webhook: webhook,
	})
	if err != nil {
		return nil, err
	}
	out := inboxJSON(created)
	if webhook != nil {
		out.WebhookSecret = webhook.Secret
	}
	return body(out), nil
}

// webhookFor is an endpoint with that URL for an inbox; nil for none.
func (s *Server) webhookFor(ctx context.Context, scope openmail.Scope, url string) (*openmail.Endpoint, error) {
	if url == "" {
		return nil, nil
	}
	e, err := s.c.InboxWebhooks.NewWebhook(ctx, scope, url)
	if wrong, ok := errors.AsType[*openmail.Error](err); ok && wrong.Field != "" {
		named := *wrong
		named.Field = "webhookUrl"
		return nil, &named
	}
	return &e, err
}

func (s *Server) getInbox(ctx context.Context, in *Named) (*reply[api.Inbox], error) {
	inbox, err := s.c.Mailbox.Inbox(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(inboxJSON(inbox)), nil
}

type updateInboxInput struct {
	Named
	Body api.InboxUpdate
}

func (s *Server) updateInbox(ctx context.Context, in *updateInboxInput) (*reply[api.Inbox], error) {
	scope, asked := in.scope(), in.Body
	if err := scope.NeedPod("change an inbox"); err != nil {
		return nil, err
	}
	if asked.WebhookURL.Set {
		if err := scope.NeedAccount("change an inbox's webhook"); err != nil {
			return nil, err
		}
	}
	inbox, err := s.c.Mailbox.Inbox(ctx, scope, in.ID)
	if err != nil {
		return nil, err
	}
	webhook, err := s.webhookFor(ctx, scope, orEmpty(asked.WebhookURL.Value))
	if err != nil {
		return nil, err
	}
	if asked.DisplayName.Set {
		if inbox, err = s.c.Mailbox.SetDisplayName(ctx, scope, in.ID, orEmpty(asked.DisplayName.Value)); err != nil {
			return nil, err
		}
	}
	var secret string
	if asked.WebhookURL.Set {
		if secret, err = s.setWebhook(ctx, scope, &inbox, webhook); err != nil {
			return nil, err
		}
	}
	out := inboxJSON(inbox)
	out.WebhookSecret = secret
	return body(out), nil
}

// setWebhook gives an inbox a webhook, or with nil takes it. The secret is empty
// unless it is new.
func (s *Server) setWebhook(ctx context.Context, scope openmail.Scope, inbox *openmail.Inbox, e *openmail.Endpoint) (secret string, err error) {
	inbox.Webhook = nil
	if e == nil {
		return "", s.c.InboxWebhooks.DeleteInboxWebhook(ctx, scope, inbox.ID)
	}
	e.Inbox = inbox.ID
	put, created, err := s.c.InboxWebhooks.PutInboxWebhook(ctx, scope, *e)
	if err != nil {
		return "", err
	}
	inbox.Webhook = &put
	if created {
		secret = put.Secret
	}
	return secret, nil
}

func (s *Server) rotateInboxSecret(ctx context.Context, in *Named) (*reply[api.WebhookSecret], error) {
	if err := s.mayTouchWebhook(ctx, in); err != nil {
		return nil, err
	}
	return secret(ctx, &in.Caller, func(ctx context.Context, scope openmail.Scope) (string, error) {
		return s.c.Secrets.RotateInboxSecret(ctx, scope, in.ID)
	})
}

func (s *Server) testInboxWebhook(ctx context.Context, in *Named) (*reply[api.WebhookTest], error) {
	if err := s.mayTouchWebhook(ctx, in); err != nil {
		return nil, err
	}
	a, err := s.c.InboxWebhooks.TestInboxWebhook(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return tested(a)
}

// mayTouchWebhook is the error of a key that may not, or of an inbox that is not
// there.
func (s *Server) mayTouchWebhook(ctx context.Context, in *Named) error {
	if err := in.scope().NeedAccount("use an inbox's webhook"); err != nil {
		return err
	}
	_, err := s.c.Mailbox.Inbox(ctx, in.scope(), in.ID)
	return err
}

func (s *Server) deleteInbox(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Mailbox.DeleteInbox(ctx, in.scope(), in.ID)
}
