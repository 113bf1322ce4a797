package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"openmail"
	"openmail/internal/intake"
	"openmail/internal/outgoing"
)

// MailLanes implements outgoing.Queue.
func (db *DB) MailLanes(ctx context.Context, _ openmail.Scope, at time.Time, limit int) (due []string, next time.Time, err error) {
	rows, err := db.query(ctx, "select domain from mail_lane where due_at <= $1 order by due_at limit $2", micros(at), limit)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("look for mail that is due: %w", err)
	}
	if due, err = collect(rows, func(s scanner) (domain string, err error) { return domain, s.Scan(&domain) }); err != nil {
		return nil, time.Time{}, fmt.Errorf("look for mail that is due: %w", err)
	}
	var soonest int64
	err = db.row(ctx, "select coalesce(min(due_at), 0) from mail_lane where due_at > $1", []any{micros(at)}, &soonest)
	return due, moment(soonest), err
}

// ClaimMail implements outgoing.Queue.
func (db *DB) ClaimMail(ctx context.Context, _ openmail.Scope, domain string, at time.Time) (outgoing.Claimed, error) {
	k := mailClaim{domain: domain, at: micros(at), lock: db.dialect.claimOf("mail_delivery")}
	if err := db.w.write(ctx, k.take); err != nil {
		return outgoing.Claimed{}, fmt.Errorf("claim mail: %w", err)
	}
	if len(k.Due) == 0 {
		return k.Claimed, nil
	}
	r, err := db.wherever(ctx, k.Message.ID)
	if err != nil {
		return outgoing.Claimed{}, fmt.Errorf("claim mail: %w", err)
	}
	k.Message = r.Message
	if k.Inbox, err = db.Inbox(ctx, openmail.Operator(), r.Inbox); err != nil && openmail.CodeOf(err) != openmail.CodeNotFound {
		return outgoing.Claimed{}, err
	}
	return k.Claimed, nil
}

// MailBytes implements outgoing.Mails.
func (db *DB) MailBytes(ctx context.Context, scope openmail.Scope, message string) ([]byte, error) {
	r, err := db.wherever(ctx, message)
	if err != nil {
		return nil, err
	}
	if !scope.Covers(r.Account, "", r.Inbox) {
		return nil, notFound("message")
	}
	before := r.sizes.text + r.sizes.html
	all, err := db.unpack(ctx, r.body, before+r.sizes.raw)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", message, err)
	}
	return all[before:], nil
}

// wherever is a message that may be in the trash: what is on its way goes on.
func (db *DB) wherever(ctx context.Context, id string) (row, error) {
	return only("message", scanMessage)(db.query(ctx, "select "+messageColumns+" from message m where m.id = $1", id))
}

// mailClaim is one claim under way.
type mailClaim struct {
	outgoing.Claimed
	domain string
	at     int64
	lock   string
}

func (k *mailClaim) take(t *tx) error {
	k.Claimed = outgoing.Claimed{Domain: k.domain}
	var message string
	err := t.row("select message_id from mail_delivery where domain = $1 and due_at > 0 and due_at <= $2 order by due_at limit 1"+k.lock,
		[]any{k.domain, k.at}, &message)
	t.relane(k.domain)
	if noRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	// The domain is no column here, or SQLite would find the message by walking
	// through everything that is due there.
	rows, err := t.query("select "+mailDeliveryColumns+" from mail_delivery where message_id = $1 and domain || '' = $2 and due_at > 0 and due_at <= $3 order by n"+k.lock,
		message, k.domain, k.at)
	if err != nil {
		return err
	}
	found, err := collect(rows, scanMailDelivery)
	if err != nil {
		return err
	}
	k.Message.ID = message
	for _, r := range found {
		r.Attempts++
		k.Due = append(k.Due, r.Due)
		if _, err := t.exec("update mail_delivery set attempts = attempts + 1, leased = 1, due_at = $1 where message_id = $2 and n = $3",
			k.at+outgoing.Lease.Microseconds(), message, r.N); err != nil {
			return err
		}
	}
	return t.row("select exists (select 1 from mail_delivery where domain = $1 and due_at > 0 and due_at <= $2)", []any{k.domain, k.at}, &k.More)
}

