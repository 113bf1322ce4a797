package ws

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"openmail"
)

const (
	// windowEvents and windowBytes are how much may be pushed without a
	// receipt: what a socket's death repeats, and what it can cost.
	windowEvents = 512
	windowBytes  = 4 << 20
	// pageEvents is how many events are read from the log at once, behindEvents
	// how many by a socket that is behind, which holds them while its client
	// reads, and heavyPage the bytes from which a shorter page may have been cut.
	pageEvents   = 128
	behindEvents = 32
	heavyPage    = 256 << 10
)

// verdict is what becomes of an event at a socket.
type verdict int

const (
	skip verdict = iota // not wanted, or dealt with
	push                // counted, and to be written now
	stop                // not now
)

// wants reports whether the key covers the event and the subscription wants
// it. mu is held.
func (s *session) wants(e *openmail.Event) bool {
	return s.scope().Covers(e.Account, e.Pod, e.Inbox) && s.sub.Wants(e.Inbox, e.Type)
}

// admit decides on the next event of the log, and moves the cursor past it.
// conn.mu is held.
func (s *session) admit(e *openmail.Event, at time.Time) (attempt int, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.live || s.ended:
		return 0, stop
	case e.Position <= s.pos:
		return 0, skip
	case !s.wants(e) || s.covered(e):
		s.pos = e.Position
		return 0, skip
	case s.full():
		return 0, stop
	}
	attempt = max(1, e.Delivery.Attempts)
	if e.Position <= s.replay {
		attempt = e.Delivery.Attempts + 1
	}
	s.pos = e.Position
	s.win.add(e, at, attempt)
	return attempt, push
}

// full reports whether the window is; then the next receipt wakes the pump.
// mu is held.
func (s *session) full() bool {
	s.paused = len(s.win.waiting) >= windowEvents || s.win.bytes >= windowBytes
	return s.paused
}

// Wants implements dispatch.Listener.
func (s *session) Wants(inbox string, t openmail.EventType) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended && (s.inbox == "" || s.inbox == inbox) && s.sub.Wants(inbox, t)
}

// Holds implements dispatch.Listener.
func (s *session) Holds(p openmail.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended && s.holds(p)
}

// Resumed implements dispatch.Listener.
func (s *session) Resumed() openmail.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resumed
}

// holds is Holds; mu is held.
func (s *session) holds(p openmail.Position) bool {
	if s.group == nil && s.sub.Active() && p > s.pos || s.win.holds(p) {
		return true
	}
	for i := range s.offers {
		if s.offers[i].Position == p {
			return true
		}
	}
	return slices.ContainsFunc(s.confirming, func(e pushed) bool { return e.position == p && !e.settled })
}

// wake has the pump bring the socket up to date, now or once more. It does not
// block.
func (s *session) wake() { s.pump.ring(&s.server.tasks, s.step) }

// step pushes one page of what comes next: what waits beside the cursor, then
// the log. It reports whether there may be more.
func (s *session) step() (more bool) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.conn.closing.Load() {
		return false
	}
	o := s.server.outputs.get()
	defer s.server.outputs.put(o)
	s.gatherOffers(o)
	s.fence(o)
	if len(o.buf) > 0 {
		return s.conn.flush(o, nil) == nil
	}
	page, more, err := s.page(s.server.life)
	if err != nil {
		s.server.warn("reading the event log for a socket", err, slog.String("socket", s.id))
		return false // a later look goes on
	}
	for len(page) > 0 {
		o.reset()
		n := s.gather(page, o)
		s.fence(o)
		page = page[n:]
		forget := func() { page, more = nil, true }
		if err := s.conn.flush(o, forget); err != nil || n == 0 {
			return false
		}
	}
	return more
}

// page reads what comes next in the log. conn.mu is held.
func (s *session) page(ctx context.Context) (events []openmail.Event, more bool, err error) {
	s.mu.Lock()
	scope, after, open := s.scope(), s.pos, s.live && !s.ended && s.group == nil && !s.full()
	if only := s.sub.Inboxes(); len(only) == 1 {
		scope.Inbox = only[0]
		if s.lone.inbox == only[0] {
			scope.Pod = s.lone.pod
		}
	}
	s.mu.Unlock()
	if !open {
		return nil, false, nil
	}
	s.server.reads <- struct{}{}
	defer func() { <-s.server.reads }()
	var head openmail.Position
	if !scope.WholeAccount() {
		// The log has more than what is read: where it ended before the
		// reading is where the cursor is once nothing is left.
		if head, err = s.server.cfg.Events.Head(ctx, s.audience.scope()); err != nil {
			return nil, false, err
		}
	}
	events, err = s.server.cfg.Events.After(ctx, scope, after, behindEvents)
	if err == nil && len(events) == 0 {
		s.mu.Lock()
		s.pos = max(s.pos, head)
		s.mu.Unlock()
	}
	return events, len(events) > 0 && (!scope.WholeAccount() || cut(events, behindEvents)), err
}

// cut reports whether a page of the log may have been ended by a limit.
func cut(events []openmail.Event, limit int) bool {
	if len(events) >= limit {
		return true
	}
	size := 0
	for i := range events {
		size += len(events[i].Payload)
	}
	return size >= heavyPage
}

// gather appends events of a page until a write is full, and returns how many
// of them it has dealt with: 0 when none may go now.
func (s *session) gather(page []openmail.Event, o *output) (n int) {
	now := time.Now()
	for n < len(page) && len(o.buf) < pageBytes {
		attempt, v := s.admit(&page[n], now)
		if v == stop {
			break
		}
		if v == push {
			o.event(page[n].Payload, now, attempt)
			s.server.counters.pushed.Add(1)
		}
		n++
	}
	return n
}

// fence appends a fence when one is due. conn.mu is held.
func (s *session) fence(o *output) {
	s.mu.Lock()
	due := s.win.fenceDue()
	if due {
		o.buf = appendPing(o.buf, s.win.fence())
	}
	s.mu.Unlock()
	if due {
		s.pinged.Store(s.server.clock())
	}
}

// fenceNow sends the next fence by itself. It does not block.
func (s *session) fenceNow() {
	if !s.conn.mu.TryLock() {
		s.wake() // whoever writes may have looked already
		return
	}
	o := s.server.outputs.get()
	defer s.server.outputs.put(o)
	if !s.conn.closing.Load() {
		s.fence(o)
	}
	s.send(o)
}

// send writes o without blocking: what the kernel does not take at once goes
// out in a goroutine. conn.mu is held, and released when all is out. o may be
// used again.
func (s *session) send(o *output) {
	if s.conn.offer(o) {
		s.conn.mu.Unlock()
		return
	}
	rest := bytes.Clone(o.rest())
	started := s.server.tasks.start(func() {
		defer s.conn.mu.Unlock()
		_ = s.conn.finish(rest)
	})
	if !started {
		s.conn.kill()
		s.conn.mu.Unlock()
	}
}
