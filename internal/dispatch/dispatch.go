// Package dispatch is the room that hands every event over: to the sockets that
// listen, by webhook when none does or none answers, and again when its owner
// asks. What is true stands in the event log; here is only what acts on it.
package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"openmail"
	"openmail/internal/delivery"
)

// Poster makes one post.
type Poster interface {
	// Post makes the attempt, which has the number Event.Delivery.Attempts,
	// and tells how it ended. It takes no longer than its own deadline,
	// which lies well within delivery.Lease.
	Post(ctx context.Context, p Post, at time.Time) (a openmail.Attempt, retryAfter time.Duration)
}

// How the dispatcher works.
const (
	perEndpoint  = 8                     // posts in flight to one endpoint
	breakAfter   = 5                     // failures in a row after which an endpoint is only probed
	restAfter    = time.Second           // a lane that fails, or finds nothing to do, rests
	tokenWait    = 50 * time.Millisecond // between looks for a token while all are taken
	stopPatience = 15 * time.Second

	// lookEvery is how often every lane looks, for what other processes file
	// and for what it was not told of. Nothing armed falls due sooner.
	lookEvery = delivery.MinDeadline
)

// Config is what a Dispatcher needs.
type Config struct {
	Queue     Queue
	Poster    Poster
	Listeners *Listeners
	Sockets   *Sockets // whose receipts keep from falling what was read in time; they belong to this dispatcher
	Logger    *slog.Logger
	// Posted is told of each post, for the metrics; nil: nobody is.
	Posted func(openmail.Attempt)
}

// Dispatcher posts what is due. Every endpoint for which something waits has a
// lane of its own, so that one that fails, or never answers, holds up nobody
// else.
type Dispatcher struct {
	Config
	purse *purse

	mu    sync.Mutex
	lanes map[Lane]*lane
	begin func(*lane) // nil while Run does not
}

// New returns a Dispatcher, which the sockets wake from now on.
func New(c Config) *Dispatcher {
	d := &Dispatcher{Config: c, lanes: map[Lane]*lane{}, purse: newPurse()}
	c.Sockets.waker = d
	return d
}

// Run hands over what is due until ctx ends, and then finishes the posts in
// flight, for 15 s at most: what is cut off is posted again after a start.
func (d *Dispatcher) Run(ctx context.Context) error {
	var lanes sync.WaitGroup
	d.beginWith(func(l *lane) { lanes.Go(func() { l.run(ctx) }) })
	d.look(ctx)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			if ctx.Err() == nil {
				d.look(ctx)
			}
		case <-ctx.Done():
		}
	}
	d.beginWith(nil)
	lanes.Wait()
	return nil
}

func (d *Dispatcher) beginWith(begin func(*lane)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begin = begin
}

// look wakes every lane that has something waiting.
func (d *Dispatcher) look(ctx context.Context) {
	waiting, err := d.Queue.Lanes(ctx, openmail.Operator())
	if err != nil {
		if ctx.Err() == nil {
			d.Logger.Error("dispatch.look", "error", err)
		}
		return
	}
	for _, w := range waiting {
		d.Wake(w)
	}
}

// Filed says that an account has a new event in that state, in the lane of that
// inbox (or ""). It does not block. A lane that is there already is left in peace
// by what was armed just now: where its timer is set for later, it looks in time
// all the same (lookEvery).
func (d *Dispatcher) Filed(account, inbox string, s openmail.State) {
	at := Lane{account, inbox}
	switch s {
	case openmail.StateDue:
		d.Wake(at)
	case openmail.StateArmed:
		d.mu.Lock()
		_, there := d.lanes[at]
		d.mu.Unlock()
		if !there {
			d.Wake(at)
		}
	}
}

// Wake has a lane look at its queue. It does not block.
func (d *Dispatcher) Wake(at Lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begin == nil {
		return
	}
	l := d.lanes[at]
	if l == nil {
		l = &lane{d: d, at: at, scope: openmail.Scope{Account: at.Account}, wake: make(chan struct{}, 1), done: make(chan ended)}
		d.lanes[at] = l
		d.begin(l)
	}
	select {
	case l.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// retire removes a lane that has nothing to do, unless it was woken meanwhile.
func (d *Dispatcher) retire(l *lane) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(l.wake) > 0 {
		return false
	}
	delete(d.lanes, l.at)
	return true
}
