// Package intake is the room where one mail comes in: who it is for, what it
// says, whether it is wanted, and everything about it written in one
// transaction before anybody is told that it is here.
package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/mime"
)

// Bell wakes whoever hands events over.
type Bell interface {
	// Ring says that the account has a new event. It does not block, and may
	// be lost.
	Ring(account string)
}

// Dispatcher hands over what is due.
type Dispatcher interface {
	// Filed says that the account has a new event, in which lane, and how its
	// delivery was born. It does not block, and may be lost.
	Filed(account, lane string, s openmail.State)
}

// Config is what an Intake needs.
type Config struct {
	Store      Store
	Quarantine Quarantine
	Bell       Bell
	Dispatcher Dispatcher
	// Reader reads the text of attachments; nil: nobody does.
	Reader Reader
	// Known is asked first; needed with a Reader.
	Known Known
	// ReadTime is how long a mail waits for that.
	ReadTime time.Duration
	// Listening reports whether a live socket wants such an event.
	Listening func(account, inbox string, t openmail.EventType) bool
	// Postmaster is the address that postmaster and abuse (RFC 5321 section
	// 4.5.1, RFC 2142 section 4) lead to at the domains of Own, where no
	// inbox has that name; "": none.
	Postmaster string
	Own        []string
	// MaxBytes bounds a mail; what is larger is openmail.CodeTooLarge.
	MaxBytes int64
	// Keep is how long quarantined mail is kept; 0: for ever.
	Keep   time.Duration
	Logger *slog.Logger
}

// Intake takes mail in. Its methods may be called by any number of goroutines.
type Intake struct{ Config }

// New returns an Intake.
func New(c Config) *Intake { return &Intake{c} }

// Route finds the inbox that an address of ours leads to, with or without a
// tag. The error is openmail.CodeNotFound when there is none.
func (in *Intake) Route(ctx context.Context, addr string) (openmail.Recipient, error) {
	base := openmail.BaseAddress(addr)
	inbox, err := in.Store.InboxAt(ctx, openmail.Operator(), base)
	if openmail.CodeOf(err) == openmail.CodeNotFound && in.isPostmaster(base) {
		inbox, err = in.Store.InboxAt(ctx, openmail.Operator(), in.Postmaster)
	}
	if err != nil {
		return openmail.Recipient{}, err
	}
	return openmail.Recipient{Addr: addr, Inbox: inbox}, nil
}

func (in *Intake) isPostmaster(addr string) bool {
	local, domain, _ := strings.Cut(addr, "@")
	return in.Postmaster != "" && (local == "postmaster" || local == "abuse") && slices.Contains(in.Own, domain)
}

// Accept reads a mail to its end and stores it for every inbox of the
// envelope. When it returns nil everything is on disk, and the sender may be
// told so; messageID is that of the first inbox. After an error nothing is
// stored. A mail that all inboxes turn away, or have already, is no error.
func (in *Intake) Accept(ctx context.Context, env openmail.Envelope, r io.Reader) (messageID string, err error) {
	start := time.Now()
	raw, err := in.read(r)
	if err != nil {
		return "", err
	}
	read := time.Now()
	filed, extracting, err := in.take(ctx, env, raw, read)
	if err != nil {
		return "", err
	}
	in.log(ctx, env, filed, len(raw), stages{read.Sub(start), extracting, time.Since(read) - extracting})
	return filed[0].Message, nil
}

func (in *Intake) read(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, in.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the mail: %w", err)
	}
	if int64(len(raw)) > in.MaxBytes {
		return nil, openmail.Errorf(openmail.CodeTooLarge, "the mail is larger than %d bytes", in.MaxBytes)
	}
	return raw, nil
}

