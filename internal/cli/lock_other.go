//go:build !unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lock is a file that at most one process holds: here, the one that made it.
type lock struct{ file *os.File }

func takeLock(_ context.Context, path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		pid, _ := readSmall(path)
		return nil, &heldError{strings.TrimSpace(string(pid)), "stop it, or remove " + path + " when it crashed"}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &lock{f}, nil
}

// lockHolder tells which process has made the lock, which may have crashed since;
// 0 before it has announced itself.
func lockHolder(path string) (pid int, held bool) {
	b, err := readSmall(path)
	if err != nil {
		return 0, false
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	return pid, true
}

func (l *lock) release() {
	l.file.Close()
	os.Remove(l.file.Name())
}
