package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"openmail"
	"openmail/internal/delivery"
	"openmail/internal/dispatch"
)

// maxFallen bounds how many deliveries one claim takes through their deadline.
const maxFallen = 256

// Lanes implements dispatch.Queue. It goes from lane to lane by one step into the
// index each, however much waits in them.
func (db *DB) Lanes(ctx context.Context, scope openmail.Scope) ([]dispatch.Lane, error) {
	q := newQuery(`with recursive l (account_id, lane) as (
		select a.id, (select min(e.lane) from event e where e.account_id = a.id and e.due_at > 0) from account a where 1 = 1`).within(scope, "a.id", "").and(`
		union all
		select l.account_id, (select min(e.lane) from event e where e.account_id = l.account_id and e.lane > l.lane and e.due_at > 0) from l where l.lane is not null
		) select account_id, lane from l where lane is not null`)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("look for what is due: %w", err)
	}
	return collect(rows, func(s scanner) (l dispatch.Lane, err error) { return l, s.Scan(&l.Account, &l.Inbox) })
}

// Due implements dispatch.Queue.
func (db *DB) Due(ctx context.Context, scope openmail.Scope, l dispatch.Lane) (posts, others time.Time, err error) {
	if !scope.Covers(l.Account, "", "") {
		return posts, others, notFound("account")
	}
	var armed, due, posting int64
	var stray bool
	now := time.Now()
	if err := db.row(ctx, laneStrays, []any{l.Account, l.Inbox, micros(now.Add(db.cfg.Rules.Longest()))}, &armed, &due, &posting, &stray); err != nil {
		return posts, others, fmt.Errorf("look for what is due: %w", err)
	}
	if stray {
		return moment(due), now, nil
	}
	return moment(due), moment(earliest(armed, posting)), nil
}

// laneTimes is the earliest due time of each state in the lane of account $1 and
// inbox $2, 0 where nothing is in it: a step into the index each.
const laneTimes = `select
	coalesce((select min(due_at) from event where account_id = $1 and lane = $2 and state = 'armed' and due_at > 0), 0),
	coalesce((select min(due_at) from event where account_id = $1 and lane = $2 and state = 'due' and due_at > 0), 0),
	coalesce((select min(due_at) from event where account_id = $1 and lane = $2 and state = 'posting' and due_at > 0), 0)`

// laneStrays is laneTimes, and whether anything is due after $3.
const laneStrays = laneTimes + `,
	exists (select 1 from event where account_id = $1 and lane = $2 and state = 'armed' and due_at > $3)
	or exists (select 1 from event where account_id = $1 and lane = $2 and state = 'due' and due_at > $3)
	or exists (select 1 from event where account_id = $1 and lane = $2 and state = 'posting' and due_at > $3)`

// Waiting is how many deliveries are in a state, and the earliest of their due
// times.
type Waiting struct {
	Count  int64
	Oldest time.Time
}

// Backlog counts the deliveries that are under way, by state.
func (db *DB) Backlog(ctx context.Context, scope openmail.Scope) (map[openmail.State]Waiting, error) {
	q := newQuery("select state, count(*), min(due_at) from event where due_at > 0").within(scope, "account_id", "inbox_id").and(" group by state")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("count what waits: %w", err)
	}
	backlog := map[openmail.State]Waiting{openmail.StateArmed: {}, openmail.StateDue: {}, openmail.StatePosting: {}}
	_, err = collect(rows, func(s scanner) (struct{}, error) {
		var state openmail.State
		var w Waiting
		var oldest int64
		err := s.Scan(&state, &w.Count, &oldest)
		w.Oldest = moment(oldest)
		backlog[state] = w
		return struct{}{}, err
	})
	return backlog, err
}

// earliest is the least of the times that are not 0; 0 when all are.
func earliest(times ...int64) int64 {
	var least int64
	for _, t := range times {
		if t != 0 && (least == 0 || t < least) {
			least = t
		}
	}
	return least
}

// Claim implements dispatch.Queue.
func (db *DB) Claim(ctx context.Context, scope openmail.Scope, c dispatch.Claim) (claimed dispatch.Claimed, err error) {
	err = db.w.write(ctx, func(t *tx) error {
		claimed = dispatch.Claimed{}
		k := claiming{tx: t, db: db, ctx: ctx, Claim: c, account: scope.Account, endpoints: map[string]*openmail.Endpoint{}, out: &claimed}
		return k.run()
	})
	if err != nil {
		return dispatch.Claimed{}, fmt.Errorf("claim: %w", err)
	}
	return claimed, nil
}

