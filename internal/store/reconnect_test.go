package store_test

import (
	"database/sql"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/id"
)

// A database server that is started anew ends all connections: those who write
// come back by themselves.
func TestTheWriterOutlivesItsConnection(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	db, err := sql.Open("pgx", h.at.database)
	h.check(err)
	defer db.Close()
	cut := func() {
		_, err := db.ExecContext(t.Context(), "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
		h.check(err)
	}
	add := func() error {
		in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, CreatedAt: time.Now()}
		in.Address = in.ID + "@openmail.test"
		return h.CreateInbox(t.Context(), h.scope, in)
	}
	for range 3 {
		cut()
		h.check(add())
	}
	var all sync.WaitGroup
	for range 50 { // some of these are cut in the middle, and may fail
		all.Go(func() { _ = add() })
	}
	cut()
	all.Wait()
	h.check(add())
	cut() // Close has nothing to say of it
}
