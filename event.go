package openmail

import (
	"slices"
	"time"
)

// EventType names what happened.
type EventType string

// The types of events.
const (
	MessageReceived  EventType = "message.received"  // a mail came in
	InboxSuspended   EventType = "inbox.suspended"   // an inbox may no longer send
	InboxReactivated EventType = "inbox.reactivated" // it may send again
	PodSuspended     EventType = "pod.suspended"     // no inbox of a pod may send any longer
	PodReactivated   EventType = "pod.reactivated"   // they may send again
)

// IsLifecycle reports whether an event of that type tells of a suspension or its
// end. It goes by webhook only, never over a socket, and has no message.
func (t EventType) IsLifecycle() bool {
	switch t {
	case InboxSuspended, InboxReactivated, PodSuspended, PodReactivated:
		return true
	}
	return false
}

// Position is an event's place in its account's log: 1, 2, 3, … without gaps at
// the time of writing. It is never shown to clients.
type Position int64

// Event is one entry of an account's log, and the state of its delivery.
type Event struct {
	ID         string
	Account    string
	Position   Position
	Type       EventType
	Pod        string // that of the inbox
	Inbox      string // "": it concerns the pod
	Thread     string // "": it has none, and no message
	Message    string
	OccurredAt time.Time
	Delivery   Delivery

	// Lane is the inbox whose own endpoint it was last meant for; "" for the
	// account's. Where it goes is decided anew at each hand-over.
	Lane string

	// Payload is the event in the wire's JSON, but for delivered_at and
	// attempt, which api.Stamp adds. It is nil unless the reader asked for
	// it. It is shared: never write to it.
	Payload []byte
}

// State is where the delivery of an event stands.
type State string

// The states of a delivery. Package delivery has the table of what leads from
// one to another.
const (
	StateArmed     State = "armed"     // pushed, or about to be; a receipt is awaited until Due
	StateDue       State = "due"       // to be posted at Due
	StatePosting   State = "posting"   // claimed; a post is under way, under a lease until Due
	StateDelivered State = "delivered" // a receipt or a 2xx came
	StateFailed    State = "failed"    // given up; Reason says why
)

// States lists the states.
func States() []State {
	return []State{StateArmed, StateDue, StatePosting, StateDelivered, StateFailed}
}

// Channel is a way to an agent.
type Channel string

// The channels.
const (
	ChannelWebSocket Channel = "websocket"
	ChannelWebhook   Channel = "webhook"
)

// Reason says why a delivery failed.
type Reason string

// The reasons.
const (
	ReasonNoRoute   Reason = "no_route"  // no socket listened, no webhook was set
	ReasonExhausted Reason = "exhausted" // the last attempt of the schedule failed
	ReasonGone      Reason = "gone"      // the endpoint answered 410
)

// Delivery is what is known of an event's way to its agent.
type Delivery struct {
	State    State
	Reason   Reason  // of StateFailed, else ""
	Channel  Channel // of StateDelivered, else ""
	Attempts int     // hand-overs begun since birth, on either channel
	Posts    int     // posts begun since the schedule last started
	// Due is when the state ends by itself: the deadline of StateArmed, the
	// next post of StateDue, the lease of StatePosting. Zero in the others.
	Due         time.Time
	DeliveredAt time.Time // of StateDelivered, else zero
}

// Attempt is one try to hand an event over, as it is kept.
type Attempt struct {
	N        int
	Channel  Channel
	At       time.Time
	Took     time.Duration
	Status   int // HTTP status; 0 on a socket, or without an answer
	Outcome  Outcome
	Error    string // in words, for the event's owner; "" when there is none
	Remote   string // the address at the other end
	Response string // the first 4 KiB of the answer; valid UTF-8
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	OutcomeDelivered Outcome = "delivered" // 2xx, or a receipt
	OutcomeRefused   Outcome = "refused"   // an answer that is not 2xx
	OutcomeGone      Outcome = "gone"      // 410
	OutcomeError     Outcome = "error"     // no answer: dial, TLS, timeout, a forbidden address
	OutcomeLost      Outcome = "lost"      // the socket ended before a receipt came, or the lease ran out
)

