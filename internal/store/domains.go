package store

import (
	"context"
	"fmt"
	"time"

	"openmail"
)

const selectDomain = `select id, account_id, pod_id, name, token, status, reason, checks, receives, tries, version,
	created_at, verified_at, checked_at, due_at from mail_domain`

func scanDomain(s scanner) (d openmail.Domain, err error) {
	var checks string
	var created, verified, checked, due int64
	err = s.Scan(&d.ID, &d.Account, &d.Pod, &d.Name, &d.Token, &d.Status, &d.Reason, &checks, &d.Receives, &d.Tries, &d.Version,
		&created, &verified, &checked, &due)
	if err != nil {
		return d, err
	}
	d.CreatedAt, d.VerifiedAt, d.CheckedAt, d.Due = moment(created), moment(verified), moment(checked), moment(due)
	d.Checks, err = unlist[openmail.RecordCheck](checks)
	return d, err
}

func (db *DB) oneDomain(ctx context.Context, q *query) (openmail.Domain, error) {
	return only("domain", scanDomain)(db.query(ctx, q.text(), q.args...))
}

// CreateDomain implements domains.Store.
func (db *DB) CreateDomain(ctx context.Context, scope openmail.Scope, d openmail.Domain, quotas []openmail.Quota) error {
	if !scope.Covers(d.Account, d.Pod, "") {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error {
		if err := t.holdPod(d.Account, d.Pod); err != nil {
			return err
		}
		exists := openmail.FieldErrorf(openmail.CodeDomainExists, "domain", "The account has the domain %s already.", d.Name)
		err := t.must(exists, `insert into mail_domain (id, account_id, pod_id, name, token, status, reason, checks, receives, tries, version,
			created_at, verified_at, checked_at, due_at) values ($1, $2, $3, $4, $5, $6, '', '[]', 0, 0, 0, $7, 0, 0, $8)
			on conflict (account_id, name) do nothing`,
			d.ID, d.Account, d.Pod, d.Name, d.Token, string(d.Status), micros(d.CreatedAt), micros(d.Due))
		if err != nil {
			return err
		}
		var taken bool
		if err := t.row("select exists (select 1 from mail_domain where name = $1 and verified_at > 0)", []any{d.Name}, &taken); err != nil {
			return err
		}
		if taken {
			return domainTaken(d.Name)
		}
		return t.takeQuotas(quotas)
	})
}

func domainTaken(name string) error {
	return openmail.FieldErrorf(openmail.CodeDomainTaken, "domain", "Another account of this server has proved that %s is its own.", name)
}

// holdPod keeps a pod until the transaction ends; "" is none.
func (t *tx) holdPod(account, pod string) error {
	if pod == "" {
		return nil
	}
	var id string
	err := t.row("select id from pod where account_id = $1 and id = $2"+t.w.dialect.lockOf("pod"), []any{account, pod}, &id)
	if noRows(err) {
		return openmail.FieldErrorf(openmail.CodeInvalidPod, "podId", "There is no such pod.")
	}
	return err
}

// Domain implements domains.Store.
func (db *DB) Domain(ctx context.Context, scope openmail.Scope, name string) (openmail.Domain, error) {
	for _, column := range []string{"id", "name"} {
		q := newQuery(selectDomain+" where "+column+" = ").arg(name).inPod(scope, "account_id", "pod_id", "")
		d, err := db.oneDomain(ctx, q)
		if openmail.CodeOf(err) != openmail.CodeNotFound {
			return d, err
		}
	}
	return openmail.Domain{}, notFound("domain")
}

// Domains implements domains.Store.
func (db *DB) Domains(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Domain, int, error) {
	total, err := db.count(ctx, newQuery("select count(*) from mail_domain where 1 = 1").inPod(scope, "account_id", "pod_id", ""))
	if err != nil {
		return nil, 0, fmt.Errorf("count the domains: %w", err)
	}
	q := newQuery(selectDomain+" where 1 = 1").inPod(scope, "account_id", "pod_id", "").and(" order by id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the domains: %w", err)
	}
	all, err := collect(rows, scanDomain)
	return all, total, err
}

// UsableDomain implements mailbox.Domains.
func (db *DB) UsableDomain(ctx context.Context, scope openmail.Scope, name, pod string) (openmail.Domain, error) {
	q := newQuery(selectDomain + " where name = ").arg(name).and(" and verified_at > 0 and account_id = ").arg(scope.Account)
	return db.oneDomain(ctx, q.and(" and (pod_id = '' or pod_id = ").arg(pod).and(")"))
}

// holdDomain keeps the domain of a new inbox as it is until the transaction
// ends.
func (t *tx) holdDomain(in openmail.Inbox, pod string) error {
	if in.Domain == "" {
		return nil
	}
	var id string
	err := t.row("select id from mail_domain where id = $1 and account_id = $2 and verified_at > 0 and (pod_id = '' or pod_id = $3)"+t.w.dialect.lockOf("mail_domain"),
		[]any{in.Domain, in.Account, pod}, &id)
	if noRows(err) {
		return openmail.FieldErrorf(openmail.CodeInvalidDomain, "domain", "The domain is gone, or the pod may no longer use it.")
	}
	return err
}

