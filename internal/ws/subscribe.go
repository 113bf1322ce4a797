package ws

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/gobwas/ws"

	"openmail"
	"openmail/internal/dispatch"
)

const (
	// maxInboxes and maxTypes bound what one subscription lists.
	maxInboxes = 2000
	// maxPod bounds what a key of a pod gets by asking for everything: a list
	// of all inboxes of the pod, which stays below what clients take as one
	// message.
	maxPod   = 10_000
	maxID    = 64 // bytes of an inbox's id; ours have 30
	maxTypes = 50
	maxType  = 64 // bytes of an event type's name
)

// text takes a message from the client.
func (s *session) text(message []byte) error {
	s.spoke = true
	if s.conn.closing.Load() {
		return nil
	}
	m, wrong := understand(message)
	if wrong == nil && m.Type == "ack" {
		s.ack(m.EventID)
		if s.budget.ack(s.pushedSoFar()) {
			return nil
		}
	}
	if !s.budget.message(s.server.clock(), &s.server.cfg.Limits) {
		l := s.server.cfg.Limits
		return &fault{closeRate, fmt.Sprintf("rate limit: at most %d messages in %v", l.Messages, l.Window)}
	}
	if wrong != nil {
		return s.complain(wrong.Error())
	}
	switch m.Type {
	case "subscribe":
		return s.subscribe(m)
	case "unsubscribe":
		return s.unsubscribe(m)
	case "ping":
		return s.say(pongMessage())
	case "ack":
		return nil
	}
	return s.complain("unknown type " + quoted(m.Type))
}

func (s *session) pushedSoFar() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.win.last
}

// say sends messages.
func (s *session) say(messages ...[]byte) error {
	var frames []byte
	for _, m := range messages {
		frames = appendFrame(frames, ws.OpText, m)
	}
	return s.conn.write(frames)
}

func (s *session) complain(text string) error { return s.say(errorMessage(text)) }

// failed ends the socket for a failure of ours: a client that reconnects is
// better off than one that waits for what was not set up.
func (s *session) failed(doing string, err error) error {
	s.server.warn(doing, err, slog.String("socket", s.id))
	return &fault{ws.StatusInternalServerError, "the server failed; reconnect"}
}

// start is where a subscription begins.
type start struct {
	head    openmail.Position // of the log, looked up before anything else
	after   openmail.Position // what the client has, when resume
	resume  bool
	problem string // what is wrong with last_event_id; "" when nothing is
}

// subscribe widens the subscription. The order matters: the head of the log is
// looked up first, then the dispatcher is told, then the client, and only then
// does anything flow, from that head; so nothing falls between.
func (s *session) subscribe(m said) error {
	if problem := s.grouped(m.Group); problem != "" {
		return s.complain(problem)
	}
	wish, problem, err := s.owned(m)
	switch {
	case err != nil:
		return s.failed("checking a subscription", err)
	case problem != "":
		return s.complain(problem)
	}
	at, err := s.begin(m.LastEventID)
	if err != nil {
		return s.failed("finding where a subscription begins", err)
	}

	s.conn.mu.Lock()
	widened, join := s.widen(wish, at, m.Ack)
	switch {
	case join && m.Group != "":
		s.audience.share(s, m.Group)
	case join:
		s.server.cfg.Deliveries.Join(s.account(), s)
	}
	if s.group != nil {
		s.group.begin(s, at)
	}
	err = s.confirmSubscription(at)
	s.conn.mu.Unlock()
	if err != nil {
		return err
	}
	if widened {
		s.takeOffers()
	}
	if s.group != nil {
		s.group.wake()
	}
	s.wake()
	return nil
}

// wish is what a client wants of its own.
type wish struct {
	inboxes []string // none: all
	types   []openmail.EventType
	// only says that the inboxes are all that the key reaches, though they be
	// none.
	only bool
}

