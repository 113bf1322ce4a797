package dispatch_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/blob"
	"openmail/internal/delivery"
	"openmail/internal/dispatch"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post is one post as the endpoint saw it.
type post struct {
	event   string
	attempt int
	at      time.Time
}

// endpoint stands in for the network: it answers as the test says.
type endpoint struct {
	mu     sync.Mutex
	posts  []post
	now    int // being answered
	most   int // at once
	answer func(ctx context.Context, p dispatch.Post) openmail.Attempt
}

func (e *endpoint) Post(ctx context.Context, p dispatch.Post, at time.Time) (openmail.Attempt, time.Duration) {
	e.mu.Lock()
	e.posts = append(e.posts, post{p.Event.ID, p.Event.Delivery.Attempts, at})
	e.now++
	e.most = max(e.most, e.now)
	e.mu.Unlock()
	a := e.answer(ctx, p)
	e.mu.Lock()
	e.now--
	e.mu.Unlock()
	a.N, a.Channel, a.At, a.Took = p.Event.Delivery.Attempts, openmail.ChannelWebhook, at, time.Since(at)
	return a, 0
}

func (e *endpoint) seen() []post {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.posts)
}

func status(code int) func(context.Context, dispatch.Post) openmail.Attempt {
	outcome := openmail.OutcomeRefused
	switch {
	case code/100 == 2:
		outcome = openmail.OutcomeDelivered
	case code == 410:
		outcome = openmail.OutcomeGone
	}
	return func(context.Context, dispatch.Post) openmail.Attempt {
		return openmail.Attempt{Status: code, Outcome: outcome}
	}
}

// world is a dispatcher over a real store, with an endpoint that the test
// answers for.
type world struct {
	t         *testing.T
	dir       string
	db        *store.DB
	listeners *dispatch.Listeners
	d         *dispatch.Dispatcher
	sockets   *dispatch.Sockets
	endpoint  *endpoint
	stop      context.CancelFunc
	stopped   sync.WaitGroup
	claiming  func() // what happens just before a claim; nil: nothing
	dropped   func() // just after the losses of a socket are written; nil: nothing
}

// queue is the store, around whose answers something may happen.
type queue struct {
	*store.DB
	w *world
}

func (q queue) Drop(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, wanted dispatch.Listening) ([]openmail.Event, []dispatch.Lane, error) {
	again, lanes, err := q.DB.Drop(ctx, scope, lost, wanted)
	if q.w.dropped != nil {
		q.w.dropped()
	}
	return again, lanes, err
}

func (q queue) Claim(ctx context.Context, scope openmail.Scope, c dispatch.Claim) (dispatch.Claimed, error) {
	if q.w.claiming != nil {
		q.w.claiming()
	}
	return q.DB.Claim(ctx, scope, c)
}

// newWorld must be called in the bubble of the test. Close it there too.
func newWorld(t *testing.T, answer func(context.Context, dispatch.Post) openmail.Attempt) *world {
	t.Helper()
	dir := t.TempDir()
	blobs, err := blob.NewFiles(dir)
	check(t, err)
	db, err := store.Open(t.Context(), store.Config{Dir: dir, Blobs: blobs, FileKey: make([]byte, 32), Links: api.Links{PublicURL: "http://test"}})
	check(t, err)
	w := &world{t: t, dir: dir, db: db, listeners: dispatch.NewListeners(), endpoint: &endpoint{answer: answer}}
	w.start()
	t.Cleanup(func() { blobs.Close() })
	return w
}

// start begins a dispatcher, as a start of the process would.
func (w *world) start() {
	logger := slog.New(slog.DiscardHandler)
	w.sockets = dispatch.NewSockets(w.listeners, queue{w.db, w}, w.db, logger, nil)
	w.d = dispatch.New(dispatch.Config{Queue: queue{w.db, w}, Poster: w.endpoint, Listeners: w.listeners, Sockets: w.sockets, Logger: logger})
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.stopped.Go(func() { check(w.t, w.d.Run(ctx)) })
	w.stopped.Go(func() { check(w.t, w.sockets.Run(ctx)) })
	synctest.Wait()
}

func (w *world) halt() {
	w.stop()
	w.stopped.Wait()
}

