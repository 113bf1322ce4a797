package smtpd

import (
	"net"
	"net/netip"
	"sync"
)

// gate counts who is in, and how much each holds.
type gate struct {
	limits Limits

	mu       sync.Mutex
	closed   bool
	sessions map[*session]struct{}
	hosts    map[netip.Prefix]*host
	held     int64         // bytes of mails being received
	ended    chan struct{} // closed when the gate is closed and nobody is in
}

// host is what one address uses: an IPv4 address, or an IPv6 /64, which is what
// one customer commonly has.
type host struct {
	sessions int
	held     int64
}

func newGate(limits Limits) *gate {
	return &gate{
		limits:   limits,
		sessions: map[*session]struct{}{},
		hosts:    map[netip.Prefix]*host{},
		ended:    make(chan struct{}),
	}
}

// hostOf is the address that limits count by.
func hostOf(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // fails for the zero Addr only, which is a host too
	return p
}

// remoteAddr is the peer's address; the zero Addr when it has none.
func remoteAddr(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// enter lets a session in, or returns the reply that turns it away.
func (g *gate) enter(s *session) (refused string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := hostOf(s.remote)
	h := g.hosts[key]
	switch {
	case g.closed:
		return replyStopping
	case len(g.sessions) >= g.limits.Connections:
		return replyTooMany
	case h == nil:
		h = &host{}
		g.hosts[key] = h
	case h.sessions >= g.limits.ConnectionsPerAddress:
		return replyTooManyOfYou
	}
	h.sessions++
	s.host = h
	g.sessions[s] = struct{}{}
	return ""
}

// leave lets a session out, and with it whatever it still holds.
func (g *gate) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s)
	if s.host.sessions--; s.host.sessions == 0 {
		delete(g.hosts, hostOf(s.remote))
	}
	g.announceEnd()
}

// close lets nobody in any more and sends out who is idle. The channel is
// closed when everybody is out.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for s := range g.sessions {
		s.life.stop(s.raw)
	}
	g.announceEnd()
	return g.ended
}

func (g *gate) announceEnd() {
	if g.closed && len(g.sessions) == 0 {
		close(g.ended)
	}
}

// cut closes the connections of all who are still in.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.sessions {
		_ = s.raw.Close() // the session sees it, and ends
	}
}

// hold takes n bytes of memory for a mail of h, unless that is too much now.
func (g *gate) hold(h *host, n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.fits(h, n) {
		return false
	}
	g.held += n
	h.held += n
	return true
}

func (g *gate) fits(h *host, n int64) bool {
	return g.held+n <= g.limits.InFlightBytes && h.held+n <= g.limits.InFlightBytes/2
}

// hasRoom reports whether a mail of n bytes could be held now.
func (g *gate) hasRoom(h *host, n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fits(h, n)
}

func (g *gate) free(h *host, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held -= n
	h.held -= n
}

// life tells a stopping server from a session whether it may be ended: a
// session within a transaction may not.
type life struct {
	mu       sync.Mutex
	busy     bool // within a transaction
	stopping bool
}

// begin starts a transaction, unless the server stops.
func (l *life) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = !l.stopping
	return l.busy
}

func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
}

// over reports whether the session should end now. Asked after a read deadline
// was set, it closes the race with stop: either it is true, or stop's deadline
// comes later and wins.
func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping && !l.busy
}

// stop wakes the session from its waiting for a command.
func (l *life) stop(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	if !l.busy {
		_ = conn.SetReadDeadline(past()) // fails when the connection is closed, which serves as well
	}
}
