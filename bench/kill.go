package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"openmail/api"
	"openmail/client"
)

// How the server is killed and what it is doing meanwhile.
const (
	killConns   = 16
	killInboxes = 16
	killWithin  = 1500 * time.Millisecond // after it serves
	bornWithin  = 80 * time.Millisecond   // after its process began, for some kills
	settleIn    = 60 * time.Second        // every delivery after the last start: a lease may have to run out
	overdueBy   = 5 * time.Second         // a delivery that is still waiting so long after it was due
)

// killing is one run of the proof: the same data folder through all kills.
type killing struct {
	b       *bench
	rng     *rand.Rand
	data    string
	log     *os.File
	ports   []string
	inboxes []api.Inbox
	senders *senders
	hook    *receiver
	listen  *listener
	restart []float64 // ms from the start of the process to service
	overdue float64   // s that a delivery lay past its due time, at most
	faults  map[string]int
}

// faults that are looked for, in the order of the table.
func faultNames() []string {
	return []string{
		faultLost, faultChanged, faultRefused, faultNoEvent, faultNoMessage, faultTwice, faultWaiting,
		faultGivenUp, faultClaimed, faultReplay, faultStream,
	}
}

const (
	faultLost      = "acknowledged mails that cannot be read"
	faultChanged   = "acknowledged mails whose bytes differ"
	faultRefused   = "mails refused for good (5xx)"
	faultNoEvent   = "messages without exactly one event"
	faultNoMessage = "events without a message"
	faultTwice     = "mails that stand twice in an inbox"
	faultWaiting   = "deliveries that have not ended 60 s after the last start"
	faultGivenUp   = "deliveries given up although the endpoint answers"
	faultClaimed   = "deliveries marked as done that nobody got"
	faultReplay    = "events of the log that a replay leaves out, repeats or misplaces"
	faultStream    = "events that a resuming listener missed"
)

// proveKill kills the server at random moments under load, and looks after each
// start whether everything that was acknowledged is there.
func proveKill(ctx context.Context, b *bench) (err error) {
	b.kills = cmp.Or(b.kills, 10)
	k := &killing{b: b, rng: rand.New(rand.NewPCG(b.seed, 0)), faults: map[string]int{}}
	b.report.note("seed %d", b.seed)
	if err := k.setUp(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.hook.close(), k.log.Close()) }()
	for round := range b.kills {
		if err := k.round(ctx, round); err != nil {
			return fmt.Errorf("seed %d, kill %d: %w", b.seed, round+1, err)
		}
	}
	if err := k.last(ctx); err != nil {
		return fmt.Errorf("seed %d, after the last kill: %w", b.seed, err)
	}
	k.tell()
	return nil
}

func (k *killing) setUp() (err error) {
	if k.data, k.log, err = k.b.folder(); err != nil {
		return err
	}
	if k.ports, err = freePorts(2); err != nil {
		return err
	}
	k.hook, err = newReceiver()
	return err
}

// serve starts the server on the data as it is.
func (k *killing) serve(ctx context.Context) (*server, error) {
	begin := time.Now()
	s, err := k.launch()
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	k.restart = append(k.restart, float64(time.Since(begin).Microseconds())/1000)
	if k.inboxes == nil {
		k.inboxes, err = s.makeInboxes(ctx, killInboxes)
		k.senders = newSenders(k.inboxes, k.b.seed)
		k.listen = newListener()
	}
	return s, err
}

func (k *killing) launch() (*server, error) {
	return launch(k.b.binary, k.data, k.log, "--http", k.ports[0], "--smtp", k.ports[1], "--webhook-allow", "127.0.0.0/8")
}

// route is who gets the events of a round.
type route struct{ socket, webhook bool }

func (r route) String() string {
	switch r {
	case route{true, false}:
		return "a socket"
	case route{false, true}:
		return "a webhook"
	case route{true, true}:
		return "a socket and a webhook"
	}
	return "nobody"
}

// round starts the server, looks at what the kill before has left, loads it and
// kills it.
func (k *killing) round(ctx context.Context, n int) error {
	if k.rng.IntN(4) == 0 && n > 0 {
		if err := k.stillborn(ctx); err != nil {
			return err
		}
	}
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	r := route{n%4 == 1 || n%4 == 3, n%4 >= 2}
	k.b.progress.say("kill %d of %d, events go to %s: %s mails acknowledged, %d faults",
		n+1, k.b.kills, r, number(float64(k.senders.count())), k.total())
	if err := k.load(ctx, s, r); err != nil {
		return errors.Join(err, s.kill())
	}
	return nil
}

// stillborn kills a process before it serves.
func (k *killing) stillborn(ctx context.Context) error {
	s, err := k.launch()
	if err != nil {
		return err
	}
	if err := rest(ctx, time.Duration(k.rng.Int64N(int64(bornWithin)))); err != nil {
		return errors.Join(err, s.kill())
	}
	return s.kill()
}

// load has mail come in and go out until the kill. What came in before is
// looked at meanwhile.
func (k *killing) load(ctx context.Context, s *server, r route) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := k.setRoute(ctx, c, r); err != nil {
		return err
	}
	if err := k.check(ctx, s, c); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	heard := make(chan error, 1)
	if r.socket {
		go func() { heard <- k.listen.run(working, c) }()
	} else {
		heard <- nil
	}
	sent := k.senders.run(working, s.smtp)
	if err := rest(ctx, time.Duration(k.rng.Int64N(int64(killWithin)))); err != nil {
		return err
	}
	err = s.kill()
	stop()
	sent()
	return errors.Join(err, <-heard)
}

// setRoute sets or removes the webhook.
func (k *killing) setRoute(ctx context.Context, c *client.Client, r route) error {
	if !r.webhook {
		return c.DeleteWebhook(ctx)
	}
	_, err := c.PutWebhook(ctx, api.WebhookPut{URL: k.hook.url})
	return err
}

func (k *killing) total() (n int) {
	for _, f := range k.faults {
		n += f
	}
	return n
}

// tell adds the figures.
func (k *killing) tell() {
	r := k.b.report
	r.add("kills", "", bar{}, float64(k.b.kills))
	r.add("mails acknowledged", "", bar{}, float64(k.senders.count()))
	r.add("mails sent again after a kill", "", bar{}, float64(k.senders.again.Load()))
	for _, name := range faultNames() {
		r.add(name, "", atMost(0), float64(k.faults[name]))
	}
	r.add("longest that a delivery lay past its due time", "s", atMost(5), k.overdue)
	r.add("posts of an event posted before", "", bar{}, float64(k.hook.repeated()))
	r.add("start after a kill to service", "ms", atMost(1000), k.restart...)
	r.figures[len(r.figures)-1].all = nil
}