// added is a subscription with the wish.
func (w wish) added(to openmail.Subscription) openmail.Subscription {
	if w.only {
		return to.Only(w.inboxes, w.types)
	}
	return to.With(w.inboxes, w.types)
}

// owned checks what a client wants against what is its own. problem is a
// sentence for the client: then nothing of its message applies.
func (s *session) owned(m said) (w wish, problem string, err error) {
	w.types = m.EventTypes
	for _, t := range m.EventTypes {
		if len(t) > maxType {
			return w, "unknown event type " + quoted(string(t)), nil
		}
	}
	if len(m.InboxIDs) == 0 && (s.inbox != "" || s.pod != "") {
		return s.everything(w)
	}
	slices.Sort(m.InboxIDs)
	w.inboxes = slices.Compact(m.InboxIDs)
	if s.tooMany(w) {
		return w, "the subscription lists too much: leave inbox_ids and event_types out to have everything", nil
	}
	for _, id := range w.inboxes {
		own, err := s.owns(id)
		if err != nil {
			return w, "", err
		}
		if !own {
			return w, "no such inbox: " + quoted(id), nil
		}
	}
	return w, "", nil
}

// everything is the inboxes that a key reaches which does not reach the whole
// account: those of a pod as they are now.
func (s *session) everything(w wish) (_ wish, problem string, err error) {
	w.only = true
	if s.inbox != "" {
		w.inboxes = []string{s.inbox}
	} else if w.inboxes, err = s.server.cfg.Inboxes.InboxIDs(s.server.life, s.scope(), maxPod+1); err != nil {
		return w, "", fmt.Errorf("listing the pod's inboxes: %w", err)
	}
	if s.tooMany(w) {
		return w, fmt.Sprintf("the subscription lists too much: at most %d event types, and %d inboxes of a pod, unless inbox_ids says which", maxTypes, maxPod), nil
	}
	return w, "", nil
}

