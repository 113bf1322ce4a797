package extract

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// The bounds of those who wait.
const (
	maxWaiting        = 1024
	maxWaitingAccount = 256
	maxWaitingBytes   = 256 << 20 // of mails that are in memory meanwhile
)

// How long an account whose files were bombs leaves a slot to others, and how
// many such accounts are remembered.
const (
	blamedFor = time.Minute
	maxBlamed = 1000
)

// slots are the children that may run at a time. Who has fewest comes first, and
// an account whose files were bombs a moment ago leaves one slot to the others,
// where there is more than one: nobody's bombs keep the others waiting twice.
type slots struct {
	mu      sync.Mutex
	all     int
	free    int
	busy    map[string]int
	blamed  map[string]time.Time // until when
	waiting []*waiter            // in the order in which they came
	bytes   int64                // of those who wait
}

type waiter struct {
	account string
	bytes   int64
	granted chan struct{} // closed when it has its slot
}

func newSlots(n int) *slots {
	return &slots{all: n, free: n, busy: map[string]int{}, blamed: map[string]time.Time{}}
}

// take waits for a slot until ctx ends, and reports whether there was one. Who
// would wait behind too many others does not. bytes is what is held in memory
// while waiting.
func (s *slots) take(ctx context.Context, account string, bytes int64) bool {
	w := s.ask(account, bytes)
	if w == nil {
		return false
	}
	select {
	case <-w.granted:
		return true
	case <-ctx.Done():
		return !s.leave(w)
	}
}

// ask queues up; nil when the queue is full.
func (s *slots) ask(account string, bytes int64) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := 0
	for _, w := range s.waiting {
		if w.account == account {
			mine++
		}
	}
	if len(s.waiting) >= maxWaiting || mine >= maxWaitingAccount || len(s.waiting) > 0 && s.bytes+bytes > maxWaitingBytes {
		return nil
	}
	w := &waiter{account: account, bytes: bytes, granted: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.bytes += bytes
	s.grant()
	return w
}

// leave takes a waiter out of the queue. It is false when its slot came first.
func (s *slots) leave(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, w)
	if i >= 0 {
		s.remove(i)
	}
	return i >= 0
}

func (s *slots) remove(i int) {
	s.bytes -= s.waiting[i].bytes
	s.waiting = slices.Delete(s.waiting, i, i+1)
}

// give gives a slot back.
func (s *slots) give(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.busy[account]--; s.busy[account] == 0 {
		delete(s.busy, account)
	}
	s.grant()
}

// grant hands free slots out.
func (s *slots) grant() {
	for s.free > 0 {
		i := s.next()
		if i < 0 {
			return
		}
		w := s.waiting[i]
		s.remove(i)
		s.free--
		s.busy[w.account]++
		close(w.granted)
	}
}

// next is whose turn it is: of those who have fewest slots, and may have one
// more, the one who has waited longest; -1 for none.
func (s *slots) next() int {
	best := -1
	for i, w := range s.waiting {
		if n := s.busy[w.account]; n < s.most(w.account) && (best < 0 || n < s.busy[s.waiting[best].account]) {
			best = i
		}
	}
	return best
}

// most is how many slots an account may have.
func (s *slots) most(account string) int {
	if until, blamed := s.blamed[account]; blamed && time.Now().Before(until) {
		return max(s.all-1, 1)
	}
	return s.all
}

// blame notes that a file of the account was a bomb.
func (s *slots) blame(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.blamed) >= maxBlamed {
		maps.DeleteFunc(s.blamed, func(_ string, until time.Time) bool { return now.After(until) })
	}
	if len(s.blamed) < maxBlamed {
		s.blamed[account] = now.Add(blamedFor)
	}
}
