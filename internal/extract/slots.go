package extract

import (
	"context"
	"slices"
	"sync"
)

// The bounds of those who wait.
const (
	maxWaiting        = 64
	maxWaitingAccount = 16
	maxWaitingBytes   = 256 << 20 // of mails that are in memory meanwhile
)

// slots are the children that may run at a time. No account has all of them
// while there is more than one, and who has fewest comes first: nobody's bombs
// keep the others waiting for longer than one slot.
type slots struct {
	mu      sync.Mutex
	free    int
	most    int // of one account
	busy    map[string]int
	waiting []*waiter // in the order in which they came
	bytes   int64     // of those who wait
}

type waiter struct {
	account string
	bytes   int64
	granted chan struct{} // closed when it has its slot
}

func newSlots(n int) *slots { return &slots{free: n, most: max(n-1, 1), busy: map[string]int{}} }

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
		if n := s.busy[w.account]; n < s.most && (best < 0 || n < s.busy[s.waiting[best].account]) {
			best = i
		}
	}
	return best
}
