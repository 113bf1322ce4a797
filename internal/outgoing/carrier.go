package outgoing

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"openmail"
)

// How the carrier works.
const (
	// inFlight is how many conversations there are at a time.
	inFlight = 32
	// maxHeld bounds the bytes of their mails in memory, unless the
	// configuration does. Who finds no room for so long comes later.
	maxHeld      = 160 << 20
	roomPatience = 30 * time.Second
	// perDomain is how many of them are with one domain: large receivers
	// limit connections of a stranger to about ten, and small ones to fewer.
	perDomain = 4
	// Patience is how long one conversation may take.
	Patience = 5 * time.Minute
	// lookEvery is how often the queue is looked at for what other processes
	// put there, and for what nobody told of.
	lookEvery = 30 * time.Second
	lookLimit = 500 // domains of one look
	// afterError is how long to wait until what the database did not do is
	// asked of it again.
	afterError   = 5 * time.Second
	resumeBatch  = 500
	stopPatience = 15 * time.Second
)

// Local is the way to the inboxes of this server.
type Local interface {
	// Route finds the inbox that an address leads to; openmail.CodeNotFound.
	Route(ctx context.Context, addr string) (openmail.Recipient, error)
	// Accept stores a mail for every inbox of the envelope, all or nothing;
	// what an inbox has already is not stored again.
	Accept(ctx context.Context, env openmail.Envelope, r io.Reader) (messageID string, err error)
	// Notify stores a mail of the server's own in an inbox, which no sender
	// rule turns away; one that is there already is not stored again.
	Notify(ctx context.Context, inbox openmail.Inbox, raw []byte) error
}

// CarrierConfig is what a Carrier works with.
type CarrierConfig struct {
	Queue Queue
	Held  Held
	Mails Mails
	Local Local
	// Transport is the way to other domains; nil: there is none, and their
	// mail waits.
	Transport Transport
	// Ours reports whether mail to a domain stays on this server.
	Ours Ours
	// Hostname is this server's name in the reports that it writes.
	Hostname string
	Logger   *slog.Logger
	// MaxHeld bounds the bytes of mail in memory; 0: 160 MiB, in which the
	// largest mail fits several times.
	MaxHeld int64
	// Observe is told what each attempt came to; nil: nobody is.
	Observe func(Settled)
}

// Carrier carries what is due to where it is meant for.
type Carrier struct {
	CarrierConfig
	bell chan struct{}
	room *semaphore.Weighted // bytes

	mu     sync.Mutex
	ready  []string // domains with something due, each once, in the order of their turns
	flying map[string]int
	total  int
	next   time.Time // when to look again
}

// NewCarrier returns a Carrier.
func NewCarrier(c CarrierConfig) *Carrier {
	if c.MaxHeld == 0 {
		c.MaxHeld = maxHeld
	}
	return &Carrier{CarrierConfig: c, bell: make(chan struct{}, 1), room: semaphore.NewWeighted(c.MaxHeld), flying: map[string]int{}}
}

// Wake says that a domain has something due. It does not block.
func (c *Carrier) Wake(domain string) {
	c.mu.Lock()
	if !slices.Contains(c.ready, domain) && len(c.ready) < lookLimit {
		c.ready = append(c.ready, domain)
	}
	c.mu.Unlock()
	c.ring()
}

func (c *Carrier) ring() {
	select {
	case c.bell <- struct{}{}:
	default: // it will look anyway
	}
}

// Run carries what is due until ctx ends, and then finishes the conversations
// under way, for 15 s at most: what is cut off is tried again after a start.
func (c *Carrier) Run(ctx context.Context) error {
	talks, cancel := lingering(ctx, stopPatience)
	defer cancel()
	var workers sync.WaitGroup
	defer workers.Wait()
	c.untilNone(ctx, c.Queue.RecoverMail) // before anything is claimed
	if c.Transport != nil {
		workers.Go(func() { c.untilNone(ctx, c.Held.ResumeMail) })
	}
	c.look(ctx)
	for ctx.Err() == nil {
		for domain := c.turn(); domain != ""; domain = c.turn() {
			workers.Go(func() { c.carry(talks, domain) })
		}
		c.wait(ctx)
	}
	return nil
}

// wait returns when there may be something to do, and looks when it is time.
func (c *Carrier) wait(ctx context.Context) {
	c.mu.Lock()
	next := c.next
	c.mu.Unlock()
	left := time.Until(next)
	if left <= 0 {
		c.look(ctx)
		return
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-c.bell:
	case <-t.C:
		c.look(ctx)
	}
}