// claiming is one claim under way.
type claiming struct {
	*tx
	dispatch.Claim
	db        *DB
	ctx       context.Context
	account   string
	rules     delivery.Rules
	lifecycle bool                          // events without a message wait in the account
	endpoints map[string]*openmail.Endpoint // read so far, by inbox; nil: no enabled one
	out       *dispatch.Claimed
}

func (k *claiming) run() (err error) {
	if k.rules, err = k.rulesOf(k.account, k.db.cfg.Rules); err != nil {
		return err
	}
	if err := k.row(lifecycleWaits, []any{k.account}, &k.lifecycle); err != nil {
		return err
	}
	if err := k.recall(); err != nil {
		return err
	}
	for _, state := range []openmail.State{openmail.StateArmed, openmail.StatePosting} {
		if err := k.take(state, maxFallen, delivery.Fell); err != nil {
			return err
		}
	}
	e, err := k.endpoint(k.Lane.Inbox)
	if err != nil {
		return err
	}
	posts := k.Posts
	if e == nil {
		posts = maxFallen // each ends, or moves on, at once
	}
	if err := k.take(openmail.StateDue, posts, delivery.Claimed); err != nil {
		return err
	}
	return k.next()
}

// recall makes due what lies further ahead than anything is planned for: the clock
// was set back since.
func (k *claiming) recall() error {
	for _, state := range []openmail.State{openmail.StateArmed, openmail.StateDue, openmail.StatePosting} {
		if _, err := k.exec(`update event set due_at = $1 where account_id = $2 and seq in (
			select seq from event where account_id = $2 and lane = $3 and state = $4 and due_at > $5 limit $6)`,
			micros(k.At), k.account, k.Lane.Inbox, string(state), micros(k.At.Add(k.rules.Longest())), maxFallen); err != nil {
			return err
		}
	}
	return nil
}

// endpoint is the enabled endpoint of an inbox, or with "" of the account; nil
// when there is none.
func (k *claiming) endpoint(inbox string) (*openmail.Endpoint, error) {
	if e, known := k.endpoints[inbox]; known {
		return e, nil
	}
	e, err := k.db.endpointIn(k.tx, k.account, inbox)
	k.endpoints[inbox] = e
	return e, err
}

// target is the endpoint that an inbox's events go to now, nil when there is
// none, and its lane.
func (k *claiming) target(inbox string) (e *openmail.Endpoint, lane string, err error) {
	if e, err = k.endpoint(inbox); e != nil || err != nil {
		return e, inbox, err
	}
	e, err = k.endpoint("")
	return e, "", err
}

// rulesOf are the rules with the account's own deadline.
func (t *tx) rulesOf(account string, rules delivery.Rules) (delivery.Rules, error) {
	var deadline int64
	if err := t.row("select receipt_deadline from account where id = $1", []any{account}, &deadline); err != nil {
		return rules, fmt.Errorf("read the account: %w", err)
	}
	if deadline > 0 {
		rules.Deadline = time.Duration(deadline) * time.Microsecond
	}
	return rules, nil
}

// take gives an input to the deliveries in a state whose time has come.
func (k *claiming) take(state openmail.State, limit int, kind delivery.Kind) error {
	if limit <= 0 {
		return nil
	}
	due := func(condition string) found {
		return func(what string) (*sql.Rows, error) {
			return k.query(what+` where e.account_id = $1 and e.lane = $2 and e.state = $3 and e.due_at > 0 and e.due_at <= $4`+condition+`
				order by e.due_at limit $5`+k.w.dialect.claimOf("e"), k.account, k.Lane.Inbox, string(state), micros(k.At), limit)
		}
	}
	if k.lifecycle { // these first: there are few, and all that comes in would keep them back
		events, err := lifecycles(due(" and e.message_id = ''"))
		if err := k.steps(events, kind, err); err != nil {
			return err
		}
		limit -= len(events)
	}
	events, err := k.db.received(k.ctx, due(""))
	return k.steps(events, kind, err)
}

func (k *claiming) steps(events []openmail.Event, kind delivery.Kind, err error) error {
	for i := 0; i < len(events) && err == nil; i++ {
		err = k.step(events[i], kind)
	}
	return err
}

