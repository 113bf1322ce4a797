package outgoing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/mime"
)

// keyLife is how long an idempotency key stands for what was sent under it.
const keyLife = 24 * time.Hour

// Config is what an Outgoing works with.
type Config struct {
	Inboxes Inboxes
	Store   Store
	Rules   Rules
	Quotas  Quotas
	// PerMinute and PerDay are how many mails an inbox may send in a minute
	// of the clock and a day in UTC; 0: any number.
	PerMinute, PerDay int
	// Cold are the limits of first contacts; the zero Cold: none.
	Cold     Cold
	Contacts Contacts // needed with Cold
	// Signer signs what is sent; nil: nothing is signed.
	Signer Signer
	// Ours reports whether mail to a domain stays on this server.
	Ours Ours
	// NoMail tells why a domain of others takes no mail at all; "" when it
	// may, or nobody can tell within the context. nil: all may.
	NoMail func(ctx context.Context, domain string) string
	// Relayed says that mail to other domains has a way out.
	Relayed bool
	// Wake tells the carrier that a domain has something due. It does not
	// block, and may be lost.
	Wake func(domain string)
	// MaxBytes bounds a mail as it is sent.
	MaxBytes int64
	// NeedKey demands an idempotency key of every send.
	NeedKey bool
}

// Outgoing takes mail that is to be sent. Its methods may be called by any
// number of goroutines.
type Outgoing struct{ c Config }

// New returns an Outgoing.
func New(c Config) *Outgoing { return &Outgoing{c} }

// Send takes a mail for the recipients that it names. When it returns it is on
// disk and on its way, and is not sent again for the same idempotency key. The
// errors are openmail.CodeBadRequest, CodeMissingKey, CodeTooLarge,
// CodeForbidden, CodeNotFound, CodeIdempotency, CodeBanned, CodeSuspended,
// CodeNotPermitted, CodeSuppressed, CodeNoMX, CodeRateLimit, CodeColdOutreach.
func (o *Outgoing) Send(ctx context.Context, scope openmail.Scope, r Request) (Sent, error) {
	if err := o.need(ctx, scope, r.Inbox); err != nil {
		return Sent{}, err
	}
	l, err := o.checked(r)
	if err != nil {
		return Sent{}, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	hash := l.hash()
	if sent, known, err := o.before(ctx, scope, r.Key, hash, now); known || err != nil {
		return sent, err
	}
	sent, err := o.first(ctx, scope, l, hash, now)
	if err != nil {
		// A twin may have been accepted meanwhile, and be what stands in the
		// way: the last of a quota, say.
		if twin, known, err := o.before(ctx, scope, r.Key, hash, now); known {
			return twin, err
		}
	}
	return sent, err
}

// need is the error for an inbox that the key does not reach, also where an old
// answer waits for the request. Only of a pod it must be looked up.
func (o *Outgoing) need(ctx context.Context, scope openmail.Scope, inbox string) error {
	if scope.Pod == "" || scope.Inbox != "" {
		return scope.NeedInbox(inbox)
	}
	_, err := o.c.Inboxes.Inbox(ctx, scope, inbox)
	return err
}

// first sends what was not sent before.
func (o *Outgoing) first(ctx context.Context, scope openmail.Scope, l letter, hash [32]byte, now time.Time) (Sent, error) {
	d, err := o.address(ctx, scope, l, now)
	if err != nil {
		return Sent{}, err
	}
	if err := o.reachable(ctx, d); err != nil {
		return Sent{}, err
	}
	// The quotas are counted with the mail; to look here spares writing one
	// that would be refused.
	quotas := o.quotas(l.Inbox, now)
	if err := o.c.Quotas.QuotasLeft(ctx, scope, quotas); err != nil {
		return Sent{}, err
	}
	a, err := o.acceptance(ctx, d)
	if err != nil {
		return Sent{}, err
	}
	a.Quotas = quotas
	if err := o.meet(ctx, scope, d, &a); err != nil {
		return Sent{}, err
	}
	a.Key, a.Hash, a.KeyAfter = l.Key, hash, now.Add(-keyLife)
	return o.accept(ctx, scope, a)
}

func (o *Outgoing) quotas(inbox string, now time.Time) (all []openmail.Quota) {
	if n := o.c.PerMinute; n > 0 {
		all = append(all, openmail.PerMinute("send.minute", inbox, n, now, fmt.Sprintf("Max %d sends per minute per inbox", n)))
	}
	if n := o.c.PerDay; n > 0 {
		all = append(all, openmail.PerDay("send.day", inbox, n, now, fmt.Sprintf("Max %d sends per day per inbox", n)))
	}
	return all
}

func (o *Outgoing) checked(r Request) (letter, error) {
	if r.Key == "" && o.c.NeedKey {
		return letter{}, openmail.FieldErrorf(openmail.CodeMissingKey, "Idempotency-Key", "The header Idempotency-Key is missing.")
	}
	if err := checkKey(r.Key); err != nil {
		return letter{}, err
	}
	return check(r)
}

// before finds what was sent under the key already.
func (o *Outgoing) before(ctx context.Context, scope openmail.Scope, key string, hash [32]byte, now time.Time) (_ Sent, known bool, err error) {
	if key == "" {
		return Sent{}, false, nil
	}
	sent, err := o.c.Store.SentBefore(ctx, scope, key, now.Add(-keyLife))
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return Sent{}, false, nil
	}
	if err != nil {
		return Sent{}, false, err
	}
	sent, err = replayed(sent, hash)
	return sent, true, err
}

