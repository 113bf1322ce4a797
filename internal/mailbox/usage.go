package mailbox

import (
	"context"
	"time"

	"openmail"
)

// What a report of usage covers.
const (
	usageDays     = 30 // unless it is said
	MaxUsageDays  = 92
	MaxUsageLimit = 10_000 // inboxes in one report
)

// Counts is what was received, sent and stored.
type Counts struct {
	Inbound, Outbound int // messages; what came twice, or was turned away, is not among them
	AttachmentBytes   int64
	StoredBytes       int64 // of raw mail that is there now, whenever it came; the trash is not counted
}

// InboxUsage is that of one inbox.
type InboxUsage struct {
	Inbox   string
	Address string // as it is or, of an inbox that is gone, was
	Counts
}

// Usage is what the inboxes of an account did in some days of UTC, from the
// beginning of the first until the end of the last.
type Usage struct {
	From, To time.Time
	Inboxes  []InboxUsage // newest first; those that are gone are among them if they did anything
	Count    int          // of the inboxes, of which Inboxes is a page
	Totals   Counts
}

// UsageQuery asks for the usage between two moments, whose days are counted
// whole. A zero To is now, and a zero From 30 days before it.
type UsageQuery struct {
	From, To time.Time
	Page     openmail.Page // Limit 0: only the totals
}

// Usages is where it is counted what inboxes do.
type Usages interface {
	// Usage counts the days that begin at from or later, before to.
	Usage(ctx context.Context, scope openmail.Scope, from, to time.Time, p openmail.Page) (Usage, error)
}

// Usage tells what the inboxes of the account did.
func (m *Mailbox) Usage(ctx context.Context, scope openmail.Scope, q UsageQuery) (Usage, error) {
	if err := scope.NeedAccount("see the usage"); err != nil {
		return Usage{}, err
	}
	const day = 24 * time.Hour
	if q.To.IsZero() {
		q.To = time.Now()
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-usageDays * day)
	}
	switch {
	case !q.From.Before(q.To):
		return Usage{}, openmail.FieldErrorf(openmail.CodeBadRequest, "from", "The time from must be before the time to.")
	case q.To.Sub(q.From) > MaxUsageDays*day:
		return Usage{}, openmail.FieldErrorf(openmail.CodeBadRequest, "from", "A report covers at most %d days.", MaxUsageDays)
	}
	from, to := q.From.UTC().Truncate(day), q.To.UTC().Add(day-1).Truncate(day)
	q.Page.Limit = min(q.Page.Limit, MaxUsageLimit)
	u, err := m.c.Usages.Usage(ctx, scope, from, to, q.Page)
	u.From, u.To = from, to
	return u, err
}
