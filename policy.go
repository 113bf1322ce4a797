package openmail

import (
	"slices"
	"strings"
	"time"
)

// Mode is what happens to an address that no rule names: a sender of mail that
// comes in, a recipient of mail that goes out.
type Mode string

// The modes of a policy.
const (
	ModeNone      Mode = "none"      // admitted, unless blocked
	ModeAllowlist Mode = "allowlist" // turned away, unless allowed
	ModeInherit   Mode = "inherit"   // that of the next wider level; no account has it
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
	At        Scope // the level whose rule it is
	Direction Direction
	Type      RuleType
	Value     string
	// ByAccount says that a key of the whole account made it, not one that is
	// limited to a pod.
	ByAccount bool
	CreatedAt time.Time
}

// Matches reports whether the rule names addr: exactly, by its domain, or by a
// parent of its domain. A rule for a domain does not name what lies below it.
func (r Rule) Matches(addr string) bool {
	return slices.Contains(RuleValues(addr), r.Value)
}

// RuleValues lists every value by which a rule can name addr, however a stranger
// has spelled it.
func RuleValues(addr string) []string {
	addr = PlainAddress(addr)
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

// PolicyLevel is what is said at one level in one direction: for an account, for
// a pod, or for an inbox.
type PolicyLevel struct {
	At        Scope
	Mode      Mode
	ByAccount bool // a key of the whole account set the mode
	Rules     []Rule
}

// Policy is with whom an account, a pod or an inbox may exchange mail in one
// direction: what is said at its level and at the wider ones, the account's
// first.
type Policy []PolicyLevel

// Mode is the mode that holds: the narrowest that is not inherited.
func (p Policy) Mode() Mode {
	return p.nearest(func(PolicyLevel) bool { return true })
}

// AccountMode is the mode that holds by the word of the account's keys alone. A
// key that is limited to a pod cannot loosen it.
func (p Policy) AccountMode() Mode {
	return p.nearest(func(l PolicyLevel) bool { return l.ByAccount })
}

func (p Policy) nearest(counts func(PolicyLevel) bool) Mode {
	for _, l := range slices.Backward(p) {
		if l.Mode != ModeInherit && counts(l) {
			return l.Mode
		}
	}
	return ModeNone
}

// Levels are the ids of the levels that a scope stands for, the account's first,
// then that of its pod and of its inbox where it is limited to one.
func (s Scope) Levels() []string {
	levels := []string{s.Account}
	for _, narrower := range []string{s.Pod, s.Inbox} {
		if narrower != "" {
			levels = append(levels, narrower)
		}
	}
	return levels
}

// Above is a scope that stands for its first n levels.
func (s Scope) Above(n int) Scope {
	switch n {
	case 1:
		return Scope{Account: s.Account}
	case 2:
		return Scope{Account: s.Account, Pod: s.Pod}
	}
	return s
}

// Verdict is a policy's answer to one address.
type Verdict struct {
	Admitted bool
	// Reason says why not: "blocked_by_rule" or "not_on_allowlist".
	Reason string
	Rule   string // the id of the rule that decided; "" when none did
}

// The reasons for which a policy turns an address away.
const (
	ReasonBlocked = "blocked_by_rule"
	ReasonUnknown = "not_on_allowlist"
)

// Admits decides on an address. A block rule wins over everything, at whatever
// level it stands; an empty allowlist admits nobody. On an allowlist that the
// account's keys have set, only rules of the account's keys count: whoever is
// limited to a pod can tighten what holds for it, and not loosen it.
func (p Policy) Admits(addr string) Verdict {
	values := RuleValues(addr)
	var anybodys, accounts string // a rule that allows it
	for _, l := range p {
		for _, r := range l.Rules {
			switch {
			case !slices.Contains(values, r.Value):
				continue
			case r.Type == RuleBlock:
				return Verdict{Reason: ReasonBlocked, Rule: r.ID}
			case r.ByAccount:
				accounts = r.ID
			}
			anybodys = r.ID
		}
	}
	if p.Mode() == ModeAllowlist && anybodys == "" || p.AccountMode() == ModeAllowlist && accounts == "" {
		return Verdict{Reason: ReasonUnknown}
	}
	return Verdict{Admitted: true, Rule: anybodys}
}

// PolicyAction is what a record of a policy tells of.
type PolicyAction string

// The actions that are recorded.
const (
	PolicyReplaced PolicyAction = "policy_replaced" // mode, and rules where they were given
	PolicyModeSet  PolicyAction = "mode_set"
	RuleAdded      PolicyAction = "rule_added"
	RuleRemoved    PolicyAction = "rule_removed"
	PolicyRefused  PolicyAction = "refused" // mail that came in, or was to go out
)

// PolicyActions returns all of them.
func PolicyActions() []PolicyAction {
	return []PolicyAction{PolicyReplaced, PolicyModeSet, RuleAdded, RuleRemoved, PolicyRefused}
}

// PolicyRecord tells of one change of a policy, or of mail that one refused. Mail
// of one inbox and one address that is refused for one reason within an hour of
// the clock is one record, which tells of the first.
type PolicyRecord struct {
	ID        string
	At        Scope // whose policy was changed, or which inbox's mail was refused
	Action    PolicyAction
	Direction Direction
	Key       string // the id of the key that asked for it; "" where mail came in
	Rule      string // the id of the rule that was added or removed, or decided; "": none
	Times     int    // how often: more than once only where mail was refused
	Address   string // who was refused
	Reason    string // why
	Detail    PolicyDetail
	CreatedAt time.Time
}

// PolicyDetail is what more a record says; what is empty does not apply.
type PolicyDetail struct {
	Mode    Mode
	Type    RuleType
	Value   string
	Added   RuleChanges
	Removed RuleChanges
	Held    string // the id of the mail in quarantine
}

// RuleChanges are rules that a replacement added or removed: how many, and the
// first of them, as type and value.
type RuleChanges struct {
	Count int
	First []string
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
