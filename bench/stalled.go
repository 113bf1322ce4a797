package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"openmail/api"
)

const (
	stallRate    = 200 // mails/s
	stallInboxes = 50
	stallSockets = 20 // of each inbox
	stallDeaf    = 2  // of these, that stop reading
)

// Faults of sockets beside which others read slowly, or not at all.
const (
	faultMissed    = "events that a socket never got, that others stalled beside"
	faultRepeated  = "events that a socket got twice or out of order"
	faultNoCatchUp = "sockets that have not caught up 30 s after they stalled"
)

// proveStalled has a tenth of 1,000 sockets stop reading for a while, again and again, and compares what the others wait for their
// events with what they wait in between.
func proveStalled(ctx context.Context, b *bench) (err error) {
	if err := needFiles(2 * stallInboxes * stallSockets); err != nil {
		return err
	}
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	inboxes, err := s.makeInboxes(ctx, stallInboxes)
	if err != nil {
		return err
	}
	f := &fleet{s: s}
	defer func() { f.close() }()
	for i := range stallInboxes * stallSockets {
		if err := f.join(ctx, inboxes, i%stallInboxes, i < stallInboxes*stallDeaf); err != nil {
			return err
		}
	}
	t := &stalling{b: b, s: s, f: f, inboxes: inboxes, faults: map[string]int{}}
	if b.short {
		return t.run(ctx, 1, 5*time.Second)
	}
	b.progress.say("the server warms up")
	if _, _, err := t.round(ctx, 10*time.Second); err != nil {
		return err
	}
	return t.run(ctx, b.runs, 15*time.Second)
}

// fleet is many agents that note when each event comes.
type fleet struct {
	s      *server
	agents []*watcher
	wait   sync.WaitGroup
}

// watcher is an agent that does nothing but note what it reads.
type watcher struct {
	*agent
	inbox int
	deaf  bool
	hold  atomic.Pointer[chan struct{}] // until it is closed the agent does not read; nil: it does

	mu  sync.Mutex
	got []arrival
}

type arrival struct {
	message string
	at      time.Time
}

// join adds an agent. One that will be deaf has a small buffer, so that its peer notices soon.
func (f *fleet) join(ctx context.Context, inboxes []api.Inbox, inbox int, deaf bool) error {
	var prepare func(*net.TCPConn) error
	if deaf {
		prepare = func(c *net.TCPConn) error { return c.SetReadBuffer(4096) }
	}
	a, err := dialAgent(ctx, f.s.http, f.s.key, subscription{InboxIDs: []string{inboxes[inbox].ID}}, prepare)
	if err != nil {
		return err
	}
	w := &watcher{agent: a, inbox: inbox, deaf: deaf}
	f.agents = append(f.agents, w)
	if err := a.join(); err != nil {
		return err
	}
	f.wait.Go(w.watch)
	return nil
}

func (w *watcher) watch() {
	for {
		if until := w.hold.Load(); until != nil {
			<-*until
		}
		f, err := w.read()
		if err != nil {
			return
		}
		if f.EventID == "" {
			continue
		}
		now := time.Now()
		w.mu.Lock()
		w.got = append(w.got, arrival{f.messageID(), now})
		w.mu.Unlock()
	}
}

// all is what an agent got until now.
func (w *watcher) all() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

func (f *fleet) close() {
	for _, w := range f.agents {
		closeAll(w.tcp)
	}
	f.wait.Wait()
}

// stalling is one run of the proof.
type stalling struct {
	b       *bench
	s       *server
	f       *fleet
	inboxes []api.Inbox
	sent    []receipt
	faults  map[string]int
}

