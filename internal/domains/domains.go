// Package domains is the room in which accounts bring mail domains of their own:
// which records they are to publish, and whether they have.
//
// A name that another account has asked for can be asked for too, until one of
// them has proved that it is its own: by a record whose value only that account
// was shown.
package domains

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"openmail"
	"openmail/internal/id"
)

// Limits of a page of a list.
const (
	defaultPage = 50
	maxPage     = 100
)

// How many domains are looked at at a time.
const (
	inFlight  = 32 // by themselves: a hundred slow zones hold up nobody else for long
	atRequest = 2  // because somebody of one account asks
)

// Config is what Domains works with.
type Config struct {
	Store Store
	Due   Due
	Pods  Pods
	Names Names
	Keys  Keys
	// Hostname is where mail for a domain is to come.
	Hostname string
	// Own are names that nobody can bring, nor anything below them.
	Own []string
	// SPF is the mechanism that names where mail of a domain leaves from, such
	// as "a:mail.example.com" (RFC 7208 section 5).
	SPF string
	// PerDay is how many domains an account may add in a day (UTC); 0: any
	// number.
	PerDay int
	Logger *slog.Logger
	// Observe is told what each check came to; nil: nobody is.
	Observe func(openmail.DomainStatus)
}

// Domains keeps the domains of accounts. Its methods may be called by any number
// of goroutines.
type Domains struct {
	c    Config
	room *semaphore.Weighted // for checks that nobody asks for
	bell chan struct{}

	mu     sync.Mutex
	asking map[string]int // checks under way that somebody asked for, by account
}

// New returns a Domains.
func New(c Config) *Domains {
	if c.Observe == nil {
		c.Observe = func(openmail.DomainStatus) {}
	}
	return &Domains{c: c, room: semaphore.NewWeighted(inFlight), bell: make(chan struct{}, 1), asking: map[string]int{}}
}

// Shown is a domain with the records that it needs.
type Shown struct {
	openmail.Domain
	Records []openmail.DomainRecord
}

// Add brings a domain, to be verified. A scope that is limited to a pod binds it
// to that. Errors are openmail.CodeInvalidDomain, CodeDomainBlocked,
// CodeDomainExists, CodeDomainTaken, CodeInvalidPod, CodeRateLimit.
func (d *Domains) Add(ctx context.Context, scope openmail.Scope, name, pod string) (Shown, error) {
	if err := scope.NeedPod("add a domain"); err != nil {
		return Shown{}, err
	}
	ascii, err := d.named(name)
	if err != nil {
		return Shown{}, err
	}
	if pod, err = d.podFor(ctx, scope, pod); err != nil {
		return Shown{}, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	n := openmail.Domain{
		ID: id.At(openmail.PrefixDomain, now), Account: scope.Account, Pod: pod, Name: ascii, Token: strings.ToLower(rand.Text()),
		Status: openmail.DomainPending, CreatedAt: now, Due: now.Add(pause(0)),
	}
	if err := d.c.Store.CreateDomain(ctx, scope, n, d.quotas(n)); err != nil {
		return Shown{}, err
	}
	d.ring()
	return d.shown(ctx, n)
}

func (d *Domains) quotas(n openmail.Domain) []openmail.Quota {
	if d.c.PerDay == 0 {
		return nil
	}
	text := fmt.Sprintf("Max %d domains added per day per account", d.c.PerDay)
	return []openmail.Quota{openmail.PerDay("domain.day", n.Account, d.c.PerDay, n.CreatedAt, text)}
}

// podFor is the id of the pod that a domain is bound to; "" for none.
func (d *Domains) podFor(ctx context.Context, scope openmail.Scope, name string) (string, error) {
	if name == "" {
		return scope.Pod, nil
	}
	p, err := d.c.Pods.Pod(ctx, scope, name)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return "", openmail.FieldErrorf(openmail.CodeInvalidPod, "podId", "There is no pod with that id or clientId.")
	}
	return p.ID, err
}

// Domain returns the one with that id or name; openmail.CodeNotFound.
func (d *Domains) Domain(ctx context.Context, scope openmail.Scope, name string) (Shown, error) {
	if err := scope.NeedPod("see domains"); err != nil {
		return Shown{}, err
	}
	n, err := d.c.Store.Domain(ctx, scope, spelled(name))
	if err != nil {
		return Shown{}, err
	}
	return d.shown(ctx, n)
}

// List returns a page of them, newest first, without their records, and how many
// there are.
func (d *Domains) List(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Domain, int, error) {
	if err := scope.NeedPod("see domains"); err != nil {
		return nil, 0, err
	}
	if p.Limit <= 0 {
		p.Limit = defaultPage
	}
	return d.c.Store.Domains(ctx, scope, openmail.Page{Limit: min(p.Limit, maxPage), Offset: max(p.Offset, 0)})
}

// whole is a domain for what only a key of the whole account may do.
func (d *Domains) whole(ctx context.Context, scope openmail.Scope, doing, name string) (openmail.Domain, error) {
	if err := scope.NeedAccount(doing); err != nil {
		return openmail.Domain{}, err
	}
	return d.c.Store.Domain(ctx, scope, spelled(name))
}

// Bind lets only inboxes of one pod be on a domain, or with "" those of every
// pod. Errors are openmail.CodeNotFound, CodeInvalidPod, CodeDomainHasInboxes.
func (d *Domains) Bind(ctx context.Context, scope openmail.Scope, name, pod string) (Shown, error) {
	n, err := d.whole(ctx, scope, "change a domain", name)
	if err != nil {
		return Shown{}, err
	}
	if n.Pod, err = d.podFor(ctx, scope, pod); err != nil {
		return Shown{}, err
	}
	if err := d.c.Store.BindDomain(ctx, scope, n.ID, n.Pod); err != nil {
		return Shown{}, err
	}
	return d.shown(ctx, n)
}

// Delete removes a domain on which there are no inboxes; openmail.CodeNotFound,
// CodeDomainHasInboxes.
func (d *Domains) Delete(ctx context.Context, scope openmail.Scope, name string) error {
	n, err := d.whole(ctx, scope, "delete a domain", name)
	if err != nil {
		return err
	}
	return d.c.Store.DeleteDomain(ctx, scope, n.ID)
}

// Verify looks at a domain now, and from now on more often again;
// openmail.CodeNotFound, CodeDomainTaken, CodeRateLimit.
func (d *Domains) Verify(ctx context.Context, scope openmail.Scope, name string) (Shown, error) {
	n, err := d.whole(ctx, scope, "check a domain", name)
	if err != nil {
		return Shown{}, err
	}
	if err := d.ask(n.Account); err != nil {
		return Shown{}, err
	}
	defer d.asked(n.Account)
	n.Tries = 0
	n, err = d.check(ctx, scope, n)
	if err != nil {
		return Shown{}, err
	}
	d.ring()
	return d.shown(ctx, n)
}

// ask counts a check that an account asks for. Each may last for as long as name
// servers of its choice please.
func (d *Domains) ask(account string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asking[account] >= atRequest {
		return openmail.Errorf(openmail.CodeRateLimit, "Max %d checks of domains at a time per account", atRequest)
	}
	d.asking[account]++
	return nil
}

func (d *Domains) asked(account string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asking[account]--; d.asking[account] == 0 {
		delete(d.asking, account)
	}
}
