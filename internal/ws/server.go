// Package ws is the door by which events leave over WebSockets: the
// connection, the protocol of the stream, and the cursors that follow the
// event log.
//
// A socket is a cursor over its account's log and nothing more. There is no
// queue to overflow: a socket whose client is slow is simply behind. A bell
// wakes the cursors; the log tells.
package ws

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
	"openmail/internal/id"
)

// Keys tells who asks.
type Keys interface {
	// Authenticate returns the key with that text; openmail.CodeUnauthorized
	// when it is unknown or revoked.
	Authenticate(ctx context.Context, token string) (openmail.Key, error)
}

// Revocations tells which keys have ended.
type Revocations interface {
	// RevokedSince returns the ids of the keys that were revoked at or after
	// that moment.
	RevokedSince(ctx context.Context, scope openmail.Scope, t time.Time) ([]string, error)
}

// Log is the event log.
type Log interface {
	// Head returns the position of the newest event, 0 when there is none.
	// Every event that is committed later stands after it.
	Head(ctx context.Context, scope openmail.Scope) (openmail.Position, error)
	// Find returns the position of an event; openmail.CodeNotFound.
	Find(ctx context.Context, scope openmail.Scope, eventID string) (openmail.Position, error)
	// After returns the events after a position, oldest first, with their
	// payloads: at most limit, and about 1 MiB, of them, and none only when
	// there are none.
	After(ctx context.Context, scope openmail.Scope, after openmail.Position, limit int) ([]openmail.Event, error)
	// Undelivered is After for what nobody has confirmed yet, up to and
	// including a position.
	Undelivered(ctx context.Context, scope openmail.Scope, after, upTo openmail.Position, limit int) ([]openmail.Event, error)
}

// Inboxes tells what is whose.
type Inboxes interface {
	// Inbox returns one; openmail.CodeNotFound unless the scope covers it.
	Inbox(ctx context.Context, scope openmail.Scope, id string) (openmail.Inbox, error)
	// InboxIDs returns the ids of those that the scope covers, at most limit
	// of them.
	InboxIDs(ctx context.Context, scope openmail.Scope, limit int) ([]string, error)
}

// Deliveries is who answers for the events being handed over.
type Deliveries interface {
	// Join says that a socket listens: what it wants counts as on its way.
	Join(account string, l dispatch.Listener)
	// Leave says that it has ended, what was pushed to it without a receipt,
	// and from where on in the log not everything was.
	Leave(account string, l dispatch.Listener, lost []dispatch.Receipt, from openmail.Position)
	// Return says that a socket of a group has ended while others of it go
	// on, and what was pushed to it without a receipt: that is offered to
	// the group.
	Return(group dispatch.Listener, lost []dispatch.Receipt)
	// Confirm takes receipts. It does not block for long.
	Confirm(receipts []dispatch.Receipt)
	// Offers returns what waits to be posted, at or before upTo, and is
	// wanted by l, which has just subscribed; its attempt is counted.
	Offers(ctx context.Context, scope openmail.Scope, upTo openmail.Position, l dispatch.Listener) ([]openmail.Event, error)
}

// Bell tells that an account has something new.
type Bell interface {
	// Hear has f called with each account that is rung for, until stop. f
	// does not block. A ring may be lost or come twice.
	Hear(f func(account string)) (stop func())
}

// Config is what a Server needs. Every field but Origins is required.
type Config struct {
	Keys        Keys
	Revocations Revocations
	Events      Log
	Inboxes     Inboxes
	Deliveries  Deliveries
	Bell        Bell
	Log         *slog.Logger
	Limits      Limits
	// Origins are the only values of an Origin header that are let in; empty
	// for any. A key is always needed: no cookie is ever looked at.
	Origins []string
}

// Limits bound what clients may do and how long things take. A limit of zero
// is lifted.
type Limits struct {
	Connections int           // of one account at a time
	Messages    int           // from one client in a Window
	Window      time.Duration // must not be zero
	Heartbeat   time.Duration // between pings
	PongWait    time.Duration // beyond Heartbeat, until the socket counts as dead
}

// DefaultLimits are the contract's.
func DefaultLimits() Limits {
	return Limits{
		Connections: 10, Messages: 30, Window: 10 * time.Second,
		Heartbeat: 30 * time.Second, PongWait: 10 * time.Second,
	}
}

// Metrics are counts since the start, but for Open.
type Metrics struct {
	Open     int64 // sockets now
	Opened   int64
	Refused  int64 // connections ended for their key, the limit or the origin
	Pushed   int64 // events, counted for each socket
	Receipts int64
}

// Server is the event stream's door. It is an http.Handler for GET /v1/ws.
type Server struct {
	cfg     Config
	began   time.Time
	life    context.Context // of what sockets ask the store; ends with Run
	end     context.CancelFunc
	tickets *tickets
	outputs outputs
	tasks   tasks
	reads   chan struct{} // bounds how many cursors that are behind read at once

	refusing atomic.Int64 // clients that are being turned away
	counters struct{ open, opened, refused, pushed, receipts atomic.Int64 }

	mu        sync.RWMutex
	audiences map[string]*audience
	closing   bool
	empty     chan struct{} // closed when closing and no socket is left
}

