// Package delivery is the state machine of one event's delivery: what each
// input makes of each state. It is pure: the clock, the route and the answer
// are values that the caller passes in. docs/flow.md draws it.
package delivery

import (
	"slices"
	"time"

	"openmail"
)

// Limits of the receipt deadline that an account may set, and its default.
const (
	MinDeadline     = 3 * time.Second
	DefaultDeadline = 10 * time.Second
	MaxDeadline     = 120 * time.Second
)

// Lease is how long a claimed post may take before it counts as lost in a
// crash: longer than the sender's own deadline of 15 s, with room to settle.
const Lease = 30 * time.Second

// Route is what an event could be handed over to at the moment of an input.
type Route struct {
	Socket  bool // a live socket whose subscription wants it
	Webhook bool // an enabled endpoint
}

// Kind names an input.
type Kind int

// The inputs.
const (
	Receipt   Kind = iota // a socket's peer has read it
	Fell                  // its due time is reached
	Dropped               // the last socket that held it unconfirmed has ended
	Returned              // the socket that held it has ended, and another of its group takes over
	Offered               // a socket that wants it has subscribed
	Claimed               // a poster takes it
	Answered              // a post ended
	Redeliver             // its owner wants it sent again
)

var kindNames = [...]string{"receipt", "fell", "dropped", "returned", "offered", "claimed", "answered", "redeliver"}

func (k Kind) String() string { return kindNames[k] }

// Kinds lists the inputs.
func Kinds() []Kind {
	return []Kind{Receipt, Fell, Dropped, Returned, Offered, Claimed, Answered, Redeliver}
}

// Input is something that happens to a delivery.
type Input struct {
	Kind  Kind
	At    time.Time
	Route Route
	// Attempt is the number of the hand-over that Receipt, Dropped, Returned or
	// Answered ends.
	Attempt int
	// Outcome is how the post of Answered ended.
	Outcome openmail.Outcome
	// RetryAfter is what the answer asked for; zero when it did not.
	RetryAfter time.Duration
}

// Rules are the settings of the machine.
type Rules struct {
	Schedule openmail.Schedule
	Deadline time.Duration // for a receipt
	Lease    time.Duration // for a post
}

// DefaultRules are the contract's.
func DefaultRules() Rules {
	return Rules{Schedule: openmail.DefaultSchedule(), Deadline: DefaultDeadline, Lease: Lease}
}

// Longest is how far ahead a due time can lie. What is due later than that was
// written under a clock that has since been set back.
func (r Rules) Longest() time.Duration {
	return max(2*slices.Max(r.Schedule), MaxDeadline, r.Lease)
}

// Born is the delivery of an event that is written at that moment.
func (r Rules) Born(at time.Time, route Route) openmail.Delivery {
	return r.start(openmail.Delivery{}, at, route)
}

// Next is the delivery after an input. changed is false when the input means
// nothing in that state: it came late, or twice, or too early.
func (r Rules) Next(d openmail.Delivery, in Input) (next openmail.Delivery, changed bool) {
	switch in.Kind {
	case Receipt:
		return r.delivered(d, in, openmail.ChannelWebSocket)
	case Fell:
		return r.fell(d, in)
	case Dropped:
		return r.dropped(d, in)
	case Returned:
		return r.returned(d, in)
	case Offered:
		return r.offered(d, in)
	case Claimed:
		return r.claimed(d, in)
	case Answered:
		return r.answered(d, in)
	case Redeliver:
		return r.redeliver(d, in)
	}
	return d, false
}

// start begins the way to the agent: over a socket where one listens, else by
// webhook, else not at all.
func (r Rules) start(d openmail.Delivery, at time.Time, route Route) openmail.Delivery {
	switch {
	case route.Socket:
		return r.armed(d, at.Add(r.Deadline))
	case route.Webhook:
		return due(d, at)
	}
	return failed(d, openmail.ReasonNoRoute)
}

// delivered ends the way, whatever was planned: a late receipt still wins over
// an attempt that has not ended.
func (r Rules) delivered(d openmail.Delivery, in Input, by openmail.Channel) (openmail.Delivery, bool) {
	if d.State == openmail.StateDelivered {
		// A replay that was read is an attempt of its own; what another
		// socket confirms of the same push is not.
		more := in.Attempt > d.Attempts
		d.Attempts = max(d.Attempts, in.Attempt)
		return d, more
	}
	return openmail.Delivery{
		State: openmail.StateDelivered, Channel: by, DeliveredAt: in.At,
		Attempts: max(d.Attempts, in.Attempt), Posts: d.Posts,
	}, true
}

