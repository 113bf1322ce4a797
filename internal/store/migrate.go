package store

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"

	"openmail"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. A database that a newer version has
// written is left alone: the error says so.
func (db *DB) migrate(ctx context.Context) error {
	files, err := db.migrationFiles()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(db.dialect.goose, db.writers, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the database's version: %w", err)
	}
	if have > want {
		return openmail.Errorf(openmail.CodeConflict,
			"the database is of version %d, which a newer openmail has written; this one knows versions up to %d: start the newer one", have, want)
	}
	if have == want {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database from version %d to %d: %w", have, want, err)
	}
	return nil
}

// migrationFiles are the embedded files in this dialect's spelling.
func (db *DB) migrationFiles() (fs.FS, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return spelled{dir, db.dialect}, nil
}

// spelled is a file system whose texts are spelled as a dialect wants them.
type spelled struct {
	fs.FS
	dialect dialect
}

// Open opens a directory as it is, and a file spelled.
func (s spelled) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return f, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return spelledFile{f, strings.NewReader(s.dialect.ddl(string(text)))}, nil
}

type spelledFile struct {
	fs.File
	text io.Reader
}

func (f spelledFile) Read(b []byte) (int, error) { return f.text.Read(b) }

// Close does nothing: the file itself is closed already.
func (f spelledFile) Close() error { return nil }
