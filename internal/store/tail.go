package store

import (
	"sync"

	"openmail"
)

// The bounds of the tail over all accounts: bytes of payload, and events.
const (
	maxTail       = 8 << 20
	maxTailEvents = 8192
)

// tail holds the newest events of accounts whose sockets are listening, so that
// the store is not asked for what was just written. It is a cache: what it does
// not hold is read from the log, and nothing is wrong without it.
type tail struct {
	mu     sync.Mutex
	runs   map[string]*run
	oldest []string // the account of each event held, in the order they came
	size   int
}

// run is a gapless stretch of an account's log that ends at its head.
type run struct {
	events []openmail.Event // with payloads
}

func newTail() *tail { return &tail{runs: map[string]*run{}} }

// add appends an event that was just committed. Events of an account must come
// in the order of their positions; one that does not follow on the last begins
// the account's run anew.
func (t *tail) add(e openmail.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.runs[e.Account]
	if r != nil && r.last() != e.Position-1 {
		t.drop(e.Account)
		r = nil
	}
	if r == nil {
		r = &run{}
		t.runs[e.Account] = r
	}
	r.events = append(r.events, e)
	t.oldest = append(t.oldest, e.Account)
	t.size += len(e.Payload)
	for len(t.oldest) > 1 && (t.size > maxTail || len(t.oldest) > maxTailEvents) {
		t.evict()
	}
}

func (r *run) last() openmail.Position { return r.events[len(r.events)-1].Position }

// forget drops what is held of an account: its log has moved on without the
// tail, or something in it has changed.
func (t *tail) forget(account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(account)
}

func (t *tail) drop(account string) {
	r := t.runs[account]
	if r == nil {
		return
	}
	for _, e := range r.events {
		t.size -= len(e.Payload)
	}
	delete(t.runs, account)
}

// evict removes the oldest event of the account whose turn it is. Where a run
// was dropped and begun anew that may be one that came later: it is a cache.
func (t *tail) evict() {
	account := t.oldest[0]
	t.oldest = t.oldest[1:]
	r := t.runs[account]
	if r == nil {
		return
	}
	t.size -= len(r.events[0].Payload)
	if r.events = r.events[1:]; len(r.events) == 0 {
		delete(t.runs, account)
	}
}

// after returns what follows a position, at most limit events and about
// maxPage bytes. ok is false when the tail does not reach back that far, or
// holds nothing of the account.
func (t *tail) after(account string, p openmail.Position, limit int) (events []openmail.Event, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.runs[account]
	if r == nil || r.events[0].Position > p+1 {
		return nil, false
	}
	from := min(int(p+1-r.events[0].Position), len(r.events))
	to, size := from, 0
	for to < len(r.events) && to-from < limit && size < maxPage {
		size += len(r.events[to].Payload)
		to++
	}
	return r.events[from:to:to], true
}