func (w *world) close() {
	w.halt()
	check(w.t, w.db.Close())
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// account makes an account with an inbox, and a webhook if it is wanted.
func (w *world) account(webhook bool) openmail.Inbox {
	w.t.Helper()
	return w.accountOf(10*time.Second, webhook)
}

// accountOf is account with another deadline for receipts.
func (w *world) accountOf(deadline time.Duration, webhook bool) openmail.Inbox {
	w.t.Helper()
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), ReceiptDeadline: deadline, CreatedAt: time.Now()}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: time.Now()}
	check(w.t, w.db.CreateAccount(w.t.Context(), openmail.Operator(), a, k, sha256.Sum256([]byte(a.ID))))
	in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: a.ID, Address: a.ID + "@openmail.test", CreatedAt: time.Now()}
	scope := openmail.Scope{Account: a.ID}
	check(w.t, w.db.CreateInbox(w.t.Context(), scope, in))
	if webhook {
		check(w.t, w.db.PutEndpoint(w.t.Context(), scope, openmail.Endpoint{
			ID: id.New(openmail.PrefixEndpoint), Account: a.ID, URL: "https://agent.test/", Secret: "s", Enabled: true, CreatedAt: time.Now(),
		}))
	}
	return in
}

// mail files a mail and says so, as intake does.
func (w *world) mail(in openmail.Inbox) intake.Filed {
	w.t.Helper()
	messageID := id.New(openmail.PrefixMessage)
	raw := []byte("Message-ID: <" + messageID + "@x>\r\n\r\nHello")
	filed, err := w.db.File(w.t.Context(), intake.Filing{
		Raw: raw, Digest: sha256.Sum256(raw), At: time.Now(), Listening: w.listeners.Wanted,
		Copies: []intake.Copy{{
			Event: id.New(openmail.PrefixEvent), Verdict: openmail.Verdict{Admitted: true},
			Message: openmail.Message{
				ID: messageID, Account: in.Account, Inbox: in.ID, Thread: id.New(openmail.PrefixThread), Direction: openmail.Inbound,
				RFCMessageID: "<" + messageID + "@x>", SizeBytes: int64(len(raw)), CreatedAt: time.Now(),
			},
		}},
	})
	check(w.t, err)
	w.d.Filed(in.Account, filed[0].Lane, filed[0].State)
	return filed[0]
}

func (w *world) delivery(in openmail.Inbox, event string) openmail.Delivery {
	w.t.Helper()
	e, err := w.db.Event(w.t.Context(), openmail.Scope{Account: in.Account}, event)
	check(w.t, err)
	return e.Delivery
}

// socket is a listener that keeps what it was offered.
type socket struct {
	mu      sync.Mutex
	holds   map[openmail.Position]bool
	offered []openmail.Event
	resumed openmail.Position
}

func (s *socket) Wants(string, openmail.EventType) bool { return true }

func (s *socket) Holds(p openmail.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds[p]
}

func (s *socket) Resumed() openmail.Position { return s.resumed }

func (s *socket) had() []openmail.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.offered)
}

func (s *socket) Offer(e openmail.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered = append(s.offered, e)
}

// deaf is a socket that wants nothing of what comes.
type deaf struct{ *socket }

func (deaf) Wants(string, openmail.EventType) bool { return false }

// head is the position of the newest event of the inbox's account.
func (w *world) head(in openmail.Inbox) openmail.Position {
	w.t.Helper()
	p, err := w.db.Head(w.t.Context(), openmail.Scope{Account: in.Account})
	check(w.t, err)
	return p
}

func bubble(t *testing.T, answer func(context.Context, dispatch.Post) openmail.Attempt, f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, answer)
		f(t, w)
		w.close()
	})
}

func TestARefusedEventIsPostedFiveTimesOnTheSchedule(t *testing.T) {
	bubble(t, status(503), func(t *testing.T, w *world) {
		in := w.account(true)
		start := time.Now()
		filed := w.mail(in)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		var after []time.Duration
		for i, p := range w.endpoint.seen() {
			after = append(after, p.at.Sub(start))
			if p.attempt != i+1 || p.event != filed.Event {
				t.Errorf("post %d is attempt %d of %s", i+1, p.attempt, p.event)
			}
		}
		want := []time.Duration{0, 30 * time.Second, 90 * time.Second, 210 * time.Second, 450 * time.Second}
		if !slices.Equal(after, want) {
			t.Errorf("posted after %v, want %v", after, want)
		}
		if d := w.delivery(in, filed.Event); d.Reason != openmail.ReasonExhausted {
			t.Errorf("in the end: %+v", d)
		}
	})
}

func TestAnArmedEventWithoutAReceiptFallsBackAtItsDeadline(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		s := &socket{}
		w.listeners.Join(in.Account, s)
		start := time.Now()
		filed := w.mail(in)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if n := len(w.endpoint.seen()); n != 0 {
			t.Fatalf("%d posts before the deadline", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		posts := w.endpoint.seen()
		if len(posts) != 1 || posts[0].at.Sub(start) != 10*time.Second || posts[0].attempt != 2 {
			t.Fatalf("posts %+v", posts)
		}
		if d := w.delivery(in, filed.Event); d.Channel != openmail.ChannelWebhook || d.Attempts != 2 {
			t.Errorf("in the end: %+v", d)
		}
	})
}