// tooMany reports whether the subscription would outgrow its bounds.
func (s *session) tooMany(w wish) bool {
	most := maxInboxes
	if s.pod != "" {
		most = maxPod
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := w.added(s.sub)
	return len(sub.Inboxes()) > most || len(sub.Types()) > maxTypes
}

// begin finds out where a subscription begins.
func (s *session) begin(lastEventID string) (start, error) {
	ctx, events := s.server.life, s.server.cfg.Events
	head, err := events.Head(ctx, s.audience.scope())
	if err != nil || lastEventID == "" {
		return start{head: head}, err
	}
	p, err := events.Find(ctx, s.scope(), lastEventID)
	if openmail.CodeOf(err) != openmail.CodeNotFound {
		return start{head: head, after: p, resume: true}, err
	}
	oldest, err := events.After(ctx, s.scope(), 0, 1)
	hint := "nothing is kept"
	if len(oldest) > 0 {
		hint = "the oldest event that is kept is " + oldest[0].ID
	}
	return start{head: head, problem: "unknown last_event_id " + quoted(lastEventID) +
		": nothing is replayed and the stream goes on from now; " + hint +
		"; GET /v1/events lists what you may have missed"}, err
}

// widen changes the subscription and, where that is asked for, the cursor.
// changed is false when the same was subscribed to before; join is true the
// first time. Acks that were asked for once are waited for until the end. conn.mu
// is held, so no event goes out meanwhile.
func (s *session) widen(w wish, at start, acks bool) (changed, join bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.win.explicit = s.win.explicit || acks
	was := s.sub
	sub := w.added(was)
	changed = !same(was, sub)
	switch {
	case !was.Active():
		from := at.head
		if at.resume {
			from = at.after
		}
		s.cursor.begin(sub, from, at.head)
	case changed:
		s.cursor.change(sub)
	}
	if was.Active() && at.resume {
		s.cursor.rewind(at.after)
	}
	if at.resume {
		s.resumed = at.after
	}
	join = !s.joined
	s.joined = true
	return changed, join
}

// confirmSubscription tells the client what it is subscribed to, and lets
// events flow. conn.mu is held.
func (s *session) confirmSubscription(at start) error {
	var frames []byte
	if at.problem != "" {
		frames = appendFrame(frames, ws.OpText, errorMessage(at.problem))
	}
	s.mu.Lock()
	frames = appendFrame(frames, ws.OpText, subscribedMessage(s.sub, s.win.explicit, s.groupName()))
	s.mu.Unlock()
	if s.conn.closing.Load() {
		return nil
	}
	if err := s.conn.finish(frames); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enliven(at.head)
	return nil
}

// takeOffers asks for what is overdue and lies behind the cursor, for itself or
// for its group.
func (s *session) takeOffers() {
	upTo, to := s.reached(), dispatch.Listener(s)
	if s.group != nil {
		to = s.group
	}
	events, err := s.server.cfg.Deliveries.Offers(s.server.life, s.scope(), upTo, to)
	if err != nil { // they fall to the webhook as planned
		s.server.warn("asking for overdue events", err, slog.String("socket", s.id))
		return
	}
	for _, e := range events {
		to.Offer(e)
	}
}

// unsubscribe narrows the subscription. It asks the store for nothing: to leave
// out what is not the client's own changes nothing.
func (s *session) unsubscribe(m said) error {
	inboxes := slices.DeleteFunc(slices.Clone(m.InboxIDs), func(id string) bool { return len(id) > maxID })
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.conn.closing.Load() {
		return nil
	}
	reply := unsubscribedMessage(m.InboxIDs)
	if len(inboxes) > 0 || len(m.InboxIDs) == 0 {
		left, ok := s.narrow(inboxes)
		if !ok {
			reply = errorMessage("too many exceptions: unsubscribe from everything and list what you want")
		}
		s.handBack(left)
	}
	return s.conn.finish(appendFrame(nil, ws.OpText, reply))
}

// handBack gives what the socket does not want any more to the others of its
// group. conn.mu is held.
func (s *session) handBack(left []openmail.Event) {
	if s.group == nil {
		return
	}
	if !s.sub.Active() {
		s.group.rest(s)
	}
	for _, e := range left {
		s.group.Offer(e)
	}
	s.group.wake() // it may have waited for this one
}

// narrow takes inboxes out of the subscription; none means everything. It
// returns what waited beside the cursor and is not wanted any more. ok is false,
// and nothing changes, when too many would be left out. conn.mu is held.
func (s *session) narrow(inboxes []string) (left []openmail.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.sub.Without(inboxes)
	if sub.Listed() > maxInboxes {
		return nil, false
	}
	if !same(s.sub, sub) {
		s.cursor.change(sub)
	}
	s.offers = slices.DeleteFunc(s.offers, func(e openmail.Event) bool {
		if s.wants(&e) {
			return false
		}
		left = append(left, e)
		s.offerBytes -= len(e.Payload)
		return true
	})
	if len(s.offers) == 0 {
		s.offers = nil
	}
	if !sub.Active() {
		s.silence()
	}
	return left, true
}

// owns reports whether the key reaches an inbox.
func (s *session) owns(id string) (bool, error) {
	in, err := s.server.cfg.Inboxes.Inbox(s.server.life, s.scope(), id)
	switch openmail.CodeOf(err) {
	case "":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lone = lone{in.ID, in.Pod}
		return true, nil
	case openmail.CodeNotFound, openmail.CodeForbidden:
		return false, nil
	}
	return false, fmt.Errorf("looking up an inbox: %w", err)
}

// enliven lets events flow. mu is held.
func (s *session) enliven(head openmail.Position) {
	if !s.live && !s.ended {
		s.live = true
		s.audience.listen(head)
	}
}

// silence stops the flow of events. mu is held.
func (s *session) silence() {
	if s.live {
		s.live = false
		s.audience.unlisten()
	}
}
