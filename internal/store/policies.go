package store

import (
	"context"
	"fmt"
	"io"

	"openmail"
	"openmail/internal/intake"
)

// PolicyFor implements intake.Store.
func (db *DB) PolicyFor(ctx context.Context, scope openmail.Scope, authors []string) (openmail.Policy, error) {
	var values []string
	for _, a := range authors {
		values = append(values, openmail.RuleValues(a)...)
	}
	return db.policy(ctx, scope, func(q *query) *query {
		if len(values) == 0 {
			return q.and(" and 1 = 0")
		}
		q.and(" and r.value in (").arg(values[0])
		for _, v := range padded(values)[1:] {
			q.and(",").arg(v)
		}
		return q.and(")")
	})
}

// padded repeats the last value until the number of them is a power of two: a
// statement is kept for each number, and senders choose how many there are.
func padded(values []string) []string {
	for n := len(values); n&(n-1) != 0; n++ {
		values = append(values, values[n-1])
	}
	return values
}

// Policy implements mailbox.Policies.
func (db *DB) Policy(ctx context.Context, scope openmail.Scope) (openmail.Policy, error) {
	return db.policy(ctx, scope, func(q *query) *query { return q })
}

// policy reads the mode and the rules at once: every mail asks for them.
func (db *DB) policy(ctx context.Context, scope openmail.Scope, only func(*query) *query) (p openmail.Policy, err error) {
	q := only(newQuery(`select a.policy_mode, coalesce(r.id, ''), coalesce(r.account_id, ''), coalesce(r.direction, ''),
		coalesce(r.type, ''), coalesce(r.value, ''), coalesce(r.created_at, 0)
		from account a left join rule r on r.account_id = a.id and r.direction = 'inbound'`)).
		and(" where a.id = ").arg(scope.Account).within(scope, "a.id", "").and(" order by r.id")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return p, fmt.Errorf("read the policy: %w", err)
	}
	p.Rules, err = collect(rows, func(s scanner) (r openmail.Rule, err error) {
		var created int64
		err = s.Scan(&p.Mode, &r.ID, &r.Account, &r.Direction, &r.Type, &r.Value, &created)
		r.CreatedAt = moment(created)
		return r, err
	})
	switch {
	case err != nil:
		return p, fmt.Errorf("read the policy: %w", err)
	case len(p.Rules) == 0:
		return p, notFound("account")
	case p.Rules[0].ID == "": // the account's row alone
		p.Rules = nil
	}
	return p, nil
}

// PutPolicy implements mailbox.Policies.
func (db *DB) PutPolicy(ctx context.Context, scope openmail.Scope, p openmail.Policy) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("update account set policy_mode = ").arg(string(p.Mode)).and(" where id = ").arg(scope.Account).within(scope, "id", "")
		if err := t.must(notFound("account"), q.text(), q.args...); err != nil {
			return err
		}
		if _, err := t.exec("delete from rule where account_id = $1 and direction = 'inbound'", scope.Account); err != nil {
			return err
		}
		for _, r := range p.Rules {
			if err := t.insertRule(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddRule implements mailbox.Policies.
func (db *DB) AddRule(ctx context.Context, scope openmail.Scope, r openmail.Rule) error {
	if !scope.Covers(r.Account, "", "") {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error { return t.insertRule(r) })
}

func (t *tx) insertRule(r openmail.Rule) error {
	there := openmail.FieldErrorf(openmail.CodeRuleExists, "value", "There is a rule already that says %s %s.", r.Type, r.Value)
	return t.must(there, `insert into rule (id, account_id, direction, type, value, created_at) values ($1, $2, $3, $4, $5, $6)
		on conflict (account_id, direction, value, type) do nothing`,
		r.ID, r.Account, string(r.Direction), string(r.Type), r.Value, micros(r.CreatedAt))
}

// DeleteRule implements mailbox.Policies.
func (db *DB) DeleteRule(ctx context.Context, scope openmail.Scope, id string) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("delete from rule where id = ").arg(id).within(scope, "account_id", "")
		return t.must(notFound("rule"), q.text(), q.args...)
	})
}

const quarantineColumns = "id, account_id, inbox_id, from_name, from_addr, subject, reason, rule_id, size_bytes, created_at, expires_at"

func scanQuarantined(s scanner) (m openmail.Quarantined, err error) {
	var created, expires int64
	err = s.Scan(&m.ID, &m.Account, &m.Inbox, &m.From.Name, &m.From.Addr, &m.Subject, &m.Verdict.Reason, &m.Verdict.Rule, &m.SizeBytes, &created, &expires)
	m.CreatedAt, m.ExpiresAt = moment(created), moment(expires)
	return m, err
}

// Quarantined implements mailbox.Quarantine.
func (db *DB) Quarantined(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Quarantined, int, error) {
	where := func(q *query) *query {
		return q.and(" from quarantine where 1 = 1").within(scope, "account_id", "inbox_id")
	}
	total, err := db.count(ctx, where(newQuery("select count(*)")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the quarantine: %w", err)
	}
	q := where(newQuery("select " + quarantineColumns)).and(" order by id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the quarantine: %w", err)
	}
	all, err := collect(rows, scanQuarantined)
	return all, total, err
}

// QuarantinedOne implements mailbox.Quarantine.
func (db *DB) QuarantinedOne(ctx context.Context, scope openmail.Scope, id string) (openmail.Quarantined, error) {
	q := newQuery("select "+quarantineColumns+" from quarantine where id = ").arg(id).within(scope, "account_id", "inbox_id")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return openmail.Quarantined{}, fmt.Errorf("read the quarantine: %w", err)
	}
	found, err := collect(rows, scanQuarantined)
	if err != nil {
		return openmail.Quarantined{}, fmt.Errorf("read the quarantine: %w", err)
	}
	if len(found) == 0 {
		return openmail.Quarantined{}, notFound("quarantined mail")
	}
	return found[0], nil
}

// DeleteQuarantined implements mailbox.Quarantine.
func (db *DB) DeleteQuarantined(ctx context.Context, scope openmail.Scope, id string) error {
	return db.w.write(ctx, func(t *tx) error {
		q := newQuery("delete from quarantine where id = ").arg(id).within(scope, "account_id", "inbox_id")
		return t.must(notFound("quarantined mail"), q.text(), q.args...)
	})
}

// QuarantinedMail implements intake.Quarantine.
func (db *DB) QuarantinedMail(ctx context.Context, scope openmail.Scope, id string) (intake.Held, error) {
	var h intake.Held
	var p packed
	var inbox string
	var size int64
	q := newQuery("select inbox_id, mail_from, rcpt_to, remote_ip, helo, tls, size_bytes, body, blob from quarantine where id = ").
		arg(id).within(scope, "account_id", "inbox_id")
	e := &h.Envelope
	if err := db.row(ctx, q.text(), q.args, &inbox, &e.MailFrom, &e.RcptTo, &e.RemoteIP, &e.Helo, &e.TLS, &size, &p.data, &p.blob); err != nil {
		return h, orNotFound(err, "quarantined mail")
	}
	r, err := db.openBody(ctx, p)
	if err != nil {
		return h, err
	}
	defer r.Close()
	h.Raw = make([]byte, size)
	if _, err := io.ReadFull(r, h.Raw); err != nil {
		return h, fmt.Errorf("quarantined mail %s: a body is damaged: %w", id, err)
	}
	h.Inbox, err = db.Inbox(ctx, scope, inbox)
	return h, err
}
