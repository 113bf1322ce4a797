package access

import (
	"context"
	"time"

	"openmail"
)

// How often the last uses of keys are written, and how long the last writing
// may take when the server stops.
const (
	flushEvery   = 30 * time.Second
	flushAtClose = 5 * time.Second
)

// Run writes every half minute, and once more when ctx ends, when keys were
// last used. A crash loses that half minute and nothing else.
func (a *Access) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushAtClose)
			defer cancel()
			a.flush(last)
			return nil
		}
	}
}

// flush writes the uses, and keeps them for the next time when that fails:
// they are worth a warning, not the server.
func (a *Access) flush(ctx context.Context) {
	a.mu.Lock()
	used := a.used
	a.used = map[string]time.Time{}
	a.mu.Unlock()
	if len(used) == 0 {
		return
	}
	if err := a.c.Uses.TouchKeys(ctx, openmail.Operator(), used); err != nil {
		a.c.Logger.WarnContext(ctx, "key.uses_not_written", "error", err)
		a.keep(used)
	}
}

func (a *Access) keep(used map[string]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, at := range used {
		if at.After(a.used[key]) {
			a.used[key] = at
		}
	}
}
