package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"openmail"
	"openmail/internal/intake"
)

// broken are blobs on a disk that fails its fsyncs.
type broken struct{}

func (broken) Put(context.Context, string, []byte) error {
	return fmt.Errorf("write a body: %w", openmail.ErrSync)
}

func (broken) Open(context.Context, string) (io.ReadCloser, error)        { return nil, fs.ErrNotExist }
func (broken) Delete(context.Context, string) error                       { return nil }
func (broken) Older(context.Context, time.Time, func(string) error) error { return nil }

func openForDisk(t testing.TB) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Dir: t.TempDir(), Blobs: broken{}, FileKey: NewFileKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	account := openmail.Account{ID: "acc_1", CreatedAt: time.Now()}
	if err := db.CreateAccount(t.Context(), openmail.Operator(), account, openmail.Key{ID: "key_1", Account: "acc_1"}, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateInbox(t.Context(), openmail.Scope{Account: "acc_1"}, openmail.Inbox{ID: "inb_1", Account: "acc_1", Address: "jane@openmail.test"}); err != nil {
		t.Fatal(err)
	}
	return db
}

// random is a mail that does not compress.
func random(n, size int) intake.Filing {
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	id := fmt.Sprint(n)
	return intake.Filing{Raw: raw, Digest: sha256.Sum256(raw), At: time.Now(), Copies: []intake.Copy{{
		Event: "evt_" + id, Verdict: openmail.Verdict{Admitted: true},
		Message: openmail.Message{
			ID: "msg_" + id, Account: "acc_1", Inbox: "inb_1", Thread: "thr_" + id, RFCMessageID: "<" + id + "@x>",
			SizeBytes: int64(size), CreatedAt: time.Now(),
		},
	}}}
}

func setMaxPages(t *testing.T, db *DB, pages int) {
	t.Helper()
	err := db.w.pause(t.Context(), func(conn *sql.Conn) error {
		var got int
		return conn.QueryRowContext(t.Context(), fmt.Sprintf("pragma max_page_count(%d)", pages)).Scan(&got)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskRefusesWritesServesReadsAndRecovers(t *testing.T) {
	db := openForDisk(t)
	setMaxPages(t, db, 200)
	var stored int
	var err error
	for err == nil && stored < 1000 {
		if _, err = db.File(t.Context(), random(stored, 8<<10)); err == nil {
			stored++
		}
	}
	if openmail.CodeOf(err) != openmail.CodeStorageFull || stored == 0 {
		t.Fatalf("after %d mails: %v", stored, err)
	}
	scope := openmail.Scope{Account: "acc_1"}
	if head, err := db.Head(t.Context(), scope); int(head) != stored || err != nil {
		t.Errorf("the head is %d after %d mails, %v", head, stored, err)
	}
	if _, err := db.Message(t.Context(), scope, "msg_0"); err != nil {
		t.Errorf("a read while the disk is full: %v", err)
	}
	setMaxPages(t, db, 1<<30)
	if _, err := db.File(t.Context(), random(stored, 8<<10)); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

func TestNothingIsAcknowledgedAfterAFailedFsync(t *testing.T) {
	db := openForDisk(t)
	done := make(chan error, 1)
	go func() { done <- db.Run(t.Context()) }()
	if _, err := db.File(t.Context(), random(1, 100<<10)); !errors.Is(err, openmail.ErrSync) {
		t.Errorf("the mail whose body was not synced: %v", err)
	}
	if err := <-done; !errors.Is(err, openmail.ErrSync) {
		t.Errorf("Run ended with %v", err)
	}
	if _, err := db.File(t.Context(), random(2, 100)); err == nil {
		t.Error("a mail was stored after the failure")
	}
}
