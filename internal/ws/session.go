package ws

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
)

// The close codes of the contract, beside 1001.
const (
	closeUnauthorized ws.StatusCode = 4001
	closeConnections  ws.StatusCode = 4008
	closeRate         ws.StatusCode = 4029
)

// session is one socket: what it asked for, how far it is, and what waits for
// its receipt. It implements dispatch.Listener.
//
// Locks are taken in this order: conn.mu, then mu. The subscription and the
// cursor change only under both, so whoever holds conn.mu may write what they
// told it.
type session struct {
	server   *Server
	audience *audience
	slot     int // its place in audience.sessions, under audience.mu
	id       string
	key      string
	pod      string // the only one that its key reaches; "": all
	inbox    string // likewise
	remote   string
	opened   time.Time
	conn     conn

	pinged, ponged atomic.Int64 // the last of each, on the server's clock
	pump           pump         // brings it up to date
	ending         atomic.Pointer[fault]

	// These belong to the reader.
	budget budget
	spoke  bool // a text message came: the stack has grown

	sharing bool // its subscription counts in its group, under group.mu

	mu sync.Mutex
	cursor
	lone       lone
	live       bool              // events may flow: `subscribed` was said
	joined     bool              // the dispatcher knows it, or its group
	resumed    openmail.Position // of the last event that its client had, as it said; 0: it did not
	group      *group            // that it shares its events with, from the first subscribe on; nil: none
	ended      bool
	paused     bool // the window is full; a receipt wakes the pump
	offers     []openmail.Event
	offerBytes int
	win        window
	confirming []pushed // out of the window, and not yet with the dispatcher
	confirmed  uint64
	receiptAt  time.Time
}

// lone is the inbox that was last asked for by its id, with its pod: a socket
// that wants no other reads its pod's stretch of the log.
type lone struct{ inbox, pod string }

var _ dispatch.Listener = (*session)(nil)

func (s *session) account() string { return s.audience.account }

// scope is how far the key reaches.
func (s *session) scope() openmail.Scope {
	return openmail.Scope{Account: s.account(), Pod: s.pod, Inbox: s.inbox}
}

// read is the socket's one goroutine while it is idle. first are bytes that
// came with the handshake.
func (s *session) read(first []byte) {
	err := s.conn.in.feed(first, s)
	for err == nil {
		if s.spoke {
			s.spoke = false
			// What a text message takes of the stack would stay with an idle
			// socket: a fresh one is small.
			if s.server.tasks.start(func() { s.read(nil) }) {
				return
			}
		}
		var n int
		n, err = s.conn.nc.Read(s.conn.buf[:])
		if n > 0 {
			if wrong := s.conn.in.feed(s.conn.buf[:n], s); wrong != nil {
				err = wrong
			}
		}
	}
	s.part(err)
}

// part ends the socket as the error that ended its reading demands.
func (s *session) part(err error) {
	code := ws.StatusAbnormalClosure
	if bye, ok := errors.AsType[*goodbye](err); ok {
		code = bye.code
		s.conn.echo(code)
	}
	if f, ok := errors.AsType[*fault](err); ok {
		s.ending.CompareAndSwap(nil, f)
		s.conn.refuse(words(f), f)
	}
	_ = s.conn.nc.Close()
	if f := s.ending.Load(); f != nil {
		code = f.code
	}
	s.end(code)
}

// end takes the socket out of everything that knows it.
func (s *session) end(code ws.StatusCode) {
	s.mu.Lock()
	lost, queued, joined := s.win.waiting, s.offers, s.joined
	s.ended, s.offers = true, nil
	pushed, confirmed, from := s.win.last, s.confirmed, before(queued, s.pos+1)
	s.silence()
	s.mu.Unlock()

	now := time.Now()
	switch {
	case s.group != nil:
		s.audience.unshare(s, queued, s.receipts(lost, now))
	case joined:
		s.server.cfg.Deliveries.Leave(s.account(), s, s.receipts(lost, now), from)
	}
	s.server.remove(s)
	s.server.cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, "socket.closed",
		slog.String("socket", s.id), slog.String("account", s.account()), slog.String("key", s.key),
		slog.String("remote", s.remote), slog.Int("code", int(code)),
		slog.Uint64("pushed", pushed), slog.Uint64("confirmed", confirmed),
		slog.Duration("duration", now.Sub(s.opened)))
}

// before is the first position of what waited beside a cursor, and of what came
// next in the log.
func before(queued []openmail.Event, next openmail.Position) openmail.Position {
	for i := range queued {
		next = min(next, queued[i].Position)
	}
	return next
}

// dismiss ends the socket from our side: an error message where the code is
// one of the contract's, a close frame, and closeWait for the answer. It does
// not block.
func (s *session) dismiss(f *fault) {
	if !s.ending.CompareAndSwap(nil, f) {
		return
	}
	s.conn.expectEnd()
	if s.conn.mu.TryLock() {
		s.bye(f)
		return
	}
	if !s.server.tasks.start(func() { s.conn.mu.Lock(); s.bye(f) }) {
		s.conn.kill()
	}
}