// maxReads is how many cursors that are behind may read the log at a time. To read
// and pack events is work for a processor, and mail that comes in needs one too.
func maxReads() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// New returns a Server. Its sockets live only while Run runs.
func New(cfg Config) *Server {
	life, end := context.WithCancel(context.Background())
	return &Server{
		cfg: cfg, began: time.Now(), life: life, end: end, tickets: newTickets(),
		reads: make(chan struct{}, maxReads()), audiences: map[string]*audience{}, empty: make(chan struct{}),
	}
}

// clock is the time since the start, in nanoseconds, never 0.
func (s *Server) clock() int64 { return int64(time.Since(s.began)) + 1 }

// Metrics returns the counts as they are.
func (s *Server) Metrics() Metrics {
	c := &s.counters
	return Metrics{
		Open: c.open.Load(), Opened: c.opened.Load(), Refused: c.refused.Load(),
		Pushed: c.pushed.Load(), Receipts: c.receipts.Load(),
	}
}

// Ticket makes a stand-in for a key, to be redeemed once, at /v1/ws?ticket=…
// of this process, before it expires.
func (s *Server) Ticket(key openmail.Key) (ticket string, expires time.Time) {
	return s.tickets.issue(key, time.Now())
}

// Sockets lists the open sockets that the scope covers, oldest first.
func (s *Server) Sockets(scope openmail.Scope) []api.Socket {
	list := []api.Socket{}
	for _, ss := range s.covered(scope) {
		list = append(list, ss.describe(ss.audience.head()))
	}
	return list
}

// Disconnect closes a socket; openmail.CodeNotFound when the scope covers none
// with that id. Its client may come back.
func (s *Server) Disconnect(scope openmail.Scope, socket string) error {
	for _, ss := range s.covered(scope) {
		if ss.id == socket {
			ss.dismiss(&fault{1000, "closed by the account's owner"})
			return nil
		}
	}
	return openmail.Errorf(openmail.CodeNotFound, "There is no socket %q.", socket)
}

// Revoke ends the sockets and tickets of a key at once.
func (s *Server) Revoke(keyID string) { s.revoke([]string{keyID}) }

func (s *Server) revoke(keyIDs []string) {
	if len(keyIDs) == 0 {
		return
	}
	revoked := map[string]bool{}
	for _, k := range keyIDs {
		revoked[k] = true
	}
	s.tickets.revoke(revoked)
	for _, ss := range s.sessions() {
		if revoked[ss.key] {
			ss.dismiss(&fault{closeUnauthorized, "the API key was revoked"})
		}
	}
}

// session makes a session of a connection.
func (s *Server) session(nc net.Conn, key openmail.Key, remote string) *session {
	ss := &session{
		server: s, id: id.New(openmail.PrefixSocket), key: key.ID, pod: key.Pod, inbox: key.Inbox,
		remote: remote, opened: time.Now(),
	}
	ss.conn.open(nc)
	ss.pinged.Store(s.clock())
	ss.ponged.Store(s.clock())
	return ss
}

// admit takes a session in, unless its account has too many or the server is
// stopping.
func (s *Server) admit(ss *session, account string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return leaving()
	}
	a := s.audiences[account]
	if a == nil {
		a = &audience{server: s, account: account}
		s.audiences[account] = a
	}
	ss.audience = a
	if !a.add(ss, s.cfg.Limits.Connections) {
		return &fault{closeConnections, "too many connections of this account"}
	}
	s.counters.open.Add(1)
	s.counters.opened.Add(1)
	return nil
}

// remove forgets a session that has ended.
func (s *Server) remove(ss *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss.audience.drop(ss) {
		delete(s.audiences, ss.audience.account)
	}
	s.counters.open.Add(-1)
	s.checkEmpty()
}

// checkEmpty tells the shutdown when no socket is left. mu is held.
func (s *Server) checkEmpty() {
	if s.closing && len(s.audiences) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// sessions lists the sockets that are open.
func (s *Server) sessions() []*session {
	var list []*session
	for _, a := range s.allAudiences() {
		list = a.all(list)
	}
	return list
}

func (s *Server) allAudiences() []*audience {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*audience, 0, len(s.audiences))
	for _, a := range s.audiences {
		list = append(list, a)
	}
	return list
}

// ring is told by the bell that an account has something new.
func (s *Server) ring(account string) {
	s.mu.RLock()
	a := s.audiences[account]
	s.mu.RUnlock()
	if a != nil {
		a.ring()
	}
}

func (s *Server) warn(doing string, err error, attrs ...slog.Attr) {
	if s.life.Err() != nil {
		return // the server is stopping, and so did what it was doing
	}
	s.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "socket.failed",
		append(attrs, slog.String("doing", doing), slog.Any("error", err))...)
}
