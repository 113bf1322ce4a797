package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"openmail/api"
)

// What a replay must not do.
const (
	faultSeam  = "events that a replay left out, repeated or misplaced, up to the newest"
	faultStuck = "replays that did not come to their end"
	faultShort = "mails that were acknowledged and are not in the log"
)

const (
	replayEvents  = 100_000
	replayInboxes = 16
	replayRate    = 200 // mails/s that come in meanwhile
	replayFew     = 4   // sockets at once, after which nothing of the server is cold
	replayMany    = 14  // sockets at once
)

// proveReplay has an agent come back after 100,000 events, while more come in; and then several at once.
func proveReplay(ctx context.Context, b *bench) (err error) {
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	inboxes, err := s.makeInboxes(ctx, replayInboxes)
	if err != nil {
		return err
	}
	r := &replaying{b: b, s: s, inboxes: inboxes, faults: map[string]int{}}
	n := replayEvents
	if b.short {
		n = 10_000
	}
	if r.first, err = r.firstEvent(ctx); err != nil {
		return err
	}
	b.progress.say("%d mails come in", n)
	begin := time.Now()
	if err := flood(ctx, s, inboxes, n); err != nil {
		return err
	}
	b.report.note("the %s mails came in at %s a second", number(float64(n)), number(float64(n)/time.Since(begin).Seconds()))
	return r.run(ctx, n)
}

// replaying is one run of the proof.
type replaying struct {
	b       *bench
	s       *server
	inboxes []api.Inbox
	first   string // the event after which all else comes
	sent    int    // mails after it
	faults  map[string]int
}

// firstEvent has an agent get one event, and leave.
func (r *replaying) firstEvent(ctx context.Context) (string, error) {
	a, err := dialAgent(ctx, r.s.http, r.s.key, subscription{}, nil)
	if err != nil {
		return "", err
	}
	defer closeAll(a.tcp)
	if err := a.join(); err != nil {
		return "", err
	}
	if err := flood(ctx, r.s, r.inboxes[:1], 1); err != nil {
		return "", err
	}
	f, err := a.read()
	return f.EventID, err
}

// flood sends mails to the inboxes in turns, as fast as they are taken.
func flood(ctx context.Context, s *server, inboxes []api.Inbox, n int) error {
	const sessions = 64
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(sessions, n) {
		g.Go(func() error {
			c, err := dialMail(ctx, s.smtp)
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if _, err := c.send(plainMail("flood", i, inboxes[i%len(inboxes)].Address)); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

func (r *replaying) run(ctx context.Context, n int) error {
	r.sent = n
	r.b.progress.say("one agent comes back")
	one, rate, late, err := r.comeBack(ctx, 1)
	if err != nil {
		return err
	}
	got, owed := one, []int{r.sent}
	var together, later, peaks [2]float64
	for i, agents := range []int{replayFew, replayMany} {
		r.b.progress.say("%d agents come back at once", agents)
		peak := r.s.watchMemory(ctx)
		var many [][]string
		many, together[i], later[i], err = r.comeBack(ctx, agents)
		peaks[i] = peak()
		if err != nil {
			return err
		}
		got = append(got, many...)
		owed = append(owed, slices.Repeat([]int{r.sent}, agents)...)
	}
	c, err := r.s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	r.b.progress.say("what came is compared")
	log, err := eventLog(ctx, c)
	if err != nil {
		return err
	}
	want := ids(log)[1:]
	r.faults[faultShort] = max(0, r.sent-len(want))
	for i, got := range got {
		ought := want[:min(len(want), owed[i])]
		if n := differences(ought, got); n > 0 {
			r.faults[faultSeam] += n
			r.b.report.note("agent %d: %s", i+1, firstDifference(ought, got))
		}
	}
	p, fast, small := r.b.report, atLeast(5000), atMost(1024)
	if r.b.short { // too few to measure
		fast, small = bar{}, bar{}
	}
	p.add("one agent: events of the log", "", bar{}, float64(n))
	p.add("one agent: replayed, while 200 mails/s come in", "/s", fast, rate)
	p.add("one agent: mails behind their time, at most", "ms", bar{}, late)
	p.add("fourteen agents at once: mails behind their time, at most", "ms", bar{}, later[1])
	p.add("fourteen agents at once: replayed, all of them", "/s", bar{}, together[1])
	p.add("fourteen agents at once: more memory than four, for each", "KiB", small, (peaks[1]-peaks[0])/(replayMany-replayFew))
	for _, name := range []string{faultSeam, faultStuck, faultShort} {
		p.add(name, "", atMost(0), float64(r.faults[name]))
	}
	return nil
}

// comeBack has agents go on after the first event while mail comes in for ten seconds, until each has the newest. It returns what
// each got, in its order, how many events a second they got of those that were there before, and by how many milliseconds a mail
// came late.
func (r *replaying) comeBack(ctx context.Context, agents int) (got [][]string, rate, late float64, err error) {
	during := 10 * time.Second
	if r.b.short {
		during = 2 * time.Second
	}
	old, all := r.sent, r.sent+int(during.Seconds()*replayRate)
	got = make([][]string, agents)
	took := make([]float64, agents)
	g, working := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		_, late, err = steadyMail(working, r.s, r.inboxes, replayRate, during)
		return err
	})
	var stuck atomic.Int64
	for i := range agents {
		g.Go(func() error {
			begin := time.Now()
			a, err := dialAgent(working, r.s.http, r.s.key, subscription{LastEventID: r.first}, nil)
			if err != nil {
				return err
			}
			defer closeAll(a.tcp)
			_ = a.tcp.SetReadDeadline(begin.Add(2 * time.Minute))
			for len(got[i]) < all {
				f, err := a.read()
				if err != nil {
					stuck.Add(1)
					return nil
				}
				if f.EventID == "" {
					continue
				}
				if got[i] = append(got[i], f.EventID); len(got[i]) == old {
					took[i] = time.Since(begin).Seconds()
				}
			}
			return nil
		})
	}
	err = g.Wait()
	r.faults[faultStuck] += int(stuck.Load())
	r.sent = all
	return got, float64(old*agents) / quantile(took, 1), late, err
}

// firstDifference says where a list goes wrong, and how.
func firstDifference(want, got []string) string {
	for i := range want {
		if i < len(got) && got[i] == want[i] {
			continue
		}
		if i == len(got) {
			return fmt.Sprintf("%d events of %d", i, len(want))
		}
		return fmt.Sprintf("event %d of %d is number %d; the one that belongs there comes as number %d",
			i, len(want), slices.Index(want, got[i]), slices.Index(got, want[i]))
	}
	return "more than there is"
}
