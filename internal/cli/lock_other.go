//go:build !unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// lock is a file that at most one process holds: here, the one that made it.
type lock struct{ file *os.File }

// errHeld is the error of a lock that another process holds.
var errHeld = errors.New("another bridge runs already")

func takeLock(path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: stop it, or remove %s when it crashed", errHeld, path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	fmt.Fprintln(f, os.Getpid())
	return &lock{f}, nil
}

func (l *lock) release() {
	l.file.Close()
	os.Remove(l.file.Name())
}