// replayed is the answer to a request whose key stands for sent.
func replayed(sent Sent, hash [32]byte) (Sent, error) {
	if sent.Hash != hash {
		return Sent{}, openmail.FieldErrorf(openmail.CodeIdempotency, "Idempotency-Key", "This Idempotency-Key was used for another request.")
	}
	sent.Replayed = true
	return sent, nil
}

// addressed is a letter whose sender and recipients are known.
type addressed struct {
	letter
	inbox openmail.Inbox
	conv  *Conversation // of a reply
	cc    []openmail.Address
	now   time.Time
}

// address finds who a letter is from and to, and whether it may go there. The
// order in which it is refused is the contract's (17, row 27): what is not there,
// then a suspension, the policy, what is wrong with a recipient.
func (o *Outgoing) address(ctx context.Context, scope openmail.Scope, l letter, now time.Time) (addressed, error) {
	d := addressed{letter: l, now: now}
	var err error
	if d.inbox, err = o.c.Inboxes.Inbox(ctx, scope, l.Inbox); err != nil {
		return d, err
	}
	var also []openmail.Address
	if l.Thread != "" {
		c, err := o.c.Store.Conversation(ctx, scope, l.Inbox, l.Thread)
		if err != nil {
			return d, err
		}
		d.conv = &c
		if a, ok := c.autoCC(); ok {
			also = append(also, a)
		}
	}
	if err := d.inbox.Suspension.Err(); err != nil {
		return d, err
	}
	d.cc = copies(d.to, l.cc, also, d.inbox.Address)
	if err := o.permitted(ctx, d); err != nil {
		return d, err
	}
	return d, o.unsuppressed(ctx, scope, &d)
}

// unsuppressed refuses recipients that are suppressed. One whom nobody asked
// for, but the rule for copies, is left out instead.
func (o *Outgoing) unsuppressed(ctx context.Context, scope openmail.Scope, d *addressed) error {
	all := []string{strings.ToLower(d.to.Addr)}
	for _, a := range d.cc {
		all = append(all, strings.ToLower(a.Addr))
	}
	found, err := o.c.Store.SuppressedAmong(ctx, scope, all)
	if err != nil {
		return fmt.Errorf("look for suppressions: %w", err)
	}
	for _, s := range found {
		is := func(a openmail.Address) bool { return same(a.Addr, s.Address) }
		switch {
		case is(d.to):
			return suppressed("to", s)
		case slices.ContainsFunc(d.letter.cc, is):
			return suppressed("cc", s)
		}
		d.cc = slices.DeleteFunc(d.cc, is)
	}
	return nil
}

func suppressed(field string, s openmail.Suppression) error {
	return &openmail.Error{
		Code: openmail.CodeSuppressed, Field: field, Type: string(s.Type),
		Message: "A recipient is on the suppression list (" + string(s.Type) + "): see /v1/suppressions.",
	}
}

