package domains

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"openmail"
)

// How domains are watched.
const (
	// lookEvery is how often it is looked for what other processes planned.
	lookEvery = time.Minute
	// lease is how long a check may take before somebody else makes it.
	lease = 5 * time.Minute
	batch = 128 // domains taken at a time
)

// check looks at a domain and writes what that came to.
func (d *Domains) check(ctx context.Context, scope openmail.Scope, n openmail.Domain) (openmail.Domain, error) {
	records, err := d.records(ctx, n)
	if err != nil {
		return n, err
	}
	found := d.look(ctx, records)
	if err := ctx.Err(); err != nil {
		return n, err // what was cut off says nothing
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	return d.settle(ctx, scope, n, decide(n, records, found, at))
}

func (d *Domains) settle(ctx context.Context, scope openmail.Scope, before, after openmail.Domain) (openmail.Domain, error) {
	err := d.c.Due.SettleDomain(ctx, scope, after)
	switch openmail.CodeOf(err) {
	case "":
		d.c.Observe(after.Status)
		if before.Status != after.Status || before.Reason != after.Reason {
			d.c.Logger.LogAttrs(ctx, slog.LevelInfo, "domain.checked", slog.String("domain", after.ID), slog.String("account", after.Account),
				slog.String("status", string(after.Status)), slog.Bool("receives", after.Receives), slog.Int("tries", after.Tries))
		}
		after.Version++
		return after, nil
	case openmail.CodeConflict: // another check was faster, and as good
		return d.c.Store.Domain(ctx, scope, after.ID)
	case openmail.CodeDomainTaken:
		lost := before
		lost.Tries, lost.CheckedAt, lost.Checks = after.Tries, after.CheckedAt, after.Checks
		lost.Status, lost.Reason, lost.Due = openmail.DomainFailed, "Another account of this server has proved that the domain is its own.", time.Time{}
		if _, again := d.settle(ctx, scope, before, lost); again != nil {
			return before, again
		}
	}
	return before, err
}

// Run looks at domains when it is time, until ctx ends.
func (d *Domains) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		d.round(ctx)
		d.wait(ctx)
	}
	return nil
}

func (d *Domains) ring() {
	select {
	case d.bell <- struct{}{}:
	default: // it will look anyway
	}
}

// wait returns when there may be something to do.
func (d *Domains) wait(ctx context.Context) {
	pause := lookEvery
	next, err := d.c.Due.NextDomain(ctx, openmail.Operator())
	if err == nil && !next.IsZero() {
		pause = min(pause, max(time.Until(next), time.Second))
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-d.bell:
	case <-t.C:
	}
}

// round looks at what is due.
func (d *Domains) round(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		due, err := d.c.Due.ClaimDomains(ctx, openmail.Operator(), now, now.Add(lease), batch)
		if err != nil && ctx.Err() == nil {
			d.c.Logger.Error("domain.claim", "error", err)
		}
		var all sync.WaitGroup
		for _, n := range due {
			all.Go(func() { d.watch(ctx, n) })
		}
		all.Wait()
		if len(due) < batch {
			return
		}
	}
}

// watch looks at one domain, in its own scope.
func (d *Domains) watch(ctx context.Context, n openmail.Domain) {
	if d.room.Acquire(ctx, 1) != nil {
		return
	}
	defer d.room.Release(1)
	_, err := d.check(ctx, openmail.Scope{Account: n.Account}, n)
	switch openmail.CodeOf(err) {
	case "", openmail.CodeNotFound, openmail.CodeDomainTaken:
	default:
		if ctx.Err() == nil {
			d.c.Logger.Error("domain.check", "domain", n.ID, "error", err)
		}
	}
}
