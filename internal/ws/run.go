package ws

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"openmail"
)

const (
	sweepEvery  = time.Second
	recheckKeys = 2 * time.Second
	// recheckOverlap is how far back each check of the keys looks again: for
	// clocks that differ, and for what was committed late.
	recheckOverlap = 10 * time.Second
	// lookEvery is how often a cursor looks at the log though no bell rang.
	lookEvery = 5 * time.Second
	// drainWait is how long sockets may take to end when the server stops.
	drainWait = 3 * time.Second
)

// Run keeps the sockets alive and watches their keys until ctx ends. Then it
// closes them all and waits for them, a few seconds at most. It returns nil.
func (s *Server) Run(ctx context.Context) error {
	stop := s.cfg.Bell.Hear(s.ring)
	var loops sync.WaitGroup
	loops.Go(func() { every(ctx, sweepEvery, s.sweep) })
	loops.Go(func() { every(ctx, recheckKeys, s.recheck()) })
	loops.Go(func() { every(ctx, sweepEvery, s.tidy()) })
	loops.Go(func() { every(ctx, lookEvery, s.look) })
	loops.Wait()
	stop()
	s.shutDown()
	return nil
}

// every calls f each d until ctx ends.
func every(ctx context.Context, d time.Duration, f func(context.Context)) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if ctx.Err() == nil {
				f(ctx)
			}
		}
	}
}

// sweep sees to every heartbeat.
func (s *Server) sweep(context.Context) {
	s.tickets.sweep(time.Now())
	o := s.outputs.get()
	defer s.outputs.put(o)
	for _, ss := range s.sessions() {
		ss.beat(o)
	}
}

// recheck returns a function that ends the sockets of keys which were revoked
// since its last call that succeeded.
func (s *Server) recheck() func(context.Context) {
	since := s.began
	return func(ctx context.Context) {
		now := time.Now()
		ids, err := s.cfg.Revocations.RevokedSince(ctx, openmail.Operator(), since.Add(-recheckOverlap))
		if err != nil {
			if ctx.Err() == nil {
				s.warn("checking the keys again", err)
			}
			return
		}
		since = now
		s.revoke(ids)
	}
}

// look finds what a lost bell has left lying, one account after the other: in one
// order, so that what happens can be repeated.
func (s *Server) look(ctx context.Context) {
	audiences := s.allAudiences()
	slices.SortFunc(audiences, func(a, b *audience) int { return strings.Compare(a.account, b.account) })
	for _, a := range audiences {
		pos, listening := a.listening()
		if !listening {
			continue
		}
		head, err := s.cfg.Events.Head(ctx, a.scope())
		if err != nil {
			if ctx.Err() == nil {
				s.warn("looking at the event log", err)
			}
			return
		}
		if head > pos {
			a.ring()
		}
		for _, g := range a.allGroups() {
			if g.head() < head {
				g.wake()
			}
		}
		for _, ss := range a.all(nil) {
			if ss.isBehind(pos) {
				ss.wake()
			}
		}
	}
}

// isBehind reports whether the socket could go on, up to a position at least.
func (s *session) isBehind(pos openmail.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live && !s.ended && s.group == nil && !s.paused && s.pos < pos
}

// shutDown closes every socket and waits for all that goes on.
func (s *Server) shutDown() {
	s.mu.Lock()
	s.closing = true
	s.checkEmpty()
	s.mu.Unlock()
	for _, ss := range s.sessions() {
		ss.dismiss(leaving())
	}
	deadline := time.NewTimer(drainWait)
	defer deadline.Stop()
	select {
	case <-s.empty:
	case <-deadline.C:
	}
	s.end()
	for _, ss := range s.sessions() {
		ss.conn.kill()
	}
	s.tasks.wait()
}

// leaving advises a client to come back after a moment of its own, so that
// they do not all come at once.
func leaving() *fault {
	delay := 0.5 + 4.5*rand.Float64()
	return &fault{ws.StatusGoingAway, fmt.Sprintf("server is shutting down; reconnect in %.1f s", delay)}
}

// covered lists the sockets within a scope, oldest first.
func (s *Server) covered(scope openmail.Scope) []*session {
	list := slices.DeleteFunc(s.sessions(), func(ss *session) bool { return !scope.Covers(ss.account(), ss.pod, ss.inbox) })
	slices.SortFunc(list, func(a, b *session) int { return cmp.Or(a.opened.Compare(b.opened), strings.Compare(a.id, b.id)) })
	return list
}

// tasks are goroutines that somebody waits for.
type tasks struct {
	mu   sync.RWMutex
	over bool
	wg   sync.WaitGroup
}

// start runs f in a goroutine, unless the end has come.
func (t *tasks) start(f func()) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.over {
		return false
	}
	t.wg.Go(f)
	return true
}

// wait lets no more begin, and waits for those that run.
func (t *tasks) wait() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.wg.Wait()
}
