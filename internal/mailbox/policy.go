package mailbox

import (
	"context"
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

// Policy returns who may write to the account's inboxes.
func (m *Mailbox) Policy(ctx context.Context, scope openmail.Scope) (openmail.Policy, error) {
	if err := scope.NeedAccount("read the policy"); err != nil {
		return openmail.Policy{}, err
	}
	return m.c.Policies.Policy(ctx, scope)
}

// PutPolicy sets the mode, and unless rules is nil replaces the rules. A rule
// that was there already keeps its id.
func (m *Mailbox) PutPolicy(ctx context.Context, scope openmail.Scope, mode openmail.Mode, rules []NewRule) (openmail.Policy, error) {
	if err := scope.NeedAccount("change the policy"); err != nil {
		return openmail.Policy{}, err
	}
	if mode != openmail.ModeNone && mode != openmail.ModeAllowlist {
		return openmail.Policy{}, openmail.FieldErrorf(openmail.CodeBadRequest, "mode", "The mode is none or allowlist.")
	}
	m.policy.Lock()
	defer m.policy.Unlock()
	p, err := m.c.Policies.Policy(ctx, scope)
	if err != nil {
		return openmail.Policy{}, err
	}
	p.Mode = mode
	if rules != nil {
		if p.Rules, err = replaced(scope, p.Rules, rules); err != nil {
			return openmail.Policy{}, err
		}
	}
	return p, m.c.Policies.PutPolicy(ctx, scope, p)
}

// replaced is the rules that are wanted, each once, those of old as they were.
func replaced(scope openmail.Scope, old []openmail.Rule, wanted []NewRule) ([]openmail.Rule, error) {
	if len(wanted) > maxRules {
		return nil, tooManyRules()
	}
	known := make(map[NewRule]openmail.Rule, len(old))
	for _, r := range old {
		known[NewRule{r.Type, r.Value}] = r
	}
	rules := make([]openmail.Rule, 0, len(wanted))
	taken := make(map[NewRule]bool, len(wanted))
	for _, w := range wanted {
		r, err := w.rule(scope)
		if err != nil {
			return nil, err
		}
		same := NewRule{r.Type, r.Value}
		if taken[same] {
			continue
		}
		taken[same] = true
		if was, ok := known[same]; ok {
			r = was
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// AddRule adds one rule; openmail.CodeRuleExists when it is there already.
func (m *Mailbox) AddRule(ctx context.Context, scope openmail.Scope, n NewRule) (openmail.Rule, error) {
	if err := scope.NeedAccount("change the policy"); err != nil {
		return openmail.Rule{}, err
	}
	r, err := n.rule(scope)
	if err != nil {
		return openmail.Rule{}, err
	}
	m.policy.Lock()
	defer m.policy.Unlock()
	p, err := m.c.Policies.Policy(ctx, scope)
	if err != nil {
		return openmail.Rule{}, err
	}
	if len(p.Rules) >= maxRules {
		return openmail.Rule{}, tooManyRules()
	}
	return r, m.c.Policies.AddRule(ctx, scope, r)
}

// DeleteRule removes one rule.
func (m *Mailbox) DeleteRule(ctx context.Context, scope openmail.Scope, rule string) error {
	if err := scope.NeedAccount("change the policy"); err != nil {
		return err
	}
	m.policy.Lock()
	defer m.policy.Unlock()
	return m.c.Policies.DeleteRule(ctx, scope, rule)
}

func tooManyRules() error {
	return openmail.FieldErrorf(openmail.CodeBadRequest, "rules", "A policy has at most %d rules.", maxRules)
}

// rule checks what is asked for and spells it as mail will be compared with it.
func (n NewRule) rule(scope openmail.Scope) (openmail.Rule, error) {
	if n.Type != openmail.RuleAllow && n.Type != openmail.RuleBlock {
		return openmail.Rule{}, openmail.FieldErrorf(openmail.CodeBadRequest, "type", "The type of a rule is allow or block.")
	}
	value, ok := ruleValue(n.Value)
	if !ok {
		return openmail.Rule{}, openmail.FieldErrorf(openmail.CodeBadRequest, "value", "The value of a rule is an address, a domain, or *.domain.")
	}
	now := time.Now()
	return openmail.Rule{
		ID: id.At(openmail.PrefixRule, now), Account: scope.Account,
		Direction: openmail.Inbound, Type: n.Type, Value: value, CreatedAt: now,
	}, nil
}

// ruleValue is an address, a domain or *.domain in lower case, the domain in
// ASCII.
func ruleValue(text string) (string, bool) {
	if !utf8.ValidString(text) || len(text) > 2*maxAddress {
		return "", false
	}
	text = strings.ToLower(strings.TrimSpace(text))
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
