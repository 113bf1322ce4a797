package app

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"openmail/internal/access"
	"openmail/internal/store"
)

// The files of the data folder that are not the store's.
const (
	lockFile      = "lock"
	fileKeyFile   = "file-key"
	rootKeyFile   = "root-key"
	addressesFile = "addresses.json"
)

// folder is the data folder, held by this process.
type folder struct {
	path string
	lock *os.File
}

// openFolder makes the data folder if it is not there and takes its lock. The
// lock ends with the process, however that ends.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be made: %w", path, plain(err))
	}
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be written: %w", path, plain(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		return nil, errors.Join(fmt.Errorf("the data folder %s is in use by another openmail (process %s): stop it, or choose another folder with --data",
			path, strings.TrimSpace(string(holder))), f.Close())
	}
	d := &folder{path, f}
	if err := d.sign(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// sign writes who holds the lock, for whoever finds it taken.
func (d *folder) sign() error {
	if err := d.lock.Truncate(0); err != nil {
		return fmt.Errorf("the data folder %s cannot be written: %w", d.path, plain(err))
	}
	_, err := d.lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

func (d *folder) close() error { return d.lock.Close() }

func (d *folder) file(name string) string { return filepath.Join(d.path, name) }

// fileKey reads the key that secrets at rest are sealed with, or makes it.
func (d *folder) fileKey() ([]byte, error) {
	text, err := d.secret(fileKeyFile, func() string { return hex.EncodeToString(store.NewFileKey()) })
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s is damaged: put it back from a backup, secrets in the database cannot be read without it", d.file(fileKeyFile))
	}
	return key, nil
}

// rootKey is the key that the first start makes. It is on disk before it is in
// the database, so that a crash between the two loses nobody their key.
func (d *folder) rootKey(given string) (string, error) {
	if given != "" {
		return given, d.write(rootKeyFile, given+"\n", 0o600)
	}
	return d.secret(rootKeyFile, access.NewToken)
}

// secret reads a file of one line, or makes it.
func (d *folder) secret(name string, make func() string) (string, error) {
	b, err := os.ReadFile(d.file(name))
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", plain(err)
	}
	text := make()
	return text, d.write(name, text+"\n", 0o600)
}

// Addresses is where a server listens, as addresses.json has it.
type Addresses struct {
	HTTP  string `json:"http"`
	HTTPS string `json:"https,omitempty"` // "" when there is none
	SMTP  string `json:"smtp"`
}

func (d *folder) writeAddresses(a Addresses) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return d.write(addressesFile, string(b)+"\n", 0o644)
}

// write replaces a file: readers see the old one or the new one, whole.
func (d *folder) write(name, text string, mode fs.FileMode) error {
	temporary := d.file("." + name)
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, plain(err))
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(temporary, d.file(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, plain(err))
	}
	return d.sync()
}

// sync makes the names in the folder durable: what is sealed with the file key
// is lost without it.
func (d *folder) sync() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return plain(err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// plain takes the path out of an error that is told together with it.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
