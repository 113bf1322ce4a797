package mailbox

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"openmail"
	"openmail/internal/id"
)

// Bounds of a policy.
const (
	maxRules   = 10_000
	maxAddress = 254 // bytes (RFC 5321 section 4.5.3.1.3, without its brackets)
	maxLocal   = 64  // bytes (RFC 5321 section 4.5.3.1.1)
	maxDomain  = 253 // bytes (RFC 1035 section 2.3.4)
)

// NewRule asks for a rule.
type NewRule struct {
	Type  openmail.RuleType
	Value string // an address, a domain, or *.domain; in any case
}

// Level names whose policy is meant: that of an inbox, of a pod, or, where both
// are empty, of the account.
type Level struct {
	Pod   string // its id or clientId
	Inbox string
}

// level finds a level that the scope reaches.
func (m *Mailbox) level(ctx context.Context, scope openmail.Scope, l Level, doing string) (openmail.Scope, error) {
	if err := scope.NeedPod(doing); err != nil {
		return openmail.Scope{}, err
	}
	at := openmail.Scope{Account: scope.Account}
	switch {
	case l.Pod != "" && l.Inbox != "":
		return at, openmail.FieldErrorf(openmail.CodeBadRequest, "inboxId", "podId and inboxId are not given together.")
	case l.Pod != "":
		p, err := m.Pod(ctx, scope, l.Pod)
		at.Pod = p.ID
		return at, err
	case l.Inbox != "":
		in, err := m.Inbox(ctx, scope, l.Inbox)
		at.Pod, at.Inbox = in.Pod, in.ID
		return at, err
	}
	return at, scope.NeedAccount(doing + " of the account: name its pod or an inbox")
}

// LevelPolicy is what holds at a level in both directions. Rules of levels that the
// scope does not reach are left out.
type LevelPolicy struct {
	At                openmail.Scope
	Inbound, Outbound openmail.Policy
}

// Policy returns with whom mail may be exchanged at a level.
func (m *Mailbox) Policy(ctx context.Context, scope openmail.Scope, l Level) (LevelPolicy, error) {
	at, err := m.level(ctx, scope, l, "read the policy")
	if err != nil {
		return LevelPolicy{}, err
	}
	return m.policies(ctx, scope, at)
}

func (m *Mailbox) policies(ctx context.Context, scope, at openmail.Scope) (p LevelPolicy, err error) {
	p.At = at
	if p.Inbound, err = m.seen(ctx, scope, openmail.Inbound, at); err != nil {
		return p, err
	}
	p.Outbound, err = m.seen(ctx, scope, openmail.Outbound, at)
	return p, err
}

// seen is a policy as the scope may see it.
func (m *Mailbox) seen(ctx context.Context, scope openmail.Scope, d openmail.Direction, at openmail.Scope) (openmail.Policy, error) {
	p, err := m.c.Policies.Policy(ctx, scope, d, at)
	for i, l := range p {
		if !scope.Covers(l.At.Account, l.At.Pod, l.At.Inbox) {
			p[i].Rules = nil
		}
	}
	return p, err
}

// PolicyPut asks for the policy of a level in one direction.
type PolicyPut struct {
	Direction openmail.Direction
	Mode      openmail.Mode
	Rules     []NewRule // nil: those that are there stay
}

// PutPolicy sets modes, and replaces rules where they are given: all that is
// asked for or nothing. A rule that was there already keeps its id.
func (m *Mailbox) PutPolicy(ctx context.Context, by openmail.Key, l Level, puts []PolicyPut) (LevelPolicy, error) {
	return m.change(ctx, by, l, openmail.PolicyReplaced, puts)
}

// SetPolicyMode sets the mode of one direction.
func (m *Mailbox) SetPolicyMode(ctx context.Context, by openmail.Key, l Level, d openmail.Direction, mode openmail.Mode) (LevelPolicy, error) {
	return m.change(ctx, by, l, openmail.PolicyModeSet, []PolicyPut{{Direction: d, Mode: mode}})
}

