package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"openmail"
	"openmail/internal/intake"
)

// SentAs implements intake.Store. The Message-ID of what was sent has the id of
// the message in it.
func (db *DB) SentAs(ctx context.Context, scope openmail.Scope, rfcMessageID string) (openmail.Message, error) {
	id, _, _ := strings.Cut(strings.TrimPrefix(rfcMessageID, "<"), "@")
	q := newQuery("select "+messageColumns+" from message m where m.direction = 'outbound' and m.id = ").arg(id).
		and(" and m.rfc_message_id = ").arg(rfcMessageID).within(scope, "m.account_id", "m.inbox_id")
	r, err := only("message", scanMessage)(db.query(ctx, q.text(), q.args...))
	return r.Message, err
}

// complained suppresses those who complain of a message, as far as it went to
// them.
func (t *tx) complained(c intake.Complaint, at time.Time) error {
	rows, err := t.query("select lower(recipient) from mail_delivery where message_id = $1 and state <> 'failed'", c.Message)
	if err != nil {
		return err
	}
	all, err := collect(rows, func(s scanner) (addr string, err error) { return addr, s.Scan(&addr) })
	if err != nil {
		return err
	}
	who := c.Recipients
	if len(who) == 0 && len(all) == 1 {
		who = all
	}
	for _, addr := range all {
		if !slices.Contains(who, addr) {
			continue
		}
		s := openmail.Suppression{Account: c.Account, Address: addr, Type: openmail.SuppressedComplaint, Reason: c.Text, CreatedAt: at}
		if err := t.suppress(s); err != nil {
			return err
		}
	}
	return nil
}
