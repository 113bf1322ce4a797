package store

import (
	"context"
	"fmt"
	"time"

	"openmail"
	"openmail/internal/id"
)

const (
	podColumns = "p.id, p.account_id, p.client_id, p.name, p.is_default, p.created_at, " + stopColumns
	podFrom    = " from pod p" + stopOfPod
)

func scanPod(s scanner) (p openmail.Pod, err error) {
	var created int64
	var stop stopRow
	err = s.Scan(append([]any{&p.ID, &p.Account, &p.ClientID, &p.Name, &p.IsDefault, &created}, stop.into()...)...)
	p.CreatedAt, p.Suspension = moment(created), stop.suspension(p.Account)
	return p, err
}

// insertDefaultPod gives a new account the pod of the inboxes that name none.
func (t *tx) insertDefaultPod(a openmail.Account) error {
	return t.insertPod(openmail.Pod{
		ID: id.At(openmail.PrefixPod, a.CreatedAt), Account: a.ID, Name: "Default", IsDefault: true, CreatedAt: a.CreatedAt,
	})
}

func (t *tx) insertPod(p openmail.Pod) error {
	return t.must(clientIDTaken(), `insert into pod (id, account_id, client_id, name, is_default, created_at) values ($1, $2, $3, $4, $5, $6)
		on conflict (account_id, client_id) where client_id <> '' do nothing`,
		p.ID, p.Account, p.ClientID, p.Name, flag(p.IsDefault), micros(p.CreatedAt))
}

func clientIDTaken() error {
	return openmail.FieldErrorf(openmail.CodeClientIDTaken, "clientId", "Another pod has this clientId.")
}

// CreatePod implements mailbox.Pods.
func (db *DB) CreatePod(ctx context.Context, scope openmail.Scope, p openmail.Pod) error {
	if !scope.Covers(p.Account, "", "") {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error { return t.insertPod(p) })
}

// Pod implements mailbox.Pods.
func (db *DB) Pod(ctx context.Context, scope openmail.Scope, name string) (openmail.Pod, error) {
	for _, q := range podQueries(name) {
		q.inPod(scope, "p.account_id", "p.id", "")
		rows, err := db.query(ctx, q.text(), q.args...)
		if err != nil {
			return openmail.Pod{}, fmt.Errorf("read the pod: %w", err)
		}
		found, err := collect(rows, scanPod)
		if err != nil {
			return openmail.Pod{}, fmt.Errorf("read the pod: %w", err)
		}
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return openmail.Pod{}, notFound("pod")
}

// podQueries look for a pod by each way in which it may be named, in turn: an id
// wins over a clientId of the same text.
func podQueries(name string) []*query {
	by := func(column string, v any) *query {
		return newQuery("select " + podColumns + podFrom + " where " + column + " = ").arg(v)
	}
	if name == "" {
		return []*query{by("p.is_default", 1)}
	}
	return []*query{by("p.id", name), by("p.client_id", name).and(" and p.client_id <> ''")}
}

// Pods implements mailbox.Pods.
func (db *DB) Pods(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Pod, int, error) {
	where := func(q *query) *query {
		return q.and(" where 1 = 1").inPod(scope, "p.account_id", "p.id", "")
	}
	total, err := db.count(ctx, where(newQuery("select count(*) from pod p")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the pods: %w", err)
	}
	q := where(newQuery("select " + podColumns + podFrom)).and(" order by p.is_default desc, p.id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the pods: %w", err)
	}
	all, err := collect(rows, scanPod)
	return all, total, err
}

// UpdatePod implements mailbox.Pods.
func (db *DB) UpdatePod(ctx context.Context, scope openmail.Scope, p openmail.Pod) error {
	err := db.w.write(ctx, func(t *tx) error {
		q := newQuery("update pod set client_id = ").arg(p.ClientID).and(", name = ").arg(p.Name).and(" where id = ").arg(p.ID).inPod(scope, "account_id", "id", "")
		return t.must(notFound("pod"), q.text(), q.args...)
	})
	if db.dialect.unique(err) {
		return clientIDTaken()
	}
	return err
}

// DeletePod implements mailbox.Pods.
func (db *DB) DeletePod(ctx context.Context, scope openmail.Scope, pod string, at time.Time) error {
	return db.w.write(ctx, func(t *tx) error {
		var account string
		var isDefault bool
		// Held until the end: no inbox comes into it meanwhile.
		q := newQuery("select account_id, is_default from pod where id = ").arg(pod).inPod(scope, "account_id", "id", "").and(t.w.dialect.lockOf("pod"))
		if err := t.row(q.text(), q.args, &account, &isDefault); err != nil {
			return orNotFound(err, "pod")
		}
		if isDefault {
			return openmail.Errorf(openmail.CodeDefaultPod, "The default pod cannot be deleted.")
		}
		var full bool
		if err := t.row("select exists (select 1 from inbox where account_id = $1 and pod_id = $2)", []any{account, pod}, &full); err != nil {
			return err
		}
		if full {
			return openmail.Errorf(openmail.CodePodNotEmpty, "The pod has inboxes: delete them first.")
		}
		var bound bool
		if err := t.row("select exists (select 1 from mail_domain where pod_id <> '' and pod_id = $1)", []any{pod}, &bound); err != nil {
			return err
		}
		if bound {
			return openmail.Errorf(openmail.CodePodHasDomains, "The pod has domains: bind them to another pod, or delete them.")
		}
		return t.each([]any{pod}, "delete from suspension where subject = $1", "delete from pod where id = $1", "delete from rule where level_id = $1", "delete from policy where level_id = $1").
			then([]any{micros(at), account, pod}, "update api_key set revoked_at = $1 where account_id = $2 and pod_id = $3 and revoked_at = 0").err
	}, scope.Account)
}
