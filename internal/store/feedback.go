package store

import (
	"context"
	"fmt"
	"time"

	"openmail"
	"openmail/internal/mailbox"
)

// KeepFeedback is how long it is kept what users say.
const KeepFeedback = 400 * 24 * time.Hour

const feedbackColumns = "id, account_id, pod_id, inbox_id, key_id, type, message, endpoint, error_code, request_id, created_at"

func scanFeedback(s scanner) (f mailbox.Feedback, err error) {
	var created int64
	err = s.Scan(&f.ID, &f.By.Account, &f.By.Pod, &f.By.Inbox, &f.Key, &f.Type, &f.Message, &f.Endpoint, &f.ErrorCode, &f.RequestID, &created)
	f.CreatedAt = moment(created)
	return f, err
}

// CreateFeedback implements mailbox.Feedbacks.
func (db *DB) CreateFeedback(ctx context.Context, scope openmail.Scope, f mailbox.Feedback, quota openmail.Quota) error {
	if !scope.Covers(f.By.Account, f.By.Pod, f.By.Inbox) {
		return notFound("account")
	}
	return db.w.write(ctx, func(t *tx) error {
		if err := t.takeQuotas([]openmail.Quota{quota}); err != nil {
			return err
		}
		_, err := t.exec("insert into feedback ("+feedbackColumns+") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			f.ID, f.By.Account, f.By.Pod, f.By.Inbox, f.Key, string(f.Type), f.Message, f.Endpoint, f.ErrorCode, f.RequestID, micros(f.CreatedAt))
		return err
	}, f.By.Account)
}

// Feedback implements mailbox.Feedbacks.
func (db *DB) Feedback(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]mailbox.Feedback, int, error) {
	where := func(q *query) *query {
		return q.and(" from feedback where 1 = 1").inPod(scope, "account_id", "pod_id", "inbox_id")
	}
	total, err := db.count(ctx, where(newQuery("select count(*)")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the feedback: %w", err)
	}
	q := where(newQuery("select " + feedbackColumns)).and(" order by id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the feedback: %w", err)
	}
	all, err := collect(rows, scanFeedback)
	return all, total, err
}

func sweepFeedback(t *tx, before int64) (int64, error) {
	return t.exec("delete from feedback where id in (select id from feedback where created_at < $1 limit $2)", before, sweepBatch)
}
