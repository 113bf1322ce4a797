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
	done  chan bool // a post has ended: whether it delivered

	inFlight int
	failures int // in a row
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
		l.ended(<-l.done)
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

// wait returns when there may be something to do.
func (l *lane) wait(ctx context.Context, next time.Time) {
	var due <-chan time.Time // of a lane that waits for its posts: never
	if !next.IsZero() {
		t := time.NewTimer(max(time.Until(next), 0))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-due:
	case delivered := <-l.done:
		l.ended(delivered)
	}
}

func (l *lane) ended(delivered bool) {
	l.inFlight--
	l.d.budget <- struct{}{}
	if l.failures++; delivered {
		l.failures = 0
	}
}

// work claims what is due and begins its posts. It returns when to look again;
// zero means when woken, or when a post ends.
func (l *lane) work(ctx, posts context.Context) (next time.Time, err error) {
	due, err := l.d.Queue.Due(ctx, l.scope, l.at)
	if err != nil || due.IsZero() || due.After(time.Now()) {
		return due, err
	}
	free := l.slots()
	claimed, err := l.d.Queue.Claim(ctx, l.scope, Claim{Lane: l.at, At: time.Now(), Posts: free, Listening: l.d.Listeners.Wanted})
	for range free - len(claimed.Posts) {
		l.d.budget <- struct{}{}
	}
	if err != nil {
		return time.Time{}, err
	}
	for _, p := range claimed.Posts {
		l.inFlight++
		go l.post(posts, p)
	}
	for _, e := range claimed.Waiting {
		l.d.Listeners.Offer(e)
	}
	for _, to := range claimed.Moved {
		l.d.Wake(to)
	}
	return l.after(claimed, free), nil
}

// slots takes as many tokens as posts may begin now. There may be none, while
// others post: what needs no post is seen to all the same.
func (l *lane) slots() (n int) {
	limit := perEndpoint
	if l.failures >= breakAfter {
		limit = 1
	}
	for l.inFlight+n < limit {
		select {
		case <-l.d.budget:
			n++
		default:
			return n
		}
	}
	return n
}

// after is when to look again after a claim.
func (l *lane) after(c Claimed, free int) time.Time {
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
func (l *lane) post(ctx context.Context, p Post) {
	a, retryAfter := l.d.Poster.Post(ctx, p, time.Now())
	if err := l.d.Queue.Settle(ctx, l.scope, []Settled{{Post: p, Attempt: a, RetryAfter: retryAfter}}); err != nil {
		// Its lease runs out, and it is posted again.
		l.d.Logger.Error("dispatch.settle", "event", p.Event.ID, "error", err)
	}
	l.log(ctx, p, a)
	if l.d.Posted != nil {
		l.d.Posted(a)
	}
	l.done <- a.Outcome == openmail.OutcomeDelivered
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
