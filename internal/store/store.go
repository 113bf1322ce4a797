// Package store keeps everything that OpenMail must not lose, in SQLite or
// PostgreSQL: one schema and one SQL text for both, one exported method for
// each transaction.
//
// Writes go through one goroutine that groups those that wait into a single
// commit; reads have their own connections. A method that writes has it on disk
// when it returns nil.
package store

import (
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the PostgreSQL driver
	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the SQLite driver

	"openmail/api"
	"openmail/internal/delivery"
)

// Blobs is where bodies stand that are too large for a row.
type Blobs interface {
	// Put writes a blob, whole and on disk when it returns, in place of one
	// of that name. A failed fsync is openmail.ErrSync.
	Put(ctx context.Context, name string, data []byte) error
	// Open reads one; an error that is fs.ErrNotExist when there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Delete removes one; it is no error when there is none.
	Delete(ctx context.Context, name string) error
	// Older calls f with the name of each blob written before t.
	Older(ctx context.Context, t time.Time, f func(name string) error) error
}

// Config says where and how to store.
type Config struct {
	// Database is a URL postgres://…, or empty for SQLite in Dir.
	Database string
	Dir      string
	Blobs    Blobs
	Links    api.Links // for the URLs in event payloads
	// FileKey seals the secrets of endpoints and the keys that sign: 32 bytes.
	FileKey   []byte
	Retention Retention
	Logger    *slog.Logger
	// MaxInboxes is how many inboxes an account may have; 0: any number.
	MaxInboxes int
	// Rules are the contract's; their deadline is for accounts that have none
	// of their own. The zero value means delivery.DefaultRules.
	Rules delivery.Rules
}

// DB is the store. Its methods may be called by any number of goroutines.
type DB struct {
	cfg     Config
	dialect dialect
	readers *sql.DB
	writers *sql.DB
	w       *writer
	stmts   sync.Map // of the readers: SQL text → *sql.Stmt
	seal    cipher.AEAD
	tail    *tail
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	failed  chan error
	groups  GroupSizes
}

// Open opens the store and brings its schema up to date. Close it.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Rules.Schedule == nil {
		cfg.Rules = delivery.DefaultRules()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	seal, err := newSeal(cfg.FileKey)
	if err != nil {
		return nil, err
	}
	db := &DB{
		cfg: cfg, dialect: sqliteDialect(), seal: seal, tail: newTail(), failed: make(chan error, 1),
		encoder: newEncoder(), decoder: newDecoder(),
	}
	if cfg.Database != "" {
		db.dialect = postgresDialect()
	}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) (err error) {
	writing, reading := db.cfg.Database, db.cfg.Database
	if db.dialect.single {
		path := filepath.Join(db.cfg.Dir, "openmail.db")
		if err := makePrivate(path); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
		writing, reading = sqliteDSN(path, false), sqliteDSN(path, true)
	}
	if db.writers, err = sql.Open(db.dialect.driver, writing); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	if db.readers, err = sql.Open(db.dialect.driver, reading); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	readers := 2 * runtime.GOMAXPROCS(0)
	db.readers.SetMaxOpenConns(readers)
	db.readers.SetMaxIdleConns(readers)
	db.w, err = newWriter(ctx, db)
	return err
}

// makePrivate makes a file that is not there, for its owner only: SQLite would
// let everybody read it, and gives its other files the mode of this one.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteDSN is how a connection is opened: write-ahead log, an fsync with each
// commit, and little memory for pages, which the kernel caches anyway. A commit
// writes whole pages, and a mail changes a few bytes in a dozen of them, so new
// databases have small ones: half the default writes a third less a mail.
func sqliteDSN(path string, readOnly bool) string {
	v := url.Values{"_pragma": {
		"busy_timeout(10000)", "page_size(2048)", "synchronous(full)",
		"wal_autocheckpoint(0)", // Run does it, beside the writer
	}}
	// The driver sorts the pragmas; after this one the size of a page is fixed.
	v.Set("_journal_mode", "wal")
	if readOnly {
		v.Add("_pragma", "query_only(1)")
		v.Add("_pragma", "cache_size(-1024)")
	} else {
		v.Add("_pragma", "cache_size(-8192)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

// Close finishes what is being written and closes the database.
func (db *DB) Close() error {
	var errs []error
	if db.w != nil {
		errs = append(errs, db.w.close())
	}
	db.stmts.Range(func(_, s any) bool {
		errs = append(errs, s.(*sql.Stmt).Close())
		return true
	})
	if db.readers != nil {
		errs = append(errs, db.readers.Close())
	}
	if db.writers != nil {
		errs = append(errs, db.writers.Close())
	}
	return errors.Join(errs...)
}

// fail ends Run: only a new start can tell what is on disk.
func (db *DB) fail(err error) {
	select {
	case db.failed <- err:
	default:
	}
}

// Ready returns nil when the store answers.
func (db *DB) Ready(ctx context.Context) error {
	var one int
	return db.readers.QueryRowContext(ctx, "select 1").Scan(&one)
}

// query runs a read on the readers' connections.
func (db *DB) query(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	s, err := db.prepared(ctx, statement)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// row scans the one row that a read returns; sql.ErrNoRows.
func (db *DB) row(ctx context.Context, statement string, args []any, dest ...any) error {
	s, err := db.prepared(ctx, statement)
	if err != nil {
		return err
	}
	return s.QueryRowContext(ctx, args...).Scan(dest...)
}

// prepared keeps the statement of each text: there are as many texts as there
// are places that build one.
func (db *DB) prepared(ctx context.Context, statement string) (*sql.Stmt, error) {
	if s, ok := db.stmts.Load(statement); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := db.readers.PrepareContext(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if first, loaded := db.stmts.LoadOrStore(statement, s); loaded {
		return first.(*sql.Stmt), s.Close()
	}
	return s, nil
}

// micros and moment are how a time stands in a row: microseconds, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