func TestALaneThatSleepsForARetryStillSeesAShortDeadline(t *testing.T) {
	answer := func(_ context.Context, p dispatch.Post) openmail.Attempt {
		if p.Event.Position == 1 {
			return openmail.Attempt{Status: 503, Outcome: openmail.OutcomeRefused}
		}
		return openmail.Attempt{Status: 200, Outcome: openmail.OutcomeDelivered}
	}
	bubble(t, answer, func(t *testing.T, w *world) {
		in := w.accountOf(delivery.MinDeadline, true)
		w.mail(in) // refused: the lane sleeps for 30 s
		time.Sleep(time.Second)
		w.listeners.Join(in.Account, &socket{})
		start := time.Now()
		w.mail(in)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		posts := w.endpoint.seen()
		if len(posts) != 2 || posts[1].at.Sub(start) > delivery.MinDeadline+100*time.Millisecond {
			t.Errorf("armed at %v, posts %+v", start, posts)
		}
	})
}

func TestAReceiptDisarms(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		w.listeners.Join(in.Account, &socket{})
		filed := w.mail(in)
		w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.Channel != openmail.ChannelWebSocket || len(w.endpoint.seen()) != 0 {
			t.Errorf("delivery %+v, posts %+v", d, w.endpoint.seen())
		}
	})
}

func TestAReceiptThatCameJustBeforeTheEndIsWritten(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		s := &socket{}
		w.sockets.Join(in.Account, s)
		for range 10 {
			f := w.mail(in)
			w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: w.head(in), Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
			synctest.Wait() // it waits for others to be written with it
			w.halt()
			if d := w.delivery(in, f.Event); d.State != openmail.StateDelivered {
				t.Fatalf("after the end: %+v", d)
			}
			w.start()
		}
	})
}

func TestTheDeathOfTheLastSocketThatHeldItPullsTheDeadlineIn(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		one, two := &socket{}, &socket{holds: map[openmail.Position]bool{1: true}}
		w.listeners.Join(in.Account, one)
		w.listeners.Join(in.Account, two)
		start := time.Now()
		w.mail(in)
		lost := []dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}}
		w.sockets.Leave(in.Account, one, lost, w.head(in)+1)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(w.endpoint.seen()); n != 0 {
			t.Fatalf("%d posts while another socket holds the event", n)
		}
		w.sockets.Leave(in.Account, two, lost, w.head(in)+1)
		time.Sleep(time.Second)
		synctest.Wait()
		if posts := w.endpoint.seen(); len(posts) != 1 || posts[0].at.Sub(start) > 2*time.Second {
			t.Errorf("posts %+v", posts)
		}
	})
}

func TestWhatASocketOfAGroupHadIsOfferedToTheGroupAndNotPosted(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		group, holder := &socket{}, &socket{holds: map[openmail.Position]bool{1: true, 2: true}}
		w.listeners.Join(in.Account, group)
		w.listeners.Join(in.Account, holder) // another socket that has them too
		first, second := w.mail(in), w.mail(in)
		time.Sleep(9 * time.Second)
		now := time.Now()
		w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 2, Attempt: 1, PushedAt: now, At: now}})
		w.sockets.Return(group, []dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: now, At: now}})
		time.Sleep(9 * time.Second) // past the first deadline, within that of the other socket of the group
		synctest.Wait()
		group.mu.Lock()
		offered := group.offered
		group.mu.Unlock()
		if len(offered) != 1 || offered[0].ID != first.Event || offered[0].Delivery.Attempts != 2 || len(offered[0].Payload) == 0 {
			t.Fatalf("offered to the group: %+v", offered)
		}
		if n := len(w.endpoint.seen()); n != 0 {
			t.Errorf("%d posts while the group has the event", n)
		}
		if d := w.delivery(in, second.Event); d.State != openmail.StateDelivered {
			t.Errorf("what was confirmed is %+v", d)
		}
		attempts, err := w.db.Attempts(t.Context(), openmail.Scope{Account: in.Account}, first.Event)
		if err != nil || len(attempts) != 1 || attempts[0].Outcome != openmail.OutcomeLost {
			t.Errorf("attempts %+v, %v", attempts, err)
		}
		time.Sleep(2 * time.Second) // no receipt: the webhook, after all
		synctest.Wait()
		if posts := w.endpoint.seen(); len(posts) != 1 {
			t.Errorf("posts %+v", posts)
		}
	})
}

func TestWithoutAWebhookASlowSocketKeepsTheEventAndIsOfferedItAgain(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		s := &socket{}
		w.listeners.Join(in.Account, s)
		filed := w.mail(in)
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.State != openmail.StateArmed {
			t.Errorf("delivery %+v", d)
		}
		s.mu.Lock()
		offered := len(s.offered)
		s.mu.Unlock()
		if offered != 2 {
			t.Errorf("offered %d times in two deadlines", offered)
		}
		w.sockets.Leave(in.Account, s, nil, w.head(in)+1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.Reason != openmail.ReasonNoRoute {
			t.Errorf("once nobody listens: %+v", d)
		}
	})
}

