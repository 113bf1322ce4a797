package main

import (
	"bytes"
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
	// What fills the buffers between the server and those that do not read, and
	// comes to nobody else: more than a kernel takes, less than a socket may
	// have without a receipt.
	ballastMails = 220
	ballastBytes = 16 << 10
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
	inboxes, err := s.makeInboxes(ctx, stallInboxes+1) // the last is for the ballast
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
	t := &stalling{b: b, s: s, f: f, inboxes: inboxes[:stallInboxes], ballast: inboxes[stallInboxes:], faults: map[string]int{}}
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

// join adds an agent. One that will be deaf has a buffer that does not grow, so that its peer notices soon.
func (f *fleet) join(ctx context.Context, inboxes []api.Inbox, inbox int, deaf bool) error {
	var prepare func(*net.TCPConn) error
	if deaf {
		prepare = func(c *net.TCPConn) error { return c.SetReadBuffer(64 << 10) }
	}
	wanted := []string{inboxes[inbox].ID}
	if deaf {
		wanted = append(wanted, inboxes[stallInboxes].ID)
	}
	a, err := dialAgent(ctx, f.s.http, f.s.key, subscription{InboxIDs: wanted}, prepare)
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

func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.got)
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
	ballast []api.Inbox
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
		err = t.fill(ctx)
		var after float64
		if err == nil {
			p, after, err = t.round(ctx, during)
		}
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

// fill fills the buffers of those that do not read.
func (t *stalling) fill(ctx context.Context) error {
	c, err := dialMail(ctx, t.s.smtp)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range ballastMails {
		m := plainMail("ballast", i, t.ballast[0].Address)
		m.data = append(m.data, bytes.Repeat([]byte("What nobody else is waiting for.\r\n"), ballastBytes/34)...)
		id, err := c.send(m)
		if err != nil {
			return err
		}
		t.sent = append(t.sent, receipt{id, stallInboxes, time.Now()})
	}
	return rest(ctx, 3*time.Second)
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
	of := t.byInbox()
	for _, w := range t.f.agents {
		if except(w) {
			continue
		}
		n := len(of.owed(w))
		g.Go(func() error {
			return t.s.waitFor(ctx, 30*time.Second, func() bool { return w.count() >= n })
		})
	}
	return g.Wait()
}

// byInbox is the messages of each inbox.
type byInbox map[int][]string

// owed lists what an agent is to get.
func (b byInbox) owed(w *watcher) []string {
	if w.deaf {
		return slices.Concat(b[w.inbox], b[stallInboxes])
	}
	return b[w.inbox]
}

func (t *stalling) byInbox() byInbox {
	all := byInbox{}
	for _, m := range t.sent {
		all[m.inbox] = append(all[m.inbox], m.message)
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

// compare holds what each agent got against what it is owed, and against what others got that are owed the same.
func (t *stalling) compare() {
	of := t.byInbox()
	type kind struct {
		inbox int
		deaf  bool
	}
	first := map[kind][]string{}
	for _, w := range t.f.agents {
		missing := map[string]bool{}
		for _, m := range of.owed(w) {
			missing[m] = true
		}
		var got []string
		for _, a := range w.all() {
			if !missing[a.message] {
				t.faults[faultRepeated]++
			}
			delete(missing, a.message)
			got = append(got, a.message)
		}
		t.faults[faultMissed] += len(missing)
		k := kind{w.inbox, w.deaf}
		if first[k] == nil {
			first[k] = got
		}
		t.faults[faultRepeated] += differences(first[k], got)
	}
}
