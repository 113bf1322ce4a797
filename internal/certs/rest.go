package certs

import (
	"context"
	"strconv"
	"time"
)

// firstRest and longestRest bound how long a name rests before the next process
// asks for it, after the one before got nothing. certmagic backs off within a
// process; one that dies and is started again and again would ask each time, and
// wear out what the CA allows.
const (
	firstRest   = 15 * time.Second
	longestRest = 10 * time.Minute
)

// restFor is the rest after so many processes in a row that got nothing.
func restFor(tries int) time.Duration {
	if tries < 1 {
		return 0
	}
	return min(firstRest<<min(tries-1, 10), longestRest)
}

// rest waits until a name may be asked for, and notes that it is, before it is.
func (m *manager) rest(ctx context.Context, name string) error {
	tries, last := m.tries(ctx, name)
	if wait := min(time.Until(last.Add(restFor(tries))), longestRest); wait > 0 {
		m.logger.Info("certificate.resting", "name", name, "asked_for_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	return m.storage.Store(ctx, triesKey(name), []byte(strconv.Itoa(tries+1)))
}

// tries is how often in a row a name was asked for without success, and when.
// What cannot be read counts as never.
func (m *manager) tries(ctx context.Context, name string) (int, time.Time) {
	text, err := m.storage.Load(ctx, triesKey(name))
	if err != nil {
		return 0, time.Time{}
	}
	info, err := m.storage.Stat(ctx, triesKey(name))
	if err != nil {
		return 0, time.Time{}
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || n > 1e6 {
		n = 1
	}
	return n, info.Modified
}

// gotten forgets the tries for a name.
func (m *manager) gotten(ctx context.Context, name string) {
	_ = m.storage.Delete(ctx, triesKey(name))
}

func triesKey(name string) string { return "tries/" + name }
