package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"openmail"
)

const (
	inboxColumns = "i.id, i.account_id, i.pod_id, i.domain_id, i.address, i.display_name, i.external_id, i.created_at"
	// selectInbox reads an inbox with its webhook and what stops it from
	// sending, selectBareInbox without either.
	selectInbox     = "select " + inboxColumns + ", coalesce(w.id, ''), coalesce(w.url, ''), coalesce(w.enabled, 0), coalesce(w.disabled_reason, ''), " + stopColumns + inboxFrom
	selectBareInbox = "select " + inboxColumns + ", '', '', 0, '', " + noStop + " from inbox i"
	inboxFrom       = " from inbox i left join endpoint w on w.account_id = i.account_id and w.inbox_id = i.id" + stopOfInbox
)

func scanInbox(s scanner) (in openmail.Inbox, err error) {
	var created int64
	var w openmail.Endpoint
	var stop stopRow
	err = s.Scan(append([]any{
		&in.ID, &in.Account, &in.Pod, &in.Domain, &in.Address, &in.DisplayName, &in.ExternalID, &created, &w.ID, &w.URL, &w.Enabled, &w.DisabledReason,
	}, stop.into()...)...)
	in.CreatedAt, in.Suspension = moment(created), stop.suspension(in.Account)
	if w.ID != "" {
		w.Account, w.Inbox = in.Account, in.ID
		in.Webhook = &w
	}
	return in, err
}

// InboxAt implements intake.Store.
func (db *DB) InboxAt(ctx context.Context, scope openmail.Scope, address string) (openmail.Inbox, error) {
	return db.oneInbox(ctx, newQuery(selectBareInbox+" where i.address = ").arg(address).inPod(scope, "i.account_id", "i.pod_id", "i.id"))
}

// Inbox implements mailbox.Inboxes.
func (db *DB) Inbox(ctx context.Context, scope openmail.Scope, id string) (openmail.Inbox, error) {
	return db.oneInbox(ctx, newQuery(selectInbox+" where i.id = ").arg(id).inPod(scope, "i.account_id", "i.pod_id", "i.id"))
}

func (db *DB) oneInbox(ctx context.Context, q *query) (openmail.Inbox, error) {
	return only("inbox", scanInbox)(db.query(ctx, q.text(), q.args...))
}

// Inboxes implements mailbox.Inboxes.
func (db *DB) Inboxes(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Inbox, int, error) {
	where := func(q *query) *query {
		return q.and(" where 1 = 1").inPod(scope, "i.account_id", "i.pod_id", "i.id")
	}
	total, err := db.count(ctx, where(newQuery("select count(*) from inbox i")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the inboxes: %w", err)
	}
	q := where(newQuery(selectInbox)).and(" order by i.id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the inboxes: %w", err)
	}
	all, err := collect(rows, scanInbox)
	return all, total, err
}

// CreateInbox implements mailbox.Inboxes.
func (db *DB) CreateInbox(ctx context.Context, scope openmail.Scope, in openmail.Inbox) error {
	if !scope.Covers(in.Account, in.Pod, "") {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error {
		pod, err := t.podFor(in)
		if err != nil {
			return err
		}
		if err := t.holdDomain(in, pod); err != nil {
			return err
		}
		if err := t.roomForInbox(in.Account, db.cfg.MaxInboxes); err != nil {
			return err
		}
		taken := openmail.FieldErrorf(openmail.CodeAddressTaken, "mailboxName", "Another inbox has the address %s.", in.Address)
		err = t.must(taken, `insert into inbox (id, account_id, pod_id, domain_id, address, display_name, external_id, created_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (address) do nothing`,
			in.ID, in.Account, pod, in.Domain, in.Address, in.DisplayName, in.ExternalID, micros(in.CreatedAt))
		if err != nil || in.Webhook == nil {
			return err
		}
		return db.putEndpoint(t, *in.Webhook)
	}, in.Account)
}

// roomForInbox is the error for an account that has as many inboxes as it may; 0
// is any number. The transaction holds the account's row: nobody else makes one
// meanwhile.
func (t *tx) roomForInbox(account string, most int) error {
	if most == 0 {
		return nil
	}
	var n int
	if err := t.row("select count(*) from (select 1 from inbox i where i.account_id = $1 limit $2) as counted", []any{account, most}, &n); err != nil {
		return fmt.Errorf("count the inboxes: %w", err)
	}
	if n < most {
		return nil
	}
	return openmail.Errorf(openmail.CodeInboxLimit, "The account has %d inboxes, which is the limit: delete one first.", n)
}

