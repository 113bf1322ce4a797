package dispatch

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"openmail"
)

// confirmEvery is how long a receipt may wait for others to be written with
// it. Losing those that wait makes duplicates, never a loss.
const confirmEvery = 20 * time.Millisecond

// maxBatch bounds how many receipts are written in one transaction, and maxAtHand
// how many wait for that: a socket that brings more waits with them, and is not
// read from.
const (
	maxBatch  = 500
	maxAtHand = 8192
)

// maxOffers bounds how many overdue events a socket is offered when it
// subscribes.
const maxOffers = 500

// Waker wakes a lane.
type Waker interface {
	Wake(l Lane)
}

// Sockets is the dispatcher as the event stream sees it: who listens, what
// they have read, what was lost with them.
type Sockets struct {
	*Listeners
	receipts Receipts
	overdue  Overdue
	waker    Waker
	logger   *slog.Logger

	mu       sync.Mutex
	read     []Receipt
	lost     []Receipt
	returned []returned
	left     []left
	writing  bool            // what was taken out of these
	inHand   []Receipt       // that are being written
	waiting  []chan struct{} // closed when what is at hand is written
	room     chan struct{}   // closed when there may be; nil: nobody waits for it
	over     bool            // nothing is written any more
	arrived  chan struct{}
	received func(Receipt)
}

// returned is what sockets of a group had that have ended.
type returned struct {
	group Listener
	lost  []Receipt
}

// left is an account that sockets have left, and from where on in its log one of
// them had not been pushed everything.
type left struct {
	account string
	from    openmail.Position
}

// NewSockets returns the sockets' side of a dispatcher that is to be made. received,
// unless it is nil, is told of each receipt, for the metrics; it does not block.
func NewSockets(listeners *Listeners, r Receipts, o Overdue, logger *slog.Logger, received func(Receipt)) *Sockets {
	return &Sockets{Listeners: listeners, receipts: r, overdue: o, logger: logger, received: received, arrived: make(chan struct{}, 1)}
}

// Leave says that a socket has ended, what it had unconfirmed, and from where on in
// the log it had not been pushed everything. What it had, and what it was still to
// have, falls back at once, unless another socket has it too.
func (s *Sockets) Leave(account string, l Listener, lost []Receipt, from openmail.Position) {
	s.Listeners.Leave(account, l)
	s.mu.Lock()
	for _, r := range lost {
		if !s.Held(account, r.Position) {
			s.lost = append(s.lost, r)
		}
	}
	if i := slices.IndexFunc(s.left, func(l left) bool { return l.account == account }); i >= 0 {
		s.left[i].from = min(s.left[i].from, from)
	} else {
		s.left = append(s.left, left{account, from})
	}
	s.mu.Unlock()
	s.signal()
}

// Return says that a socket of a group has ended while others go on, and what it
// had unconfirmed: the group is offered that, whoever else has it too.
func (s *Sockets) Return(group Listener, lost []Receipt) {
	if len(lost) == 0 {
		return
	}
	s.mu.Lock()
	i := slices.IndexFunc(s.returned, func(r returned) bool { return r.group == group })
	if i < 0 {
		i, s.returned = len(s.returned), append(s.returned, returned{group: group})
	}
	s.returned[i].lost = append(s.returned[i].lost, lost...)
	s.mu.Unlock()
	s.signal()
}

// Confirm takes receipts, to be written within confirmEvery. It blocks while too
// many wait for that.
func (s *Sockets) Confirm(receipts []Receipt) {
	if s.received != nil {
		for _, r := range receipts {
			s.received(r)
		}
	}
	s.mu.Lock()
	for len(s.read) >= maxAtHand && !s.over {
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		<-room
		s.mu.Lock()
	}
	s.read = append(s.read, receipts...)
	s.mu.Unlock()
	s.signal()
}

// makeRoom lets those go on that wait in Confirm. mu is held.
func (s *Sockets) makeRoom() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

func (s *Sockets) signal() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// Offers returns what waits to be posted at or before a position and is wanted,
// but not held, by a socket that has just subscribed: it may have it first. Each is armed
// again and its attempt counted.
func (s *Sockets) Offers(ctx context.Context, scope openmail.Scope, upTo openmail.Position, l Listener) ([]openmail.Event, error) {
	wanted := func(e openmail.Event) bool { return l.Wants(e.Inbox, e.Type) && !l.Holds(e.Position) }
	return s.overdue.Offer(ctx, scope, upTo, wanted, maxOffers)
}