func TestAnEndpointThatHangsHoldsUpNobodyElse(t *testing.T) {
	var slow string
	hang := func(ctx context.Context, p dispatch.Post) openmail.Attempt {
		if p.Event.Account == slow {
			time.Sleep(15 * time.Second)
			return openmail.Attempt{Outcome: openmail.OutcomeError}
		}
		return openmail.Attempt{Outcome: openmail.OutcomeDelivered}
	}
	bubble(t, hang, func(t *testing.T, w *world) {
		hung, fine := w.account(true), w.account(true)
		slow = hung.Account
		for range 50 {
			w.mail(hung)
		}
		synctest.Wait()
		start := time.Now()
		filed := w.mail(fine)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if d := w.delivery(fine, filed.Event); d.State != openmail.StateDelivered || d.DeliveredAt.Sub(start) > time.Second {
			t.Errorf("the other account's event: %+v", d)
		}
		if w.endpoint.most > 9 {
			t.Errorf("%d posts at once, of which at most 8 may go to one endpoint", w.endpoint.most)
		}
	})
}

func TestAfterFiveFailuresInARowAnEndpointIsOnlyProbed(t *testing.T) {
	fail := func(context.Context, dispatch.Post) openmail.Attempt {
		time.Sleep(time.Second)
		return openmail.Attempt{Outcome: openmail.OutcomeError}
	}
	bubble(t, fail, func(t *testing.T, w *world) {
		in := w.account(true)
		for range 40 {
			w.mail(in)
		}
		time.Sleep(3500 * time.Millisecond) // those that began before the fifth failure have ended
		synctest.Wait()
		w.endpoint.mu.Lock()
		w.endpoint.most = w.endpoint.now
		w.endpoint.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.endpoint.mu.Lock()
		defer w.endpoint.mu.Unlock()
		if w.endpoint.most != 1 {
			t.Errorf("%d posts at once to an endpoint that fails", w.endpoint.most)
		}
	})
}

func TestAPostCutOffByACrashIsMadeAgainWhenItsLeaseRunsOut(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		filed := w.mail(in)
		synctest.Wait()
		w.halt()
		// As if the process had died between the claim and its settling.
		_, err := w.db.Redeliver(t.Context(), openmail.Scope{Account: in.Account}, dispatch.Filter{ID: filed.Event}, 0, 1, w.listeners.Wanted)
		check(t, err)
		claimed, err := w.db.Claim(t.Context(), openmail.Scope{Account: in.Account}, dispatch.Claim{At: time.Now(), Posts: 1, Listening: w.listeners.Wanted})
		check(t, err)
		if len(claimed.Posts) != 1 {
			t.Fatalf("claimed %+v", claimed)
		}
		before := len(w.endpoint.seen())
		start := time.Now()
		w.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		posts := w.endpoint.seen()[before:]
		if len(posts) != 1 || posts[0].at.Sub(start) > 31*time.Second {
			t.Errorf("posts after the start: %+v", posts)
		}
		if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered {
			t.Errorf("in the end: %+v", d)
		}
	})
}

func TestStoppingFinishesThePostsInFlight(t *testing.T) {
	slow := func(ctx context.Context, _ dispatch.Post) openmail.Attempt {
		time.Sleep(5 * time.Second)
		if ctx.Err() != nil {
			return openmail.Attempt{Outcome: openmail.OutcomeError}
		}
		return openmail.Attempt{Outcome: openmail.OutcomeDelivered}
	}
	bubble(t, slow, func(t *testing.T, w *world) {
		in := w.account(true)
		filed := w.mail(in)
		synctest.Wait()
		w.halt()
		if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered {
			t.Errorf("after the stop: %+v", d)
		}
		w.start()
	})
}

func TestAnEventIsSentAgainWhenItsOwnerAsks(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		scope := openmail.Scope{Account: in.Account}
		var events []string
		for range 3 {
			events = append(events, w.mail(in).Event)
		}
		again := dispatch.NewAgain(w.db, w.listeners, w.d)
		s := &socket{}
		w.listeners.Join(in.Account, s)
		e, err := again.Redeliver(t.Context(), scope, events[1])
		if err != nil || e.Delivery.State != openmail.StateArmed || len(s.offered) != 1 || s.offered[0].ID != events[1] {
			t.Fatalf("redelivered %+v, %v; offered %d", e.Delivery, err, len(s.offered))
		}
		if _, err := again.Redeliver(t.Context(), scope, "evt_none"); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("an unknown event: %v", err)
		}
		n, err := again.RedeliverAll(t.Context(), scope, dispatch.Filter{State: openmail.StateFailed})
		if n != 2 || err != nil || len(s.offered) != 3 {
			t.Errorf("redelivered %d, %v; offered %d in all", n, err, len(s.offered))
		}
	})
}