func (m *Mailbox) change(ctx context.Context, by openmail.Key, l Level, action openmail.PolicyAction, puts []PolicyPut) (LevelPolicy, error) {
	scope := by.Scope()
	at, err := m.level(ctx, scope, l, "change the policy")
	if err != nil {
		return LevelPolicy{}, err
	}
	ds := make([]openmail.Direction, len(puts))
	for i, put := range puts {
		ds[i] = put.Direction
	}
	err = m.c.Policies.ChangePolicy(ctx, scope, at, ds, func(as []openmail.Policy) (changes []PolicyChange, err error) {
		for i, put := range puts {
			c, err := changed(by, as[i], put)
			if err != nil {
				return nil, err
			}
			if c.Record.Action = action; !c.nothing(as[i]) {
				changes = append(changes, c)
			}
		}
		return changes, nil
	})
	if err != nil {
		return LevelPolicy{}, err
	}
	return m.policies(ctx, scope, at)
}

// changed is what a policy's own level becomes, if whoever asks may do that.
func changed(by openmail.Key, p openmail.Policy, put PolicyPut) (PolicyChange, error) {
	own := p[len(p)-1]
	scope := by.Scope()
	if err := mayMode(scope, p, put.Mode); err != nil {
		return PolicyChange{}, err
	}
	c := PolicyChange{Level: own, ReplaceRules: put.Rules != nil, Record: record(by, own.At, put.Direction)}
	c.Record.Detail.Mode = put.Mode
	if put.Mode != own.Mode || scope.WholeAccount() {
		c.Level.Mode, c.Level.ByAccount = put.Mode, scope.WholeAccount() && put.Mode != openmail.ModeInherit
	}
	if put.Rules == nil {
		return c, nil
	}
	after := append(slices.Clone(p[:len(p)-1]), openmail.PolicyLevel{At: own.At, Mode: c.Level.Mode, ByAccount: c.Level.ByAccount})
	var err error
	if c.Level.Rules, err = replaced(scope, after, own.Rules, put); err != nil {
		return PolicyChange{}, err
	}
	c.Record.Detail.Added = difference(c.Level.Rules, own.Rules)
	c.Record.Detail.Removed = difference(own.Rules, c.Level.Rules)
	return c, nil
}

// nothing reports whether all is as a policy has it already.
func (c PolicyChange) nothing(p openmail.Policy) bool {
	own := p[len(p)-1]
	rules := slices.SortedFunc(slices.Values(c.Level.Rules), func(a, b openmail.Rule) int { return strings.Compare(a.ID, b.ID) })
	return c.Level.Mode == own.Mode && c.Level.ByAccount == own.ByAccount && slices.Equal(rules, own.Rules)
}

// mayMode checks a mode that a policy's own level is to have. A key that is
// limited to a pod loosens nothing that the account's keys have set.
func mayMode(scope openmail.Scope, p openmail.Policy, mode openmail.Mode) error {
	own := p[len(p)-1]
	switch mode {
	case openmail.ModeNone, openmail.ModeAllowlist:
	case openmail.ModeInherit:
		if len(p) == 1 {
			return openmail.FieldErrorf(openmail.CodeBadRequest, "mode", "The mode of an account is none or allowlist: there is nothing to inherit.")
		}
	default:
		return openmail.FieldErrorf(openmail.CodeBadRequest, "mode", "The mode is none, allowlist or inherit.")
	}
	if scope.WholeAccount() || mode == own.Mode {
		return nil
	}
	if mode == openmail.ModeNone {
		return openmail.FieldErrorf(openmail.CodeForbidden, "mode", "This key reaches the pod %s only: it cannot set the mode none.", scope.Pod)
	}
	if own.Mode == openmail.ModeAllowlist && own.ByAccount {
		return openmail.FieldErrorf(openmail.CodeForbidden, "mode", "This key reaches the pod %s only: it cannot change an allowlist that a key of the account has set.", scope.Pod)
	}
	return nil
}

// mayAllow checks that whoever asks may add an allow rule to a policy's own
// level.
func mayAllow(scope openmail.Scope, p openmail.Policy) error {
	if scope.WholeAccount() || p.AccountMode() != openmail.ModeAllowlist && p[:len(p)-1].Mode() != openmail.ModeAllowlist {
		return nil
	}
	return openmail.FieldErrorf(openmail.CodeForbidden, "type", "This key reaches the pod %s only: it cannot add to the allowlist that holds here.", scope.Pod)
}

