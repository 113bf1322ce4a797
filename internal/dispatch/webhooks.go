package dispatch

import (
	"context"
	"sync"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/id"
)

// Target is what must be known of endpoints before they are used.
type Target interface {
	// Check refuses a URL that posts may not go to:
	// openmail.CodeInvalidWebhookURL.
	Check(ctx context.Context, url string) error
	// Test posts a payload once and tells how that ended.
	Test(ctx context.Context, e openmail.Endpoint, payload []byte, event string) openmail.Attempt
	// NewSecret makes a secret that nobody has.
	NewSecret() string
}

// Webhooks manages the endpoints of accounts and of their inboxes.
type Webhooks struct {
	endpoints Endpoints
	target    Target
	mu        sync.Mutex // one change at a time: each reads, then writes
}

// NewWebhooks returns a Webhooks.
func NewWebhooks(e Endpoints, t Target) *Webhooks { return &Webhooks{endpoints: e, target: t} }

// Webhook returns the account's endpoint; openmail.CodeNotFound.
func (w *Webhooks) Webhook(ctx context.Context, scope openmail.Scope) (openmail.Endpoint, error) {
	if err := scope.NeedAccount("see the account's webhook"); err != nil {
		return openmail.Endpoint{}, err
	}
	return w.endpoints.Endpoint(ctx, scope, "")
}

// mayChange is the error of a scope that may not change webhooks.
func mayChange(scope openmail.Scope) error { return scope.NeedAccount("change webhooks") }

// PutWebhook sets where events are posted, and enables it. The secret stays
// when there was an endpoint before; created reports that there was none.
func (w *Webhooks) PutWebhook(ctx context.Context, scope openmail.Scope, url string) (e openmail.Endpoint, created bool, err error) {
	fresh, err := w.NewWebhook(ctx, scope, url)
	if err != nil {
		return e, false, err
	}
	return w.PutInboxWebhook(ctx, scope, fresh)
}

// PutInboxWebhook is PutWebhook with what NewWebhook has made, for the inbox that
// it names.
func (w *Webhooks) PutInboxWebhook(ctx context.Context, scope openmail.Scope, fresh openmail.Endpoint) (e openmail.Endpoint, created bool, err error) {
	if err := mayChange(scope); err != nil {
		return e, false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e, err = w.endpoints.Endpoint(ctx, scope, fresh.Inbox)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		e, created, err = fresh, true, nil
	}
	if err != nil {
		return e, false, err
	}
	e.URL, e.Enabled, e.DisabledReason = fresh.URL, true, ""
	return e, created, w.endpoints.PutEndpoint(ctx, scope, e)
}

// NewWebhook is an endpoint of the account with that URL, which has been checked,
// and a secret of its own. It is not stored.
func (w *Webhooks) NewWebhook(ctx context.Context, scope openmail.Scope, url string) (openmail.Endpoint, error) {
	if err := mayChange(scope); err != nil {
		return openmail.Endpoint{}, err
	}
	if err := w.target.Check(ctx, url); err != nil {
		return openmail.Endpoint{}, err
	}
	return openmail.Endpoint{
		ID: id.New(openmail.PrefixEndpoint), Account: scope.Account, URL: url, Enabled: true,
		Secret: w.target.NewSecret(), CreatedAt: time.Now().UTC().Truncate(time.Millisecond),
	}, nil
}

// DeleteWebhook removes the account's endpoint; it is no error when there is
// none.
func (w *Webhooks) DeleteWebhook(ctx context.Context, scope openmail.Scope) error {
	return w.DeleteInboxWebhook(ctx, scope, "")
}

// DeleteInboxWebhook removes an inbox's endpoint: its events go to the account's
// again. It is no error when there is none.
func (w *Webhooks) DeleteInboxWebhook(ctx context.Context, scope openmail.Scope, inbox string) error {
	if err := mayChange(scope); err != nil {
		return err
	}
	w.mu.Lock() // lest a change under way write it back
	defer w.mu.Unlock()
	return w.endpoints.DeleteEndpoint(ctx, scope, inbox)
}

// TestWebhook posts a setup.test event, which stands in no log, and returns how
// that ended.
func (w *Webhooks) TestWebhook(ctx context.Context, scope openmail.Scope) (openmail.Attempt, error) {
	return w.TestInboxWebhook(ctx, scope, "")
}

// TestInboxWebhook is TestWebhook for an inbox's own endpoint.
func (w *Webhooks) TestInboxWebhook(ctx context.Context, scope openmail.Scope, inbox string) (openmail.Attempt, error) {
	e, err := w.set(ctx, scope, inbox)
	if err != nil {
		return openmail.Attempt{}, err
	}
	event := id.New(openmail.PrefixEvent)
	return w.target.Test(ctx, e, api.Test(event, inbox, time.Now()), event), nil
}

// RotateSecret returns a new secret; the old one is invalid at once.
func (w *Webhooks) RotateSecret(ctx context.Context, scope openmail.Scope) (string, error) {
	return w.RotateInboxSecret(ctx, scope, "")
}

// RotateInboxSecret is RotateSecret for an inbox's own endpoint.
func (w *Webhooks) RotateInboxSecret(ctx context.Context, scope openmail.Scope, inbox string) (secret string, err error) {
	err = w.change(ctx, scope, inbox, func(e *openmail.Endpoint) error {
		secret = w.target.NewSecret()
		e.Secret, e.NextSecret = secret, ""
		return nil
	})
	return secret, err
}

// NextSecret returns a new secret that signs beside the old one until it is
// activated: the first of two steps in which no verifier sees a failure.
func (w *Webhooks) NextSecret(ctx context.Context, scope openmail.Scope) (secret string, err error) {
	err = w.change(ctx, scope, "", func(e *openmail.Endpoint) error {
		secret = w.target.NewSecret()
		e.NextSecret = secret
		return nil
	})
	return secret, err
}

// ActivateSecret is the second step: the next secret takes the old one's place.
func (w *Webhooks) ActivateSecret(ctx context.Context, scope openmail.Scope) error {
	return w.change(ctx, scope, "", func(e *openmail.Endpoint) error {
		if e.NextSecret == "" {
			return openmail.Errorf(openmail.CodeConflict, "There is no next secret to activate: make one first.")
		}
		e.Secret, e.NextSecret = e.NextSecret, ""
		return nil
	})
}

// set returns the endpoint; openmail.CodeNoWebhookURL when there is none.
func (w *Webhooks) set(ctx context.Context, scope openmail.Scope, inbox string) (openmail.Endpoint, error) {
	if err := mayChange(scope); err != nil {
		return openmail.Endpoint{}, err
	}
	e, err := w.endpoints.Endpoint(ctx, scope, inbox)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return e, openmail.Errorf(openmail.CodeNoWebhookURL, "There is no webhook: set its URL first.")
	}
	return e, err
}

func (w *Webhooks) change(ctx context.Context, scope openmail.Scope, inbox string, do func(*openmail.Endpoint) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, err := w.set(ctx, scope, inbox)
	if err != nil {
		return err
	}
	if err := do(&e); err != nil {
		return err
	}
	return w.endpoints.PutEndpoint(ctx, scope, e)
}
