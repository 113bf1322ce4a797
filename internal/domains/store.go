package domains

import (
	"context"
	"time"

	"openmail"
)

// Store is where domains are kept.
type Store interface {
	// CreateDomain writes a new one and counts it in each quota, or the
	// error: openmail.CodeDomainExists, openmail.CodeDomainTaken where
	// another account's is verified, openmail.CodeInvalidPod, that of the
	// quota that is spent.
	CreateDomain(ctx context.Context, scope openmail.Scope, d openmail.Domain, quotas []openmail.Quota) error
	// Domain returns the one with that id or name; openmail.CodeNotFound.
	Domain(ctx context.Context, scope openmail.Scope, name string) (openmail.Domain, error)
	// Domains returns a page of them, newest first, and how many there are.
	Domains(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Domain, int, error)
	Changes
}

// Changes changes what domains are for.
type Changes interface {
	// BindDomain lets only inboxes of that pod be on it, with "" those of
	// every pod; openmail.CodeNotFound, openmail.CodeInvalidPod, and
	// openmail.CodeDomainHasInboxes while one of another pod is.
	BindDomain(ctx context.Context, scope openmail.Scope, id, pod string) error
	// DeleteDomain removes it; openmail.CodeNotFound, and
	// openmail.CodeDomainHasInboxes while there is one on it.
	DeleteDomain(ctx context.Context, scope openmail.Scope, id string) error
}

// Due is where checks of domains are planned and written down.
type Due interface {
	// ClaimDomains returns those that are to be looked at by then, at most
	// limit, the longest overdue first, and plans that they are looked at
	// again at until, should nobody settle them.
	ClaimDomains(ctx context.Context, scope openmail.Scope, by, until time.Time, limit int) ([]openmail.Domain, error)
	// NextDomain returns when the next is to be looked at; zero for none.
	NextDomain(ctx context.Context, scope openmail.Scope) (time.Time, error)
	// SettleDomain writes what a check came to: everything but the pod, if
	// Version is still what it was, and counts that. openmail.CodeNotFound
	// when it is gone, openmail.CodeConflict when another check was written
	// meanwhile, openmail.CodeDomainTaken when it was verified now, and
	// another account's is.
	SettleDomain(ctx context.Context, scope openmail.Scope, d openmail.Domain) error
}

// Pods is where the parts of an account are kept.
type Pods interface {
	// Pod returns the pod with that id or clientId; openmail.CodeNotFound.
	Pod(ctx context.Context, scope openmail.Scope, name string) (openmail.Pod, error)
}

// Names is the domain name system. An error is a question without an answer,
// for now.
type Names interface {
	// TXT returns the texts at a name, each in one piece; none when there are
	// none.
	TXT(ctx context.Context, name string) ([]string, error)
	// MX returns the mail servers of a name, in lower case without a final
	// dot; none when there are none.
	MX(ctx context.Context, name string) ([]string, error)
}

// Keys has the keys that sign mail.
type Keys interface {
	// Records returns the records that tell the public keys of a domain. It
	// gets keys when it has none.
	Records(ctx context.Context, domain string) ([]openmail.DNSRecord, error)
}