func (t *stalling) run(ctx context.Context, rounds int, during time.Duration) error {
	var calm, beside, memory []float64
	for n := range rounds {
		t.b.progress.say("round %d of %d: all read", n+1, rounds)
		p, before, err := t.round(ctx, during)
		if err != nil {
			return err
		}
		calm = append(calm, p)
		t.b.progress.say("round %d of %d: a tenth does not read", n+1, rounds)
		release := t.stall()
		p, after, err := t.round(ctx, during)
		release()
		if err != nil {
			return err
		}
		beside = append(beside, p)
		memory = append(memory, (after-before)/(stallInboxes*stallDeaf))
		if err := t.caughtUp(ctx); err != nil {
			return err
		}
	}
	t.compare()
	r, slower, larger := t.b.report, atMost(1.1), atMost(64)
	if t.b.short { // too few, and too cold, to measure
		slower, larger = bar{}, bar{}
	}
	r.add("250 to frame while all read, p99", "ms", bar{}, calm...)
	r.add("250 to frame beside 100 that do not, p99", "ms", bar{}, beside...)
	r.add("the second by the first", "", slower, median(beside)/median(calm))
	r.add("more memory for each that does not read", "KiB", larger, memory...)
	for _, name := range []string{faultMissed, faultRepeated, faultNoCatchUp} {
		r.add(name, "", atMost(0), float64(t.faults[name]))
	}
	return nil
}

// stall keeps the deaf from reading, until the function that it returns is called.
func (t *stalling) stall() (release func()) {
	until := make(chan struct{})
	hold := func(c *chan struct{}) {
		for _, w := range t.f.agents {
			if w.deaf {
				w.hold.Store(c)
			}
		}
	}
	hold(&until)
	return func() {
		hold(nil)
		close(until)
	}
}

// round sends mail for a while, and tells what the agents that read have waited, and the server's memory in the end.
func (t *stalling) round(ctx context.Context, during time.Duration) (p99, memory float64, err error) {
	sent, _, err := steadyMail(ctx, t.s, t.inboxes, stallRate, during)
	if err != nil {
		return 0, 0, err
	}
	if memory, err = residentKB(t.s.pid()); err != nil {
		return 0, 0, err
	}
	t.sent = append(t.sent, sent...)
	if err := t.have(ctx, func(w *watcher) bool { return w.deaf }); err != nil {
		return 0, 0, err
	}
	answered := map[string]time.Time{}
	for _, m := range sent {
		answered[m.message] = m.answered
	}
	var waited []float64
	for _, w := range t.f.agents {
		if w.deaf {
			continue
		}
		for _, a := range w.all() {
			if at, ok := answered[a.message]; ok {
				waited = append(waited, float64(a.at.Sub(at).Microseconds())/1000)
			}
		}
	}
	return quantile(waited, 0.99), memory, nil
}

// have waits until the agents have what was sent to them, but for those who need not.
func (t *stalling) have(ctx context.Context, except func(*watcher) bool) error {
	g, ctx := errgroup.WithContext(ctx)
	owed := t.owed()
	for _, w := range t.f.agents {
		if except(w) {
			continue
		}
		g.Go(func() error {
			return t.s.waitFor(ctx, 30*time.Second, func() bool { return len(w.all()) >= len(owed[w.inbox]) })
		})
	}
	return g.Wait()
}

// owed lists the messages of each inbox.
func (t *stalling) owed() map[int]map[string]bool {
	all := map[int]map[string]bool{}
	for _, m := range t.sent {
		if all[m.inbox] == nil {
			all[m.inbox] = map[string]bool{}
		}
		all[m.inbox][m.message] = true
	}
	return all
}

// caughtUp waits for those that did not read.
func (t *stalling) caughtUp(ctx context.Context) error {
	err := t.have(ctx, func(w *watcher) bool { return !w.deaf })
	if errors.Is(err, errWaited) {
		t.faults[faultNoCatchUp]++
		return nil
	}
	return err
}

// compare holds what each agent got against what was sent to its inbox.
func (t *stalling) compare() {
	owed := t.owed()
	var log []string // in the order of one agent of the inbox, which has to be that of all
	for inbox := range t.inboxes {
		log = nil
		for _, w := range t.f.agents {
			if w.inbox != inbox {
				continue
			}
			var got []string
			seen := map[string]bool{}
			for _, a := range w.all() {
				if seen[a.message] || !owed[inbox][a.message] {
					t.faults[faultRepeated]++
				}
				seen[a.message] = true
				got = append(got, a.message)
			}
			t.faults[faultMissed] += len(owed[inbox]) - len(seen)
			if log == nil {
				log = got
			}
			t.faults[faultRepeated] += differences(log, got)
		}
	}
}
