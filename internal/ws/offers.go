package ws

import (
	"time"

	"openmail"
)

// maxOffers and maxOfferBytes bound what waits beside the cursor: events that
// lie behind it and are to be pushed all the same.
const (
	maxOffers     = 500
	maxOfferBytes = 4 << 20
)

// Offer implements dispatch.Listener.
func (s *session) Offer(e openmail.Event) {
	if s.enqueue(e) {
		s.wake()
	}
}

func (s *session) enqueue(e openmail.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.holds(e.Position) || len(s.offers) >= maxOffers || s.offerBytes >= maxOfferBytes {
		return false
	}
	s.offers = append(s.offers, e)
	s.offerBytes += len(e.Payload)
	return true
}

// nextOffer decides on the first event that waits beside the cursor.
func (s *session) nextOffer(at time.Time) (e openmail.Event, attempt int, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || s.ended || len(s.offers) == 0 || s.full() {
		return e, 0, stop
	}
	e, s.offers = s.offers[0], s.offers[1:]
	s.offerBytes -= len(e.Payload)
	if len(s.offers) == 0 {
		s.offers = nil
	}
	if !s.wants(&e) || s.win.holds(e.Position) {
		return e, 0, skip
	}
	attempt = max(1, e.Delivery.Attempts)
	s.win.add(&e, at, attempt)
	return e, attempt, push
}

// gatherOffers appends what waits beside the cursor.
func (s *session) gatherOffers(o *output) {
	now := time.Now()
	for len(o.buf) < pageBytes {
		e, attempt, v := s.nextOffer(now)
		if v == stop {
			return
		}
		if v == push {
			o.event(e.Payload, now, attempt)
			s.server.counters.pushed.Add(1)
		}
	}
}
