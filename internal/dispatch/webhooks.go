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

// Webhooks manages the endpoints of accounts.
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
	return w.endpoints.Endpoint(ctx, scope)
}

// PutWebhook sets where events are posted, and enables it. The secret stays
// when there was an endpoint before; created reports that there was none.
func (w *Webhooks) PutWebhook(ctx context.Context, scope openmail.Scope, url string) (e openmail.Endpoint, created bool, err error) {
	if err := scope.NeedAccount("change the account's webhook"); err != nil {
		return e, false, err
	}
	if err := w.target.Check(ctx, url); err != nil {
		return e, false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e, err = w.endpoints.Endpoint(ctx, scope)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		created = true
		e = openmail.Endpoint{
			ID: id.New(openmail.PrefixEndpoint), Account: scope.Account,
			Secret: w.target.NewSecret(), CreatedAt: time.Now().UTC().Truncate(time.Millisecond),
		}
	} else if err != nil {
		return e, false, err
	}
	e.URL, e.Enabled, e.DisabledReason = url, true, ""
	return e, created, w.endpoints.PutEndpoint(ctx, scope, e)
}

// DeleteWebhook removes the endpoint; it is no error when there is none.
func (w *Webhooks) DeleteWebhook(ctx context.Context, scope openmail.Scope) error {
	if err := scope.NeedAccount("change the account's webhook"); err != nil {
		return err
	}
	return w.endpoints.DeleteEndpoint(ctx, scope)
}

// TestWebhook posts a setup.test event, which stands in no log, and returns how
// that ended.
func (w *Webhooks) TestWebhook(ctx context.Context, scope openmail.Scope) (openmail.Attempt, error) {
	e, err := w.set(ctx, scope)
	if err != nil {
		return openmail.Attempt{}, err
	}
	event := id.New(openmail.PrefixEvent)
	return w.target.Test(ctx, e, api.Test(event, "", time.Now()), event), nil
}

// RotateSecret returns a new secret; the old one is invalid at once.
func (w *Webhooks) RotateSecret(ctx context.Context, scope openmail.Scope) (secret string, err error) {
	err = w.change(ctx, scope, func(e *openmail.Endpoint) error {
		secret = w.target.NewSecret()
		e.Secret, e.NextSecret = secret, ""
		return nil
	})
	return secret, err
}

// NextSecret returns a new secret that signs beside the old one until it is
// activated: the first of two steps in which no verifier sees a failure.
func (w *Webhooks) NextSecret(ctx context.Context, scope openmail.Scope) (secret string, err error) {
	err = w.change(ctx, scope, func(e *openmail.Endpoint) error {
		secret = w.target.NewSecret()
		e.NextSecret = secret
		return nil
	})
	return secret, err
}

// ActivateSecret is the second step: the next secret takes the old one's place.
func (w *Webhooks) ActivateSecret(ctx context.Context, scope openmail.Scope) error {
	return w.change(ctx, scope, func(e *openmail.Endpoint) error {
		if e.NextSecret == "" {
			return openmail.Errorf(openmail.CodeConflict, "There is no next secret to activate: make one first.")
		}
		e.Secret, e.NextSecret = e.NextSecret, ""
		return nil
	})
}

// set returns the endpoint; openmail.CodeNoWebhookURL when there is none.
func (w *Webhooks) set(ctx context.Context, scope openmail.Scope) (openmail.Endpoint, error) {
	if err := scope.NeedAccount("change the account's webhook"); err != nil {
		return openmail.Endpoint{}, err
	}
	e, err := w.endpoints.Endpoint(ctx, scope)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return e, openmail.Errorf(openmail.CodeNoWebhookURL, "There is no webhook: set its URL first.")
	}
	return e, err
}

func (w *Webhooks) change(ctx context.Context, scope openmail.Scope, do func(*openmail.Endpoint) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, err := w.set(ctx, scope)
	if err != nil {
		return err
	}
	if err := do(&e); err != nil {
		return err
	}
	return w.endpoints.PutEndpoint(ctx, scope, e)
}
