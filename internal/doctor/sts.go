package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxPolicy is how much of a policy is read (RFC 8461 section 3.3).
const maxPolicy = 64 << 10

// sts looks at the policy that makes senders use TLS (RFC 8461), if there is
// one: it is worth having, and a wrong one turns mail away.
func (c Config) sts(ctx context.Context) []Check {
	domain := c.Server.Domain
	texts, err := c.Names.TXT(ctx, "_mta-sts."+domain)
	texts = slices.DeleteFunc(texts, func(t string) bool { return !strings.HasPrefix(t, "v=STSv1;") })
	switch {
	case err != nil:
		return one("mta-sts", Warn, fmt.Sprintf("_mta-sts.%s could not be looked up: %v", domain, err))
	case len(texts) == 0:
		return one("mta-sts", OK, fmt.Sprintf("%s does not demand TLS of senders; with a policy it would (RFC 8461)", domain))
	}
	policy, err := c.policy(ctx, "mta-sts."+domain)
	if err != nil {
		return one("mta-sts", Warn, fmt.Sprintf("the policy at https://mta-sts.%s cannot be read (%v): serve it, or remove the record at _mta-sts.%[1]s", domain, err))
	}
	host := strings.ToLower(c.Server.Hostname)
	if slices.ContainsFunc(policy["mx"], func(mx string) bool { return matches(mx, host) }) {
		return one("mta-sts", OK, fmt.Sprintf("the policy is %s and names %s", strings.Join(policy["mode"], " "), host))
	}
	status := Warn
	if slices.Contains(policy["mode"], "enforce") {
		status = Fail
	}
	return one("mta-sts", status, fmt.Sprintf("the policy does not name %s, and senders that follow it do not come: add the line mx: %[1]s, and change the id in the record", host))
}

// matches reports whether a policy's pattern covers a host (RFC 8461 section
// 4.1).
func matches(pattern, host string) bool {
	if rest, wild := strings.CutPrefix(pattern, "*."); wild {
		_, parent, _ := strings.Cut(host, ".")
		return rest == parent
	}
	return pattern == host
}

// policy reads the fields of a policy.
func (c Config) policy(ctx context.Context, host string) (map[string][]string, error) {
	_, body, err := c.Web.Get(ctx, "https://"+host+"/.well-known/mta-sts.txt", maxPolicy)
	if err != nil {
		return nil, err
	}
	fields := map[string][]string{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		fields[name] = append(fields[name], strings.ToLower(strings.TrimSpace(value)))
	}
	if !slices.Equal(fields["version"], []string{"stsv1"}) {
		return nil, errors.New("it has no version: STSv1")
	}
	return fields, nil
}