// Written returns once the receipts that have come so far are written, or given
// up, or ctx ends.
func (s *Sockets) Written(ctx context.Context) {
	s.mu.Lock()
	if len(s.read) == 0 && !s.writing {
		s.mu.Unlock()
		return
	}
	written := make(chan struct{})
	s.waiting = append(s.waiting, written)
	s.mu.Unlock()
	s.signal()
	select {
	case <-written:
	case <-ctx.Done():
	}
}

// Run writes receipts until ctx ends, and then what is left of them.
func (s *Sockets) Run(ctx context.Context) error {
	// What was taken is written though ctx ends meanwhile: it is not kept.
	written, cancel := lingering(ctx, stopPatience)
	defer cancel()
	for {
		select {
		case <-s.arrived:
			gather(ctx)
			s.write(written)
		case <-ctx.Done():
			s.end()
			s.write(written)
			return nil
		}
	}
}

// end lets nobody wait for room any more.
func (s *Sockets) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.makeRoom()
}

// gather lets receipts that come in together be written together.
func gather(ctx context.Context) {
	t := time.NewTimer(confirmEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// write writes everything that came in: what was read before what was lost, so
// that nothing is given to another socket that this one has confirmed.
func (s *Sockets) write(ctx context.Context) {
	s.mu.Lock()
	read, lost, returned, gone, waiting := s.read, s.lost, s.returned, s.left, s.waiting
	s.read, s.lost, s.returned, s.left, s.waiting = nil, nil, nil, nil, nil
	s.writing, s.inHand = true, read
	s.makeRoom()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.writing, s.inHand = false, nil
		s.mu.Unlock()
		for _, w := range waiting {
			close(w)
		}
	}()
	s.each(ctx, "confirm", read, func(batch []Receipt) error {
		return s.receipts.Confirm(ctx, openmail.Operator(), batch)
	})
	s.each(ctx, "drop", lost, func(batch []Receipt) error {
		again, lanes, err := s.receipts.Drop(ctx, openmail.Operator(), batch, s.Wanted)
		s.goOn(again, lanes, nil)
		return err
	})
	for _, r := range returned {
		heirs := func(_, inbox string, t openmail.EventType) bool { return r.group.Wants(inbox, t) }
		s.each(ctx, "return", r.lost, func(batch []Receipt) error {
			again, lanes, err := s.receipts.Return(ctx, openmail.Operator(), batch, heirs, s.Wanted)
			s.goOn(again, lanes, r.group)
			return err
		})
	}
	for _, g := range gone {
		again, lanes, err := s.receipts.Abandon(ctx, openmail.Scope{Account: g.account}, g.from, s.has, s.Wanted)
		if err != nil { // they fall due
			s.logger.LogAttrs(ctx, slog.LevelError, "dispatch.abandon", slog.String("account", g.account), slog.Any("error", err))
		}
		s.goOn(again, lanes, nil)
	}
}

// hasRead reports whether there is a receipt of an event that is not written yet.
func (s *Sockets) hasRead(e openmail.Event) bool {
	of := func(r Receipt) bool { return r.Account == e.Account && r.Position == e.Position }
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.read, of) || slices.ContainsFunc(s.inHand, of)
}

// has reports whether a socket has an event, or is still to have it, or has
// confirmed it just now.
func (s *Sockets) has(e openmail.Event) bool {
	return s.hasRead(e) || s.find(e.Account, func(l Listener) bool { return l.Wants(e.Inbox, e.Type) && l.Holds(e.Position) }) != nil
}

// goOn offers what other sockets are to have, to those of the group first, and wakes
// the lanes in which something has changed. What one of them has read meanwhile is
// left to its receipt, and what nobody is offered to its deadline.
func (s *Sockets) goOn(again []openmail.Event, lanes []Lane, group Listener) {
	for _, e := range again {
		if s.hasRead(e) {
			continue
		}
		if group != nil {
			group.Offer(e)
		}
		if group == nil || !s.has(e) { // or it has ended meanwhile
			s.OfferFresh(e)
		}
	}
	for _, l := range lanes {
		s.waker.Wake(l)
	}
}

// each writes receipts in batches. One that fails is lost: its events fall due
// and come again.
func (s *Sockets) each(ctx context.Context, what string, all []Receipt, write func([]Receipt) error) {
	for len(all) > 0 {
		n := min(len(all), maxBatch)
		if err := write(all[:n]); err != nil {
			s.logger.LogAttrs(ctx, slog.LevelError, "dispatch."+what, slog.Int("receipts", n), slog.Any("error", err))
		}
		all = all[n:]
	}
}
