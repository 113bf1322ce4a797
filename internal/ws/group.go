package ws

import (
	"log/slog"
	"slices"
	"sync"

	"openmail"
	"openmail/internal/dispatch"
)

const (
	// groupWindow is how much a socket of a group may have without a receipt
	// before the log waits for one: what more it were given would wait there,
	// and not go to whoever is done first.
	groupWindow = 64
	maxGroup    = 64 // bytes of a group's name
)

// group is sockets that share their events: each event goes to one of those that
// want it, the one with the least unconfirmed, and to another if that one ends
// without a receipt. The group has the place in the log; its sockets push what
// they were given. To the dispatcher it is one listener.
//
// Locks are taken in this order: audience.sharing, mu, then a session's mu.
type group struct {
	audience *audience
	groupKey
	pump pump // brings it up to date

	mu      sync.Mutex
	members []*session
	pos     openmail.Position // how far the log was shared out
	since   openmail.Position // from where on it was
	// What lies after replay, up to and including until, is shared out first,
	// as far as nobody has confirmed it.
	replay, until openmail.Position
	stalled       bool // nobody has room; a receipt wakes the pump
}

// groupKey tells the groups of an account apart: sockets share only with those
// whose keys reach as far.
type groupKey struct{ name, pod, inbox string }

var _ dispatch.Listener = (*group)(nil)

// share takes a session into the group of that name.
func (a *audience) share(s *session, name string) {
	a.sharing.Lock()
	defer a.sharing.Unlock()
	key := groupKey{name, s.pod, s.inbox}
	a.mu.Lock()
	g := a.groups[key]
	first := g == nil
	if first {
		g = &group{audience: a, groupKey: key}
		if a.groups == nil {
			a.groups = map[groupKey]*group{}
		}
		a.groups[key] = g
	}
	a.mu.Unlock()
	g.mu.Lock()
	g.members = append(g.members, s)
	g.mu.Unlock()
	s.mu.Lock()
	s.group = g
	s.mu.Unlock()
	if first {
		a.server.cfg.Deliveries.Join(a.account, g)
	}
}

// unshare takes a session that has ended out of its group, which gets what it
// had: what was queued at once, and what it was pushed by way of the dispatcher.
// With its last socket the group ends.
func (a *audience) unshare(s *session, queued []openmail.Event, lost []dispatch.Receipt) {
	a.sharing.Lock()
	defer a.sharing.Unlock()
	g := s.group
	if g.remove(s) {
		a.mu.Lock()
		delete(a.groups, g.groupKey)
		a.mu.Unlock()
		a.server.cfg.Deliveries.Leave(a.account, g, lost, before(queued, g.next()))
		return
	}
	for _, e := range queued {
		g.Offer(e)
	}
	a.server.cfg.Deliveries.Return(g, lost)
	g.wake() // it may have waited for this one
}

// allGroups lists the groups of the account.
func (a *audience) allGroups() []*group {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*group, 0, len(a.groups))
	for _, g := range a.groups {
		list = append(list, g)
	}
	return list
}

// remove forgets a member, and reports whether it was the last.
func (g *group) remove(s *session) (empty bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = slices.DeleteFunc(g.members, func(m *session) bool { return m == s })
	return len(g.members) == 0
}

// begin counts a member that has subscribed to something. With the first the
// group goes on at the head of the log. What the member has missed is shared out
// where nobody of the group was there for it.
func (g *group) begin(s *session, at start) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.active() {
		g.pos = max(g.pos, at.head)
		g.since, g.replay, g.until = g.pos, g.pos, g.pos
	}
	s.sharing = true
	if !at.resume || at.after >= g.since {
		return
	}
	if g.replay >= g.until {
		g.until = g.since
	}
	g.replay, g.since = at.after, at.after
}

// rest counts a member that wants nothing any more as gone.
func (g *group) rest(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.sharing = false
}

// active reports whether a member has subscribed to something. mu is held.
func (g *group) active() bool {
	return slices.ContainsFunc(g.members, func(m *session) bool { return m.sharing })
}

// next is the first position that was not shared out.
func (g *group) next() openmail.Position {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.replay < g.until {
		return g.replay + 1
	}
	return g.pos + 1
}

// head is how far the log was shared out.
func (g *group) head() openmail.Position {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pos
}

// Wants implements dispatch.Listener.
func (g *group) Wants(inbox string, t openmail.EventType) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.members, func(m *session) bool { return m.Wants(inbox, t) })
}

// Holds implements dispatch.Listener.
func (g *group) Holds(p openmail.Position) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active() && (p > g.pos || p > g.replay && p <= g.until) || g.held(p)
}

