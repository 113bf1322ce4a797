package outgoing

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"openmail"
)

// How long a send waits to be told that a domain takes no mail, and how many
// are asked about at a time. Who is told too late finds it in the queue.
const (
	reachTime = 3 * time.Second
	reachMany = 8
)

// reachable refuses a recipient whose domain takes no mail, so that whoever
// mistypes it is told at once and not by a report. Of several it is the first
// in the request's own order.
func (o *Outgoing) reachable(ctx context.Context, d addressed) error {
	if o.c.NoMail == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(reachMany)
	asked := map[string]bool{}
	faults := make([]error, 1+len(d.letter.cc))
	for i, a := range append([]openmail.Address{d.to}, d.letter.cc...) {
		field, domain := "cc", a.Domain()
		if i == 0 {
			field = "to"
		}
		if !asked[domain] {
			asked[domain] = true
			g.Go(func() error { faults[i] = o.takesMail(ctx, field, domain); return nil })
		}
	}
	_ = g.Wait() // the faults are each in their place
	return cmp.Or(faults...)
}

func (o *Outgoing) takesMail(ctx context.Context, field, domain string) error {
	if ours, err := o.c.Ours(ctx, domain); ours || err != nil {
		return nil // an error is for who carries the mail
	}
	if why := o.c.NoMail(ctx, domain); why != "" {
		return openmail.FieldErrorf(openmail.CodeNoMX, field, "No mail can reach %s: %s.", domain, why)
	}
	return nil
}