// podFor is the pod of a new inbox, which stays until the transaction ends.
func (t *tx) podFor(in openmail.Inbox) (id string, err error) {
	where, arg := "id = $2", any(in.Pod)
	if in.Pod == "" {
		where, arg = "is_default = $2", 1
	}
	err = t.row("select id from pod where account_id = $1 and "+where+t.w.dialect.lockOf("pod"), []any{in.Account, arg}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", openmail.FieldErrorf(openmail.CodeInvalidPod, "podId", "There is no such pod.")
	}
	return id, err
}

// InboxIDs returns the ids of the scope's inboxes, at most limit of them,
// smallest first.
func (db *DB) InboxIDs(ctx context.Context, scope openmail.Scope, limit int) ([]string, error) {
	q := newQuery("select id from inbox where 1 = 1").inPod(scope, "account_id", "pod_id", "id").and(" order by id limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("list the ids of inboxes: %w", err)
	}
	return collect(rows, func(s scanner) (id string, err error) { return id, s.Scan(&id) })
}

// UpdateInbox implements mailbox.Inboxes.
func (db *DB) UpdateInbox(ctx context.Context, scope openmail.Scope, in openmail.Inbox) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("update inbox set display_name = ").arg(in.DisplayName).and(" where id = ").arg(in.ID).inPod(scope, "account_id", "pod_id", "id")
		return t.must(notFound("inbox"), q.text(), q.args...)
	})
}

// DeleteInbox implements mailbox.Inboxes. Most of the messages go before, in
// batches, lest a large inbox keep the writer from everybody's mail; the rest,
// and what has come meanwhile, goes with the inbox.
func (db *DB) DeleteInbox(ctx context.Context, scope openmail.Scope, id string, at time.Time) error {
	in, err := db.Inbox(ctx, scope, id)
	if err != nil {
		return err
	}
	for n := int64(sweepBatch); n == sweepBatch; {
		err := db.w.write(ctx, func(t *tx) (err error) {
			n, err = db.removeMessages(t, "where inbox_id = $1 limit $2", id)
			return err
		}, in.Account)
		if err != nil {
			return fmt.Errorf("empty the inbox: %w", err)
		}
	}
	if err := db.forgetContacts(ctx, in); err != nil {
		return fmt.Errorf("empty the inbox: %w", err)
	}
	// Another node that files mail for it waits, and finds it gone.
	return db.w.write(ctx, func(t *tx) error { return t.removeInbox(scope, in, at) }, in.Account)
}

// removeInbox removes an inbox and what is left in it.
func (t *tx) removeInbox(scope openmail.Scope, in openmail.Inbox, at time.Time) error {
	var account, pod string
	q := newQuery("select account_id, pod_id from inbox where id = ").arg(in.ID).inPod(scope, "account_id", "pod_id", "id")
	if err := t.row(q.text(), q.args, &account, &pod); err != nil {
		return orNotFound(err, "inbox")
	}
	t.forget(account)
	t.usedAll(in)
	return t.each([]any{in.ID}, deleteEvents("select event_id from message where inbox_id = $1")...).then([]any{in.ID},
		"delete from attachment_text where message_id in (select id from message where inbox_id = $1)",
		"delete from mail_delivery where message_id in (select id from message where inbox_id = $1)",
		"delete from message where inbox_id = $1",
		"delete from mention where inbox_id = $1",
		"delete from thread where inbox_id = $1 and joined_to = '' and trashed_at = 0",
		"delete from thread where inbox_id = $1 and (joined_to <> '' or trashed_at > 0)",
		"delete from quarantine where inbox_id = $1",
		"delete from rule where level_id = $1",
		"delete from policy where level_id = $1",
		"delete from suspension where subject = $1",
		"delete from contact where inbox_id = $1",
		"delete from acquaintance where inbox_id = $1",
		"delete from inbox where id = $1").
		then([]any{account, in.ID}, "delete from endpoint where account_id = $1 and inbox_id = $2").
		then([]any{micros(at), account, pod, in.ID}, "update api_key set revoked_at = $1 where account_id = $2 and pod_id = $3 and inbox_id = $4 and revoked_at = 0").err
}