// take makes a filing of a mail, and rings once it is stored. It tells how long
// its attachments were read for.
func (in *Intake) take(ctx context.Context, env openmail.Envelope, raw []byte, at time.Time) ([]Filed, time.Duration, error) {
	content := mime.Read(raw)
	f := Filing{Raw: raw, Digest: sha256.Sum256(raw), At: at, Listening: in.Listening}
	rcpts := firstOfEach(env.Rcpts)
	verdicts, err := in.verdicts(ctx, rcpts, content)
	if err != nil {
		return nil, 0, err
	}
	for _, rcpt := range rcpts {
		c, err := in.copy(ctx, verdicts[rcpt.Inbox.ID], content, raw, message(content, part(env, rcpt), rcpt.Inbox, int64(len(raw)), at))
		if err != nil {
			return nil, 0, err
		}
		f.Copies = append(f.Copies, c)
	}
	if len(f.Copies) == 0 {
		return nil, 0, errors.New("a mail without recipients")
	}
	extracting, err := in.readFiles(ctx, &f)
	if err != nil {
		return nil, 0, err
	}
	filed, err := in.Store.File(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	in.ring(filed)
	return filed, extracting, nil
}

// copy is the mail as one inbox gets it. A report that is proved to be on a mail
// of ours is no stranger's: no rule turns it away.
func (in *Intake) copy(ctx context.Context, j judgement, content openmail.Content, raw []byte, m openmail.Message) (Copy, error) {
	bounce, err := in.bounce(ctx, raw, content, &m)
	if err != nil {
		return Copy{}, fmt.Errorf("look for what it reports on: %w", err)
	}
	complaint, err := in.complaint(ctx, raw, content, &m)
	if err != nil {
		return Copy{}, fmt.Errorf("look for what it complains of: %w", err)
	}
	if bounce != nil || complaint != nil {
		j = judgement{Verdict: openmail.Verdict{Admitted: true}}
	}
	c := Copy{
		Message: m, Event: id.At(openmail.PrefixEvent, m.CreatedAt), Verdict: j.Verdict, Expires: in.expiry(m.CreatedAt),
		Bounce: bounce, Complaint: complaint,
	}
	if !j.Admitted {
		c.Refused = j.record(m)
	}
	return c, nil
}

// record tells of a mail that was turned away.
func (j judgement) record(m openmail.Message) *openmail.PolicyRecord {
	return &openmail.PolicyRecord{
		ID: id.At(openmail.PrefixRecord, m.CreatedAt), At: j.at, Action: openmail.PolicyRefused, Direction: openmail.Inbound, Rule: j.Rule,
		Address: cut(j.author), Reason: j.Reason, Detail: openmail.PolicyDetail{Held: m.ID}, CreatedAt: m.CreatedAt,
	}
}

// Notify stores a mail of the server's own in an inbox, such as a report that
// something was not delivered: no sender rule turns it away. When it returns
// nil the mail is on disk; one that is there already is not stored again.
func (in *Intake) Notify(ctx context.Context, inbox openmail.Inbox, raw []byte) error {
	at := time.Now()
	env := openmail.MessageEnvelope{RcptTo: inbox.Address}
	filed, err := in.Store.File(ctx, Filing{
		Raw: raw, Digest: sha256.Sum256(raw), At: at, Listening: in.Listening,
		Copies: []Copy{{
			Message: message(mime.Read(raw), env, inbox, int64(len(raw)), at),
			Event:   id.At(openmail.PrefixEvent, at),
			Verdict: openmail.Verdict{Admitted: true},
		}},
	})
	if err != nil {
		return err
	}
	in.ring(filed)
	return nil
}

// expiry is when mail that is quarantined now will be removed; zero for never.
func (in *Intake) expiry(at time.Time) time.Time {
	if in.Keep == 0 {
		return time.Time{}
	}
	return at.Add(in.Keep)
}

// firstOfEach keeps one recipient for each inbox: several tags of one inbox,
// or the same address twice, are one copy.
func firstOfEach(rcpts []openmail.Recipient) []openmail.Recipient {
	seen := make(map[string]bool, len(rcpts))
	var first []openmail.Recipient
	for _, r := range rcpts {
		if !seen[r.Inbox.ID] {
			seen[r.Inbox.ID] = true
			first = append(first, r)
		}
	}
	return first
}

// judgement is what the policy of one inbox says of a mail.
type judgement struct {
	openmail.Verdict
	at     openmail.Scope
	author string // the one who was judged last: who was refused, if anybody was
}

// verdicts asks the policies of all inboxes that a mail is for, by their ids:
// once for each account.
func (in *Intake) verdicts(ctx context.Context, rcpts []openmail.Recipient, c openmail.Content) (map[string]judgement, error) {
	authors := authors(c.From)
	levels := map[string][]openmail.Scope{} // by account
	for _, r := range rcpts {
		levels[r.Inbox.Account] = append(levels[r.Inbox.Account], openmail.Scope{Account: r.Inbox.Account, Pod: r.Inbox.Pod, Inbox: r.Inbox.ID})
	}
	all := make(map[string]judgement, len(rcpts))
	for account, at := range levels {
		policies, err := in.Store.PolicyFor(ctx, openmail.Scope{Account: account}, openmail.Inbound, at, authors)
		if err != nil {
			return nil, fmt.Errorf("read the policy: %w", err)
		}
		for i, p := range policies {
			all[at[i].Inbox] = judge(p, at[i], authors)
		}
	}
	return all, nil
}

// maxAuthors bounds how many addresses of a From header are looked at.
const maxAuthors = 10

// authors are the addresses that a mail claims to be from; one that is empty
// where it claims none.
func authors(from []openmail.Address) []string {
	if len(from) == 0 {
		return []string{""}
	}
	return addrs(from[:min(len(from), maxAuthors)])
}

// judge wants every author admitted: a second one lends the first no good name.
func judge(p openmail.Policy, at openmail.Scope, authors []string) judgement {
	j := judgement{at: at}
	for _, j.author = range authors {
		if j.Verdict = p.Admits(j.author); !j.Admitted {
			break
		}
	}
	return j
}

// part is what of the envelope concerns one recipient.
func part(env openmail.Envelope, rcpt openmail.Recipient) openmail.MessageEnvelope {
	return openmail.MessageEnvelope{
		MailFrom: env.MailFrom, RcptTo: rcpt.Addr, RemoteIP: env.RemoteIP, Helo: env.Helo, TLS: env.TLS,
	}
}

// ring tells those who wait for events: a run of one account's copies is one
// ring.
func (in *Intake) ring(filed []Filed) {
	rung := ""
	for _, f := range filed {
		if f.Event == "" {
			continue
		}
		in.Dispatcher.Filed(f.Account, f.Lane, f.State)
		if f.Account != rung {
			rung = f.Account
			in.Bell.Ring(rung)
		}
	}
}

// Release makes a message with its event of a quarantined mail, as if it had
// come in now.
func (in *Intake) Release(ctx context.Context, scope openmail.Scope, quarantined string) (Filed, error) {
	held, err := in.Quarantine.QuarantinedMail(ctx, scope, quarantined)
	if err != nil {
		return Filed{}, err
	}
	at := time.Now()
	f := Filing{Raw: held.Raw, Digest: sha256.Sum256(held.Raw), At: at, Listening: in.Listening}
	f.Copies = []Copy{{
		Message: message(mime.Read(held.Raw), held.Envelope, held.Inbox, int64(len(held.Raw)), at),
		Event:   id.At(openmail.PrefixEvent, at),
		Verdict: openmail.Verdict{Admitted: true},
	}}
	if _, err := in.readFiles(ctx, &f); err != nil {
		return Filed{}, err
	}
	filed, err := in.Quarantine.Release(ctx, scope, quarantined, f)
	if err != nil {
		return Filed{}, err
	}
	in.ring([]Filed{filed})
	in.Logger.LogAttrs(ctx, slog.LevelInfo, "quarantine.released",
		slog.String("account", filed.Account), slog.String("message", filed.Message), slog.String("event", filed.Event))
	return filed, nil
}

// stages are how long a mail took to come in.
type stages struct{ reading, extracting, storing time.Duration }

// log writes the one record of a mail: ids and counts, nobody's address.
func (in *Intake) log(ctx context.Context, env openmail.Envelope, filed []Filed, size int, took stages) {
	if !in.Logger.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var messages, events []string
	quarantined, duplicates := 0, 0
	for _, f := range filed {
		messages = append(messages, f.Message)
		if f.Event != "" {
			events = append(events, f.Event+"="+string(f.State))
		}
		quarantined += one(f.Quarantined)
		duplicates += one(f.Duplicate)
	}
	in.Logger.LogAttrs(ctx, slog.LevelInfo, "mail.received",
		slog.String("account", filed[0].Account), slog.String("messages", strings.Join(messages, " ")),
		slog.String("events", strings.Join(events, " ")), slog.Int("bytes", size), slog.String("remote", env.RemoteIP),
		slog.Bool("tls", env.TLS), slog.Int("quarantined", quarantined), slog.Int("duplicates", duplicates),
		slog.Duration("reading", took.reading), slog.Duration("extracting", took.extracting), slog.Duration("storing", took.storing))
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
