package outgoing

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"openmail"
	"openmail/internal/id"
)

// Suspensions is where it is kept who may not send.
type Suspensions interface {
	// Suspend writes a suspension, and under that id the event that tells of
	// it, in one transaction, unless what it names has one of its own already:
	// then nothing changes, and that is returned. An inbox may be named by its
	// address. openmail.CodeNotFound when there is no such thing.
	Suspend(ctx context.Context, scope openmail.Scope, s openmail.Suspension, event string) (SuspensionChange, error)

	// Reactivate ends the suspension that what s names has of its own, and
	// writes the event that tells of it, in one transaction. It is no error
	// when there is none. openmail.CodeNotFound as with Suspend.
	Reactivate(ctx context.Context, scope openmail.Scope, s openmail.Suspension, event string, at time.Time) (SuspensionChange, error)

	// Suspended returns the suspensions of a scope, newest first, at most limit
	// of them.
	Suspended(ctx context.Context, scope openmail.Scope, limit int) ([]openmail.Suspension, error)
}

// Dispatcher hands events over.
type Dispatcher interface {
	// Filed says that the account has a new event, in which lane, and how its
	// delivery was born. It does not block, and may be lost.
	Filed(account, lane string, s openmail.State)
}

// SuspensionChange is what became of a suspension.
type SuspensionChange struct {
	openmail.Suspension                // that which is there now, or was until now
	Changed             bool           // it was not so before
	Event               openmail.Event // that tells of it; the zero Event for none
}

// Operators is what the operator of the server does to those who send.
type Operators struct {
	store      Suspensions
	dispatcher Dispatcher
	logger     *slog.Logger
}

// NewOperators returns an Operators.
func NewOperators(s Suspensions, d Dispatcher, logger *slog.Logger) *Operators {
	return &Operators{s, d, logger}
}

// Suspend stops an inbox, a pod or an account from sending. When it returns, no
// mail of it is accepted any more, and the event that says so is on disk. What is
// suspended already stays as it is.
func (o *Operators) Suspend(ctx context.Context, kind openmail.SuspendedKind, name string, reason openmail.SuspensionReason) (SuspensionChange, error) {
	if !slices.Contains(openmail.SuspensionReasons(), reason) {
		return SuspensionChange{}, openmail.FieldErrorf(openmail.CodeBadRequest, "reason", "There is no such reason.")
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := openmail.Suspension{Kind: kind, ID: name, Reason: reason, Since: now}
	c, err := o.store.Suspend(ctx, openmail.Operator(), s, id.At(openmail.PrefixEvent, now))
	return o.tell(ctx, "sending.suspended", c, err)
}

// Reactivate lets it send again. What is not suspended stays as it is.
func (o *Operators) Reactivate(ctx context.Context, kind openmail.SuspendedKind, name string) (SuspensionChange, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	c, err := o.store.Reactivate(ctx, openmail.Operator(), openmail.Suspension{Kind: kind, ID: name}, id.At(openmail.PrefixEvent, now), now)
	return o.tell(ctx, "sending.reactivated", c, err)
}

// Suspended lists who may not send, newest first, at most limit of them.
func (o *Operators) Suspended(ctx context.Context, limit int) ([]openmail.Suspension, error) {
	return o.store.Suspended(ctx, openmail.Operator(), limit)
}

func (o *Operators) tell(ctx context.Context, what string, c SuspensionChange, err error) (SuspensionChange, error) {
	if err != nil || !c.Changed {
		return c, err
	}
	if c.Event.ID != "" {
		o.dispatcher.Filed(c.Account, c.Event.Lane, c.Event.Delivery.State)
	}
	o.logger.LogAttrs(ctx, slog.LevelWarn, what, slog.String("kind", string(c.Kind)), slog.String("id", c.ID),
		slog.String("account", c.Account), slog.String("reason", string(c.Reason)), slog.String("event", c.Event.ID))
	return c, nil
}
