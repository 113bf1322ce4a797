package openmail

import (
	"slices"
	"strings"
	"time"
)

// Mode is what happens to a sender whom no rule names.
type Mode string

// The modes of a policy.
const (
	ModeNone      Mode = "none"      // admitted, unless blocked
	ModeAllowlist Mode = "allowlist" // turned away, unless allowed
)

// RuleType tells what a rule does.
type RuleType string

// The types of rules.
const (
	RuleAllow RuleType = "allow"
	RuleBlock RuleType = "block"
)

// Rule is one line of a policy. Value is an address, a domain, or *.domain for
// what lies below the domain; always lower case.
type Rule struct {
	ID        string
	Account   string
	Direction Direction
	Type      RuleType
	Value     string
	CreatedAt time.Time
}

// Matches reports whether the rule names addr: exactly, by its domain, or by a
// parent of its domain. A rule for a domain does not name what lies below it.
func (r Rule) Matches(addr string) bool {
	return slices.Contains(RuleValues(addr), r.Value)
}

// RuleValues lists every value by which a rule can name addr.
func RuleValues(addr string) []string {
	addr = strings.ToLower(addr)
	_, domain, ok := cutLast(addr, "@")
	if !ok || domain == "" {
		return nil
	}
	values := []string{addr, domain}
	for {
		_, parent, more := strings.Cut(domain, ".")
		if !more || len(values) > maxLabels {
			return values
		}
		values = append(values, "*."+parent)
		domain = parent
	}
}

// maxLabels is more than a domain can have: 253 bytes (RFC 1035 section 2.3.4).
const maxLabels = 128

// Policy is who may write to an account's inboxes.
type Policy struct {
	Mode  Mode
	Rules []Rule
}

// Verdict is a policy's answer to one sender.
type Verdict struct {
	Admitted bool
	// Reason says why not: "blocked_by_rule" or "not_on_allowlist".
	Reason string
	Rule   string // the id of the rule that decided; "" when none did
}

// The reasons for which a policy turns a sender away.
const (
	ReasonBlocked = "blocked_by_rule"
	ReasonUnknown = "not_on_allowlist"
)

// Admits decides on a sender, the address of the From header. A block rule
// wins over everything; an empty allowlist admits nobody.
func (p Policy) Admits(from string) Verdict {
	var allowed string
	for _, r := range p.Rules {
		if !r.Matches(from) {
			continue
		}
		if r.Type == RuleBlock {
			return Verdict{Reason: ReasonBlocked, Rule: r.ID}
		}
		allowed = r.ID
	}
	if p.Mode == ModeAllowlist && allowed == "" {
		return Verdict{Reason: ReasonUnknown}
	}
	return Verdict{Admitted: true, Rule: allowed}
}

// Quarantined is a mail that a policy turned away.
type Quarantined struct {
	ID        string // the id that the message will have if it is released
	Account   string
	Inbox     string
	From      Address
	Subject   string
	Verdict   Verdict
	SizeBytes int64
	CreatedAt time.Time
	ExpiresAt time.Time
}