func (k *claiming) step(e openmail.Event, kind delivery.Kind) error {
	endpoint, lane, err := k.target(e.Inbox)
	if err != nil {
		return err
	}
	if lane != e.Lane {
		return k.move(e, lane)
	}
	before := e.Delivery
	route := delivery.Route{Socket: k.Listening(e.Account, e.Inbox, e.Type), Webhook: endpoint != nil}
	in := delivery.Input{Kind: kind, At: k.At, Route: route}
	next, changed := k.rules.Next(before, in)
	if !changed {
		return nil
	}
	if before.State == openmail.StatePosting {
		lost := openmail.Attempt{
			N: before.Attempts, Channel: openmail.ChannelWebhook, At: k.At, Outcome: openmail.OutcomeLost,
			Error: "the server stopped before the answer came",
		}
		if err := k.attempt(e.ID, lost); err != nil {
			return err
		}
	}
	if err := k.settle(e, next); err != nil {
		return err
	}
	e.Delivery = next
	switch next.State {
	case openmail.StatePosting:
		k.out.Posts = append(k.out.Posts, dispatch.Post{Event: e, Endpoint: *endpoint})
	case openmail.StateArmed:
		k.out.Waiting = append(k.out.Waiting, e)
	}
	return nil
}

// move puts a delivery into another lane, which takes it from there: its inbox
// has been given an endpoint, or has lost it.
func (k *claiming) move(e openmail.Event, lane string) error {
	if _, err := k.exec("update event set lane = $1 where account_id = $2 and seq = $3", lane, e.Account, int64(e.Position)); err != nil {
		return err
	}
	if to := (dispatch.Lane{Account: e.Account, Inbox: lane}); !slices.Contains(k.out.Moved, to) {
		k.out.Moved = append(k.out.Moved, to)
	}
	return nil
}

// next finds when there is something to do again.
func (k *claiming) next() error {
	var armed, due, posting int64
	err := k.row(laneTimes, []any{k.account, k.Lane.Inbox}, &armed, &due, &posting)
	k.out.Next = moment(earliest(armed, due, posting))
	return err
}

// settle writes a delivery, if it still is as it was read.
func (t *tx) settle(e openmail.Event, d openmail.Delivery) error {
	was := e.Delivery
	n, err := t.exec(`update event set state = $1, reason = $2, channel = $3, attempts = $4, posts = $5, due_at = $6, delivered_at = $7, lane = $8
		where account_id = $9 and seq = $10 and state = $11 and attempts = $12`,
		string(d.State), string(d.Reason), string(d.Channel), d.Attempts, d.Posts, micros(d.Due), micros(d.DeliveredAt), e.Lane,
		e.Account, int64(e.Position), string(was.State), was.Attempts)
	if err == nil && n != 1 {
		return fmt.Errorf("event %s changed under its transaction", e.ID)
	}
	if d.Attempts > was.Attempts {
		t.forget(e.Account) // the next push of it carries a higher number
	}
	return err
}

func (t *tx) attempt(event string, a openmail.Attempt) error {
	_, err := t.exec(`insert into attempt (event_id, at, n, channel, took, status, outcome, error, remote, response)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing`,
		event, micros(a.At), a.N, string(a.Channel), a.Took.Microseconds(), a.Status, string(a.Outcome), a.Error, a.Remote, a.Response)
	return err
}

// Settle implements dispatch.Queue.
func (db *DB) Settle(ctx context.Context, scope openmail.Scope, posts []dispatch.Settled) error {
	return db.w.write(ctx, func(t *tx) error {
		for _, p := range posts {
			if err := t.answered(scope, p, db.cfg.Rules); err != nil {
				return fmt.Errorf("settle %s: %w", p.Post.Event.ID, err)
			}
		}
		return nil
	})
}