// changeDomain changes a domain that no inbox comes to meanwhile, unless one
// that the condition names is there. The pod is held before the domain, as by
// who makes an inbox.
func (db *DB) changeDomain(ctx context.Context, scope openmail.Scope, id, pod, unless string, args []any, change func(t *tx) error) error {
	return db.w.write(ctx, func(t *tx) error {
		if err := t.holdPod(scope.Account, pod); err != nil {
			return err
		}
		q := newQuery("select id from mail_domain where id = ").arg(id).inPod(scope, "account_id", "pod_id", "").and(t.w.dialect.lockOf("mail_domain"))
		if err := t.row(q.text(), q.args, &id); err != nil {
			return orNotFound(err, "domain")
		}
		var held bool
		if err := t.row("select exists (select 1 from inbox where domain_id <> '' and domain_id = $1"+unless+")", append([]any{id}, args...), &held); err != nil {
			return err
		}
		if held {
			return openmail.Errorf(openmail.CodeDomainHasInboxes, "There are inboxes on the domain that would be left without it: delete them first.")
		}
		return change(t)
	})
}

// DeleteDomain implements domains.Changes. Its signing keys stay: who brings it
// again is shown the same records.
func (db *DB) DeleteDomain(ctx context.Context, scope openmail.Scope, id string) error {
	return db.changeDomain(ctx, scope, id, "", "", nil, func(t *tx) error {
		_, err := t.exec("delete from mail_domain where id = $1", id)
		return err
	})
}

// BindDomain implements domains.Changes.
func (db *DB) BindDomain(ctx context.Context, scope openmail.Scope, id, pod string) error {
	return db.changeDomain(ctx, scope, id, pod, " and $2 <> '' and pod_id <> $2", []any{pod}, func(t *tx) error {
		_, err := t.exec("update mail_domain set pod_id = $1 where id = $2", pod, id)
		return err
	})
}

// SettleDomain implements domains.Due.
func (db *DB) SettleDomain(ctx context.Context, scope openmail.Scope, d openmail.Domain) error {
	err := db.w.write(ctx, func(t *tx) error {
		var version int
		q := newQuery("select version from mail_domain where id = ").arg(d.ID).inPod(scope, "account_id", "pod_id", "").and(t.w.dialect.lockOf("mail_domain"))
		if err := t.row(q.text(), q.args, &version); err != nil {
			return orNotFound(err, "domain")
		}
		if version != d.Version {
			return openmail.Errorf(openmail.CodeConflict, "Another check of the domain ended meanwhile.")
		}
		_, err := t.exec(`update mail_domain set status = $1, reason = $2, checks = $3, receives = $4, tries = $5, version = version + 1,
			verified_at = $6, checked_at = $7, due_at = $8 where id = $9`,
			string(d.Status), d.Reason, list(d.Checks), flag(d.Receives), d.Tries, micros(d.VerifiedAt), micros(d.CheckedAt), micros(d.Due), d.ID)
		return err
	})
	if db.dialect.unique(err) {
		return domainTaken(d.Name)
	}
	return err
}

// ClaimDomains implements domains.Due.
func (db *DB) ClaimDomains(ctx context.Context, _ openmail.Scope, by, until time.Time, limit int) (due []openmail.Domain, err error) {
	err = db.w.write(ctx, func(t *tx) error {
		rows, err := t.query(selectDomain+" where due_at > 0 and due_at <= $1 order by due_at limit $2"+t.w.dialect.claimOf("mail_domain"), micros(by), limit)
		if err != nil {
			return err
		}
		if due, err = collect(rows, scanDomain); err != nil {
			return err
		}
		for _, d := range due {
			if _, err := t.exec("update mail_domain set due_at = $1 where id = $2", micros(until), d.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim domains: %w", err)
	}
	return due, nil
}

// NextDomain implements domains.Due.
func (db *DB) NextDomain(ctx context.Context, _ openmail.Scope) (time.Time, error) {
	var due int64
	err := db.row(ctx, "select coalesce(min(due_at), 0) from mail_domain where due_at > 0", nil, &due)
	return moment(due), err
}

// ReceivesFor reports whether mail to a domain that an account has brought comes
// to this server: it is verified, and its MX record led here when that was last
// looked at.
func (db *DB) ReceivesFor(ctx context.Context, _ openmail.Scope, name string) (yes bool, err error) {
	err = db.row(ctx, "select exists (select 1 from mail_domain where name = $1 and verified_at > 0 and receives = 1)", []any{name}, &yes)
	return yes, err
}

// CountDomains is how many there are with each status.
func (db *DB) CountDomains(ctx context.Context, _ openmail.Scope) (map[openmail.DomainStatus]int64, error) {
	counts := map[openmail.DomainStatus]int64{openmail.DomainPending: 0, openmail.DomainVerified: 0, openmail.DomainFailed: 0}
	rows, err := db.query(ctx, "select status, count(*) from mail_domain group by status")
	if err != nil {
		return nil, err
	}
	type one struct {
		status openmail.DomainStatus
		n      int64
	}
	all, err := collect(rows, func(s scanner) (o one, err error) { return o, s.Scan(&o.status, &o.n) })
	for _, o := range all {
		counts[o.status] = o.n
	}
	return counts, err
}
