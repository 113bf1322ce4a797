package mailbox

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"openmail"
	"openmail/internal/id"
)

// Limits of what users say.
const (
	feedbackADay       = 100 // of an account
	maxFeedbackMessage = 10_000
	maxFeedbackContext = 500 // characters of each field of the context
)

// FeedbackType is what somebody has to say.
type FeedbackType string

// The types of feedback.
const (
	FeedbackBug      FeedbackType = "bug"
	FeedbackFriction FeedbackType = "friction"
	FeedbackFeature  FeedbackType = "feature_request"
)

// Feedback is what a user, or an agent, says about the product.
type Feedback struct {
	ID        string
	By        openmail.Scope // how far the key reaches that said it
	Key       string         // its id
	Type      FeedbackType
	Message   string
	Endpoint  string // what it is about: a method and path, …
	ErrorCode string // … the code of an error, …
	RequestID string // … or a request
	CreatedAt time.Time
}

// Feedbacks is where it is kept.
type Feedbacks interface {
	// CreateFeedback writes one and counts it, or returns the error of the
	// quota.
	CreateFeedback(ctx context.Context, scope openmail.Scope, f Feedback, q openmail.Quota) error
	// Feedback returns a page of it, newest first, and how much there is.
	Feedback(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]Feedback, int, error)
}

// GiveFeedback keeps what the holder of a key says, for the account and for the
// operator to read. openmail.CodeBadRequest, CodeRateLimit.
func (m *Mailbox) GiveFeedback(ctx context.Context, by openmail.Key, f Feedback) error {
	switch f.Type {
	case FeedbackBug, FeedbackFriction, FeedbackFeature:
	default:
		return openmail.FieldErrorf(openmail.CodeBadRequest, "type", "The type is bug, friction or feature_request.")
	}
	f.Message = strings.TrimSpace(f.Message)
	switch n := utf8.RuneCountInString(f.Message); {
	case n == 0:
		return openmail.FieldErrorf(openmail.CodeBadRequest, "message", "The message is empty.")
	case n > maxFeedbackMessage:
		return openmail.FieldErrorf(openmail.CodeBadRequest, "message", "The message has more than %d characters.", maxFeedbackMessage)
	}
	for field, value := range map[string]string{"endpoint": f.Endpoint, "errorCode": f.ErrorCode, "requestId": f.RequestID} {
		if utf8.RuneCountInString(value) > maxFeedbackContext {
			return openmail.FieldErrorf(openmail.CodeBadRequest, "context."+field, "It has more than %d characters.", maxFeedbackContext)
		}
	}
	now := time.Now()
	f.ID, f.By, f.Key, f.CreatedAt = id.At(openmail.PrefixFeedback, now), by.Scope(), by.ID, now
	return m.c.Feedbacks.CreateFeedback(ctx, f.By, f,
		openmail.PerDay("feedback.day", by.Account, feedbackADay, now, fmt.Sprintf("Max %d pieces of feedback per day per account", feedbackADay)))
}

// Feedback returns a page of what was said with keys of the account, newest
// first, and how much there is.
func (m *Mailbox) Feedback(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]Feedback, int, error) {
	if err := scope.NeedAccount("read the feedback"); err != nil {
		return nil, 0, err
	}
	return m.c.Feedbacks.Feedback(ctx, scope, page(p))
}
