package openmail

import "time"

// Domain is a mail domain that an account has brought.
type Domain struct {
	ID      string
	Account string
	Pod     string // whose inboxes alone may be on it; "": those of every pod
	Name    string // in lower case and ASCII
	// Token is what whoever owns the name publishes to prove it. It is told to
	// this account only.
	Token  string
	Status DomainStatus
	Reason string // what is wrong, or was not found; "" when nothing is
	Checks []RecordCheck
	// Receives says that the mail of others came to this server when that was
	// last looked at.
	Receives   bool
	Tries      int // checks since somebody last asked for one
	Version    int // counts the checks that were written
	CreatedAt  time.Time
	VerifiedAt time.Time // zero: never. Afterwards no other account can have the name
	CheckedAt  time.Time // zero: never
	Due        time.Time // of the next check; zero: none is planned
}

// DomainStatus says how far a domain, or one of its records, has come.
type DomainStatus string

// The statuses. A domain that was verified stays so until it is deleted.
const (
	DomainPending  DomainStatus = "pending"  // what it needs is not there yet
	DomainVerified DomainStatus = "verified" // it was all there once
	DomainFailed   DomainStatus = "failed"   // something is wrong, or was not there for days
)

// DNSRecord is a record that has to be published.
type DNSRecord struct {
	Type     string // "TXT" or "MX"
	Name     string // fully qualified, without a final dot
	Value    string // whole: DNS wants a TXT in strings of at most 255 bytes
	Priority int    // of an MX
}

// DomainRecord is a record of a domain, and what was found of it.
type DomainRecord struct {
	DNSRecord
	Purpose  string // "ownership", "mx", "spf", "dkim" or "dmarc"
	Required bool   // the domain is not verified without it
	Status   DomainStatus
	Reason   string // why it is not verified; "" when it is, or nobody has looked
}

// RecordCheck is what was found of the record of that type and name.
type RecordCheck struct {
	Type, Name string
	Status     DomainStatus
	Reason     string
}