// meanwhile is a log in which an event is written while others are sent again.
type meanwhile struct {
	dispatch.Resends
	more func()
}

func (m meanwhile) Redeliver(ctx context.Context, scope openmail.Scope, f dispatch.Filter, after openmail.Position, limit int, l dispatch.Listening) ([]openmail.Event, error) {
	again, err := m.Resends.Redeliver(ctx, scope, f, after, limit, l)
	m.more()
	return again, err
}

func TestWhatHappensWhileEventsAreSentAgainIsNotSentTwice(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		w.mail(in)
		synctest.Wait()
		more := 3
		log := meanwhile{w.db, func() {
			if more > 0 {
				more--
				time.Sleep(time.Second)
				w.mail(in)
				synctest.Wait()
			}
		}}
		n, err := dispatch.NewAgain(log, w.listeners, w.d).RedeliverAll(t.Context(), openmail.Scope{Account: in.Account}, dispatch.Filter{})
		time.Sleep(time.Second)
		synctest.Wait()
		posted := map[string]int{}
		for _, p := range w.endpoint.seen() {
			posted[p.event]++
		}
		if n != 1 || err != nil || len(w.endpoint.seen()) != len(posted)+1 {
			t.Errorf("%d were sent again, %v; posted %v", n, err, posted)
		}
	})
}

func TestManyDueEventsAreAllPostedOnce(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		const n = 100
		for range n {
			w.mail(in)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		seen := map[string]int{}
		for _, p := range w.endpoint.seen() {
			seen[p.event]++
		}
		if len(seen) != n || len(w.endpoint.seen()) != n {
			t.Errorf("%d events in %d posts, want %d each", len(seen), len(w.endpoint.seen()), n)
		}
		lanes, err := w.db.Lanes(t.Context(), openmail.Operator())
		if len(lanes) != 0 || err != nil {
			t.Errorf("something still waits: %v, %v", lanes, err)
		}
	})
}

// target stands in for the sender that webhooks are checked and tested with.
type target struct{ n int }

func (*target) Check(_ context.Context, url string) error {
	if url == "http://10.0.0.1/" {
		return openmail.FieldErrorf(openmail.CodeInvalidWebhookURL, "url", "no")
	}
	return nil
}

func (*target) Test(_ context.Context, e openmail.Endpoint, payload []byte, event string) openmail.Attempt {
	return openmail.Attempt{Outcome: openmail.OutcomeDelivered, Response: e.URL + " " + string(payload)}
}

func (t *target) NewSecret() string {
	t.n++
	return fmt.Sprintf("whsec_%d", t.n)
}

func TestASecretIsRotatedInOneStepOrInTwo(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		ctx, scope := t.Context(), openmail.Scope{Account: in.Account}
		hooks := dispatch.NewWebhooks(w.db, &target{})
		if _, err := hooks.RotateSecret(ctx, scope); openmail.CodeOf(err) != openmail.CodeNoWebhookURL {
			t.Errorf("rotate without a webhook: %v", err)
		}
		if _, _, err := hooks.PutWebhook(ctx, scope, "http://10.0.0.1/"); openmail.CodeOf(err) != openmail.CodeInvalidWebhookURL {
			t.Errorf("a forbidden URL: %v", err)
		}
		e, created, err := hooks.PutWebhook(ctx, scope, "https://a.test/")
		if !created || e.Secret != "whsec_1" || err != nil {
			t.Fatalf("put %+v, %v, %v", e, created, err)
		}
		e, created, err = hooks.PutWebhook(ctx, scope, "https://b.test/")
		if created || e.Secret != "whsec_1" || e.URL != "https://b.test/" || err != nil {
			t.Errorf("put again %+v, %v, %v", e, created, err)
		}
		if err := hooks.ActivateSecret(ctx, scope); openmail.CodeOf(err) != openmail.CodeConflict {
			t.Errorf("activate without a next secret: %v", err)
		}
		next, err := hooks.NextSecret(ctx, scope)
		check(t, err)
		if e, _ := hooks.Webhook(ctx, scope); e.Secret != "whsec_1" || e.NextSecret != next {
			t.Errorf("between the steps: %+v", e)
		}
		check(t, hooks.ActivateSecret(ctx, scope))
		if e, _ := hooks.Webhook(ctx, scope); e.Secret != next || e.NextSecret != "" {
			t.Errorf("after the second step: %+v", e)
		}
		rotated, err := hooks.RotateSecret(ctx, scope)
		if e, _ := hooks.Webhook(ctx, scope); e.Secret != rotated || rotated == next || err != nil {
			t.Errorf("after one step: %+v, %v", e, err)
		}
		limited := openmail.Scope{Account: in.Account, Inbox: in.ID}
		if _, err := hooks.Webhook(ctx, limited); openmail.CodeOf(err) != openmail.CodeForbidden {
			t.Errorf("a key that reaches one inbox: %v", err)
		}
	})
}