// Schedule is the delays before each post, the first included, counted from the
// end of the post before.
type Schedule []time.Duration

// DefaultSchedule is the contract's: five posts.
func DefaultSchedule() Schedule {
	return Schedule{0, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute}
}

// After is the delay that follows n posts that failed, n >= 1. ok is false
// when that was the last.
func (s Schedule) After(n int) (delay time.Duration, ok bool) {
	if n < 0 || n >= len(s) {
		return 0, false
	}
	return s[n], true
}

// Subscription is what one socket asked for. The zero Subscription wants
// nothing. It is a value: With and Without return changed copies.
type Subscription struct {
	active     bool
	allInboxes bool
	inboxes    []string // sorted; those wanted, or with allInboxes those not wanted
	allTypes   bool
	types      []EventType
}

// Active reports whether anything was subscribed to and not given up again.
func (s Subscription) Active() bool { return s.active }

// With adds inboxes and types; none given means all. Subscriptions accumulate:
// what was wanted before is still wanted.
func (s Subscription) With(inboxes []string, types []EventType) Subscription {
	switch {
	case len(inboxes) == 0:
		s.allInboxes, s.inboxes = true, nil
	case s.allInboxes:
		s.inboxes = without(s.inboxes, inboxes)
	default:
		s.inboxes = union(s.inboxes, inboxes)
	}
	return s.withTypes(types)
}

// Only wants those inboxes and no others, in place of those that were wanted
// before: none given means none. Types accumulate as they do by With.
func (s Subscription) Only(inboxes []string, types []EventType) Subscription {
	s.allInboxes, s.inboxes = false, union(inboxes, nil)
	return s.withTypes(types)
}

func (s Subscription) withTypes(types []EventType) Subscription {
	switch {
	case len(types) == 0:
		s.allTypes, s.types = true, nil
	case !s.allTypes:
		s.types = union(s.types, types)
	}
	s.active = true
	return s
}

// Without takes inboxes away; none given means everything.
func (s Subscription) Without(inboxes []string) Subscription {
	if len(inboxes) == 0 || !s.active {
		return Subscription{}
	}
	if s.allInboxes {
		s.inboxes = union(s.inboxes, inboxes)
		return s
	}
	if s.inboxes = without(s.inboxes, inboxes); len(s.inboxes) == 0 {
		return Subscription{}
	}
	return s
}

// Wants reports whether an event of that inbox and type is subscribed to. What
// goes by webhook only is wanted by none.
func (s Subscription) Wants(inbox string, t EventType) bool {
	if t.IsLifecycle() || !s.active || !s.allTypes && !slices.Contains(s.types, t) {
		return false
	}
	_, listed := slices.BinarySearch(s.inboxes, inbox)
	return listed != s.allInboxes
}

// Inboxes lists the inboxes wanted; empty means all of them, or none where none
// were left of those that Only named.
func (s Subscription) Inboxes() []string {
	if s.allInboxes {
		return nil
	}
	return slices.Clone(s.inboxes)
}

// Listed is how many inboxes the subscription names: those wanted, or where all
// are wanted those left out.
func (s Subscription) Listed() int { return len(s.inboxes) }

// Types lists the event types wanted; empty means all of them.
func (s Subscription) Types() []EventType {
	if s.allTypes {
		return nil
	}
	return slices.Clone(s.types)
}

// union and without return new sorted slices: a Subscription is copied freely.

func union[T ~string](a, b []T) []T {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func without[T ~string](a, b []T) []T {
	gone := union(b, nil)
	return slices.DeleteFunc(slices.Clone(a), func(x T) bool {
		_, found := slices.BinarySearch(gone, x)
		return found
	})
}