// acceptance writes the mail.
func (o *Outgoing) acceptance(ctx context.Context, d addressed) (Acceptance, error) {
	messageID := id.At(openmail.PrefixMessage, d.now)
	domain := openmail.Address{Addr: d.inbox.Address}.Domain()
	mail, err := d.draft("<" + messageID + "@" + domain + ">").compose()
	if err != nil {
		return Acceptance{}, err
	}
	if o.c.Signer != nil {
		// Once and for all, so that every attempt offers the same bytes.
		if mail, err = o.c.Signer.Sign(ctx, domain, mail); err != nil {
			return Acceptance{}, fmt.Errorf("sign the mail: %w", err)
		}
	}
	if int64(len(mail)) > o.c.MaxBytes {
		return Acceptance{}, openmail.Errorf(openmail.CodeTooLarge, "The mail would be larger than %d bytes.", o.c.MaxBytes)
	}
	a := Acceptance{Pod: d.inbox.Pod, Raw: mail, Digest: sha256.Sum256(mail), Reply: d.conv != nil}
	if a.Queued, err = o.queued(ctx, d); err != nil {
		return Acceptance{}, err
	}
	a.Message = d.message(messageID, mail)
	return a, nil
}

// draft is the mail that is to be written.
func (d addressed) draft(messageID string) draft {
	w := draft{
		from: openmail.Address{Name: oneLine(d.inbox.DisplayName), Addr: d.inbox.Address}, to: d.to, cc: d.cc, replyTo: d.replyTo,
		subject: d.Subject, messageID: messageID, at: d.now, files: d.files,
	}
	w.text, w.html = d.bodies()
	if d.conv == nil {
		return w
	}
	w.subject = d.conv.subject()
	w.inReplyTo, w.references = d.conv.references()
	if q, ok := d.conv.quote(); ok && !d.NoQuote {
		w.text = q.below(w.text)
		if w.html != "" {
			w.html = q.belowHTML(w.html)
		}
	}
	return w
}

// message is what the inbox keeps: what the bytes say, as of mail that comes in.
func (d addressed) message(messageID string, raw []byte) openmail.Message {
	c := mime.Read(raw)
	m := openmail.Message{
		ID: messageID, Account: d.inbox.Account, Inbox: d.inbox.ID, Direction: openmail.Outbound, Status: openmail.StatusPending,
		From: openmail.Address{Name: oneLine(d.inbox.DisplayName), Addr: d.inbox.Address}, ToAddr: d.to.Addr, Subject: c.Subject,
		BodyText: c.Text, BodyHTML: c.HTML, HiddenText: c.HiddenText, Attachments: c.Attachments, Defects: c.Defects, Partial: c.Partial,
		RFCMessageID: c.MessageID, References: c.References,
		Envelope: openmail.MessageEnvelope{MailFrom: returnPath(d.inbox.Address)}, SizeBytes: int64(len(raw)), CreatedAt: d.now,
	}
	m.CC = each(d.cc, func(a openmail.Address) string { return a.Addr })
	if len(c.InReplyTo) > 0 {
		m.InReplyTo = c.InReplyTo[0]
	}
	if m.Thread = id.At(openmail.PrefixThread, d.now); d.conv != nil {
		m.Thread = d.conv.Thread.ID
	}
	return m
}

// returnPath is where reports about one mail go: a tag that nobody can guess,
// and that leads to the inbox.
func returnPath(address string) string {
	local, domain, _ := cutLast(address, "@")
	return local + openmail.BounceTag + strings.ToLower(rand.Text()[:16]) + "@" + domain
}

// queued gives each recipient a place in the queue.
func (o *Outgoing) queued(ctx context.Context, d addressed) (all []Queued, err error) {
	for _, a := range append([]openmail.Address{d.to}, d.cc...) {
		q := Queued{Recipient: a.Addr, Domain: a.Domain(), Due: d.now}
		reachable := o.c.Relayed
		if !reachable {
			if reachable, err = o.c.Ours(ctx, q.Domain); err != nil {
				return nil, fmt.Errorf("look for the domain of a recipient: %w", err)
			}
		}
		if !reachable {
			q.Due, q.Note = time.Time{}, heldNote
		}
		all = append(all, q)
	}
	return all, nil
}

func (o *Outgoing) accept(ctx context.Context, scope openmail.Scope, a Acceptance) (Sent, error) {
	sent, err := o.c.Store.AcceptMail(ctx, scope, a)
	if err != nil {
		return Sent{}, err
	}
	if sent.Message != a.Message.ID { // a twin was first
		return replayed(sent, a.Hash)
	}
	for _, q := range a.Queued {
		if !q.Due.IsZero() {
			o.c.Wake(q.Domain)
		}
	}
	return sent, nil
}
