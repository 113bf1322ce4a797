package main

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"openmail"
	"openmail/api"
	"openmail/client"
)

const (
	handoverRate    = 200 // mails/s
	handoverInboxes = 10
)

// proveHandover has an agent on a socket for each of ten inboxes, and a webhook behind them. First nothing happens to
// them; then one socket dies each second, and comes back a moment later without saying what it had.
func proveHandover(ctx context.Context, b *bench) (err error) {
	hook, err := newReceiver()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hook.close()) }()
	s, err := b.startWith(ctx, "--webhook-allow", "127.0.0.0/8")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	inboxes, err := s.makeInboxes(ctx, handoverInboxes)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.PutWebhook(ctx, api.WebhookPut{URL: hook.url}); err != nil {
		return err
	}
	during := time.Minute
	if b.short {
		during = 5 * time.Second
	}
	b.report.note("seed %d; %d mails/s to %d inboxes for %v, twice", b.seed, handoverRate, handoverInboxes, during)
	h := &handingOver{b: b, s: s, hook: hook, inboxes: inboxes, ids: map[string]bool{}}
	if err := h.phase(ctx, c, "undisturbed", during, false, 0); err != nil {
		return err
	}
	return h.phase(ctx, c, "a socket dies each second", during, true, 1)
}

// handingOver is one run of the proof.
type handingOver struct {
	b       *bench
	s       *server
	hook    *receiver
	inboxes []api.Inbox
	ids     map[string]bool // events of the phase before
}

// phase sends mail for a while, and counts what came of it.
func (h *handingOver) phase(ctx context.Context, c *client.Client, name string, during time.Duration, deaths bool, percent float64) error {
	h.b.progress.say("%s", name)
	crew, err := h.hire(ctx)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	killed := make(chan int, 1)
	go func() {
		n := 0
		if deaths {
			n = crew.dieEachSecond(working, rand.New(rand.NewPCG(h.b.seed, 1)))
		}
		killed <- n
	}()
	sent, late, err := steadyMail(ctx, h.s, h.inboxes, handoverRate, during)
	if err != nil {
		return err
	}
	err = h.s.waitFor(ctx, settleIn, func() bool {
		n, err := h.s.metrics(ctx, "openmail_deliveries_waiting")
		return err == nil && total(n) == 0
	})
	stop()
	died := <-killed
	crew.leave()
	if err != nil {
		return err
	}
	log, err := eventLog(ctx, c)
	if err != nil {
		return err
	}
	log = slices.DeleteFunc(log, func(e api.Event) bool { return h.ids[e.ID] })
	h.count(name, log, sent, crew.read(), percent)
	r := h.b.report
	enough := bar{}
	if deaths {
		enough = atLeast(0.8 * during.Seconds())
	}
	r.add(name+": sockets that died", "", enough, float64(died))
	r.add(name+": mails behind their time, at most", "ms", bar{}, late)
	return nil
}

// count holds what was read and posted against the log, and the log against what was acknowledged.
func (h *handingOver) count(name string, log []api.Event, sent []receipt, read map[string]int, percent float64) {
	events := map[string]int{} // by message
	lost, extra, unsure := 0, 0, 0
	h.hook.mu.Lock()
	defer h.hook.mu.Unlock()
	for _, e := range log {
		h.ids[e.ID] = true
		events[*e.MessageID]++
		switch times := read[e.ID] + h.hook.posts[e.ID]; {
		case times == 0:
			lost++
		default:
			extra += times - 1
		}
		if openmail.State(e.State) != openmail.StateDelivered {
			unsure++
		}
	}
	for _, m := range sent {
		if events[m.message] != 1 { // none: lost; two: not the same event twice
			lost++
		}
	}
	r := h.b.report
	r.add(name+": mails", "", atLeast(1), float64(len(sent)))
	r.add(name+": lost", "", atMost(0), float64(lost))
	r.add(name+": not delivered in the end", "", atMost(0), float64(unsure))
	r.add(name+": had twice, with one event_id", "%", atMost(percent), 100*float64(extra)/float64(max(1, len(sent))))
}

// crew is an agent for each inbox.
type crew struct {
	s       *server
	inboxes []api.Inbox

	mu     sync.Mutex
	agents []*agent
	has    map[string]int // how often each event was read
	over   bool
	wait   sync.WaitGroup
}

func (h *handingOver) hire(ctx context.Context) (*crew, error) {
	c := &crew{s: h.s, inboxes: h.inboxes, agents: make([]*agent, len(h.inboxes)), has: map[string]int{}}
	for i := range h.inboxes {
		if err := c.join(ctx, i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// join has the agent of an inbox listen.
func (c *crew) join(ctx context.Context, i int) error {
	a, err := dialAgent(ctx, c.s.http, c.s.key, subscription{InboxIDs: []string{c.inboxes[i].ID}}, nil)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		closeAll(a.tcp)
		return nil
	}
	c.agents[i] = a
	c.wait.Go(func() {
		for {
			f, err := a.read()
			if err != nil {
				return
			}
			if f.EventID == "" {
				continue
			}
			c.mu.Lock()
			c.has[f.EventID]++
			c.mu.Unlock()
		}
	})
	return nil
}

// dieEachSecond kills one socket each second; its agent comes back within one. It returns how many died.
func (c *crew) dieEachSecond(ctx context.Context, rng *rand.Rand) (n int) {
	for {
		back := time.Duration(rng.Int64N(int64(time.Second)))
		i := rng.IntN(len(c.inboxes))
		c.mu.Lock()
		c.agents[i].die()
		c.mu.Unlock()
		n++
		if rest(ctx, back) != nil || c.join(ctx, i) != nil || rest(ctx, time.Second-back) != nil {
			return n
		}
	}
}

// leave ends all agents.
func (c *crew) leave() {
	c.mu.Lock()
	c.over = true
	for _, a := range c.agents {
		closeAll(a.tcp)
	}
	c.mu.Unlock()
	c.wait.Wait()
}

func (c *crew) read() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.has)
}
