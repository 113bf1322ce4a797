package dispatch

import (
	"context"
	"time"

	"openmail"
)

// Queue is what the dispatcher asks of the event log to hand events over by
// itself.
type Queue interface {
	// Lanes returns the lanes that have a delivery with a due time.
	Lanes(ctx context.Context, scope openmail.Scope) ([]Lane, error)

	// Due returns the earliest due time in a lane of what is to be posted, and
	// of what is in another state; zero when nothing is. What lies further ahead
	// than delivery.Rules.Longest counts as due now: the clock was set back.
	Due(ctx context.Context, scope openmail.Scope, l Lane) (posts, others time.Time, err error)

	// Claim takes the deliveries of a lane that are due, earliest first,
	// through delivery.Fell; then it claims as many posts as it may. Each
	// post that it returns is in StatePosting under a lease on disk: a crash
	// costs a wait and a duplicate, never the event. What by now belongs to
	// another lane is moved there instead. What counts as due is what Due says.
	Claim(ctx context.Context, scope openmail.Scope, c Claim) (Claimed, error)

	// Settle writes the attempts and what followed from each by
	// delivery.Answered. A 410 disables the endpoint.
	Settle(ctx context.Context, scope openmail.Scope, posts []Settled) error
}

// Receipts is what the dispatcher asks of the event log for the sockets.
type Receipts interface {
	// Confirm takes each delivery through delivery.Receipt and writes the
	// attempts that delivered.
	Confirm(ctx context.Context, scope openmail.Scope, receipts []Receipt) error

	// Drop takes each delivery through delivery.Dropped and writes the
	// attempts that were lost. It returns what is armed now, for sockets that
	// have not had it: with payloads, oldest first; Delivery.Attempts is the
	// number that the next push carries. And the lanes of those that changed.
	Drop(ctx context.Context, scope openmail.Scope, lost []Receipt, listening Listening) ([]openmail.Event, []Lane, error)

	// Return is Drop for what a socket of a group had: through
	// delivery.Returned where another of the group wants it. It returns what
	// that one is to be given, likewise: what was armed, and what no webhook has
	// taken on.
	Return(ctx context.Context, scope openmail.Scope, lost []Receipt, heirs, listening Listening) ([]openmail.Event, []Lane, error)

	// Abandon takes the armed deliveries at or after from that held does not
	// accept through delivery.Dropped: the socket that was to have them ended
	// before they were pushed. It returns what Drop does.
	Abandon(ctx context.Context, scope openmail.Scope, from openmail.Position, held func(openmail.Event) bool, listening Listening) ([]openmail.Event, []Lane, error)
}

// Overdue is what the dispatcher asks of the event log for a socket that has just
// subscribed.
type Overdue interface {
	// Offer takes the deliveries in StateDue at or before upTo, of events
	// that wanted accepts, through delivery.Offered, oldest first, at most
	// limit of them, and returns their events with payloads.
	Offer(ctx context.Context, scope openmail.Scope, upTo openmail.Position, wanted func(openmail.Event) bool, limit int) ([]openmail.Event, error)
}

// Resends is what the dispatcher asks of the event log when its owner wants
// something sent again.
type Resends interface {
	// Redeliver takes the deliveries that the filter matches through
	// delivery.Redeliver, at most limit of them, beginning after the given
	// position, oldest first. It returns their events with payloads, changed
	// or not; none means that no more match.
	Redeliver(ctx context.Context, scope openmail.Scope, f Filter, after openmail.Position, limit int, listening Listening) ([]openmail.Event, error)
}

// Journal is what is read of the event log for its owner.
type Journal interface {
	// Event returns one event with its payload; openmail.CodeNotFound.
	Event(ctx context.Context, scope openmail.Scope, id string) (openmail.Event, error)

	// Events returns events newest first that the filter matches, at
	// positions before the given one (0: from the head), at most limit of
	// them. next is the position to go on from, 0 at the end; a page may be
	// short although there is more.
	Events(ctx context.Context, scope openmail.Scope, f Filter, before openmail.Position, limit int) (events []openmail.Event, next openmail.Position, err error)

	// Attempts returns the attempts of one event, oldest first.
	Attempts(ctx context.Context, scope openmail.Scope, event string) ([]openmail.Attempt, error)
}

// Endpoints is where webhooks are kept, with their secrets. An empty inbox means
// the account's endpoint.
type Endpoints interface {
	// Endpoint returns the endpoint; openmail.CodeNotFound.
	Endpoint(ctx context.Context, scope openmail.Scope, inbox string) (openmail.Endpoint, error)
	// PutEndpoint writes it whole, in place of one that is there;
	// openmail.CodeNotFound when its inbox is gone.
	PutEndpoint(ctx context.Context, scope openmail.Scope, e openmail.Endpoint) error
	// DeleteEndpoint removes it; it is no error when there is none.
	DeleteEndpoint(ctx context.Context, scope openmail.Scope, inbox string) error
}

// Listening reports whether a live socket wants such an event of the account.
// It does not block.
type Listening func(account, inbox string, t openmail.EventType) bool

// Lane is what goes to one endpoint, whether that is set or not: an account's, or
// that of one of its inboxes.
type Lane struct {
	Account string
	Inbox   string // "": the account's endpoint
}

// Claim says what may be claimed.
type Claim struct {
	Lane      Lane
	At        time.Time
	Posts     int // at most so many
	Listening Listening
}

// Claimed is what a claim found.
type Claimed struct {
	Posts []Post
	// Waiting are events still armed because no webhook is set and a socket
	// listens: it may be that they were never pushed. With payloads.
	Waiting []openmail.Event
	// Moved are the lanes that deliveries were moved to.
	Moved []Lane
	// Next is when the lane's next delivery falls due; zero when nothing
	// waits. It is not after the moment of the claim when more is due now
	// than could be taken.
	Next time.Time
}

// Post is one hand-over to an endpoint.
type Post struct {
	Event    openmail.Event // with its payload
	Endpoint openmail.Endpoint
}

// Settled is how a post ended.
type Settled struct {
	Post       Post
	Attempt    openmail.Attempt
	RetryAfter time.Duration // what the answer asked for; zero when nothing
}

// Receipt is a socket's word on one event that was pushed to it.
type Receipt struct {
	Account  string
	Position openmail.Position
	Attempt  int       // the number that the push carried
	PushedAt time.Time // when it was written
	At       time.Time // when the receipt came, or the socket ended
	Remote   string    // the address at the other end
}

// Filter chooses events. The zero value of a field means any.
type Filter struct {
	State        openmail.State
	Inbox        string
	Type         openmail.EventType
	Since, Until time.Time // of OccurredAt: Since included, Until not
	ID           string
}