// bye says why and that it is over. conn.mu is held; bye sees to its release.
func (s *session) bye(f *fault) {
	if s.conn.closing.Swap(true) {
		s.conn.mu.Unlock()
		return
	}
	o := s.server.outputs.get()
	defer s.server.outputs.put(o)
	o.buf = append(o.buf, words(f)...)
	o.close(f)
	s.send(o)
}

// words is the error message that goes before a close frame with a code of the
// contract's own, as a frame.
func words(f *fault) []byte {
	if f.code < 4000 {
		return nil
	}
	return appendFrame(nil, ws.OpText, errorMessage(f.reason))
}

// beat keeps the socket's heart going. o is scratch. It does not block.
func (s *session) beat(o *output) {
	now, limits := s.server.clock(), &s.server.cfg.Limits
	if limits.Heartbeat == 0 || s.conn.closing.Load() {
		return
	}
	if now-s.ponged.Load() >= int64(limits.Heartbeat+limits.PongWait) {
		s.ending.CompareAndSwap(nil, &fault{ws.StatusAbnormalClosure, "no pong came"})
		s.conn.kill()
		return
	}
	// A socket that is being written to gets a fence, or does not read.
	if now-s.pinged.Load() < int64(limits.Heartbeat) || !s.conn.mu.TryLock() {
		return
	}
	o.reset()
	if !s.conn.closing.Load() {
		s.mu.Lock()
		n := s.win.fence()
		s.mu.Unlock()
		o.buf = appendPing(o.buf, n)
		s.pinged.Store(now)
	}
	s.send(o)
}

// ping answers a client's ping.
func (s *session) ping(payload []byte) error {
	if err := s.odd(); err != nil || s.conn.closing.Load() {
		return err
	}
	return s.conn.write(appendFrame(nil, ws.OpPong, payload))
}

// pong takes a sign of life, and a receipt if it is one.
func (s *session) pong(payload []byte) error {
	n, ours := ordinal(payload)
	now := time.Now()
	s.mu.Lock()
	solicited := ours && n > s.win.back && n <= s.win.fenced || ours && n == s.win.back
	events := []pushed(nil)
	if ours {
		events = s.win.pong(n)
	}
	s.count(events, now)
	fence, paused := s.win.fenceDue(), s.paused
	s.paused = false
	s.mu.Unlock()

	s.ponged.Store(s.server.clock())
	s.deliver(events, now)
	if fence {
		s.fenceNow()
	}
	if paused {
		s.wake()
	}
	if !solicited {
		return s.odd()
	}
	return nil
}

// ack takes an ack of an event, which is a receipt where acks are asked for.
func (s *session) ack(event string) {
	now := time.Now()
	s.mu.Lock()
	events := s.win.ack(event)
	s.count(events, now)
	paused := s.paused && len(events) > 0
	if paused {
		s.paused = false
	}
	s.mu.Unlock()

	s.deliver(events, now)
	if paused {
		s.wake()
	}
}

// count notes what was confirmed, and that it is to be delivered. mu is held.
func (s *session) count(events []pushed, now time.Time) {
	if len(events) > 0 {
		s.confirming = events
		s.confirmed += uint64(len(events))
		s.receiptAt = now
	}
}

// deliver hands on the receipts of what was confirmed.
func (s *session) deliver(events []pushed, now time.Time) {
	if len(events) > 0 {
		s.server.counters.receipts.Add(int64(len(events)))
		if receipts := s.receipts(events, now); len(receipts) > 0 {
			s.server.cfg.Deliveries.Confirm(receipts)
		}
		s.mu.Lock()
		s.confirming = nil
		s.mu.Unlock()
		if s.group != nil {
			s.group.freed()
		}
	}
}

func (s *session) fragment() error { return s.odd() }

// odd counts what no client needs to send often.
func (s *session) odd() error {
	if s.budget.odd(s.server.clock(), &s.server.cfg.Limits) {
		return nil
	}
	return &fault{closeRate, "too many control frames and fragments"}
}

// describe is the socket as its owner may see it. head is the newest position
// known.
func (s *session) describe(head openmail.Position) api.Socket {
	pos := s.reached()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := api.Socket{
		ID: s.id, Remote: s.remote, ConnectedAt: api.Time{Time: s.opened},
		Subscribed: s.sub.Active(), InboxIDs: []string{}, EventTypes: []string{},
		Group: s.groupName(), Unconfirmed: len(s.win.waiting), LastReceiptAt: api.Time{Time: s.receiptAt},
	}
	d.InboxIDs = append(d.InboxIDs, s.sub.Inboxes()...)
	for _, t := range s.sub.Types() {
		d.EventTypes = append(d.EventTypes, string(t))
	}
	if d.Subscribed {
		d.Behind = int64(max(0, head-pos))
	}
	return d
}

// reached is how far in the log the socket is, or the group that it is in.
func (s *session) reached() openmail.Position {
	s.mu.Lock()
	g, pos := s.group, s.pos
	s.mu.Unlock()
	if g != nil {
		return g.head()
	}
	return pos
}
