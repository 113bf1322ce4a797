package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"
)

// Retention says how long things are kept. Zero means for ever.
type Retention struct {
	// Events is for events and their attempts: nothing older can be
	// replayed.
	Events time.Duration
	// Messages is for messages with their raw mail.
	Messages time.Duration
	// Trash is for threads that were deleted.
	Trash time.Duration
	// Audit is for what was changed of policies, and what they refused.
	Audit time.Duration
}

// How the store looks after itself.
const (
	checkpointEvery = 2 * time.Second
	sweepEvery      = 10 * time.Minute
	sweepBatch      = 500   // rows removed in one transaction
	maxWAL          = 16384 // pages after which the writer itself must wait for a checkpoint
	orphanAge       = time.Hour
)

// Run looks after the store until ctx ends: it copies the write-ahead log back,
// and removes what retention says and what is left over. It returns an error
// only when the disk has failed, after which nothing may be acknowledged.
func (db *DB) Run(ctx context.Context) error {
	checkpoint := time.NewTicker(checkpointEvery)
	defer checkpoint.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	db.shorten(ctx) // else a process that dies young leaves its successor ever more of the log to read
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-db.failed:
			return err
		case <-checkpoint.C:
			db.shorten(ctx)
		case <-sweep.C:
			db.logSweep(ctx)
		}
	}
}

func (db *DB) logSweep(ctx context.Context) {
	removed, err := db.Sweep(ctx, time.Now())
	if err != nil && ctx.Err() == nil {
		db.cfg.Logger.Error("store.sweep", "error", err)
	}
	if removed > 0 {
		db.cfg.Logger.Log(ctx, slog.LevelInfo, "store.sweep", "removed", removed)
	}
}

// shorten is checkpoint; what fails is tried again. A failed fsync is fatal here
// too: class sees to it.
func (db *DB) shorten(ctx context.Context) {
	if err := db.checkpoint(ctx); err != nil && ctx.Err() == nil {
		db.cfg.Logger.Warn("store.checkpoint", "error", db.w.class(err))
	}
}

// checkpoint copies the write-ahead log into the database file, beside the
// writer. Only when the log has become long does the writer wait for it: under
// a constant load it could otherwise never begin anew.
func (db *DB) checkpoint(ctx context.Context) error {
	if !db.dialect.single {
		return nil
	}
	var busy, pages, copied int
	if err := db.writers.QueryRowContext(ctx, "pragma wal_checkpoint(passive)").Scan(&busy, &pages, &copied); err != nil {
		return err
	}
	if pages < maxWAL {
		return nil
	}
	return db.w.pause(ctx, func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, "pragma wal_checkpoint(restart)").Scan(&busy, &pages, &copied)
	})
}

// Sweep removes what is past its time at that moment, in small transactions,
// and returns how many rows it removed.
func (db *DB) Sweep(ctx context.Context, now time.Time) (removed int64, err error) {
	r := db.cfg.Retention
	for _, s := range []struct {
		keep time.Duration // 0: for ever
		do   func(*tx, int64) (int64, error)
	}{
		{1, sweepQuarantine}, // each mail has its own time
		{r.Events, sweepEvents},
		{r.Events, sweepGone},
		{r.Messages, db.sweepMessages},
		{r.Trash, db.sweepTrash},
		{r.Audit, sweepRecords},
		{keepSendKeys, sweepSendKeys},
		{keepTallies, sweepTallies},
		{KeepUsage, sweepUsage},
		{KeepFeedback, sweepFeedback},
	} {
		if s.keep == 0 {
			continue
		}
		n, err := db.sweepAll(ctx, now.Add(-s.keep), s.do)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("sweep: %w", err)
		}
	}
	n, err := db.sweepBlobs(ctx, now.Add(-orphanAge))
	return removed + n, err
}

func (db *DB) sweepAll(ctx context.Context, before time.Time, do func(*tx, int64) (int64, error)) (removed int64, err error) {
	for {
		var n int64
		if err := db.w.write(ctx, func(t *tx) (err error) {
			n, err = do(t, micros(before))
			return err
		}); err != nil {
			return removed, err
		}
		if removed += n; n == 0 {
			return removed, nil
		}
	}
}

func sweepQuarantine(t *tx, before int64) (int64, error) {
	return t.exec("delete from quarantine where id in (select id from quarantine where expires_at > 0 and expires_at <= $1 limit $2)", before, sweepBatch)
}

// sweepEvents leaves what is still on its way.
func sweepEvents(t *tx, before int64) (int64, error) {
	return t.removeEvents("select e.id from event e where e.occurred_at < $1 and e.due_at = 0 limit $2", before, sweepBatch)
}

// sweepGone forgets the places of events that would have been swept by now.
func sweepGone(t *tx, before int64) (int64, error) {
	return t.exec("delete from event_gone where id in (select id from event_gone where occurred_at < $1 limit $2)", before, sweepBatch)
}

func (t *tx) removeEvents(which string, args ...any) (int64, error) {
	for _, table := range []string{"attempt", "lifecycle"} {
		if _, err := t.exec("delete from "+table+" where event_id in ("+which+")", args...); err != nil {
			return 0, err
		}
	}
	return t.exec("delete from event where id in ("+which+")", args...)
}

func (db *DB) sweepMessages(t *tx, before int64) (int64, error) {
	return db.removeMessages(t, "where created_at < $1 order by created_at limit $2", before)
}

func (db *DB) sweepTrash(t *tx, before int64) (int64, error) {
	return db.removeMessages(t, "where thread_id in (select id from thread where trashed_at > 0 and trashed_at < $1) limit $2", before)
}

// removeMessages removes messages with their events, a batch of those that
// which chooses by arg, and threads that they leave empty.
func (db *DB) removeMessages(t *tx, which string, arg any) (int64, error) {
	rows, err := t.query("select id, account_id, thread_id, event_id from message "+which, arg, sweepBatch)
	if err != nil {
		return 0, err
	}
	type gone struct{ id, account, thread, event string }
	all, err := collect(rows, func(s scanner) (g gone, err error) { return g, s.Scan(&g.id, &g.account, &g.thread, &g.event) })
	if err != nil {
		return 0, err
	}
	threads, accounts := map[string]bool{}, map[string]bool{}
	for _, g := range all {
		threads[g.thread], accounts[g.account] = true, true
		if err := t.each([]any{g.id}, deleteMessage()...).
			then([]any{g.event}, deleteEvents("$1")...).err; err != nil {
			return 0, err
		}
	}
	for thread := range threads {
		if err := t.each([]any{thread}, afterRemoval()...).err; err != nil {
			return 0, err
		}
	}
	t.committed(func() {
		for account := range accounts {
			db.tail.forget(account)
		}
	})
	return int64(len(all)), nil
}

// sweepBlobs removes bodies that no row names: their transaction never came, or
// their rows are gone.
func (db *DB) sweepBlobs(ctx context.Context, before time.Time) (removed int64, err error) {
	if db.cfg.Blobs == nil {
		return 0, nil
	}
	err = db.cfg.Blobs.Older(ctx, before, func(name string) error {
		var n int
		if err := db.row(ctx, `select (select count(*) from message where blob = $1 and blob <> '') + (select count(*) from quarantine where blob = $1 and blob <> '')`,
			[]any{name}, &n); err != nil || n > 0 {
			return err
		}
		removed++
		return db.cfg.Blobs.Delete(ctx, name)
	})
	return removed, err
}
