package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/mailbox"
)

// refusalsAnHour is how many addresses records name that one inbox refused in an
// hour, each way. The rest are counted in one record that names nobody: who is
// refused chooses how many addresses there are.
const refusalsAnHour = 100

// countedRecords is how many records are counted behind the page that is asked
// for.
const countedRecords = 10_000

// recordDetail is openmail.PolicyDetail as it stands in the table.
type recordDetail struct {
	Mode    openmail.Mode        `json:"mode,omitempty"`
	Type    openmail.RuleType    `json:"type,omitempty"`
	Value   string               `json:"value,omitempty"`
	Added   openmail.RuleChanges `json:"added,omitzero"`
	Removed openmail.RuleChanges `json:"removed,omitzero"`
	Held    string               `json:"held,omitempty"`
}

// record keeps what was changed.
func (t *tx) record(r openmail.PolicyRecord) error { return t.insertRecord(r, time.Time{}) }

// recordRefusal keeps that mail was refused: in the record of its kind and hour,
// where there is one.
func (t *tx) recordRefusal(r openmail.PolicyRecord) error {
	hour := r.CreatedAt.UTC().Truncate(time.Hour)
	n, err := t.exec(`update policy_record set times = times + 1
		where inbox_id = $1 and direction = $2 and hour = $3 and address = $4 and reason = $5 and hour > 0`,
		r.At.Inbox, string(r.Direction), micros(hour), r.Address, r.Reason)
	if err != nil || n > 0 {
		return err
	}
	err = t.row("select count(*) from policy_record where inbox_id = $1 and direction = $2 and hour = $3 and hour > 0",
		[]any{r.At.Inbox, string(r.Direction), micros(hour)}, &n)
	if err != nil {
		return err
	}
	if n >= refusalsAnHour {
		r.Address, r.Reason, r.Rule, r.Detail = "", "", "", openmail.PolicyDetail{}
	}
	return t.insertRecord(r, hour)
}

func (t *tx) insertRecord(r openmail.PolicyRecord, hour time.Time) error {
	detail, err := json.Marshal(recordDetail(r.Detail))
	if err != nil {
		return err
	}
	_, err = t.exec(`insert into policy_record (id, account_id, pod_id, inbox_id, action, direction, key_id, rule_id, hour, address, reason, times, detail, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $13)
		on conflict (inbox_id, direction, hour, address, reason) where hour > 0 do update set times = policy_record.times + 1`,
		r.ID, r.At.Account, r.At.Pod, r.At.Inbox, string(r.Action), string(r.Direction), r.Key, r.Rule, micros(hour), r.Address, r.Reason, string(detail), micros(r.CreatedAt))
	if err != nil {
		return fmt.Errorf("record what became of a policy: %w", err)
	}
	return nil
}

// RecordRefusal implements outgoing.Rules.
func (db *DB) RecordRefusal(ctx context.Context, scope openmail.Scope, r openmail.PolicyRecord) error {
	if !scope.Covers(r.At.Account, r.At.Pod, r.At.Inbox) {
		return notFound("inbox")
	}
	return db.w.write(ctx, func(t *tx) error { return t.recordRefusal(r) }, r.At.Account)
}

const recordColumns = "id, account_id, pod_id, inbox_id, action, direction, key_id, rule_id, address, reason, times, detail, created_at"

func scanRecord(s scanner) (r openmail.PolicyRecord, err error) {
	var text string
	var created int64
	if err := s.Scan(&r.ID, &r.At.Account, &r.At.Pod, &r.At.Inbox, &r.Action, &r.Direction, &r.Key, &r.Rule, &r.Address, &r.Reason, &r.Times, &text, &created); err != nil {
		return r, err
	}
	r.CreatedAt = moment(created)
	var detail recordDetail
	err = json.Unmarshal([]byte(text), &detail)
	r.Detail = openmail.PolicyDetail(detail)
	return r, err
}

// PolicyRecords implements mailbox.Records.
func (db *DB) PolicyRecords(ctx context.Context, scope openmail.Scope, f mailbox.RecordFilter, p openmail.Page) ([]openmail.PolicyRecord, int, error) {
	most := p.Offset + p.Limit + countedRecords
	total, err := db.count(ctx, newQuery("select count(*) from (").streams("1", scope, f, most).and(") as counted"))
	if err != nil {
		return nil, 0, fmt.Errorf("count the records of policies: %w", err)
	}
	q := newQuery("select "+recordColumns+" from (").streams(recordColumns, scope, f, p.Offset+p.Limit).and(") as found order by id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the records of policies: %w", err)
	}
	all, err := collect(rows, scanRecord)
	return all, min(total, most), err
}

// streams are the newest records of each action and direction that a filter
// chooses, at most so many of each: an index has them in their order, so none
// is read in vain.
func (q *query) streams(columns string, scope openmail.Scope, f mailbox.RecordFilter, most int) *query {
	between := ""
	for _, a := range orAll(f.Action, openmail.PolicyActions()) {
		for _, d := range orAll(f.Direction, []openmail.Direction{openmail.Inbound, openmail.Outbound}) {
			q.and(between + "select * from (select " + columns + " from policy_record where action = ").arg(string(a)).
				and(" and direction = ").arg(string(d)).ofRecords(scope).created(f).and(" order by id desc limit ").arg(most).and(") as stream")
			between = " union all "
		}
	}
	return q
}

// orAll is the one that was chosen, or all.
func orAll[T ~string](one T, all []T) []T {
	if one != "" {
		return []T{one}
	}
	return all
}

// ofRecords is inPod for records; it says what the indexes on parts of the table
// want to hear.
func (q *query) ofRecords(scope openmail.Scope) *query {
	switch {
	case scope.Inbox != "":
		q.and(" and inbox_id <> ''")
	case scope.Pod != "":
		q.and(" and pod_id <> ''")
	}
	return q.inPod(scope, "account_id", "pod_id", "inbox_id")
}

// created bounds the times of records, and the ids that belong to them.
func (q *query) created(f mailbox.RecordFilter) *query {
	if !f.Since.IsZero() {
		q.and(" and created_at >= ").arg(micros(f.Since)).and(" and id >= ").arg(id.First(openmail.PrefixRecord, f.Since))
	}
	if !f.Until.IsZero() {
		q.and(" and created_at < ").arg(micros(f.Until)).and(" and id < ").arg(id.First(openmail.PrefixRecord, f.Until.Add(time.Millisecond)))
	}
	return q
}

func sweepRecords(t *tx, before int64) (int64, error) {
	return t.exec("delete from policy_record where id in (select id from policy_record where created_at < $1 limit $2)", before, sweepBatch)
}
