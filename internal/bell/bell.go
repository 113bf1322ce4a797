// Package bell wakes those who wait for new events. A ring carries an account's
// id and nothing else; it may be lost or come twice, and it is never the truth:
// that is the event log.
package bell

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Local is a bell within one process.
type Local struct {
	mu      sync.Mutex
	next    int
	hearers map[int]func(account string)
	// list is the hearers as Ring reads them, replaced when they change.
	list atomic.Pointer[[]func(account string)]
}

// NewLocal returns a bell that nobody hears yet.
func NewLocal() *Local {
	return &Local{hearers: map[int]func(string){}}
}

// Ring calls everybody who hears the bell.
func (b *Local) Ring(account string) {
	if list := b.list.Load(); list != nil {
		for _, f := range *list {
			f(account)
		}
	}
}

// Hear has f called with each account that is rung for, until stop is called;
// it may still be called once while that happens. f must not block: it is
// called by the one who rings.
func (b *Local) Hear(f func(account string)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.next
	b.next++
	b.hearers[n] = f
	b.publish()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hearers, n)
		b.publish()
	}
}

func (b *Local) publish() {
	list := slices.Collect(maps.Values(b.hearers))
	b.list.Store(&list)
}
