// Package blob keeps large bodies as files of a folder: one file a body,
// written once, never changed.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"openmail"
)

// Files is a folder of blobs. A name may hold letters, digits, "_" and "-".
type Files struct {
	root *os.Root

	mu      sync.Mutex
	durable map[string]bool // the subfolders whose names are known to be on disk
}

// NewFiles opens a folder, which is made if it is not there. Close it.
func NewFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for bodies: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder for bodies: %w", err)
	}
	return &Files{root: root, durable: map[string]bool{}}, nil
}

// Close closes the folder.
func (f *Files) Close() error { return f.root.Close() }

// Put writes a blob. When it returns nil the bytes and the name are on disk,
// so that a row which names them may be committed. After an error nothing of
// that name is there, or what was there before.
func (f *Files) Put(_ context.Context, name string, data []byte) error {
	dir, file, err := place(name)
	if err != nil {
		return err
	}
	if err := f.folder(dir); err != nil {
		return err
	}
	temporary := path.Join(dir, "."+file)
	if err := f.write(temporary, data); err != nil {
		return errors.Join(fmt.Errorf("write a body: %w", err), f.root.Remove(temporary))
	}
	if err := f.root.Rename(temporary, path.Join(dir, file)); err != nil {
		return fmt.Errorf("write a body: %w", err)
	}
	return f.sync(dir)
}

// folder makes a subfolder that will outlive a crash. One that is there already
// may be no older than a process that was killed before its name was on disk,
// so the first use of each by this process makes sure.
func (f *Files) folder(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.durable[dir] {
		return nil
	}
	if err := f.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a folder for bodies: %w", err)
	}
	if err := f.sync("."); err != nil {
		return err
	}
	f.durable[dir] = true
	return nil
}

func (f *Files) write(name string, data []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(syncError(file.Sync()), file.Close())
}

// sync makes the names in a folder durable.
func (f *Files) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return fmt.Errorf("sync a folder: %w", err)
	}
	return errors.Join(syncError(d.Sync()), d.Close())
}

func syncError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", openmail.ErrSync, err)
}

// Open opens a blob; the error is fs.ErrNotExist when there is none.
func (f *Files) Open(_ context.Context, name string) (io.ReadCloser, error) {
	dir, file, err := place(name)
	if err != nil {
		return nil, err
	}
	return f.root.Open(path.Join(dir, file))
}

// Delete removes a blob; it is no error when there is none.
func (f *Files) Delete(_ context.Context, name string) error {
	dir, file, err := place(name)
	if err != nil {
		return err
	}
	if err := f.root.Remove(path.Join(dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Older calls visit with the name of each blob written before t, until it
// returns an error. What a crash left half-written is removed on the way.
func (f *Files) Older(ctx context.Context, t time.Time, visit func(name string) error) error {
	return fs.WalkDir(f.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(t) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") {
			return f.root.Remove(p)
		}
		return visit(d.Name())
	})
}

// place is where a blob stands: in one of many folders, so that none grows
// large. Names end in random characters.
func place(name string) (dir, file string, err error) {
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r) {
			return "", "", fmt.Errorf("blob name %q: %w", name, fs.ErrInvalid)
		}
	}
	if len(name) < 3 {
		return "", "", fmt.Errorf("blob name %q: %w", name, fs.ErrInvalid)
	}
	return name[len(name)-2:], name, nil
}
