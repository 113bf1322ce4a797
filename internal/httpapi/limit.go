package httpapi

import (
	"sync"
	"time"
)

// maxCounted is how many callers a window tells apart; the rest share a count.
const maxCounted = 50_000

// window counts what callers do in each minute of the clock.
type window struct {
	limit int // 0: none

	mu     sync.Mutex
	minute int64
	counts map[string]int
}

func newWindow(limit int) *window { return &window{limit: limit} }

// take counts one for the caller unless its limit is reached, and returns how
// many are left in this minute.
func (w *window) take(caller string, now time.Time) (left int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	caller = w.caller(caller, now)
	if w.counts[caller] >= w.limit {
		return 0, false
	}
	w.counts[caller]++
	return w.limit - w.counts[caller], true
}

// reached reports whether nothing is left for the caller.
func (w *window) reached(caller string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[w.caller(caller, now)] >= w.limit
}

// caller begins a new minute where it is time, and is the name under which
// the caller is counted.
func (w *window) caller(name string, now time.Time) string {
	if minute := now.Unix() / 60; minute != w.minute || w.counts == nil {
		w.minute, w.counts = minute, map[string]int{}
	}
	if _, known := w.counts[name]; !known && len(w.counts) >= maxCounted {
		return ""
	}
	return name
}

// nextMinute is when the window begins anew.
func nextMinute(now time.Time) time.Time { return now.Truncate(time.Minute).Add(time.Minute) }
