package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// point is a kill at a set moment, and what must follow from it.
type point struct {
	name   string
	at     step
	frozen step // the server stands still from here on; "": it runs
	refuse bool // the relay has not taken the mail then
	copies int  // that the relay has in the end
}

// pointsOf are the moments around the one in which a mail changes hands. What
// the relay took and the server can know of is there once; what it cannot know
// of is there twice, the same.
func pointsOf() []point {
	return []point{
		{name: "before DATA is answered", at: stepData, refuse: true, copies: 1},
		{name: "after the dot, the mail not taken", at: stepDot, refuse: true, copies: 1},
		{name: "after the dot, the mail taken, before 250", at: stepAnswer, copies: 2},
		{name: "when 250 has come and is not read", at: stepTaken, frozen: stepAnswer, copies: 2},
		{name: "at QUIT", at: stepQuit, copies: 1},
	}
}

// points kills at each set moment, three times.
func (k *sending) points(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(k.b.seed, 99))
	for _, p := range pointsOf() {
		for range 3 {
			if err := k.point(ctx, p, rng); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		fmt.Printf("killed %s: %d at the relay\n", p.name, p.copies)
	}
	k.calm = k.sink.handovers()
	return nil
}

// point sends one mail to one recipient, kills the server there, and starts it
// again.
func (k *sending) point(ctx context.Context, p point, rng *rand.Rand) error {
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	frozen := make(chan error, 1)
	k.sink.at(func(now step) bool {
		if now == p.frozen {
			frozen <- freeze(s.pid())
		}
		if now != p.at {
			return true
		}
		k.die(s)
		<-s.ended
		return !p.refuse
	})
	o := k.plain(rng)
	k.clients.pending = append(k.clients.pending, o)
	_ = k.clients.drain(ctx, s, true) // the answer may come or not
	select {
	case <-s.ended:
	case <-time.After(settleIn):
		return errors.Join(errors.New("the relay was not asked"), s.kill())
	}
	k.sink.at(nil)
	if p.frozen != "" {
		if err := <-frozen; err != nil {
			return err
		}
	}
	return k.after(ctx, p, o)
}

// plain is an errand for one recipient.
func (k *sending) plain(rng *rand.Rand) *errand {
	for {
		k.clients.made++
		if o := newErrand(k.clients.made, k.clients.inboxes, rng); len(o.to) == 1 && o.local == "" && !o.rivals && !o.twins {
			return o
		}
	}
}

// after starts the server again and counts what the relay has in the end.
func (k *sending) after(ctx context.Context, p point, o *errand) error {
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(k.clients.drain(ctx, s, true), k.allSent(ctx, s)); err != nil {
		return errors.Join(err, s.kill())
	}
	if err := s.stop(); err != nil {
		return err
	}
	var copies []handover
	for _, h := range k.sink.handovers() {
		if h.mailID == o.answer.ProviderMessageID {
			copies = append(copies, h)
		}
	}
	if len(copies) != p.copies || len(copies) == 2 && !copies[0].same(copies[1]) {
		k.clients.faults[faultPoint]++
		k.b.report.note("killed %s: %d at the relay, not %d", p.name, len(copies), p.copies)
	}
	return nil
}

// freeze stops every thread of a process, and returns when all stand still.
func freeze(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); spin(time.Millisecond) {
		if still, err := stands(pid); still || err != nil {
			return err
		}
	}
	return errors.New("the server does not stand still")
}

func stands(pid int) (bool, error) {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		if _, state, _ := bytes.Cut(text, []byte(") ")); !bytes.HasPrefix(state, []byte("T")) {
			return false, nil
		}
	}
	return len(threads) > 0, err
}
