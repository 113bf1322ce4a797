package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"openmail"
	"openmail/api"
)

func (s *Server) webhookRoutes() {
	const tag = "Webhook"
	add(s, route{method: http.MethodGet, path: "/v1/webhook", id: "getWebhook", tag: tag, summary: "Get the account's endpoint"}, s.getWebhook)
	add(s, route{method: http.MethodPut, path: "/v1/webhook", id: "putWebhook", tag: tag, summary: "Set the account's endpoint"}, s.putWebhook)
	add(s, route{method: http.MethodDelete, path: "/v1/webhook", id: "deleteWebhook", tag: tag, summary: "Remove the account's endpoint"}, s.deleteWebhook)
	add(s, route{method: http.MethodPost, path: "/v1/webhook/test", id: "testWebhook", tag: tag, summary: "Post a test event"}, s.testWebhook)
	add(s, route{method: http.MethodPost, path: "/v1/webhook/rotate-secret", id: "rotateSecret", tag: tag, summary: "Make a new secret; the old one is invalid at once"}, s.rotateSecret)
	add(s, route{method: http.MethodPost, path: "/v1/webhook/next-secret", id: "nextSecret", tag: tag, summary: "Make a secret that signs beside the old one"}, s.nextSecret)
	add(s, route{method: http.MethodPost, path: "/v1/webhook/activate-secret", id: "activateSecret", tag: tag, summary: "Let the next secret take the place of the old one"}, s.activateSecret)
}

func (s *Server) getWebhook(ctx context.Context, in *Caller) (*reply[api.Webhook], error) {
	e, err := s.c.Webhooks.Webhook(ctx, in.scope())
	if err != nil {
		return nil, err
	}
	return body(webhookJSON(e)), nil
}

type putWebhookInput struct {
	Caller
	Body api.WebhookPut
}

func (s *Server) putWebhook(ctx context.Context, in *putWebhookInput) (*reply[api.Webhook], error) {
	e, created, err := s.c.Webhooks.PutWebhook(ctx, in.scope(), in.Body.URL)
	if err != nil {
		return nil, err
	}
	out := webhookJSON(e)
	if created {
		out.WebhookSecret = e.Secret
	}
	return body(out), nil
}

func (s *Server) deleteWebhook(ctx context.Context, in *Caller) (*nothing, error) {
	return nil, s.c.Webhooks.DeleteWebhook(ctx, in.scope())
}

func (s *Server) testWebhook(ctx context.Context, in *Caller) (*reply[api.WebhookTest], error) {
	a, err := s.c.Webhooks.TestWebhook(ctx, in.scope())
	if err != nil {
		return nil, err
	}
	return tested(a)
}

// tested is the answer to a test that ended like that.
func tested(a openmail.Attempt) (*reply[api.WebhookTest], error) {
	if a.Outcome != openmail.OutcomeDelivered {
		return nil, openmail.Errorf(openmail.CodeWebhookFailed, "The test did not arrive: %s.", saidOf(a))
	}
	return body(api.WebhookTest{
		OK: true, Message: "The endpoint took the test event.",
		Status: a.Status, TookMS: a.Took.Milliseconds(), Response: a.Response,
	}), nil
}

// saidOf is what an attempt that failed met with.
func saidOf(a openmail.Attempt) string {
	if a.Status != 0 {
		return "the endpoint answered " + strconv.Itoa(a.Status)
	}
	return a.Error
}

func (s *Server) rotateSecret(ctx context.Context, in *Caller) (*reply[api.WebhookSecret], error) {
	return secret(ctx, in, s.c.Secrets.RotateSecret)
}

func (s *Server) nextSecret(ctx context.Context, in *Caller) (*reply[api.WebhookSecret], error) {
	return secret(ctx, in, s.c.Secrets.NextSecret)
}

func secret(ctx context.Context, in *Caller, fresh func(context.Context, openmail.Scope) (string, error)) (*reply[api.WebhookSecret], error) {
	text, err := fresh(ctx, in.scope())
	if err != nil {
		return nil, err
	}
	return body(api.WebhookSecret{WebhookSecret: text}), nil
}

func (s *Server) activateSecret(ctx context.Context, in *Caller) (*reply[api.OK], error) {
	if err := s.c.Secrets.ActivateSecret(ctx, in.scope()); err != nil {
		return nil, err
	}
	return body(api.OK{OK: true}), nil
}