func (t *tx) answered(scope openmail.Scope, p dispatch.Settled, rules delivery.Rules) error {
	e, err := t.eventAt(scope, p.Post.Event.Account, p.Post.Event.Position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	if err := t.attempt(e.ID, p.Attempt); err != nil {
		return err
	}
	if p.Attempt.Outcome == openmail.OutcomeGone {
		if err := t.disable(p.Post.Endpoint); err != nil {
			return err
		}
	}
	next, changed := rules.Next(e.Delivery, delivery.Input{
		Kind: delivery.Answered, At: p.Attempt.At.Add(p.Attempt.Took), Attempt: p.Attempt.N,
		Outcome: p.Attempt.Outcome, RetryAfter: p.RetryAfter,
	})
	if !changed {
		return nil
	}
	return t.settle(e, next)
}

// eventAt reads one event, without its payload; sql.ErrNoRows.
func (t *tx) eventAt(scope openmail.Scope, account string, p openmail.Position) (openmail.Event, error) {
	var r eventRow
	q := newQuery("select " + eventColumns + " from event e where e.account_id = ").arg(account).and(" and e.seq = ").arg(int64(p)).
		inLog(scope).and(t.w.dialect.lockOf("e"))
	err := t.row(q.text(), q.args, r.into()...)
	return r.event(), err
}

// Confirm implements dispatch.Receipts.
func (db *DB) Confirm(ctx context.Context, scope openmail.Scope, receipts []dispatch.Receipt) error {
	receipts = inOrder(receipts)
	return db.w.write(ctx, func(t *tx) error {
		for _, r := range receipts {
			if err := t.confirm(scope, r, db.cfg.Rules); err != nil {
				return fmt.Errorf("confirm: %w", err)
			}
		}
		return nil
	})
}

func (t *tx) confirm(scope openmail.Scope, r dispatch.Receipt, rules delivery.Rules) error {
	e, err := t.eventAt(scope, r.Account, r.Position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	next, changed := rules.Next(e.Delivery, delivery.Input{Kind: delivery.Receipt, At: r.At, Attempt: r.Attempt})
	if !changed {
		return nil // another socket's receipt, or a 2xx, was first
	}
	if err := t.settle(e, next); err != nil {
		return err
	}
	return t.attempt(e.ID, pushed(r, openmail.OutcomeDelivered, ""))
}

// inOrder is receipts in the order in which every node takes their events: two
// may have receipts for the same ones.
func inOrder(receipts []dispatch.Receipt) []dispatch.Receipt {
	return slices.SortedStableFunc(slices.Values(receipts), func(a, b dispatch.Receipt) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), cmp.Compare(a.Position, b.Position))
	})
}

// pushed is the attempt that a receipt, or the want of one, ends.
func pushed(r dispatch.Receipt, o openmail.Outcome, why string) openmail.Attempt {
	return openmail.Attempt{
		N: r.Attempt, Channel: openmail.ChannelWebSocket, At: r.PushedAt, Took: r.At.Sub(r.PushedAt),
		Outcome: o, Error: why, Remote: r.Remote,
	}
}

