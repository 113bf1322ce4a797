package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/outgoing"
)

// How contacts are gathered.
const (
	contactPage = 500
	// contactOverlap is read again: what is filed takes so long at most from
	// its id to its commit, on whatever clock.
	contactOverlap = 2 * time.Minute
	// contactStride is how far the mail of an inbox may go on without a new
	// contact before that is noted: it is read again until then.
	contactStride = 10 * time.Minute
)

// Acquaint implements outgoing.Contacts. It goes through the messages that the
// inbox has by now, from where it ended the last time: mail that comes in pays
// nothing for it, and none is missed that came while nobody asked.
func (db *DB) Acquaint(ctx context.Context, scope openmail.Scope, in openmail.Inbox) error {
	if !scope.Covers(in.Account, in.Pod, in.ID) {
		return notFound("inbox")
	}
	upto, newest, err := db.acquainted(ctx, in)
	if err != nil || newest == 0 {
		return err
	}
	after := ""
	if upto > 0 {
		after = id.First(openmail.PrefixMessage, moment(upto).Add(-contactOverlap))
	}
	for n := contactPage; n == contactPage; {
		page, err := db.met(ctx, in, after)
		if err != nil {
			return err
		}
		n = len(page)
		at := upto
		if n > 0 {
			after, at = page[n-1].id, page[n-1].at
		}
		if n < contactPage {
			at = newest
		}
		if page, err = db.unmet(ctx, in, page); err != nil {
			return err
		}
		if len(page) == 0 && moment(at).Sub(moment(upto)) < contactStride {
			continue
		}
		if err := db.noteContacts(ctx, in, page, at); err != nil {
			return err
		}
	}
	return nil
}

// acquainted is up to when an inbox's messages were read for contacts, and when
// the newest was made; 0 for never.
func (db *DB) acquainted(ctx context.Context, in openmail.Inbox) (upto, newest int64, err error) {
	err = db.row(ctx, `select coalesce((select upto from acquaintance where inbox_id = $1), 0),
		coalesce((select m.created_at from message m where m.inbox_id = $1 and m.account_id = $2 and m.trashed_at = 0 order by m.id desc limit 1), 0)`,
		[]any{in.ID, in.Account}, &upto, &newest)
	return upto, newest, err
}

// encounter is who a message was exchanged with.
type encounter struct {
	id  string
	who []string
	at  int64
}

// met reads a page of messages after that one, but for most of those that came
// from people whom the inbox is known to know.
func (db *DB) met(ctx context.Context, in openmail.Inbox, after string) ([]encounter, error) {
	rows, err := db.query(ctx, `select m.id, m.direction, m.from_addr, m.to_addr, m.cc, m.created_at from message m
		where m.inbox_id = $1 and m.account_id = $2 and m.trashed_at = 0 and m.id > $3
		and not (m.direction = 'inbound' and exists (select 1 from contact c where c.inbox_id = $1 and c.address = lower(m.from_addr)))
		order by m.id limit $4`, in.ID, in.Account, after, contactPage)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(s scanner) (e encounter, err error) {
		var direction openmail.Direction
		var from, to, cc string
		if err := s.Scan(&e.id, &direction, &from, &to, &cc, &e.at); err != nil {
			return e, err
		}
		if e.who = []string{from}; direction == openmail.Outbound {
			e.who, err = unlist[string](cc)
			e.who = append(e.who, to)
		}
		return e, err
	})
}

// unmet leaves out messages to people whom the inbox is known to know.
func (db *DB) unmet(ctx context.Context, in openmail.Inbox, page []encounter) (left []encounter, err error) {
	for _, e := range page {
		known := true
		for _, who := range e.who {
			var one bool
			if err := db.row(ctx, "select exists (select 1 from contact where inbox_id = $1 and address = $2)", []any{in.ID, strings.ToLower(who)}, &one); err != nil {
				return nil, err
			}
			known = known && one
		}
		if !known {
			left = append(left, e)
		}
	}
	return left, nil
}

// noteContacts writes the contacts of a page, and that all up to a moment is
// read.
func (db *DB) noteContacts(ctx context.Context, in openmail.Inbox, page []encounter, upto int64) error {
	return db.w.write(ctx, func(t *tx) error {
		// An inbox that went meanwhile leaves nothing behind.
		var there string
		if err := t.row("select id from inbox where id = $1"+t.w.dialect.lockOf("inbox"), []any{in.ID}, &there); err != nil {
			return orNotFound(err, "inbox")
		}
		for _, e := range page {
			for _, who := range e.who {
				if _, err := t.note(in.ID, strings.ToLower(who)); err != nil {
					return err
				}
			}
		}
		_, err := t.exec(`insert into acquaintance (inbox_id, upto) values ($1, $2)
			on conflict (inbox_id) do update set upto = excluded.upto where acquaintance.upto < excluded.upto`, in.ID, upto)
		return err
	}, in.Account)
}

// note writes a contact, and reports whether it is a new one.
func (t *tx) note(inbox, addr string) (isNew bool, err error) {
	n, err := t.exec("insert into contact (inbox_id, address) values ($1, $2) on conflict (inbox_id, address) do nothing", inbox, addr)
	return n == 1, err
}

// meet counts the first contacts of a mail, and notes them.
func (t *tx) meet(a outgoing.Acceptance) error {
	if len(a.Cold) == 0 {
		return nil
	}
	strangers := 0
	for _, addr := range a.Contacts {
		isNew, err := t.note(a.Message.Inbox, addr)
		if err != nil {
			return fmt.Errorf("note a contact: %w", err)
		}
		if !isNew {
			continue
		}
		var own bool
		if err := t.row("select exists (select 1 from inbox where address = $1 and account_id = $2)", []any{openmail.BaseAddress(addr), a.Message.Account}, &own); err != nil {
			return err
		}
		if !own {
			strangers++
		}
	}
	if strangers == 0 {
		return nil
	}
	cold := make([]openmail.Quota, len(a.Cold))
	for i, q := range a.Cold {
		q.Takes = strangers
		cold[i] = q
	}
	return t.takeQuotas(cold)
}

// forgetContacts removes those of an inbox, in batches.
func (db *DB) forgetContacts(ctx context.Context, in openmail.Inbox) error {
	for n := int64(sweepBatch); n == sweepBatch; {
		err := db.w.write(ctx, func(t *tx) (err error) {
			n, err = t.exec("delete from contact where inbox_id = $1 and address in (select c.address from contact c where c.inbox_id = $1 limit $2)", in.ID, sweepBatch)
			return err
		}, in.Account)
		if err != nil {
			return err
		}
	}
	return nil
}
