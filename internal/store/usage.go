package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"openmail"
	"openmail/internal/mailbox"
)

// KeepUsage is how long it is kept what inboxes received and sent.
const KeepUsage = 400 * 24 * time.Hour

// usage is what one inbox has more to be counted on a day.
type usage struct {
	account, inbox   string
	address          string // of an inbox that goes in the same group; "": it is looked up
	day              int64
	in, out, inFiles int64 // the last in bytes, of files
}

// used has a message counted on its day.
func (t *tx) used(m openmail.Message) {
	u := usage{account: m.Account, inbox: m.Inbox, day: micros(m.CreatedAt.UTC().Truncate(24 * time.Hour)), in: 1}
	if m.Direction == openmail.Outbound {
		u.in, u.out = 0, 1
	}
	for _, a := range m.Attachments {
		u.inFiles += a.SizeBytes
	}
	t.usage = append(t.usage, u)
}

// usedAll notes that an inbox is about to go: what of it is still to be counted is
// told its address, which cannot be looked up then.
func (t *tx) usedAll(in openmail.Inbox) {
	for i := range t.usage {
		if t.usage[i].inbox == in.ID {
			t.usage[i].address = in.Address
		}
	}
}

// countUsage does what used was told: a group counts once for each inbox, and
// all groups in one order, or two nodes would wait for each other.
func (t *tx) countUsage() error {
	slices.SortFunc(t.usage, func(a, b usage) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.day, b.day), cmp.Compare(a.inbox, b.inbox))
	})
	for i, u := range t.usage {
		if next := i + 1; next < len(t.usage) && u.same(t.usage[next]) {
			t.usage[next].add(u)
			continue
		}
		if err := t.count(u); err != nil {
			return fmt.Errorf("count what an inbox does: %w", err)
		}
	}
	return nil
}

func (u usage) same(v usage) bool {
	return u.account == v.account && u.day == v.day && u.inbox == v.inbox
}

func (u *usage) add(v usage) {
	u.in, u.out, u.inFiles = u.in+v.in, u.out+v.out, u.inFiles+v.inFiles
	u.address = cmp.Or(u.address, v.address)
}

// count adds to the row of an inbox that is there, or was until now.
func (t *tx) count(u usage) error {
	const add = `insert into usage_day (account_id, day, inbox_id, address, inbound, outbound, attachment_bytes) %s
		on conflict (account_id, day, inbox_id) do update set inbound = usage_day.inbound + $2, outbound = usage_day.outbound + $3,
			attachment_bytes = usage_day.attachment_bytes + $4`
	args := []any{u.day, u.in, u.out, u.inFiles, u.inbox, u.account}
	if u.address != "" {
		_, err := t.exec(fmt.Sprintf(add, "values ($6, $1, $5, $7, $2, $3, $4)"), append(args, u.address)...)
		return err
	}
	_, err := t.exec(fmt.Sprintf(add, "select account_id, $1, id, address, $2, $3, $4 from inbox where id = $5 and account_id = $6"), args...)
	return err
}

// perInbox is the usage of each inbox of an account in some days: of those that
// are there, and of those that were there then.
func (q *query) perInbox(account string, from, to time.Time) *query {
	const sums = "max(address) as address, cast(sum(inbound) as bigint) as inbound, cast(sum(outbound) as bigint) as outbound, cast(sum(attachment_bytes) as bigint) as attachment_bytes"
	q.and("(select id, " + sums + " from (select i.id as id, i.address as address, 0 as inbound, 0 as outbound, 0 as attachment_bytes from inbox i where i.account_id = ").arg(account)
	q.and(" union all select u.inbox_id, u.address, u.inbound, u.outbound, u.attachment_bytes from usage_day u where u.account_id = ").arg(account)
	return q.and(" and u.day >= ").arg(micros(from)).and(" and u.day < ").arg(micros(to)).and(") as both_kinds group by id) as g")
}

// Usage implements mailbox.Usages.
func (db *DB) Usage(ctx context.Context, scope openmail.Scope, from, to time.Time, p openmail.Page) (u mailbox.Usage, err error) {
	if !scope.WholeAccount() {
		return u, notFound("account")
	}
	u.Totals, u.Count, err = db.usageTotals(ctx, scope.Account, from, to)
	if err != nil || p.Limit == 0 {
		return u, err
	}
	q := newQuery("select g.id, g.address, g.inbound, g.outbound, g.attachment_bytes, cast(coalesce((select sum(m.size_bytes) from message m where m.inbox_id = g.id and m.account_id = ").
		arg(scope.Account).and(" and m.trashed_at = 0), 0) as bigint) from ").perInbox(scope.Account, from, to).and(" order by g.id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return u, fmt.Errorf("list the usage: %w", err)
	}
	u.Inboxes, err = collect(rows, func(s scanner) (x mailbox.InboxUsage, err error) {
		return x, s.Scan(&x.Inbox, &x.Address, &x.Inbound, &x.Outbound, &x.AttachmentBytes, &x.StoredBytes)
	})
	return u, err
}

func (db *DB) usageTotals(ctx context.Context, account string, from, to time.Time) (c mailbox.Counts, inboxes int, err error) {
	q := newQuery("select count(*), cast(coalesce(sum(inbound), 0) as bigint), cast(coalesce(sum(outbound), 0) as bigint), cast(coalesce(sum(attachment_bytes), 0) as bigint) from ").
		perInbox(account, from, to)
	err = db.row(ctx, q.text(), q.args, &inboxes, &c.Inbound, &c.Outbound, &c.AttachmentBytes)
	stored := db.row(ctx, `select cast(coalesce(sum(m.size_bytes), 0) as bigint) from inbox i
		join message m on m.inbox_id = i.id and m.account_id = i.account_id and m.trashed_at = 0 where i.account_id = $1`, []any{account}, &c.StoredBytes)
	if err := errors.Join(err, stored); err != nil {
		return c, 0, fmt.Errorf("add up the usage: %w", err)
	}
	return c, inboxes, nil
}

func sweepUsage(t *tx, before int64) (int64, error) {
	return t.exec("delete from usage_day where (account_id, day, inbox_id) in (select account_id, day, inbox_id from usage_day where day < $1 limit $2)", before, sweepBatch)
}
