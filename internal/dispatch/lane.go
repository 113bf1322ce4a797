package dispatch

import (
	"context"
	"log/slog"
	"time"

	"openmail"
)

// lane hands over what is due to one endpoint. One goroutine runs it.
type lane struct {
	d     *Dispatcher
	at    Lane
	scope openmail.Scope // of its account
	wake  chan struct{}
	done  chan ended

	inFlight int
	failures int // in a row
	// starved is until when nothing is missing but tokens: the log need not be
	// asked.
	starved time.Time
}

// ended says that a post has ended.
type ended struct {
	delivered bool
	failing   bool // as its token was taken
}

// run works until nothing waits, or ctx ends and what is in flight has ended.
func (l *lane) run(ctx context.Context) {
	posts, cancel := lingering(ctx, stopPatience)
	defer cancel()
	for ctx.Err() == nil {
		next, err := l.work(ctx, posts)
		if err != nil && ctx.Err() == nil {
			l.d.Logger.Error("dispatch.claim", "account", l.scope.Account, "error", err)
			next = time.Now().Add(restAfter)
		}
		if next.IsZero() && l.inFlight == 0 && l.d.retire(l) {
			return
		}
		l.wait(ctx, next)
	}
	for l.inFlight > 0 {
		l.after(<-l.done)
	}
	l.d.retire(l)
}

// lingering is a context that ends some time after its parent.
func lingering(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(patience, cancel)
		context.AfterFunc(long, func() { t.Stop() })
	})
	return long, func() { stop(); cancel() }
}

// wait returns when there may be something to do, and takes in all that has
// happened until then: it makes no difference what came first.
func (l *lane) wait(ctx context.Context, next time.Time) {
	defer l.takeIn()
	var due <-chan time.Time // of a lane that waits for its posts: never
	if !next.IsZero() {
		left := time.Until(next)
		if left <= 0 {
			return
		}
		t := time.NewTimer(left)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-due:
	case e := <-l.done:
		l.after(e)
	}
}

// takeIn takes in the posts that have ended, and waits for nothing. Who woke the
// lane meanwhile is heard with them.
func (l *lane) takeIn() {
	for {
		select {
		case <-l.wake:
		case e := <-l.done:
			l.after(e)
		default:
			return
		}
	}
}

// after takes in how a post ended.
func (l *lane) after(e ended) {
	l.inFlight--
	l.d.purse.give(l.at.Account, e.failing, 1)
	if l.failures++; e.delivered {
		l.failures = 0
	}
}

// failing reports whether the endpoint is only probed.
func (l *lane) failing() bool { return l.failures >= breakAfter }

// work claims what is due and begins its posts. It returns when to look again;
// zero means when woken, or when a post ends.
func (l *lane) work(ctx, posts context.Context) (next time.Time, err error) {
	free, ready, next, err := l.ready(ctx)
	if err != nil || !ready {
		return next, err
	}
	failing := l.failing()
	claimed, err := l.d.Queue.Claim(ctx, l.scope, Claim{Lane: l.at, At: time.Now(), Posts: free, Listening: l.d.Listeners.Wanted})
	l.d.purse.give(l.at.Account, failing, free-len(claimed.Posts))
	if err != nil {
		return time.Time{}, err
	}
	for _, p := range claimed.Posts {
		if l.d.Sockets.hasRead(p.Event) { // its receipt came meanwhile, and wins
			l.d.purse.give(l.at.Account, failing, 1)
			continue
		}
		l.inFlight++
		go l.post(posts, p, failing)
	}
	for _, e := range claimed.Waiting {
		if !l.d.Sockets.hasRead(e) {
			l.d.Listeners.Offer(e)
		}
	}
	for _, to := range claimed.Moved {
		l.d.Wake(to)
	}
	return l.next(claimed, free), nil
}

// ready takes as many tokens as posts may begin, and reports whether something
// is to be claimed: posts where there are tokens, and all else that is due.
// Where not, next is when to look again.
func (l *lane) ready(ctx context.Context) (free int, ready bool, next time.Time, err error) {
	now := time.Now()
	if now.Before(l.starved) {
		if free = l.slots(); free > 0 {
			l.starved = time.Time{}
		}
		return free, free > 0, now.Add(tokenWait), nil
	}
	posts, others, err := l.d.Queue.Due(ctx, l.scope, l.at)
	if err != nil {
		return 0, false, time.Time{}, err
	}
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	if !due(posts) && !due(others) {
		return 0, false, sooner(posts, others), nil
	}
	if due(others) {
		l.d.Sockets.Written(ctx)
	}
	if free = l.slots(); free > 0 || due(others) {
		return free, true, time.Time{}, nil
	}
	if l.inFlight > 0 {
		return 0, false, others, nil // or when a post ends
	}
	l.starved = sooner(others, now.Add(lookEvery))
	return 0, false, now.Add(tokenWait), nil
}

// sooner is the earlier of two times, of which either may be none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// slots takes as many tokens as posts may begin now. There may be none, while
// others post: what needs no post is seen to all the same.
func (l *lane) slots() (n int) {
	limit := perEndpoint
	if l.failing() {
		limit = 1
	}
	for l.inFlight+n < limit && l.d.purse.take(l.at.Account, l.failing()) {
		n++
	}
	return n
}

// next is when to look again after a claim.
func (l *lane) next(c Claimed, free int) time.Time {
	switch {
	case c.Next.IsZero() || c.Next.After(time.Now()):
		return c.Next
	case len(c.Posts) > 0 || len(c.Waiting) > 0 || len(c.Moved) > 0:
		return c.Next // there is more
	case free == 0 && l.inFlight > 0:
		return time.Time{} // when a post ends
	case free == 0:
		return time.Now().Add(tokenWait) // when others' posts have ended
	}
	return time.Now().Add(restAfter) // what is due is being worked on elsewhere
}

// post makes one post and writes how it ended.
func (l *lane) post(ctx context.Context, p Post, failing bool) {
	a, retryAfter := l.d.Poster.Post(ctx, p, time.Now())
	if err := l.d.Queue.Settle(ctx, l.scope, []Settled{{Post: p, Attempt: a, RetryAfter: retryAfter}}); err != nil {
		// Its lease runs out, and it is posted again.
		l.d.Logger.Error("dispatch.settle", "event", p.Event.ID, "error", err)
	}
	l.log(ctx, p, a)
	if l.d.Posted != nil {
		l.d.Posted(a)
	}
	l.done <- ended{delivered: a.Outcome == openmail.OutcomeDelivered, failing: failing}
}

func (l *lane) log(ctx context.Context, p Post, a openmail.Attempt) {
	name, level := "event.delivered", slog.LevelInfo
	if a.Outcome != openmail.OutcomeDelivered {
		name, level = "event.attempt", slog.LevelWarn
	}
	l.d.Logger.LogAttrs(ctx, level, name,
		slog.String("account", p.Event.Account), slog.String("inbox", p.Event.Inbox), slog.String("event", p.Event.ID), slog.String("channel", string(a.Channel)),
		slog.Int("attempt", a.N), slog.Int("status", a.Status), slog.String("outcome", string(a.Outcome)),
		slog.String("error", a.Error), slog.Duration("took", a.Took), slog.Duration("age", a.At.Add(a.Took).Sub(p.Event.OccurredAt)))
}
