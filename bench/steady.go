package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"openmail/api"
)

// receipt is what the server said to a mail.
type receipt struct {
	message  string    // its id
	inbox    int       // which one it went to
	answered time.Time // the 250
}

// steadyMail sends so many mails of two KiB a second, to the inboxes in turns, over eight sessions. It returns what was said to
// each, and by how many milliseconds a mail came later than it was planned to, at most.
func steadyMail(ctx context.Context, s *server, inboxes []api.Inbox, rate int, during time.Duration) (sent []receipt, late float64, err error) {
	const sessions = 8
	n := int(during.Seconds() * float64(rate))
	sent = make([]receipt, n)
	lags := make([]time.Duration, sessions)
	begin := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for k := range sessions {
		g.Go(func() error {
			c, err := dialMail(ctx, s.smtp)
			if err != nil {
				return err
			}
			defer c.Close()
			_ = c.SetDeadline(begin.Add(during + 5*time.Minute))
			for i := k; i < n; i += sessions {
				due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
				if err := rest(ctx, time.Until(due)); err != nil {
					return err
				}
				lags[k] = max(lags[k], time.Since(due))
				to := i % len(inboxes)
				id, err := c.send(plainMail("steady", i, inboxes[to].Address))
				if err != nil {
					return fmt.Errorf("mail %d: %w", i, err)
				}
				sent[i] = receipt{id, to, time.Now()}
			}
			return nil
		})
	}
	err = g.Wait()
	return sent, float64(slices.Max(lags).Microseconds()) / 1000, err
}