// sooner has the queue looked at then at the latest.
func (c *Carrier) sooner(due time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if due.Before(c.next) {
		c.next = due
		c.ring()
	}
}

// look finds the domains that have something due, and when the next one will.
func (c *Carrier) look(ctx context.Context) {
	now := time.Now()
	c.mu.Lock()
	c.next = now.Add(lookEvery)
	c.mu.Unlock()
	due, next, err := c.Queue.MailLanes(ctx, openmail.Operator(), now, lookLimit)
	if err != nil && ctx.Err() == nil {
		c.Logger.Error("mail.look", "error", err)
	}
	for _, domain := range due {
		c.Wake(domain)
	}
	if !next.IsZero() {
		c.sooner(next)
	}
}

// turn is the domain whose turn it is, and counts a conversation with it; ""
// when none may begin. Of those that have something due it is the one with the
// fewest conversations, and of these the one that waits longest: a domain with
// a long queue holds up no other.
func (c *Carrier) turn() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := -1
	for i, domain := range c.ready {
		if n := c.flying[domain]; n < perDomain && (best < 0 || n < c.flying[c.ready[best]]) {
			best = i
		}
	}
	if c.total >= inFlight || best < 0 {
		return ""
	}
	domain := c.ready[best]
	c.ready = slices.Delete(c.ready, best, best+1)
	c.flying[domain]++
	c.total++
	return domain
}

func (c *Carrier) ended(domain string) {
	c.mu.Lock()
	c.total--
	if c.flying[domain]--; c.flying[domain] == 0 {
		delete(c.flying, domain)
	}
	c.mu.Unlock()
	c.ring()
}

// carry claims one message that is due to a domain, and sees to it.
func (c *Carrier) carry(ctx context.Context, domain string) {
	defer c.ended(domain)
	start := time.Now()
	claimed, err := c.Queue.ClaimMail(ctx, openmail.Operator(), domain, start)
	if err != nil {
		if ctx.Err() == nil {
			c.Logger.Error("mail.claim", "error", err)
		}
		return
	}
	if claimed.More {
		c.Wake(domain)
	}
	if len(claimed.Due) == 0 {
		return
	}
	settled := c.work(ctx, claimed)
	if open := unwritten(settled); len(open) > 0 && !c.settle(ctx, claimed, open, start.Add(Lease)) {
		return
	}
	for _, s := range settled {
		if !s.Next.Due.IsZero() {
			c.sooner(s.Next.Due)
		}
	}
	c.log(ctx, claimed, settled, start)
}

// settle writes what was done, even at the end of the process: the remote server
// has said its word. What the database does not take is given to it again while
// the lease lasts, since the mail would be offered again after it.
func (c *Carrier) settle(ctx context.Context, claimed Claimed, settled []Settled, until time.Time) bool {
	for {
		err := c.Queue.SettleMail(context.WithoutCancel(ctx), openmail.Operator(), claimed, settled, time.Now())
		if err == nil {
			return true
		}
		c.Logger.Error("mail.settle", "message", claimed.Message.ID, "error", err)
		if rest(ctx, afterError); ctx.Err() != nil || time.Now().After(until) {
			return false
		}
	}
}

func unwritten(settled []Settled) []Settled {
	return slices.DeleteFunc(slices.Clone(settled), func(s Settled) bool { return s.written })
}

// work sees to what was claimed, once there is room for its mail. The lease
// outlasts the wait and the conversation.
func (c *Carrier) work(ctx context.Context, claimed Claimed) []Settled {
	size := min(claimed.Message.SizeBytes, c.MaxHeld)
	wait, cancel := context.WithTimeout(ctx, roomPatience)
	defer cancel()
	if c.room.Acquire(wait, size) != nil {
		return postponed(claimed)
	}
	defer c.room.Release(size)
	raw, err := c.Mails.MailBytes(ctx, openmail.Operator(), claimed.Message.ID)
	if ctx.Err() != nil {
		return postponed(claimed)
	}
	if err != nil {
		c.Logger.Error("mail.read", "message", claimed.Message.ID, "error", err)
	}
	claimed.Raw = raw
	return append(c.report(ctx, claimed), c.attempt(ctx, claimed)...)
}

