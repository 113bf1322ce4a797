package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"openmail"
	"openmail/internal/intake"
	"openmail/internal/mailbox"
)

// PolicyFor implements intake.Store and outgoing.Rules.
func (db *DB) PolicyFor(ctx context.Context, scope openmail.Scope, d openmail.Direction, at []openmail.Scope, addrs []string) ([]openmail.Policy, error) {
	var values []string
	for _, a := range addrs {
		values = append(values, openmail.RuleValues(a)...)
	}
	return policies(db.reading(ctx), scope, d, at, func(q *query) *query {
		if len(values) == 0 {
			return q.and(" and 1 = 0")
		}
		return q.and(" and r.value in (").some(values).and(")")
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

// some adds a parameter for each value, of which there is at least one.
func (q *query) some(values []string) *query {
	q.arg(values[0])
	for _, v := range padded(slices.Clip(values))[1:] {
		q.and(",").arg(v)
	}
	return q
}

// Policy implements mailbox.Policies.
func (db *DB) Policy(ctx context.Context, scope openmail.Scope, d openmail.Direction, at openmail.Scope) (openmail.Policy, error) {
	if !scope.Covers(at.Account, at.Pod, at.Inbox) {
		return nil, notFound("policy")
	}
	return wholePolicy(db.reading(ctx), d, at)
}

// reading runs queries beside the writer.
func (db *DB) reading(ctx context.Context) asking {
	return func(statement string, args ...any) (*sql.Rows, error) { return db.query(ctx, statement, args...) }
}

// asking runs a query, inside a transaction or not.
type asking func(statement string, args ...any) (*sql.Rows, error)

// wholePolicy reads the policy of a level with all rules, oldest first.
func wholePolicy(ask asking, d openmail.Direction, at openmail.Scope) (openmail.Policy, error) {
	p, err := policies(ask, openmail.Scope{Account: at.Account}, d, []openmail.Scope{at}, func(q *query) *query { return q })
	if err != nil {
		return nil, err
	}
	for _, l := range p[0] {
		slices.SortFunc(l.Rules, func(a, b openmail.Rule) int { return strings.Compare(a.ID, b.ID) })
	}
	return p[0], nil
}

// policies reads modes and rules of levels of the scope's account at once:
// every mail asks for them. Only levels that say something have a row, so mail
// looks for no rules where there are none.
func policies(ask asking, scope openmail.Scope, d openmail.Direction, at []openmail.Scope, only func(*query) *query) ([]openmail.Policy, error) {
	q := only(newQuery(`select p.level_id, p.mode, p.by_account, coalesce(r.id, ''), coalesce(r.type, ''), coalesce(r.value, ''),
		coalesce(r.by_account, 0), coalesce(r.created_at, 0)
		from policy p left join rule r on r.level_id = p.level_id and r.direction = p.direction`)).
		and(" where p.level_id in (").some(levelsOf(at)).and(") and p.direction = ").arg(string(d)).
		and(" and p.account_id = ").arg(scope.Account)
	rows, err := ask(q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	found := map[string]openmail.PolicyLevel{}
	_, err = collect(rows, func(s scanner) (struct{}, error) { return struct{}{}, scanPolicy(s, d, found) })
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	all := make([]openmail.Policy, len(at))
	for i, scope := range at {
		all[i] = policyOf(scope, found)
	}
	return all, nil
}

// levelsOf are the ids of all levels that the scopes stand for, each once.
func levelsOf(at []openmail.Scope) []string {
	var levels []string
	for _, scope := range at {
		levels = append(levels, scope.Levels()...)
	}
	slices.Sort(levels)
	return slices.Compact(levels)
}

// scanPolicy reads one line of the join into the level that it belongs to.
func scanPolicy(s scanner, d openmail.Direction, found map[string]openmail.PolicyLevel) error {
	var l openmail.PolicyLevel
	r := openmail.Rule{Direction: d}
	var level string
	var created int64
	if err := s.Scan(&level, &l.Mode, &l.ByAccount, &r.ID, &r.Type, &r.Value, &r.ByAccount, &created); err != nil {
		return err
	}
	if known, ok := found[level]; ok {
		l = known
	}
	if r.ID != "" { // else the level stands alone
		r.CreatedAt = moment(created)
		l.Rules = append(l.Rules, r)
	}
	found[level] = l
	return nil
}

// policyOf puts the levels that a scope stands for one after the other.
func policyOf(at openmail.Scope, found map[string]openmail.PolicyLevel) openmail.Policy {
	levels := at.Levels()
	p := make(openmail.Policy, len(levels))
	for n, id := range levels {
		l, ok := found[id]
		if !ok {
			l.Mode, l.ByAccount = unsetMode(n), n == 0
		}
		l.At = at.Above(n + 1)
		l.Rules = slices.Clone(l.Rules)
		for i := range l.Rules {
			l.Rules[i].At = l.At
		}
		p[n] = l
	}
	return p
}

// unsetMode is the mode of a level, counted from the account's, that nobody has
// set.
func unsetMode(n int) openmail.Mode {
	if n == 0 {
		return openmail.ModeNone
	}
	return openmail.ModeInherit
}

// ChangePolicy implements mailbox.Policies. The account's row is held from before
// the policies are read.
func (db *DB) ChangePolicy(ctx context.Context, scope, at openmail.Scope, ds []openmail.Direction, decide mailbox.Decide) error {
	if !scope.Covers(at.Account, at.Pod, at.Inbox) {
		return notFound("policy")
	}
	return db.w.write(ctx, func(t *tx) error {
		as := make([]openmail.Policy, len(ds))
		for i, d := range ds {
			var err error
			if as[i], err = wholePolicy(t.query, d, at); err != nil {
				return err
			}
		}
		changes, err := decide(as)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := t.putPolicy(scope, c); err != nil {
				return err
			}
		}
		return nil
	}, at.Account)
}

func (t *tx) putPolicy(scope openmail.Scope, c mailbox.PolicyChange) error {
	d, level := c.Record.Direction, levelID(c.Level.At)
	if err := t.policyExists(scope, c.Level.At, d); err != nil {
		return err
	}
	if _, err := t.exec("update policy set mode = $1, by_account = $2 where level_id = $3 and direction = $4",
		string(c.Level.Mode), flag(c.Level.ByAccount), level, string(d)); err != nil {
		return err
	}
	if c.ReplaceRules {
		if _, err := t.exec("delete from rule where level_id = $1 and direction = $2", level, string(d)); err != nil {
			return err
		}
		for _, r := range c.Level.Rules {
			if _, err := t.insertRule(r); err != nil {
				return err
			}
		}
	}
	return t.record(c.Record)
}

// levelID is the id of the narrowest level that a scope stands for.
func levelID(at openmail.Scope) string {
	levels := at.Levels()
	return levels[len(levels)-1]
}

// policyExists sees to it that a level that is there has its row.
func (t *tx) policyExists(scope, at openmail.Scope, d openmail.Direction) error {
	if !scope.Covers(at.Account, at.Pod, at.Inbox) {
		return notFound("policy")
	}
	there, args := "select 1 from account where id = $1", []any{at.Account}
	switch {
	case at.Inbox != "":
		there, args = "select 1 from inbox where account_id = $1 and pod_id = $2 and id = $3", []any{at.Account, at.Pod, at.Inbox}
	case at.Pod != "":
		there, args = "select 1 from pod where account_id = $1 and id = $2", []any{at.Account, at.Pod}
	}
	var one int
	if err := t.row(there, args, &one); err != nil {
		return orNotFound(err, "policy")
	}
	_, err := t.exec(`insert into policy (level_id, direction, account_id, mode, by_account) values ($1, $2, $3, $4, $5)
		on conflict (level_id, direction) do nothing`,
		levelID(at), string(d), at.Account, string(unsetMode(len(at.Levels())-1)), flag(at.Pod == ""))
	return err
}

// AddRule implements mailbox.Rules.
func (db *DB) AddRule(ctx context.Context, scope openmail.Scope, r openmail.Rule, most int, record openmail.PolicyRecord) (openmail.Rule, error) {
	var added openmail.Rule
	err := db.w.write(ctx, func(t *tx) (err error) {
		if err := t.policyExists(scope, r.At, r.Direction); err != nil {
			return err
		}
		if added, err = t.insertRule(r); err != nil {
			return err
		}
		if added.ID == r.ID { // there is one more
			if err := t.atMost(most, r); err != nil {
				return err
			}
		}
		record.Rule = added.ID
		return t.record(record)
	}, r.At.Account)
	return added, err
}

// atMost is mailbox.TooManyRules where a rule's level has more than that many the
// rule's way.
func (t *tx) atMost(most int, r openmail.Rule) error {
	var n int
	err := t.row("select count(*) from rule where level_id = $1 and direction = $2", []any{levelID(r.At), string(r.Direction)}, &n)
	if err == nil && n > most {
		return mailbox.TooManyRules()
	}
	return err
}

// insertRule writes a rule and returns it as it stands. A rule of the account's
// keys takes the place of the same one of a pod's key, which stays as old as it
// is and keeps its id.
func (t *tx) insertRule(r openmail.Rule) (openmail.Rule, error) {
	t.wrote = true
	var created int64
	err := t.row(`insert into rule (id, account_id, pod_id, inbox_id, level_id, direction, type, value, by_account, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		on conflict (level_id, direction, value, type) do update set by_account = 1 where rule.by_account < excluded.by_account
		returning id, created_at`,
		[]any{r.ID, r.At.Account, r.At.Pod, r.At.Inbox, levelID(r.At), string(r.Direction), string(r.Type), r.Value, flag(r.ByAccount), micros(r.CreatedAt)}, &r.ID, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return r, openmail.FieldErrorf(openmail.CodeRuleExists, "value", "There is a rule already that says %s %s.", r.Type, r.Value)
	}
	r.CreatedAt = moment(created)
	return r, err
}

// Rule implements mailbox.Rules.
func (db *DB) Rule(ctx context.Context, scope openmail.Scope, id string) (r openmail.Rule, err error) {
	q := newQuery("select id, account_id, pod_id, inbox_id, direction, type, value, by_account, created_at from rule where id = ").
		arg(id).within(scope, "account_id", "")
	var created int64
	err = db.row(ctx, q.text(), q.args, &r.ID, &r.At.Account, &r.At.Pod, &r.At.Inbox, &r.Direction, &r.Type, &r.Value, &r.ByAccount, &created)
	r.CreatedAt = moment(created)
	return r, orNotFound(err, "rule")
}

// DeleteRule implements mailbox.Rules.
func (db *DB) DeleteRule(ctx context.Context, scope openmail.Scope, r openmail.Rule, record openmail.PolicyRecord) error {
	if !scope.Covers(r.At.Account, r.At.Pod, r.At.Inbox) {
		return notFound("rule")
	}
	return db.w.write(ctx, func(t *tx) error {
		if err := t.must(notFound("rule"), "delete from rule where id = $1 and by_account = $2", r.ID, flag(r.ByAccount)); err != nil {
			return err
		}
		return t.record(record)
	}, r.At.Account)
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
	return only("quarantined mail", scanQuarantined)(db.query(ctx, q.text(), q.args...))
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