func (r Rules) fell(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if d.Due.IsZero() || d.Due.After(in.At) {
		return d, false
	}
	switch d.State {
	case openmail.StateArmed:
		return r.fallBack(d, in), true
	case openmail.StatePosting:
		// The poster died, and its post may or may not have arrived: the
		// same post of the schedule is due again.
		d.Posts--
		return due(d, in.At), true
	}
	return d, false
}

// dropped counts the hand-over that was lost, and what was armed falls back at
// once: by webhook, or else to another socket. A post under way keeps its number:
// its answer is known by it.
func (r Rules) dropped(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if d.State == openmail.StateDelivered || d.State == openmail.StatePosting {
		return d, false
	}
	more := in.Attempt > d.Attempts
	d.Attempts = max(d.Attempts, in.Attempt)
	switch {
	case d.State != openmail.StateArmed:
		return d, more
	case in.Route.Socket && !in.Route.Webhook:
		return r.handed(d, in.At), true
	}
	return r.fallBack(d, in), true
}

// returned counts the hand-over that was lost, as dropped does, and lets another
// socket have what still waits, before any webhook: that is an attempt more. The
// post keeps its time when that is later than the deadline.
func (r Rules) returned(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if !in.Route.Socket { // the others are gone as well
		return r.dropped(d, in)
	}
	if d.State == openmail.StateDelivered || d.State == openmail.StatePosting {
		return d, false
	}
	more := in.Attempt > d.Attempts
	d.Attempts = max(d.Attempts, in.Attempt)
	if d.State == openmail.StateFailed {
		return d, more
	}
	return r.handed(d, in.At), true
}

// fallBack is what becomes of an armed delivery without a receipt.
func (r Rules) fallBack(d openmail.Delivery, in Input) openmail.Delivery {
	switch {
	case in.Route.Webhook:
		return due(d, in.At)
	case in.Route.Socket: // a slow handler, not a dead one
		d.Due = in.At.Add(r.Deadline)
		return d
	}
	return failed(d, openmail.ReasonNoRoute)
}

// offered lets a socket that has just subscribed have what waits for a post.
// The post keeps its time when that is later than the deadline.
func (r Rules) offered(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if d.State != openmail.StateDue || !in.Route.Socket {
		return d, false
	}
	return r.handed(d, in.At), true
}

// handed is a delivery that waits, once a socket has it. What was planned for a
// moment after the deadline stays planned for then.
func (r Rules) handed(d openmail.Delivery, at time.Time) openmail.Delivery {
	until := at.Add(r.Deadline)
	if d.Due.After(until) {
		until = d.Due
	}
	return r.armed(d, until)
}

func (r Rules) claimed(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if d.State != openmail.StateDue || d.Due.After(in.At) {
		return d, false
	}
	if !in.Route.Webhook { // the endpoint went away meanwhile
		return r.start(d, in.At, in.Route), true
	}
	d.State, d.Due = openmail.StatePosting, in.At.Add(r.Lease)
	d.Attempts++
	d.Posts++
	return d, true
}

func (r Rules) answered(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if in.Outcome == openmail.OutcomeDelivered {
		return r.delivered(d, in, openmail.ChannelWebhook)
	}
	if d.State != openmail.StatePosting || d.Attempts != in.Attempt {
		return d, false // its lease ran out, or a receipt came first
	}
	if in.Outcome == openmail.OutcomeGone {
		return failed(d, openmail.ReasonGone), true
	}
	delay, ok := r.Schedule.After(d.Posts)
	if !ok {
		return failed(d, openmail.ReasonExhausted), true
	}
	return due(d, in.At.Add(min(max(delay, in.RetryAfter), 2*delay))), true
}

// redeliver starts again from the beginning, but for what is under way.
func (r Rules) redeliver(d openmail.Delivery, in Input) (openmail.Delivery, bool) {
	if d.State == openmail.StatePosting || d.State == openmail.StateArmed {
		return d, false
	}
	d.Posts = 0
	return r.start(d, in.At, in.Route), true
}

func (r Rules) armed(d openmail.Delivery, until time.Time) openmail.Delivery {
	return openmail.Delivery{State: openmail.StateArmed, Due: until, Attempts: d.Attempts + 1, Posts: d.Posts}
}

func due(d openmail.Delivery, at time.Time) openmail.Delivery {
	return openmail.Delivery{State: openmail.StateDue, Due: at, Attempts: d.Attempts, Posts: d.Posts}
}

func failed(d openmail.Delivery, why openmail.Reason) openmail.Delivery {
	return openmail.Delivery{State: openmail.StateFailed, Reason: why, Attempts: d.Attempts, Posts: d.Posts}
}