// postponed is a claim of which nothing came.
func postponed(claimed Claimed) []Settled {
	return each(claimed.Due, func(d Due) Settled {
		return Settled{Due: d, Answer: answerOf(d.MailDelivery), Next: Next{State: d.State, Due: time.Now().Add(pause(1)), Uncounted: true}}
	})
}

// attempt offers the mail to those recipients of a claim that wait for it.
func (c *Carrier) attempt(ctx context.Context, claimed Claimed) []Settled {
	var due []Due
	for _, d := range claimed.Due {
		if d.State == openmail.StatusPending {
			due = append(due, d)
		}
	}
	if len(due) == 0 {
		return nil
	}
	p := Parcel{From: claimed.Message.Envelope.MailFrom, To: each(due, func(d Due) string { return d.Recipient }), Domain: claimed.Domain, Mail: claimed.Raw}
	ours, err := c.Ours(ctx, claimed.Domain)
	if err != nil {
		if ctx.Err() == nil {
			c.Logger.Error("mail.domain", "message", claimed.Message.ID, "error", err)
		}
		return postponed(Claimed{Due: due})
	}
	settled := make([]Settled, len(due))
	p.Taken = func(who []int, a Answer) { c.taken(ctx, claimed, due, settled, who, a) }
	for i, a := range c.offer(ctx, p, ours) {
		if !settled[i].written {
			settled[i] = settledBy(a, due[i])
		}
		if ours {
			settled[i].Next.Suppress = false // such an inbox may be made at any time
		}
		if c.Observe != nil {
			c.Observe(settled[i])
		}
	}
	return settled
}

func settledBy(a Answer, d Due) Settled {
	return Settled{Due: d, Answer: a, Next: decide(a, d.Attempts, d.Began, time.Now())}
}

// taken writes at once that another server has taken a mail, also at the end of
// the process: until it is on disk, a crash makes a second mail of it. What the
// database does not take is left to settle.
func (c *Carrier) taken(ctx context.Context, claimed Claimed, due []Due, settled []Settled, who []int, a Answer) {
	sent := each(who, func(i int) Settled { return settledBy(a, due[i]) })
	if err := c.Queue.SettleMail(context.WithoutCancel(ctx), openmail.Operator(), claimed, sent, time.Now()); err != nil {
		c.Logger.Error("mail.settle", "message", claimed.Message.ID, "error", err)
		return
	}
	for n, i := range who {
		settled[i] = sent[n]
		settled[i].written = true
	}
}

// offer makes one attempt, here where the domain is ours, and has an answer for
// each recipient.
func (c *Carrier) offer(ctx context.Context, p Parcel, ours bool) []Answer {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var answers []Answer
	switch {
	case p.Mail == nil: // which may be so for good: it counts, and ends with patience
		answers = slices.Repeat([]Answer{failure("The server could not read the mail.")}, len(p.To))
	case ours:
		answers = c.local(ctx, p)
	case c.Transport == nil:
		answers = slices.Repeat([]Answer{{Fate: fateHeld, Text: heldNote}}, len(p.To))
	default:
		answers = c.Transport.Send(ctx, p)
	}
	for len(answers) < len(p.To) {
		answers = append(answers, failure("The attempt ended without an answer."))
	}
	return answers
}

// failure is the answer when this server could not make the attempt.
func failure(text string) Answer { return Answer{Fate: FateDeferred, Enhanced: "4.3.0", Text: text} }

// local delivers to inboxes of this server.
func (c *Carrier) local(ctx context.Context, p Parcel) []Answer {
	answers := make([]Answer, len(p.To))
	env := openmail.Envelope{MailFrom: p.From}
	for i, addr := range p.To {
		r, err := c.Local.Route(ctx, addr)
		switch openmail.CodeOf(err) {
		case "":
			env.Rcpts = append(env.Rcpts, r)
			answers[i].Fate = fateOpen
		case openmail.CodeNotFound:
			answers[i] = Answer{Fate: FateRefused, Code: 550, Enhanced: "5.1.1", Text: "There is no such inbox on this server."}
		default:
			answers[i] = failure("The server could not look for the inbox.")
		}
	}
	if len(env.Rcpts) == 0 {
		return answers
	}
	given := c.deliver(ctx, env, p.Mail)
	for i := range answers {
		if answers[i].Fate == fateOpen {
			answers[i] = given
		}
	}
	return answers
}

// fateOpen is the fate of a recipient that has not been decided yet.
const fateOpen Fate = ""