// relane has a domain's lane looked at when the first in it is due. Lanes are
// what mails of all accounts share: a group takes them at its end, each once and
// in one order, or two nodes would wait for each other.
func (t *tx) relane(domain string) { t.lanes = append(t.lanes, domain) }

// setLanes does what relane was told.
func (t *tx) setLanes() error {
	slices.Sort(t.lanes)
	for _, domain := range slices.Compact(t.lanes) {
		if err := t.setLane(domain); err != nil {
			return fmt.Errorf("set the lane of a domain: %w", err)
		}
	}
	return nil
}

// setLane takes the lane before it looks at what is in it, so that whoever adds
// something at that moment either is seen, or adds it afterwards.
func (t *tx) setLane(domain string) error {
	const upsert = "insert into mail_lane (domain, due_at) values ($1, $2) on conflict (domain) do update set due_at = "
	if !t.w.dialect.single {
		if _, err := t.exec(upsert+"mail_lane.due_at", domain, 0); err != nil {
			return err
		}
	}
	var due int64
	if err := t.row("select coalesce(min(due_at), 0) from mail_delivery where domain = $1 and due_at > 0", []any{domain}, &due); err != nil {
		return err
	}
	var err error
	if due == 0 {
		_, err = t.exec("delete from mail_lane where domain = $1", domain)
	} else {
		_, err = t.exec(upsert+"excluded.due_at", domain, due)
	}
	return err
}

// SettleMail implements outgoing.Queue.
func (db *DB) SettleMail(ctx context.Context, _ openmail.Scope, c outgoing.Claimed, settled []outgoing.Settled, at time.Time) error {
	err := db.w.write(ctx, func(t *tx) error {
		for _, s := range settled {
			if err := t.settleMail(c, s, at); err != nil {
				return err
			}
		}
		t.relane(c.Domain)
		return t.statusOf(c.Message.ID)
	}, c.Message.Account)
	if err != nil {
		return fmt.Errorf("settle mail: %w", err)
	}
	return nil
}

// settleMail writes what became of one delivery, unless it was claimed again:
// the number of the attempt tells.
func (t *tx) settleMail(c outgoing.Claimed, s outgoing.Settled, at time.Time) error {
	attempts, last := s.Attempts, micros(at)
	if s.Next.Uncounted {
		attempts, last = attempts-1, micros(s.LastAt)
	}
	n, err := t.exec(`update mail_delivery set state = $1, attempts = $2, due_at = $3, leased = 0, last_at = $4,
		code = $5, enhanced = $6, answer = $7, server = $8, tls = $9 where message_id = $10 and n = $11 and attempts = $12 and leased = 1`,
		string(s.Next.State), attempts, micros(s.Next.Due), last, s.Answer.Code, s.Answer.Enhanced, s.Answer.Text, s.Answer.Server, s.Answer.TLS,
		c.Message.ID, s.N, s.Attempts)
	if err != nil || n == 0 || !s.Next.Suppress {
		return err
	}
	return t.suppress(openmail.Suppression{
		Account: c.Message.Account, Address: s.Recipient, Type: openmail.SuppressedBounce, Reason: s.Answer.Text, CreatedAt: at,
	})
}

// statusOf makes a message's status follow from its deliveries: failed when one
// was given up, sent when all were accepted.
func (t *tx) statusOf(message string) error {
	_, err := t.exec(`update message set status = case
		when exists (select 1 from mail_delivery d where d.message_id = message.id and d.state = 'failed') then 'failed'
		when exists (select 1 from mail_delivery d where d.message_id = message.id and d.state = 'pending') then 'pending'
		else 'sent' end where id = $1`, message)
	return err
}