// Offer implements dispatch.Overdue. As with Redeliver, a reader looks for what
// may be offered: of a long backlog only its beginning.
func (db *DB) Offer(ctx context.Context, scope openmail.Scope, upTo openmail.Position, wanted func(openmail.Event) bool, limit int) (offered []openmail.Event, err error) {
	found, err := db.overdue(ctx, scope, upTo, wanted, limit)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	err = db.w.write(ctx, func(t *tx) error {
		offered = offered[:0]
		rules, err := t.rulesOf(scope.Account, db.cfg.Rules)
		if err != nil {
			return err
		}
		due, err := db.locked(ctx, t, scope, dispatch.Filter{State: openmail.StateDue}, found)
		if err != nil {
			return err
		}
		for _, e := range due {
			in := delivery.Input{Kind: delivery.Offered, At: time.Now(), Route: delivery.Route{Socket: true}}
			if e, err = t.give(e, rules, in); err != nil {
				return err
			}
			offered = append(offered, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("offer: %w", err)
	}
	return offered, nil
}

// overdue finds the positions of events that wait for a post and are wanted,
// among the maxScan of each lane that fall due first.
func (db *DB) overdue(ctx context.Context, scope openmail.Scope, upTo openmail.Position, wanted func(openmail.Event) bool, limit int) (found []openmail.Position, err error) {
	lanes, err := db.lanesFor(ctx, scope)
	if err != nil {
		return nil, err
	}
	for _, l := range lanes {
		if l.Inbox != "" && !wanted(openmail.Event{Account: l.Account, Inbox: l.Inbox, Type: openmail.MessageReceived}) {
			continue
		}
		all, err := db.overdueIn(ctx, scope, l, upTo, limit)
		if err != nil {
			return nil, fmt.Errorf("look for what to offer: %w", err)
		}
		for _, e := range all {
			if wanted(e) && len(found) < limit {
				found = append(found, e.Position)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// maxLanes bounds how many lanes are looked at for a socket that subscribes.
const maxLanes = 1000

// lanesFor returns lanes that may hold something of a scope: those of the account
// that have something waiting, or for a narrower scope the account's and those
// of its own inboxes.
func (db *DB) lanesFor(ctx context.Context, scope openmail.Scope) ([]dispatch.Lane, error) {
	if scope.WholeAccount() {
		lanes, err := db.Lanes(ctx, openmail.Scope{Account: scope.Account})
		return lanes[:min(len(lanes), maxLanes)], err
	}
	q := newQuery("select i.account_id, i.id from inbox i where exists (select 1 from event e where e.account_id = i.account_id and e.lane = i.id and e.due_at > 0)").
		inPod(scope, "i.account_id", "i.pod_id", "i.id").and(" limit ").arg(maxLanes)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("look for what is due: %w", err)
	}
	own, err := collect(rows, func(s scanner) (l dispatch.Lane, err error) { return l, s.Scan(&l.Account, &l.Inbox) })
	return append(own, dispatch.Lane{Account: scope.Account}), err
}

func (db *DB) overdueIn(ctx context.Context, scope openmail.Scope, l dispatch.Lane, upTo openmail.Position, limit int) ([]openmail.Event, error) {
	q := newQuery("select " + eventColumns + " from (select * from event where account_id = ").arg(l.Account).and(" and lane = ").arg(l.Inbox).
		and(" and state = 'due' and due_at > 0 order by due_at limit ").arg(maxScan).and(") e where e.seq <= ").arg(int64(upTo)).
		inLog(scope).and(" order by e.due_at limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanEvent)
}

// locked reads those of the events at positions that lie within a scope and
// match a filter, to be changed, until their payloads fill a page.
func (db *DB) locked(ctx context.Context, t *tx, scope openmail.Scope, f dispatch.Filter, at []openmail.Position) (all []openmail.Event, err error) {
	for size := 0; len(at) > 0 && size < maxPage; at = at[1:] {
		found := func(what string) (*sql.Rows, error) {
			q := newQuery(what + " where e.account_id = ").arg(scope.Account).and(" and e.seq = ").arg(int64(at[0])).
				inLog(scope).filtered(f).and(t.w.dialect.lockOf("e"))
			return t.query(q.text(), q.args...)
		}
		one, err := db.received(ctx, found)
		if err == nil && len(one) == 0 {
			one, err = lifecycles(found)
		}
		if err != nil {
			return nil, err
		}
		for _, e := range one {
			size += len(e.Payload)
		}
		all = append(all, one...)
	}
	return all, nil
}

// give gives an input to an event's delivery, and returns the event as it is
// then.
func (t *tx) give(e openmail.Event, rules delivery.Rules, in delivery.Input) (openmail.Event, error) {
	next, changed := rules.Next(e.Delivery, in)
	if !changed {
		return e, nil
	}
	if err := t.settle(e, next); err != nil {
		return e, err
	}
	e.Delivery = next
	return e, nil
}

// Redeliver implements dispatch.Resends. What matches is looked for by a
// reader: a filter may have to pass a million events, and the writer has others
// to serve.
func (db *DB) Redeliver(ctx context.Context, scope openmail.Scope, f dispatch.Filter, after openmail.Position, limit int, listening dispatch.Listening) (again []openmail.Event, err error) {
	for len(again) == 0 {
		found, err := db.matching(ctx, scope, f, after, limit)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		err = db.w.write(ctx, func(t *tx) (err error) {
			again, err = db.redeliver(ctx, t, scope, f, found, listening)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("redeliver: %w", err)
		}
		after = found[len(found)-1] // all have changed meanwhile: look on
	}
	return again, nil
}

// matching finds the first positions of events that a filter matches.
func (db *DB) matching(ctx context.Context, scope openmail.Scope, f dispatch.Filter, after openmail.Position, limit int) ([]openmail.Position, error) {
	q := newQuery("select e.seq from event e").ofLog(scope).and(" and e.seq > ").arg(int64(after)).filtered(f).and(" order by e.seq limit ").arg(limit)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("look for what to redeliver: %w", err)
	}
	return collect(rows, func(s scanner) (p openmail.Position, err error) { return p, s.Scan(&p) })
}

// redeliver takes those of the events that still match through
// delivery.Redeliver.
func (db *DB) redeliver(ctx context.Context, t *tx, scope openmail.Scope, f dispatch.Filter, found []openmail.Position, listening dispatch.Listening) (again []openmail.Event, err error) {
	rules, err := t.rulesOf(scope.Account, db.cfg.Rules)
	if err != nil {
		return nil, err
	}
	all, err := db.locked(ctx, t, scope, f, found)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		route := delivery.Route{Socket: listening(e.Account, e.Inbox, e.Type)}
		if route.Webhook, e.Lane, err = t.route(e.Account, e.Inbox); err != nil {
			return nil, err
		}
		if e, err = t.give(e, rules, delivery.Input{Kind: delivery.Redeliver, At: time.Now(), Route: route}); err != nil {
			return nil, err
		}
		again = append(again, e)
	}
	return again, nil
}
