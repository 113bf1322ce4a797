package store_test

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/id"
)

func (h *house) addDomain(scope openmail.Scope, name string) openmail.Domain {
	h.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	d := openmail.Domain{
		ID: id.New(openmail.PrefixDomain), Account: scope.Account, Pod: scope.Pod, Name: name, Token: "t" + scope.Account,
		Status: openmail.DomainPending, CreatedAt: now, Due: now.Add(time.Minute),
	}
	h.check(h.CreateDomain(h.t.Context(), scope, d, nil))
	return d
}

// verified is the domain after a check that has found everything.
func (h *house) verified(scope openmail.Scope, d openmail.Domain) openmail.Domain {
	h.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	d.Status, d.Receives, d.VerifiedAt, d.CheckedAt, d.Due = openmail.DomainVerified, true, now, now, now.Add(time.Hour)
	d.Checks = []openmail.RecordCheck{{Type: "MX", Name: d.Name, Status: openmail.DomainVerified}}
	h.check(h.SettleDomain(h.t.Context(), scope, d))
	d.Version++
	return d
}

func TestADomainIsReadAsItWasWritten(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx, d := t.Context(), h.addDomain(h.scope, "acme.example")
		for _, name := range []string{d.ID, d.Name} {
			if got, err := h.Domain(ctx, h.scope, name); !reflect.DeepEqual(got, d) || err != nil {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, d)
			}
		}
		d = h.verified(h.scope, d)
		if got, err := h.Domain(ctx, h.scope, d.ID); !reflect.DeepEqual(got, d) || err != nil {
			t.Errorf("verified: %+v, %v; want %+v", got, err, d)
		}
		stale := d
		stale.Version--
		if err := h.SettleDomain(ctx, h.scope, stale); openmail.CodeOf(err) != openmail.CodeConflict {
			t.Errorf("a check that ended too late: %v", err)
		}
		stranger := openmail.Scope{Account: h.addAccount()}
		if _, err := h.Domain(ctx, stranger, d.ID); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("a stranger reads it: %v", err)
		}
		for _, err := range []error{h.SettleDomain(ctx, stranger, d), h.DeleteDomain(ctx, stranger, d.ID), h.BindDomain(ctx, stranger, d.ID, "")} {
			if openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("a stranger changes it: %v", err)
			}
		}
		if _, err := h.UsableDomain(ctx, stranger, d.Name, ""); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("a stranger uses it: %v", err)
		}
		if here, err := h.ReceivesFor(ctx, openmail.Operator(), d.Name); !here || err != nil {
			t.Errorf("its mail comes here: %v, %v", here, err)
		}
		if counts, err := h.CountDomains(ctx, openmail.Operator()); counts[openmail.DomainVerified] != 1 || counts[openmail.DomainPending] != 0 || err != nil {
			t.Errorf("counted: %v, %v", counts, err)
		}
	})
}

func TestOfAccountsThatProveADomainAtTheSameTimeOneHasIt(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		const n = 6
		var all [n]openmail.Domain
		for i := range all {
			all[i] = h.addDomain(openmail.Scope{Account: h.addAccount()}, "acme.example")
		}
		var errs [n]error
		var wg sync.WaitGroup
		for i, d := range all {
			wg.Go(func() {
				d.Status, d.VerifiedAt = openmail.DomainVerified, time.Now()
				errs[i] = h.SettleDomain(t.Context(), openmail.Scope{Account: d.Account}, d)
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch openmail.CodeOf(err) {
			case "":
				won++
			case openmail.CodeDomainTaken:
			default:
				t.Errorf("neither has it nor is told who has: %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d accounts have the domain", won)
		}
	})
}

func TestNoInboxIsLeftWithoutItsDomain(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		d := h.verified(h.scope, h.addDomain(h.scope, "acme.example"))
		pod, other := h.addPod("acme"), h.addPod("other")
		in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Pod: pod.ID, Domain: d.ID, Address: "joe@acme.example", CreatedAt: time.Now()}
		var created, deleted error
		var wg sync.WaitGroup
		wg.Go(func() { created = h.CreateInbox(ctx, h.scope, in) })
		wg.Go(func() { deleted = h.DeleteDomain(ctx, h.scope, d.ID) })
		wg.Wait()
		switch {
		case deleted == nil && openmail.CodeOf(created) == openmail.CodeInvalidDomain:
			d = h.verified(h.scope, h.addDomain(h.scope, "acme.example"))
			in.Domain = d.ID
			h.check(h.CreateInbox(ctx, h.scope, in))
		case created == nil && openmail.CodeOf(deleted) == openmail.CodeDomainHasInboxes:
		default:
			t.Fatalf("created: %v, deleted: %v", created, deleted)
		}
		if got, err := h.Inbox(ctx, h.scope, in.ID); got.Domain != d.ID || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if err := h.BindDomain(ctx, h.scope, d.ID, other.ID); openmail.CodeOf(err) != openmail.CodeDomainHasInboxes {
			t.Errorf("bound to another pod: %v", err)
		}
		h.check(h.BindDomain(ctx, h.scope, d.ID, pod.ID))
		beside := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Pod: other.ID, Domain: d.ID, Address: "jim@acme.example", CreatedAt: time.Now()}
		if err := h.CreateInbox(ctx, h.scope, beside); openmail.CodeOf(err) != openmail.CodeInvalidDomain {
			t.Errorf("an inbox of another pod: %v", err)
		}
		h.check(h.DeleteInbox(ctx, h.scope, in.ID, time.Now()))
		if err := h.DeletePod(ctx, h.scope, pod.ID, time.Now()); openmail.CodeOf(err) != openmail.CodePodHasDomains {
			t.Errorf("its pod is deleted: %v", err)
		}
		h.check(h.DeleteDomain(ctx, h.scope, d.ID))
		h.check(h.DeletePod(ctx, h.scope, pod.ID, time.Now()))
	})
}

func TestADomainThatIsDueIsGivenToOneChecker(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		ctx, d := t.Context(), h.addDomain(h.scope, "acme.example")
		if due, err := h.ClaimDomains(ctx, openmail.Operator(), d.Due.Add(-time.Second), d.Due.Add(time.Hour), 10); len(due) != 0 || err != nil {
			t.Errorf("before its time: %+v, %v", due, err)
		}
		if next, err := h.NextDomain(ctx, openmail.Operator()); !next.Equal(d.Due) || err != nil {
			t.Errorf("the next is due at %v, %v", next, err)
		}
		var claims [4]int
		var wg sync.WaitGroup
		for i := range claims {
			wg.Go(func() {
				due, err := h.ClaimDomains(ctx, openmail.Operator(), d.Due, d.Due.Add(time.Hour), 10)
				if err != nil {
					t.Error(err)
				}
				claims[i] = len(due)
			})
		}
		wg.Wait()
		if claims[0]+claims[1]+claims[2]+claims[3] != 1 {
			t.Errorf("claimed %v times", claims)
		}
		if next, err := h.NextDomain(ctx, openmail.Operator()); !next.Equal(d.Due.Add(time.Hour)) || err != nil {
			t.Errorf("after a checker that died it is due at %v, %v", next, err)
		}
	})
}