// inboxOf makes another inbox of an account, with a webhook of its own.
func (w *world) inboxOf(account, name string) openmail.Inbox {
	w.t.Helper()
	in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: account, Address: name + "@openmail.test", CreatedAt: time.Now()}
	scope := openmail.Scope{Account: account}
	check(w.t, w.db.CreateInbox(w.t.Context(), scope, in))
	check(w.t, w.db.PutEndpoint(w.t.Context(), scope, openmail.Endpoint{
		ID: id.New(openmail.PrefixEndpoint), Account: account, Inbox: in.ID, URL: "https://" + name + ".test/", Secret: name, Enabled: true, CreatedAt: time.Now(),
	}))
	return in
}

func TestAnInboxesEndpointThatHangsHoldsUpNeitherTheAccountsNorAnothers(t *testing.T) {
	hang := func(_ context.Context, p dispatch.Post) openmail.Attempt {
		if p.Endpoint.Secret == "hung" {
			time.Sleep(15 * time.Second)
			return openmail.Attempt{Outcome: openmail.OutcomeError}
		}
		return openmail.Attempt{Outcome: openmail.OutcomeDelivered}
	}
	bubble(t, hang, func(t *testing.T, w *world) {
		whole := w.account(true)
		hung, fine := w.inboxOf(whole.Account, "hung"), w.inboxOf(whole.Account, "fine")
		for range 50 {
			w.mail(hung)
		}
		synctest.Wait()
		start := time.Now()
		for _, in := range []openmail.Inbox{whole, fine} {
			filed := w.mail(in)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered || d.DeliveredAt.Sub(start) > time.Second {
				t.Errorf("the event of %s: %+v", in.Address, d)
			}
		}
		if w.endpoint.most > 9 {
			t.Errorf("%d posts at once, of which at most 8 may go to one endpoint", w.endpoint.most)
		}
	})
}

func TestARetryGoesToTheWebhookThatTheInboxHasByThen(t *testing.T) {
	var mu sync.Mutex
	var secrets []string
	refuse := func(_ context.Context, p dispatch.Post) openmail.Attempt {
		mu.Lock()
		defer mu.Unlock()
		secrets = append(secrets, p.Endpoint.Secret)
		return openmail.Attempt{Status: 503, Outcome: openmail.OutcomeRefused}
	}
	bubble(t, refuse, func(t *testing.T, w *world) {
		whole := w.account(true)
		in := w.inboxOf(whole.Account, "own")
		scope := openmail.Scope{Account: whole.Account}
		e, err := w.db.Endpoint(t.Context(), scope, in.ID)
		check(t, err)
		start := time.Now()
		w.mail(in) // posted to its own
		time.Sleep(time.Second)
		e.Secret = "rotated"
		check(t, w.db.PutEndpoint(t.Context(), scope, e))
		time.Sleep(30 * time.Second) // after 30 s: the new secret
		check(t, w.db.DeleteEndpoint(t.Context(), scope, in.ID))
		time.Sleep(60 * time.Second) // after 90 s: the account's
		check(t, w.db.PutEndpoint(t.Context(), scope, e))
		time.Sleep(10 * time.Minute) // and then its own again, twice
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"own", "rotated", "s", "rotated", "rotated"}; !slices.Equal(secrets, want) {
			t.Errorf("posted with %q, want %q", secrets, want)
		}
		if late := w.endpoint.seen()[4].at.Sub(start) - 450*time.Second; late > time.Second {
			t.Errorf("the last post is %v late", late)
		}
	})
}

func TestWhatWaitsBehindAnEndpointThatHangsIsPostedOnceItsInboxHasItsOwn(t *testing.T) {
	hang := func(_ context.Context, p dispatch.Post) openmail.Attempt {
		if p.Endpoint.Inbox == "" {
			time.Sleep(15 * time.Second)
			return openmail.Attempt{Outcome: openmail.OutcomeError}
		}
		return openmail.Attempt{Outcome: openmail.OutcomeDelivered}
	}
	bubble(t, hang, func(t *testing.T, w *world) {
		whole := w.account(true)
		scope := openmail.Scope{Account: whole.Account}
		in := w.inboxOf(whole.Account, "own")
		e, err := w.db.Endpoint(t.Context(), scope, in.ID)
		check(t, err)
		check(t, w.db.DeleteEndpoint(t.Context(), scope, in.ID))
		for range 100 {
			w.mail(whole)
		}
		filed := w.mail(in)
		time.Sleep(time.Minute) // by now the account's is only probed
		check(t, w.db.PutEndpoint(t.Context(), scope, e))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered {
			t.Errorf("it still waits: %+v", d)
		}
	})
}

