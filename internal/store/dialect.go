package store

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is what differs between the databases. Everything else is one text.
type dialect struct {
	name   string
	driver string
	goose  goose.Dialect
	begin  string
	// withoutRowID ends the definition of a table that is read by its
	// primary key.
	withoutRowID string
	// errorAborts says that a statement that failed spoils its transaction.
	errorAborts bool
	// single says that nobody but this process writes.
	single bool
	unique func(error) bool
	class  func(error) fault
}

// fault is what an error of the database means for those that wait on it.
type fault int

const (
	faultOther    fault = iota
	faultFull           // no room; there may be some later
	faultSync           // what was written may be lost
	faultConflict       // another node's transaction stood in the way; run again
)

func sqliteDialect() dialect {
	return dialect{
		name: "sqlite", driver: "sqlite", goose: goose.DialectSQLite3, begin: "begin immediate",
		withoutRowID: "without rowid", single: true,
		unique: sqliteUnique, class: sqliteClass,
	}
}

func sqliteUnique(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

func sqliteClass(err error) fault {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return faultOther
	}
	switch e.Code() {
	case sqlite3.SQLITE_FULL:
		return faultFull
	case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return faultSync
	}
	return faultOther
}

func postgresDialect() dialect {
	return dialect{
		name: "postgres", driver: "pgx", goose: goose.DialectPostgres, begin: "begin",
		errorAborts: true,
		unique:      postgresUnique, class: postgresClass,
	}
}

func postgresUnique(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

func postgresClass(err error) fault {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return faultOther
	}
	switch e.Code {
	case "53100": // disk_full; a server that fails an fsync stops by itself
		return faultFull
	case "40P01", "40001": // deadlock_detected, serialization_failure
		return faultConflict
	}
	return faultOther
}

// ddl is the text of a migration as this dialect wants it.
func (d dialect) ddl(text string) string {
	return strings.ReplaceAll(text, "/* WITHOUT_ROWID */", d.withoutRowID)
}

// lockOf ends a select of rows of that table that are about to be changed.
func (d dialect) lockOf(table string) string {
	if d.single {
		return ""
	}
	return " for update of " + table
}

// claimOf is lockOf for work that another process may just be taking: its rows
// are left out.
func (d dialect) claimOf(table string) string {
	if d.single {
		return ""
	}
	return " for update of " + table + " skip locked"
}