// SentFrom implements intake.Store.
func (db *DB) SentFrom(ctx context.Context, scope openmail.Scope, returnPath string) (openmail.Message, error) {
	q := newQuery("select "+messageColumns+" from message m where m.direction = 'outbound' and m.mail_from = ").arg(returnPath).within(scope, "m.account_id", "m.inbox_id").and(" limit 1")
	r, err := only("message", scanMessage)(db.query(ctx, q.text(), q.args...))
	return r.Message, err
}

// bounced writes what another server reported of a message after it had taken
// it, also before its answer is settled: that finds its lease gone then. Whom the
// message did not name is nobody.
func (t *tx) bounced(account string, b intake.Bounce, at time.Time) error {
	for _, f := range b.Failed {
		for _, recipient := range f.Recipients {
			n, err := t.exec(`update mail_delivery set state = 'failed', due_at = 0, leased = 0, code = 0, enhanced = $1, answer = $2, last_at = $3
				where message_id = $4 and lower(recipient) = $5 and (state = 'sent' or state = 'pending' and leased = 1)`, f.Enhanced, f.Text, micros(at), b.Message, recipient)
			if err != nil {
				return err
			}
			if n == 0 || !openmail.NoSuchRecipient(f.Enhanced) {
				continue
			}
			s := openmail.Suppression{Account: account, Address: recipient, Type: openmail.SuppressedBounce, Reason: f.Text, CreatedAt: at}
			if err := t.suppress(s); err != nil {
				return err
			}
		}
	}
	return t.statusOf(b.Message)
}

// RecoverMail implements outgoing.Queue.
func (db *DB) RecoverMail(ctx context.Context, _ openmail.Scope, at time.Time, limit int) ([]string, error) {
	if !db.dialect.single { // somebody else may be at it
		return nil, nil
	}
	return db.resumeAll(ctx, "leased = 1", at, limit)
}

// ResumeMail implements outgoing.Held.
func (db *DB) ResumeMail(ctx context.Context, _ openmail.Scope, at time.Time, limit int) ([]string, error) {
	return db.resumeAll(ctx, "due_at = 0 and state = 'pending'", at, limit)
}

func (db *DB) resumeAll(ctx context.Context, condition string, at time.Time, limit int) (domains []string, err error) {
	err = db.w.write(ctx, func(t *tx) (err error) {
		domains, err = t.resume(condition, at, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resume mail: %w", err)
	}
	return domains, nil
}

// resume makes due what meets a condition. Patience begins anew for what was
// never tried.
func (t *tx) resume(condition string, at time.Time, limit int) (domains []string, err error) {
	rows, err := t.query("select message_id, n, domain from mail_delivery where "+condition+" limit $1", limit)
	if err != nil {
		return nil, err
	}
	type one struct {
		message, domain string
		n               int
	}
	found, err := collect(rows, func(s scanner) (o one, err error) { return o, s.Scan(&o.message, &o.n, &o.domain) })
	if err != nil {
		return nil, err
	}
	for _, o := range found {
		if _, err := t.exec(`update mail_delivery set due_at = $1, leased = 0, began_at = case when attempts = 0 then $1 else began_at end
			where message_id = $2 and n = $3`, micros(at), o.message, o.n); err != nil {
			return nil, err
		}
		t.relane(o.domain)
		if !slices.Contains(domains, o.domain) {
			domains = append(domains, o.domain)
		}
	}
	return domains, nil
}

// MailBacklog is how many deliveries wait for an attempt or a report, how many
// of them for a way out, and since when the longest overdue is due.
func (db *DB) MailBacklog(ctx context.Context, _ openmail.Scope) (queued, held int64, oldest time.Time, err error) {
	var due int64
	err = db.row(ctx, `select (select count(*) from mail_delivery where due_at > 0),
		(select count(*) from mail_delivery where due_at = 0 and state = 'pending'),
		(select coalesce(min(due_at), 0) from mail_lane)`, nil, &queued, &held, &due)
	return queued, held, moment(due), err
}