func TestASocketComesBeforeAnInboxesWebhook(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.inboxOf(w.account(true).Account, "own")
		s := &socket{}
		w.listeners.Join(in.Account, s)
		first := w.mail(in)
		w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
		time.Sleep(time.Minute)
		w.sockets.Leave(in.Account, s, nil, w.head(in)+1)
		second := w.mail(in)
		time.Sleep(time.Second)
		synctest.Wait()
		if posts := w.endpoint.seen(); len(posts) != 1 || posts[0].event != second.Event {
			t.Errorf("posts %+v", posts)
		}
		if d := w.delivery(in, first.Event); d.Channel != openmail.ChannelWebSocket {
			t.Errorf("the first: %+v", d)
		}
	})
}

func TestASocketThatDoesNotWantAnEventIsAsNone(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		hooked, bare := w.account(true), w.account(false)
		for _, in := range []openmail.Inbox{hooked, bare} {
			w.listeners.Join(in.Account, deaf{&socket{}})
		}
		posted, failed := w.mail(hooked), w.mail(bare)
		time.Sleep(time.Second)
		synctest.Wait()
		if d := w.delivery(hooked, posted.Event); d.Channel != openmail.ChannelWebhook || d.Attempts != 1 {
			t.Errorf("with a webhook: %+v", d)
		}
		if d := w.delivery(bare, failed.Event); d.Reason != openmail.ReasonNoRoute {
			t.Errorf("without: %+v", d)
		}
	})
}

func TestManyEndpointsThatHangLeaveRoomForOthers(t *testing.T) {
	hang := func(_ context.Context, p dispatch.Post) openmail.Attempt {
		if p.Endpoint.Secret != "s" {
			time.Sleep(15 * time.Second)
			return openmail.Attempt{Outcome: openmail.OutcomeError}
		}
		return openmail.Attempt{Outcome: openmail.OutcomeDelivered}
	}
	bubble(t, hang, func(t *testing.T, w *world) {
		whole, other := w.account(true), w.account(true)
		for i := range 12 {
			in := w.inboxOf(whole.Account, fmt.Sprint("hung", i))
			for range 12 {
				w.mail(in)
			}
		}
		for _, wait := range []time.Duration{0, time.Minute} { // while they are new, and once they are known to fail
			time.Sleep(wait)
			synctest.Wait()
			neighbours := []openmail.Inbox{other}
			if wait > 0 {
				neighbours = append(neighbours, whole)
			}
			for _, in := range neighbours {
				start := time.Now()
				filed := w.mail(in)
				time.Sleep(time.Second)
				synctest.Wait()
				if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered || d.DeliveredAt.Sub(start) > 200*time.Millisecond {
					t.Errorf("after %v: %+v, filed at %v", wait, d, start)
				}
			}
		}
		if w.endpoint.most > 66 {
			t.Errorf("%d posts at once, of which at most 64 may be one account's", w.endpoint.most)
		}
	})
}

func TestWhatASocketWasStillToHaveFallsBackWithIt(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.accountOf(delivery.MaxDeadline, true)
		behind, other := &socket{holds: map[openmail.Position]bool{}}, &socket{holds: map[openmail.Position]bool{2: true}}
		w.sockets.Join(in.Account, behind)
		w.sockets.Join(in.Account, other)
		w.mail(in)
		w.mail(in)
		read := w.mail(in)
		w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 3, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
		w.sockets.Leave(in.Account, behind, nil, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(w.endpoint.seen()); n != 1 {
			t.Fatalf("%d posts, want one: another socket has the second, and the third was read", n)
		}
		w.sockets.Leave(in.Account, other, nil, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(w.endpoint.seen()); n != 1 {
			t.Fatalf("%d posts after a socket that had been pushed everything", n)
		}
		w.sockets.Join(in.Account, other)
		w.sockets.Leave(in.Account, other, nil, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(w.endpoint.seen()); n != 2 {
			t.Errorf("%d posts once nobody has any, want 2", n)
		}
		if d := w.delivery(in, read.Event); d.Channel != openmail.ChannelWebSocket || d.Attempts != 1 {
			t.Errorf("what was read: %+v", d)
		}
	})
}

func TestWhatWasReadInTimeIsNotPostedThoughItsReceiptIsNotWrittenYet(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(true)
		w.listeners.Join(in.Account, &socket{})
		filed := w.mail(in)
		time.Sleep(delivery.DefaultDeadline - time.Millisecond)
		w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.Channel != openmail.ChannelWebSocket || len(w.endpoint.seen()) != 0 {
			t.Errorf("delivery %+v, posts %+v", d, w.endpoint.seen())
		}
	})
}

