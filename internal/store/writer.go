package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"openmail"
)

// maxGroup bounds how many callers share one commit: a larger group would make
// the first of them wait for the last.
const maxGroup = 128

// errClosed answers writes after Close, and after a failure that only a new
// start can mend.
var errClosed = openmail.Errorf(openmail.CodeUnavailable, "the store is closed")

// unit is what one caller wants written: all of it, or nothing.
type unit struct {
	do       func(*tx) error
	accounts []string    // whose rows do takes
	started  atomic.Bool // taken by the writer, or given up by its caller: whoever is first
	err      error
	done     chan struct{}
}

// writer is the only one that writes. It puts the units of callers that wait
// at the same time into one transaction, so that they share its fsync.
type writer struct {
	pool    *sql.DB // of which conn is the only one
	conn    *sql.Conn
	dialect dialect
	units   chan *unit
	pauses  chan func()
	stmts   map[string]*sql.Stmt
	groups  *GroupSizes
	tail    *tail
	fatal   func(error) // told once when nothing may be written any more
	broken  atomic.Pointer[error]
	quit    chan struct{} // closed to end the writer
	gone    chan struct{} // closed when it has ended
}

func newWriter(ctx context.Context, db *DB) (*writer, error) {
	conn, err := db.writers.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		pool: db.writers, conn: conn, dialect: db.dialect, groups: &db.groups, tail: db.tail, fatal: db.fail,
		units: make(chan *unit, maxGroup), pauses: make(chan func()), stmts: map[string]*sql.Stmt{}, quit: make(chan struct{}), gone: make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// write runs do in a transaction and returns once that is on disk, or was
// rolled back. do may be run more than once, each time on a transaction that
// knows nothing of the time before: it must set what it returns anew. accounts
// are those whose rows it takes: every group takes them first and in one order,
// or two nodes would wait for each other.
func (w *writer) write(ctx context.Context, do func(*tx) error, accounts ...string) error {
	u := &unit{do: do, accounts: accounts, done: make(chan struct{})}
	select {
	case w.units <- u:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
		return u.giveUp(ctx.Err())
	case <-w.gone:
		return u.giveUp(errClosed)
	}
}

// giveUp returns why, unless the unit is being written: then what came of it
// must be known.
func (u *unit) giveUp(why error) error {
	if u.started.CompareAndSwap(false, true) {
		return why
	}
	<-u.done
	return u.err
}

// close ends the writer. What was handed in before is written, the rest is
// answered with errClosed.
func (w *writer) close() error {
	close(w.quit)
	<-w.gone
	if err := w.disconnect(); !errors.Is(err, sql.ErrConnDone) { // a server that is gone has closed it
		return err
	}
	return nil
}

func (w *writer) disconnect() error {
	for _, s := range w.stmts {
		s.Close()
	}
	clear(w.stmts)
	return w.conn.Close()
}

// reconnectWait is how long a new connection may take.
const reconnectWait = 10 * time.Second

// reconnect takes the place of a connection that is over, as all are when a
// database server is started anew.
func (w *writer) reconnect() error {
	ctx, cancel := context.WithTimeout(context.Background(), reconnectWait)
	defer cancel()
	conn, err := w.pool.Conn(ctx)
	if err != nil {
		return err
	}
	_ = w.disconnect() // it is over already
	w.conn = conn
	return nil
}

// pause runs do on the writer's connection, between groups.
func (w *writer) pause(ctx context.Context, do func(*sql.Conn) error) error {
	done := make(chan error, 1)
	select {
	case w.pauses <- func() { done <- do(w.conn) }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
}

func (w *writer) run() {
	defer close(w.gone)
	group := make([]*unit, 0, maxGroup)
	for {
		select {
		case do := <-w.pauses:
			do()
		case u := <-w.units:
			group = w.gather(append(group[:0], u))
			w.commit(group)
		case <-w.quit:
			w.drain()
			return
		}
	}
}

// drain writes what was handed in before the end.
func (w *writer) drain() {
	for {
		select {
		case u := <-w.units:
			w.commit(w.gather([]*unit{u}))
		default:
			return
		}
	}
}

// gather adds the units that wait by now. There is no timer: while a group is
// being written the next one collects itself.
func (w *writer) gather(group []*unit) []*unit {
	for len(group) < maxGroup {
		select {
		case u := <-w.units:
			group = append(group, u)
		default:
			return group
		}
	}
	return group
}

// commit writes a group and tells each caller what came of its unit.
func (w *writer) commit(group []*unit) {
	live := group[:0]
	for _, u := range group {
		if u.started.CompareAndSwap(false, true) {
			live = append(live, u)
		}
	}
	if len(live) == 0 {
		return
	}
	w.groups.observe(len(live))
	hooks, err := w.attempt(live)
	for n := 1; err != nil && n < maxAttempts && w.fault(err) == faultConflict; n++ {
		hooks, err = w.attempt(live)
	}
	if err != nil {
		err = w.class(err)
	}
	for _, hook := range hooks {
		hook()
	}
	for _, u := range live {
		if err != nil {
			u.err = err
		}
		close(u.done)
	}
}

// maxAttempts is how often a group is run that loses against another node's.
const maxAttempts = 5

func (w *writer) attempt(group []*unit) ([]func(), error) {
	hooks, err := w.together(group)
	if errors.Is(err, errSpoilt) {
		hooks, err = w.apart(group)
	}
	return hooks, err
}

// errSpoilt says that a unit failed after it had written, or in a way that
// nobody foresaw: the group must be rolled back and run again with a savepoint
// for each.
var errSpoilt = errors.New("a unit of the group failed")

// together runs the units one after the other without savepoints, for hardly
// ever does one of them fail.
func (w *writer) together(group []*unit) ([]func(), error) {
	return w.transaction(group, func(t *tx) error {
		for _, u := range group {
			t.wrote = false
			u.err = u.do(t)
			switch {
			case u.err == nil:
			case w.fault(u.err) != faultOther:
				return u.err // not the unit's fault: it concerns all
			case t.wrote || w.dialect.errorAborts || !foreseen(u.err):
				return errSpoilt
			}
		}
		return nil
	})
}

// foreseen reports whether an error is an answer of the unit's own. After any
// other the transaction may be over: SQLite ends it by itself when reading
// fails or memory is short, and what follows would be written statement by
// statement.
func foreseen(err error) bool {
	return openmail.CodeOf(err) != openmail.CodeInternal || errors.Is(err, sql.ErrNoRows)
}

// apart runs each unit under a savepoint of its own, so that one that fails
// leaves its neighbours as they are.
func (w *writer) apart(group []*unit) ([]func(), error) {
	return w.transaction(group, func(t *tx) error {
		for _, u := range group {
			if err := t.savepoint(u); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) savepoint(u *unit) error {
	if err := t.run("savepoint unit"); err != nil {
		return err
	}
	before, counted := len(t.hooks), len(t.usage)
	if u.err = u.do(t); u.err != nil {
		if t.w.fault(u.err) != faultOther {
			return u.err
		}
		t.hooks, t.usage = t.hooks[:before], t.usage[:counted]
		if err := t.run("rollback to savepoint unit"); err != nil {
			return errors.Join(u.err, err)
		}
	}
	return t.run("release savepoint unit")
}

// transaction returns the hooks to be run now that it is committed.
func (w *writer) transaction(group []*unit, do func(*tx) error) ([]func(), error) {
	if broken := w.broken.Load(); broken != nil {
		return nil, *broken
	}
	t := &tx{w: w}
	err := t.run(w.dialect.begin)
	if err != nil && !w.dialect.single && w.reconnect() == nil {
		err = t.run(w.dialect.begin)
	}
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	err = t.takeAccounts(group)
	if err == nil {
		err = do(t)
	}
	if err == nil {
		err = t.setLanes()
	}
	if err == nil {
		err = t.countUsage()
	}
	if err != nil {
		return nil, errors.Join(err, t.run("rollback"))
	}
	if err := t.run("commit"); err != nil {
		_ = t.run("rollback") // there may be none left to roll back
		return nil, fmt.Errorf("commit: %w", err)
	}
	return t.hooks, nil
}

// takeAccounts holds the rows of the accounts that a group names. No account is
// ever deleted.
func (t *tx) takeAccounts(group []*unit) error {
	if t.w.dialect.single {
		return nil
	}
	var all []string
	for _, u := range group {
		all = append(all, u.accounts...)
	}
	slices.Sort(all)
	for _, account := range slices.Compact(all) {
		var id string
		err := t.row("select id from account where id = $1"+t.w.dialect.lockOf("account"), []any{account}, &id)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("take the accounts: %w", err)
		}
	}
	return nil
}

// class makes of an error what its callers are told. After a failed fsync
// nothing is written any more.
func (w *writer) class(err error) error {
	switch w.fault(err) {
	case faultFull:
		return &openmail.Error{Code: openmail.CodeStorageFull, Message: "the disk is full", Err: err}
	case faultSync:
		if w.broken.CompareAndSwap(nil, &err) {
			w.fatal(fmt.Errorf("the disk failed: %w", err))
		}
	}
	return err
}

func (w *writer) fault(err error) fault {
	switch {
	case errors.Is(err, openmail.ErrSync):
		return faultSync
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return faultFull
	}
	return w.dialect.class(err)
}

// tx is a transaction as a unit sees it. It is used by one goroutine and not
// kept.
type tx struct {
	w     *writer
	wrote bool
	hooks []func()
	lanes []string // domains whose lanes are to be set
	usage []usage  // to be counted
}

// committed has f run by the writer once the transaction is on disk, before
// its callers are told, in the order of the units.
func (t *tx) committed(f func()) { t.hooks = append(t.hooks, f) }

// forget has the tail drop what it holds of an account, once the transaction is
// on disk.
func (t *tx) forget(account string) {
	t.committed(func() { t.w.tail.forget(account) })
}

// run executes a statement that belongs to the transaction itself.
func (t *tx) run(statement string) error {
	s, err := t.prepare(statement)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background())
	return err
}

// exec executes a statement that changes something, and returns how many rows
// it changed.
func (t *tx) exec(statement string, args ...any) (int64, error) {
	s, err := t.prepare(statement)
	if err != nil {
		return 0, err
	}
	t.wrote = true
	// The context stays outside: a transaction of many callers is not ended
	// by one of them.
	res, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// must is exec for a statement that changes one row: none is the error.
func (t *tx) must(missing error, statement string, args ...any) error {
	n, err := t.exec(statement, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// query runs a statement that returns rows.
func (t *tx) query(statement string, args ...any) (*sql.Rows, error) {
	s, err := t.prepare(statement)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}

// row scans the one row that a statement returns; sql.ErrNoRows.
func (t *tx) row(statement string, args []any, dest ...any) error {
	s, err := t.prepare(statement)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(dest...)
}

func (t *tx) prepare(statement string) (*sql.Stmt, error) {
	if s := t.w.stmts[statement]; s != nil {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(context.Background(), statement)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.w.stmts[statement] = s
	return s, nil
}
