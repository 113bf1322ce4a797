package certs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// drainFor is how long work that holds a lock may take to end after it was told
// to.
const drainFor = 5 * time.Second

// storage is files, with locks within the process: the data folder is this
// process's alone, so a lock in a file would only be one that a crash leaves
// behind.
type storage struct {
	certmagic.FileStorage

	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is free

	writing sync.RWMutex // read-locked by whoever writes
	closed  bool
}

var errStorageClosed = errors.New("the server has stopped")

func newStorage(dir string) *storage {
	return &storage{FileStorage: certmagic.FileStorage{Path: dir}, held: map[string]chan struct{}{}}
}

// Lock waits until nobody else holds name.
func (s *storage) Lock(ctx context.Context, name string) error {
	for {
		taken := s.take(name)
		if taken == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-taken:
		}
	}
}

// take returns nil when name is the caller's now, else what is closed once it is
// free.
func (s *storage) take(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken, ok := s.held[name]; ok {
		return taken
	}
	s.held[name] = make(chan struct{})
	return nil
}

// TryLock is Lock without waiting.
func (s *storage) TryLock(_ context.Context, name string) (bool, error) {
	return s.take(name) == nil, nil
}

// Unlock frees name.
func (s *storage) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, ok := s.held[name]
	if !ok {
		return fmt.Errorf("nobody holds %s", name)
	}
	delete(s.held, name)
	close(taken)
	return nil
}

// Store writes a file, until close.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	if s.closed {
		return errStorageClosed
	}
	return s.FileStorage.Store(ctx, key, value)
}

// Delete removes a file, until close.
func (s *storage) Delete(ctx context.Context, key string) error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	if s.closed {
		return errStorageClosed
	}
	return s.FileStorage.Delete(ctx, key)
}

// close returns when nobody writes, and nobody will: the data folder may be
// another process's next.
func (s *storage) close() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.closed = true
}

// drain waits until no lock is held, since certmagic has no other way to wait for
// a renewal that is under way; not for ever.
func (s *storage) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	for taken := s.any(); taken != nil; taken = s.any() {
		select {
		case <-ctx.Done():
			return
		case <-taken:
		}
	}
}

func (s *storage) any() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, taken := range s.held {
		return taken
	}
	return nil
}