func TestAReceiptThatComesWhileItsEventFallsIsHeard(t *testing.T) {
	for name, webhook := range map[string]bool{"to a webhook": true, "to nobody else": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, status(200), func(t *testing.T, w *world) {
				in := w.account(webhook)
				s := &socket{}
				w.claiming = sync.OnceFunc(func() {
					w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
				})
				w.listeners.Join(in.Account, s)
				filed := w.mail(in)
				time.Sleep(time.Minute)
				synctest.Wait()
				if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered || d.Channel != openmail.ChannelWebSocket {
					t.Errorf("delivery %+v", d)
				}
				if len(w.endpoint.seen()) != 0 || len(s.offered) != 0 {
					t.Errorf("posts %+v, offers %+v", w.endpoint.seen(), s.offered)
				}
			})
		})
	}
}

func TestWhatAnotherSocketReadsWhileItIsLostIsNotOfferedAgain(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		dead, next := &socket{}, &socket{}
		w.dropped = func() { // it was pushed to the next one, too
			w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
		}
		w.sockets.Join(in.Account, dead)
		filed := w.mail(in)
		w.sockets.Join(in.Account, next)
		w.sockets.Leave(in.Account, dead, []dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}}, 2)
		time.Sleep(time.Second)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered || len(next.offered) != 0 {
			t.Errorf("delivery %+v, offers %+v", d, next.offered)
		}
	})
}

func TestWhatIsLostIsNotOfferedAtOnceToWhoWentOnAfterIt(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		dead, next := &socket{}, &socket{resumed: 1}
		w.sockets.Join(in.Account, dead)
		w.mail(in)
		second := w.mail(in)
		w.sockets.Join(in.Account, next)
		w.sockets.Leave(in.Account, dead, []dispatch.Receipt{
			{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()},
			{Account: in.Account, Position: 2, Attempt: 1, PushedAt: time.Now(), At: time.Now()},
		}, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		if had := next.had(); len(had) != 1 || had[0].ID != second.Event {
			t.Errorf("at once: %+v", had)
		}
		time.Sleep(delivery.DefaultDeadline)
		synctest.Wait()
		if len(next.had()) < 2 {
			t.Error("the first is not offered at its deadline")
		}
	})
}

func TestReceiptsThatAreTooManyWait(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, w *world) {
		in := w.account(false)
		filed := w.mail(in)
		w.halt() // and nothing is written
		w.sockets = dispatch.NewSockets(w.listeners, w.db, w.db, slog.New(slog.DiscardHandler), nil)
		w.d = dispatch.New(dispatch.Config{Queue: queue{w.db, w}, Poster: w.endpoint, Listeners: w.listeners, Sockets: w.sockets, Logger: slog.New(slog.DiscardHandler)})
		other := dispatch.Receipt{Account: in.Account, Position: 99, At: time.Now()}
		w.sockets.Confirm(slices.Repeat([]dispatch.Receipt{other}, 10_000))
		taken := make(chan bool)
		go func() {
			w.sockets.Confirm([]dispatch.Receipt{{Account: in.Account, Position: 1, Attempt: 1, PushedAt: time.Now(), At: time.Now()}})
			close(taken)
		}()
		synctest.Wait()
		select {
		case <-taken:
			t.Error("a receipt was taken though thousands are not written")
		default:
		}
		ctx, cancel := context.WithCancel(context.Background())
		w.stop = cancel
		w.stopped.Go(func() { check(w.t, w.sockets.Run(ctx)) })
		<-taken
		time.Sleep(time.Second)
		synctest.Wait()
		if d := w.delivery(in, filed.Event); d.State != openmail.StateDelivered {
			t.Errorf("delivery %+v", d)
		}
	})
}

func TestAClockThatIsSetBackHoldsNothingUp(t *testing.T) {
	bubble(t, status(503), func(t *testing.T, w *world) {
		in := w.account(true)
		failed := w.mail(in) // is due again
		synctest.Wait()
		w.listeners.Join(in.Account, &socket{})
		armed := w.mail(in)
		w.halt()
		for _, f := range []intake.Filed{failed, armed} {
			setDue(t, w, f.Event, time.Now().Add(time.Hour))
		}
		w.endpoint.answer = status(200)
		w.start()
		time.Sleep(time.Second)
		synctest.Wait()
		for _, f := range []intake.Filed{failed, armed} {
			if d := w.delivery(in, f.Event); d.State != openmail.StateDelivered {
				t.Errorf("a second after the start: %+v", d)
			}
		}
	})
}

// setDue sets when a delivery is due, as a clock would that has been set since.
func setDue(t *testing.T, w *world, event string, at time.Time) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "openmail.db"))
	check(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "update event set due_at = $1 where id = $2", at.UnixMicro(), event)
	check(t, err)
}