// held reports whether a member has the event at p. mu is held.
func (g *group) held(p openmail.Position) bool {
	return slices.ContainsFunc(g.members, func(m *session) bool { return m.Holds(p) })
}

// Resumed implements dispatch.Listener: what its sockets have, it decides itself.
func (g *group) Resumed() openmail.Position { return 0 }

// Offer implements dispatch.Listener.
func (g *group) Offer(e openmail.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		m, _, _ := g.least(&e)
		switch {
		case m == nil:
			return // nobody wants it
		case m.enqueue(e):
			m.wake()
			return
		case !m.gone():
			return // it has it, or too much waits there: its deadline has it offered again
		}
	}
}

// freed says that a member has room again.
func (g *group) freed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stalled {
		g.stalled = false
		g.wake()
	}
}

// wake has the pump share out what is new, now or once more. It does not block.
func (g *group) wake() { g.pump.ring(&g.audience.server.tasks, g.step) }

// step shares out one page of the log. It reports whether there may be more.
func (g *group) step() (more bool) {
	from, until, ok := g.place()
	if !ok {
		return false
	}
	server, scope, ctx := g.audience.server, g.audience.scope(), g.audience.server.life
	var page []openmail.Event
	var err error
	if until > 0 {
		page, err = server.cfg.Events.Undelivered(ctx, scope, from, until, pageEvents)
	} else {
		page, err = server.cfg.Events.After(ctx, scope, from, pageEvents)
	}
	if err != nil {
		server.warn("reading the event log for a group", err, slog.String("account", g.audience.account), slog.String("group", g.name))
		return false // a later look goes on
	}
	return g.hand(page, from, until)
}

// place is where the group goes on: after from in the log, or while something is
// replayed up to and including until, which is 0 otherwise.
func (g *group) place() (from, until openmail.Position, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.replay < g.until {
		return g.replay, g.until, g.active()
	}
	return g.pos, 0, g.active()
}

// hand shares out a page that was read at a place, unless the group has been sent
// back meanwhile.
func (g *group) hand(page []openmail.Event, from, until openmail.Position) (more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	cursor := &g.pos
	if until > 0 {
		cursor = &g.replay
	}
	if *cursor != from || until > 0 && until != g.until || until == 0 && g.replay < g.until {
		return true
	}
	for i := range page {
		e := page[i]
		if until > 0 {
			e.Delivery.Attempts++
		}
		if (until == 0 || !g.held(e.Position)) && !g.give(e) {
			return false
		}
		*cursor = e.Position
	}
	if until > 0 && len(page) == 0 {
		g.replay = g.until
		return true // now what is new
	}
	return until > 0 || cut(page, pageEvents)
}

// give gives an event to a member, unless nobody wants it. It reports false, and
// gives nothing, when everybody has to do: then the log waits. Where only those
// are busy that want it, the others do not wait for them. mu is held.
func (g *group) give(e openmail.Event) bool {
	for {
		m, burden, room := g.least(&e)
		switch {
		case m == nil:
			return true
		case burden >= groupWindow && !room:
			g.stalled = true
			return false
		case m.enqueue(e):
			m.wake()
			return true
		case !m.gone():
			return true // too much waits there: its deadline has it offered again
		}
	}
}

// least returns the member with the least burden of those that want an event, nil
// when nobody does, and whether any member has room. mu is held.
func (g *group) least(e *openmail.Event) (least *session, burden int, room bool) {
	for _, m := range g.members {
		n, wants := m.burden(e)
		room = room || m.sharing && n < groupWindow
		if wants && (least == nil || n < burden) {
			least, burden = m, n
		}
	}
	return least, burden, room
}

// burden is how many events the socket has that are not confirmed, and whether it
// wants one more.
func (s *session) burden(e *openmail.Event) (n int, wants bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = len(s.win.waiting) + len(s.offers)
	if s.win.bytes+s.offerBytes >= windowBytes {
		n = max(n, groupWindow)
	}
	return n, !s.ended && s.wants(e)
}

func (s *session) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// groupName is the group that the socket is in; "": none.
func (s *session) groupName() string {
	if s.group == nil {
		return ""
	}
	return s.group.name
}

// grouped checks a group that a subscribe names. problem is a sentence for the
// client. It is for the reader, as it is only the reader that subscribes.
func (s *session) grouped(name string) (problem string) {
	switch {
	case len(name) > maxGroup:
		return "group is too long: it has at most 64 bytes"
	case name == "" || !s.joined || name == s.groupName():
		return ""
	case s.group == nil:
		return "this socket is in no group, as its first subscribe said: connect again to be in " + quoted(name)
	}
	return "this socket is in the group " + quoted(s.groupName()) + ", as its first subscribe said: connect again to be in " + quoted(name)
}