// replaced is the rules that are wanted of a policy's own level, each once,
// those of old as they were.
func replaced(scope openmail.Scope, p openmail.Policy, old []openmail.Rule, put PolicyPut) ([]openmail.Rule, error) {
	if len(put.Rules) > maxRules {
		return nil, TooManyRules()
	}
	known := make(map[NewRule]openmail.Rule, len(old))
	for _, r := range old {
		known[NewRule{r.Type, r.Value}] = r
	}
	rules := make([]openmail.Rule, 0, len(put.Rules))
	taken := make(map[NewRule]bool, len(put.Rules))
	for _, w := range put.Rules {
		r, err := w.rule(scope, p[len(p)-1].At, put.Direction)
		if err != nil {
			return nil, err
		}
		same := NewRule{r.Type, r.Value}
		if taken[same] {
			continue
		}
		taken[same] = true
		if was, ok := known[same]; ok {
			was.ByAccount = was.ByAccount || r.ByAccount
			r = was
		} else if err := mayAdd(scope, p, r); err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, mayLeaveOut(scope, old, taken)
}

func mayAdd(scope openmail.Scope, p openmail.Policy, r openmail.Rule) error {
	if r.Type != openmail.RuleAllow {
		return nil
	}
	return mayAllow(scope, p)
}

// mayLeaveOut checks that whoever asks may remove the rules that are not kept.
func mayLeaveOut(scope openmail.Scope, old []openmail.Rule, kept map[NewRule]bool) error {
	for _, r := range old {
		if !kept[NewRule{r.Type, r.Value}] {
			if err := mayRemove(scope, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func mayRemove(scope openmail.Scope, r openmail.Rule) error {
	if scope.WholeAccount() || !r.ByAccount {
		return nil
	}
	return openmail.Errorf(openmail.CodeForbidden, "This key reaches the pod %s only: it cannot remove the rule %s, which a key of the account has made.", scope.Pod, r.ID)
}

// firstChanges is how many rules a record of a replacement names.
const firstChanges = 100

// difference is the rules that are in a and not in b.
func difference(a, b []openmail.Rule) (d openmail.RuleChanges) {
	in := make(map[NewRule]bool, len(b))
	for _, r := range b {
		in[NewRule{r.Type, r.Value}] = true
	}
	for _, r := range a {
		if in[NewRule{r.Type, r.Value}] {
			continue
		}
		if d.Count++; d.Count <= firstChanges {
			d.First = append(d.First, string(r.Type)+" "+r.Value)
		}
	}
	return d
}

// AddRule adds one rule; openmail.CodeRuleExists when it is there already.
func (m *Mailbox) AddRule(ctx context.Context, by openmail.Key, l Level, d openmail.Direction, n NewRule) (openmail.Rule, error) {
	scope := by.Scope()
	at, err := m.level(ctx, scope, l, "change the policy")
	if err != nil {
		return openmail.Rule{}, err
	}
	r, err := n.rule(scope, at, d)
	if err != nil {
		return openmail.Rule{}, err
	}
	// An account's key may add any. What becomes of the policy after it is read
	// here opens nothing: a rule of a pod's key does not count on an allowlist of
	// the account's.
	if !scope.WholeAccount() {
		p, err := m.c.Policies.Policy(ctx, scope, d, at)
		if err != nil {
			return openmail.Rule{}, err
		}
		if err := mayAdd(scope, p, r); err != nil {
			return openmail.Rule{}, err
		}
	}
	rec := record(by, at, d)
	rec.Action, rec.Rule = openmail.RuleAdded, r.ID
	rec.Detail.Type, rec.Detail.Value = r.Type, r.Value
	return m.c.Rules.AddRule(ctx, scope, r, maxRules, rec)
}

// DeleteRule removes one rule of a level; openmail.CodeInheritedRule when it is
// the rule of a wider one.
func (m *Mailbox) DeleteRule(ctx context.Context, by openmail.Key, l Level, rule string) error {
	scope := by.Scope()
	at, err := m.level(ctx, scope, l, "change the policy")
	if err != nil {
		return err
	}
	r, err := m.c.Rules.Rule(ctx, openmail.Scope{Account: scope.Account}, rule)
	if err != nil {
		return err
	}
	switch {
	case r.At == at:
	case r.At.Covers(at.Account, at.Pod, at.Inbox):
		return openmail.Errorf(openmail.CodeInheritedRule, "The rule %s belongs to a wider level: remove it there.", r.ID)
	default:
		return openmail.Errorf(openmail.CodeNotFound, "There is no such rule.")
	}
	if err := mayRemove(scope, r); err != nil {
		return err
	}
	rec := record(by, at, r.Direction)
	rec.Action, rec.Rule = openmail.RuleRemoved, r.ID
	rec.Detail.Type, rec.Detail.Value = r.Type, r.Value
	return m.c.Rules.DeleteRule(ctx, scope, r, rec)
}

// record is the beginning of a record of what a key does.
func record(by openmail.Key, at openmail.Scope, d openmail.Direction) openmail.PolicyRecord {
	now := time.Now()
	return openmail.PolicyRecord{ID: id.At(openmail.PrefixRecord, now), At: at, Direction: d, Key: by.ID, CreatedAt: now}
}

// PolicyRecords returns a page of what was changed of policies and what they
// refused, newest first, and how many there are: all that the scope reaches, or
// that of one pod or one inbox.
func (m *Mailbox) PolicyRecords(ctx context.Context, scope openmail.Scope, l Level, f RecordFilter, p openmail.Page) ([]openmail.PolicyRecord, int, error) {
	if l == (Level{}) {
		l.Pod = scope.Pod
	}
	at, err := m.level(ctx, scope, l, "read the records of policies")
	if err != nil {
		return nil, 0, err
	}
	return m.c.Records.PolicyRecords(ctx, at, f, page(p))
}

// TooManyRules is the error for a level that has as many rules as it may.
func TooManyRules() error {
	return openmail.FieldErrorf(openmail.CodeBadRequest, "rules", "A policy has at most %d rules in each direction.", maxRules)
}

// rule checks what is asked for and spells it as mail will be compared with it.
func (n NewRule) rule(scope, at openmail.Scope, d openmail.Direction) (openmail.Rule, error) {
	if n.Type != openmail.RuleAllow && n.Type != openmail.RuleBlock {
		return openmail.Rule{}, openmail.FieldErrorf(openmail.CodeBadRequest, "type", "The type of a rule is allow or block.")
	}
	value, ok := ruleValue(n.Value)
	if !ok {
		return openmail.Rule{}, openmail.FieldErrorf(openmail.CodeBadRequest, "value", "The value of a rule is an address, a domain, or *.domain.")
	}
	now := time.Now()
	return openmail.Rule{
		ID: id.At(openmail.PrefixRule, now), At: at, Direction: d, Type: n.Type, Value: value,
		ByAccount: scope.WholeAccount(), CreatedAt: now,
	}, nil
}

// ruleValue is an address, a domain or *.domain in lower case, the domain in
// ASCII.
func ruleValue(text string) (string, bool) {
	if !utf8.ValidString(text) || len(text) > 2*maxAddress {
		return "", false
	}
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.Contains(text, "@") {
		text = openmail.PlainAddress(text)
	}
	if len(text) > maxAddress {
		return "", false
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		local := text[:at]
		domain, ok := asciiDomain(text[at+1:])
		return local + "@" + domain, ok && validLocal(local)
	}
	if below, ok := strings.CutPrefix(text, "*."); ok {
		domain, ok := asciiDomain(below)
		return "*." + domain, ok
	}
	return asciiDomain(text)
}

func validLocal(local string) bool {
	return local != "" && len(local) <= maxLocal &&
		!strings.ContainsFunc(local, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
}

// asciiDomain is a domain as DNS spells it (RFC 5891), if it is one.
func asciiDomain(name string) (string, bool) {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil || ascii == "" || len(ascii) > maxDomain {
		return "", false
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
	}
	return ascii, true
}
