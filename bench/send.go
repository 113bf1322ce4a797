package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// How the server is killed while it sends.
const (
	sendInboxes = 8
	sendWithin  = 300 * time.Millisecond // after it serves, unless a step comes first
	sendAfter   = 400 * time.Microsecond // after the step that a kill is aimed at
	sendEvery   = 25                     // kills between lines of progress
)

// sending is one run of the proof: the same data folder and the same relay
// through all kills.
type sending struct {
	b       *bench
	rng     *rand.Rand
	data    string
	log     *os.File
	ports   []string
	sink    *sink
	clients *clients
	kills   []time.Time
	aimed   int // kills at a step of a conversation
	found   doubles
	calm    []handover // without kills
}

const (
	faultKeyTwice = "keys with more than one message in the store"
	faultKeyNone  = "answered keys without their message"
	faultUnsent   = "messages that are not marked as sent 60 s after the last start"
	faultUnmailed = "recipients elsewhere whom no mail reached"
	faultCopy     = "recipients here who have not exactly one copy"
	faultDouble   = "mails that the relay took twice without a kill between 250 and the record"
	faultOther    = "second offers with another sender, or other bytes"
	faultStranger = "mails at the relay that no answered key stands for"
	faultAnswer   = "repeated requests with another answer"
	faultReuse    = "other bodies taken under a used key"
	faultDenied   = "requests refused"
	faultPoint    = "kills at a set point that did not end as they must"
)

func sendFaults() []string {
	return []string{
		faultKeyTwice, faultKeyNone, faultUnsent, faultUnmailed, faultCopy, faultDouble, faultOther,
		faultStranger, faultAnswer, faultReuse, faultDenied, faultPoint,
	}
}

// proveSend kills the server while it takes and sends mail, has the clients
// repeat what was not answered, and compares what it stored with what the relay
// took.
func proveSend(ctx context.Context, b *bench) (err error) {
	b.kills = cmp.Or(b.kills, map[bool]int{true: 25, false: 500}[b.short])
	k := &sending{b: b, rng: rand.New(rand.NewPCG(b.seed, 0))}
	b.report.note("seed %d", b.seed)
	if err := k.setUp(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.sink.close(), k.log.Close()) }()
	if err := k.points(ctx); err != nil {
		return fmt.Errorf("at a set point: %w", err)
	}
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

func (k *sending) setUp(ctx context.Context) (err error) {
	if k.data, k.log, err = k.b.folder(); err != nil {
		return err
	}
	if k.ports, err = freePorts(2); err != nil {
		return err
	}
	if k.sink, err = newSink(); err != nil {
		return err
	}
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	inboxes, err := s.makeInboxes(ctx, sendInboxes)
	k.clients = newClients(inboxes, k.b.seed)
	return errors.Join(err, s.stop())
}

func (k *sending) serve(ctx context.Context) (*server, error) {
	s, err := launch(k.b.binary, k.data, k.log, "--http", k.ports[0], "--smtp", k.ports[1], "--relay", k.sink.String())
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// die kills the server at once, from wherever it is called. The moment is noted
// before: what the relay does later, it does for a server that is gone.
func (k *sending) die(s *server) {
	k.sink.mu.Lock()
	k.kills = append(k.kills, time.Now())
	k.sink.mu.Unlock()
	_ = syscall.Kill(-s.pid(), syscall.SIGKILL)
}

// round starts the server, loads it, and kills it at a random moment, or as soon
// as so many conversations have come to a step that was drawn.
func (k *sending) round(ctx context.Context, n int) error {
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	aimed := make(chan struct{})
	if k.rng.IntN(3) > 0 {
		k.aim(aimed)
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	wait := k.clients.run(working, s)
	timer := time.NewTimer(time.Duration(k.rng.Int64N(int64(sendWithin))))
	defer timer.Stop()
	select {
	case <-aimed:
		k.aimed++
		spin(time.Duration(k.rng.Int64N(int64(sendAfter))))
	case <-timer.C:
	case <-ctx.Done():
	}
	k.die(s)
	err = s.kill()
	k.sink.at(nil)
	stop()
	wait()
	k.progress(n + 1)
	return errors.Join(err, ctx.Err())
}

// aim closes a channel at a step.
func (k *sending) aim(aimed chan struct{}) {
	steps := []step{stepData, stepDot, stepAnswer, stepTaken, stepTaken, stepTaken, stepQuit}
	at, left := steps[k.rng.IntN(len(steps))], k.rng.IntN(30)
	k.sink.at(func(now step) bool {
		if now != at {
			return true
		}
		k.sink.mu.Lock()
		defer k.sink.mu.Unlock()
		if left--; left == 0 {
			close(aimed)
		}
		return true
	})
}

// spin waits for less than a timer can.
func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

func (k *sending) progress(n int) {
	k.b.progress.say("kill %d of %d: %d keys answered, %d mails at the relay", n, k.b.kills, len(k.clients.done), len(k.sink.handovers()))
	if n%sendEvery == 0 || n == k.b.kills {
		fmt.Printf("kill %d of %d: %d keys answered, %d mails at the relay, load %.1f\n", n, k.b.kills, len(k.clients.done), len(k.sink.handovers()), loadAverage())
	}
}

// tell adds the figures.
func (k *sending) tell() {
	r, c := k.b.report, k.clients
	r.add("kills", "", bar{}, float64(len(k.kills)))
	r.add("of them at a step of a conversation", "", bar{}, float64(k.aimed))
	r.add("keys answered", "", bar{}, float64(len(c.done)))
	r.add("requests made again after a kill", "", bar{}, float64(c.again))
	r.add("twins and rivals in flight, both answered", "", bar{}, float64(c.twins))
	r.add("other bodies under a used key, refused (409)", "", bar{}, float64(c.refused))
	r.add("answered keys asked again, same answer", "", bar{}, float64(c.replayed))
	for _, name := range sendFaults() {
		r.add(name, "", atMost(0), float64(c.faults[name]))
	}
	r.add("kills between 250 and the record, by mails", "", bar{}, float64(k.found.cut))
	r.add("of them, taken again (same Message-ID and bytes)", "", bar{}, float64(k.found.within))
	r.add("mails answered 250 when the server was dead, taken again", "", bar{}, float64(k.found.unheard))
	r.window("from 250 to the record, under kills", k.sink.handovers())
	r.window("from 250 to the record, one mail at a time", k.calm)
}

// window adds how long the relay waited from its 250 to QUIT, which the server
// says once it has written down what it heard.
func (r *report) window(name string, all []handover) {
	var ms []float64
	for _, h := range all {
		if !h.quit.IsZero() {
			ms = append(ms, float64(h.quit.Sub(h.answered).Microseconds())/1000)
		}
	}
	r.add(name+", p50", "ms", bar{}, quantile(ms, 0.5))
	r.add(name+", p99", "ms", bar{}, quantile(ms, 0.99))
	r.add(name+", longest", "ms", bar{}, quantile(ms, 1))
}