// deliver stores a mail in inboxes of this server, and is the answer for them.
func (c *Carrier) deliver(ctx context.Context, env openmail.Envelope, mail []byte) Answer {
	_, err := c.Local.Accept(ctx, env, bytes.NewReader(mail))
	switch openmail.CodeOf(err) {
	case "":
		return Answer{Fate: FateAccepted, Code: 250, Enhanced: "2.0.0", Text: "Stored on this server."}
	case openmail.CodeTooLarge:
		return Answer{Fate: FateRefused, Code: 552, Enhanced: "5.3.4", Text: "The mail is larger than this server takes."}
	}
	if ctx.Err() == nil {
		c.Logger.Error("mail.local", "error", err)
	}
	return failure("The server could not store the mail.")
}

// report tells the sender of a claim's deliveries that were given up.
func (c *Carrier) report(ctx context.Context, claimed Claimed) (settled []Settled) {
	for _, d := range claimed.Due {
		if d.State != openmail.StatusFailed {
			continue
		}
		s := Settled{Due: d, Answer: answerOf(d.MailDelivery), Next: Next{State: openmail.StatusFailed, Uncounted: true}}
		if err := c.tell(ctx, claimed, d); err != nil {
			if ctx.Err() == nil {
				c.Logger.Error("mail.report", "message", claimed.Message.ID, "error", err)
			}
			s.Next.Due = time.Now().Add(pause(1))
		}
		settled = append(settled, s)
	}
	return settled
}

// answerOf is the answer that a delivery has kept.
func answerOf(d openmail.MailDelivery) Answer {
	return Answer{Code: d.Code, Enhanced: d.Enhanced, Text: d.Answer, Server: d.Server, TLS: d.TLS}
}

func (c *Carrier) tell(ctx context.Context, claimed Claimed, d Due) error {
	if claimed.Inbox.ID == "" {
		return nil
	}
	raw, err := report{claimed: claimed, due: d, hostname: c.Hostname}.compose()
	if err != nil {
		return err
	}
	return c.Local.Notify(ctx, claimed.Inbox, raw)
}

// untilNone puts deliveries into the queue, a batch at a time, until none is
// left: nobody else looks for them before the next start.
func (c *Carrier) untilNone(ctx context.Context, put func(ctx context.Context, scope openmail.Scope, at time.Time, limit int) ([]string, error)) {
	for ctx.Err() == nil {
		domains, err := put(ctx, openmail.Operator(), time.Now(), resumeBatch)
		if err != nil {
			if ctx.Err() == nil {
				c.Logger.Error("mail.resume", "error", err)
			}
			rest(ctx, afterError)
			continue
		}
		if len(domains) == 0 {
			return
		}
		for _, domain := range domains {
			c.Wake(domain)
		}
	}
}

// rest waits, unless ctx ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// log writes the one record of a claim: ids, counts and the domain, nobody's
// address.
func (c *Carrier) log(ctx context.Context, claimed Claimed, settled []Settled, start time.Time) {
	var sent, failed, deferred int
	attrs := []slog.Attr{
		slog.String("account", claimed.Message.Account), slog.String("inbox", claimed.Message.Inbox),
		slog.String("message", claimed.Message.ID), slog.String("domain", claimed.Domain), slog.Duration("took", time.Since(start)),
	}
	level := slog.LevelInfo
	for _, s := range settled {
		switch {
		case s.Next.State == openmail.StatusSent:
			sent++
		case s.Next.State == openmail.StatusFailed && s.Due.State == openmail.StatusPending:
			failed++
		case s.Due.State == openmail.StatusPending:
			deferred++
		}
	}
	if sent+failed+deferred == 0 {
		return
	}
	if failed+deferred > 0 {
		level = slog.LevelWarn
	}
	last := settled[len(settled)-1]
	attrs = append(attrs, slog.Int("sent", sent), slog.Int("deferred", deferred), slog.Int("failed", failed),
		slog.Int("attempt", last.Attempts), slog.Int("code", last.Answer.Code), slog.String("enhanced", last.Answer.Enhanced),
		slog.String("server", last.Answer.Server), slog.String("tls", last.Answer.TLS))
	c.Logger.LogAttrs(ctx, level, "mail.sent", attrs...)
}

// lingering is a context that ends some time after its parent.
func lingering(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(patience, cancel)
		context.AfterFunc(long, func() { t.Stop() })
	})
	return long, func() { stop(); cancel() }
}
