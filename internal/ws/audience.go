package ws

import (
	"log/slog"
	"runtime"
	"sync"
	"time"

	"openmail"
)

// crowdPart is how many sockets one goroutine serves before a second helps.
const crowdPart = 64

// audience is the sockets of one account. Those that are up to date are served
// together: each event is read and encoded once for all of them. A socket that
// is not, or whose client is slow, goes on with its own pump.
type audience struct {
	server  *Server
	account string
	fan     pump // hands on what is new in the log

	mu       sync.Mutex
	sessions []*session
	live     int               // sessions that events may flow to
	pos      openmail.Position // how far the fan has read, while live > 0

	groups map[groupKey]*group

	// sharing is held while a group gets its first socket or loses its last.
	sharing sync.Mutex

	crowd []*session // the fan's own list
}

// frame is an event ready to be sent to many.
type frame struct {
	event   openmail.Event
	attempt int
	bytes   []byte
}

// batch is a stretch of the log after from, up to and including to.
type batch struct {
	from, to openmail.Position
	at       time.Time
	frames   []frame
}

// scope is the whole account: a position means something only there.
func (a *audience) scope() openmail.Scope { return openmail.Scope{Account: a.account} }

// listen counts a socket that events may flow to from now on. With the first,
// the fan begins at head.
func (a *audience) listen(head openmail.Position) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.live++; a.live == 1 {
		a.pos = max(a.pos, head)
	}
}

func (a *audience) unlisten() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live--
}

// add takes a session in, unless there are limit of them; 0 is no limit.
func (a *audience) add(s *session, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit > 0 && len(a.sessions) >= limit {
		return false
	}
	s.slot = len(a.sessions)
	a.sessions = append(a.sessions, s)
	return true
}

// drop removes a session, and reports whether it was the last.
func (a *audience) drop(s *session) (empty bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := len(a.sessions) - 1
	moved := a.sessions[last]
	a.sessions[s.slot], moved.slot = moved, s.slot
	a.sessions[last] = nil
	a.sessions = a.sessions[:last]
	return last == 0
}

// all appends the sessions to list.
func (a *audience) all(list []*session) []*session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append(list, a.sessions...)
}

// head is the newest position that the fan has seen.
func (a *audience) head() openmail.Position {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pos
}

// listening reports whether events may flow to anyone, and how far they have.
func (a *audience) listening() (openmail.Position, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pos, a.live > 0
}

// ring has the fan and the groups look at the log, now or once more. It does not
// block.
func (a *audience) ring() {
	a.fan.ring(&a.server.tasks, a.round)
	for _, g := range a.allGroups() {
		g.wake()
	}
}

// round hands on one page of the log. It reports whether there may be more.
func (a *audience) round() bool {
	from, ok := a.listening()
	if !ok {
		return false
	}
	events, err := a.server.cfg.Events.After(a.server.life, a.scope(), from, pageEvents)
	if err != nil {
		a.server.warn("reading the event log", err, slog.String("account", a.account))
		return false // a later look goes on
	}
	if len(events) == 0 {
		return false
	}
	o := a.server.outputs.get()
	defer a.server.outputs.put(o)
	b := encode(events, from, time.Now())
	a.hand(b, o)
	a.mu.Lock()
	a.pos = max(a.pos, b.to)
	a.mu.Unlock()
	return cut(events, pageEvents)
}

// encode makes the frames of a page.
func encode(events []openmail.Event, from openmail.Position, at time.Time) *batch {
	b := &batch{from: from, to: events[len(events)-1].Position, at: at, frames: make([]frame, len(events))}
	var o output
	for i, e := range events {
		f := &b.frames[i]
		f.event, f.attempt = e, max(1, e.Delivery.Attempts)
		begin := len(o.buf)
		o.event(e.Payload, at, f.attempt)
		f.bytes = o.buf[begin:len(o.buf):len(o.buf)]
	}
	return b
}

// hand gives a batch to every socket of the account. Large crowds are served
// by several goroutines.
func (a *audience) hand(b *batch, o *output) {
	a.crowd = a.all(a.crowd[:0])
	defer clear(a.crowd)
	parts := min(len(a.crowd)/crowdPart, runtime.GOMAXPROCS(0))
	if parts < 2 {
		handTo(a.crowd, b, o)
		return
	}
	var helpers sync.WaitGroup
	defer helpers.Wait()
	for i := range parts {
		part := a.crowd[i*len(a.crowd)/parts : (i+1)*len(a.crowd)/parts]
		helpers.Go(func() {
			own := a.server.outputs.get()
			defer a.server.outputs.put(own)
			handTo(part, b, own)
		})
	}
}

func handTo(crowd []*session, b *batch, o *output) {
	for _, s := range crowd {
		s.take(b, o)
	}
}

// take pushes what the socket wants of a batch, if it is up to date and its
// client reads; else its own pump sees to it. It does not block.
func (s *session) take(b *batch, o *output) {
	if !s.conn.mu.TryLock() {
		s.wake()
		return
	}
	o.reset()
	level, behind := s.standing(b)
	if level {
		behind = !s.gatherBatch(b, o)
		s.fence(o)
	}
	s.send(o)
	if behind {
		s.wake()
	}
}

// standing compares the cursor with a batch: level when the batch goes on
// where the cursor is, behind when the cursor's own pump has to.
func (s *session) standing(b *batch) (level, behind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.live || s.ended || s.group != nil || s.pos >= b.to || s.conn.closing.Load():
		return false, false
	case s.pos < b.from || s.pos < s.replay || s.conn.raw == nil:
		return false, true
	}
	return true, false
}

// gatherBatch appends the frames that the socket wants. It reports whether all
// of the batch is dealt with.
func (s *session) gatherBatch(b *batch, o *output) bool {
	for i := range b.frames {
		f := &b.frames[i]
		if len(o.buf) >= pageBytes {
			return false
		}
		_, v := s.admit(&f.event, b.at)
		if v == stop {
			return false
		}
		if v == push {
			o.buf = append(o.buf, f.bytes...)
			s.server.counters.pushed.Add(1)
		}
	}
	return true
}
