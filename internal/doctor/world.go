package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"openmail"
	"openmail/internal/domains"
)

// port sees whether mail from the internet can come.
func (c Config) port(context.Context) []Check {
	at, err := netip.ParseAddrPort(c.Server.SMTP)
	switch {
	case err != nil:
		return nil // told by smtp
	case at.Addr().IsLoopback():
		return one("port", Warn, fmt.Sprintf("the server listens at %s, for this machine only: --smtp :25", at))
	case at.Port() != 25:
		return one("port", Warn, fmt.Sprintf("the server listens at port %d, and mail from the internet comes to port 25: --smtp :25, or have port 25 lead there", at.Port()))
	}
	return one("port", OK, "the server listens at port 25")
}

// addresses looks at the hostname, at each address that it has, and back.
func (c Config) addresses(ctx context.Context) []Check {
	host := c.Server.Hostname
	ips, err := c.Names.Addrs(ctx, host)
	switch {
	case err != nil:
		return one("address", Warn, fmt.Sprintf("the address of %s could not be looked up: %v", host, err))
	case len(ips) == 0:
		return one("address", Fail, fmt.Sprintf("%s has no address: publish an A record, and AAAA if the machine has IPv6", host))
	}
	checks := one("address", OK, fmt.Sprintf("%s is %s", host, joined(ips)))
	for _, ip := range ips[:min(len(ips), 4)] {
		if !ip.IsGlobalUnicast() || ip.IsPrivate() {
			checks = append(checks, Check{"address", Fail, fmt.Sprintf("%s is no address of the internet: publish the public one", ip)})
			continue
		}
		checks = append(checks, c.reachable(ctx, ip))
		if c.Server.Leaves && c.Server.Relay == "" {
			checks = append(checks, c.reverse(ctx, ip))
		}
	}
	return checks
}

func joined(ips []netip.Addr) string {
	var texts []string
	for _, ip := range ips[:min(len(ips), 4)] {
		texts = append(texts, ip.String())
	}
	return strings.Join(texts, ", ")
}

// reachable greets the server by an address of its name.
func (c Config) reachable(ctx context.Context, ip netip.Addr) Check {
	at := netip.AddrPortFrom(ip, 25).String()
	greeting, err := c.greeting(ctx, at)
	switch {
	case err != nil:
		return Check{"inbound", Warn, fmt.Sprintf("%s does not answer from here (%v): open port 25 in the firewall, and look from elsewhere: some networks do not let a machine reach itself by its public address", at, err)}
	case !strings.Contains(strings.ToLower(greeting), strings.ToLower(c.Server.Hostname)):
		return Check{"inbound", Fail, fmt.Sprintf("another mail server answers at %s: the A record of %s, or --hostname", at, c.Server.Hostname)}
	}
	return Check{"inbound", OK, at + " is this server"}
}

// greeting is the first line of an SMTP server.
func (c Config) greeting(ctx context.Context, at string) (string, error) {
	conn, err := c.Dial(ctx, "tcp", at)
	if err != nil {
		return "", bare(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	text := textproto.NewConn(conn)
	_, line, err := text.ReadResponse(220)
	if err != nil {
		return "", bare(err)
	}
	_ = text.PrintfLine("QUIT")
	return line, nil
}

// reverse looks whether an address has the hostname's name.
func (c Config) reverse(ctx context.Context, ip netip.Addr) Check {
	names, err := c.Names.Reverse(ctx, ip)
	host := strings.ToLower(c.Server.Hostname)
	switch {
	case err != nil:
		return Check{"reverse", Warn, fmt.Sprintf("the name of %s could not be looked up: %v", ip, err)}
	case slices.Contains(names, host):
		return Check{"reverse", OK, fmt.Sprintf("%s is named %s", ip, host)}
	case len(names) == 0:
		return Check{"reverse", Fail, fmt.Sprintf("%s has no name: where you rent the address, set its reverse DNS (PTR) to %s, or large receivers refuse mail", ip, host)}
	}
	return Check{"reverse", Warn, fmt.Sprintf("%s is named %s: where you rent the address, set its reverse DNS (PTR) to %s", ip, names[0], host)}
}

// records looks at what the domain publishes.
func (c Config) records(ctx context.Context) []Check {
	s := c.Server
	records, err := domains.Look(ctx, domains.Config{Names: c.Names, Keys: keys(s.DKIM), Hostname: s.Hostname, SPF: s.SPF}, s.Domain)
	if err != nil {
		return one("dns", Warn, fmt.Sprintf("the records of %s could not be looked up: %v", s.Domain, err))
	}
	var checks []Check
	for _, r := range records {
		if s.Leaves || r.Purpose == "mx" {
			checks = append(checks, record(r))
		}
	}
	if s.Leaves && s.SPF == "" {
		checks = append(checks, c.someSPF(ctx))
	}
	return checks
}

// keys are the public keys that a server has told.
type keys []openmail.DNSRecord

func (k keys) Records(context.Context, string) ([]openmail.DNSRecord, error) { return k, nil }

// record is the finding about a record that the server knows the value of.
func record(r domains.Looked) Check {
	what := r.Type + " " + r.Name
	value := r.Value
	if r.Type == "MX" {
		value = fmt.Sprintf("%d %s", r.Priority, value)
	}
	switch {
	case r.Status == openmail.DomainVerified:
		return Check{r.Purpose, OK, what + " is right"}
	case r.Unsure, !r.Required:
		return Check{r.Purpose, Warn, fmt.Sprintf("%s: %s It should be: %s", what, r.Reason, value)}
	}
	return Check{r.Purpose, Fail, fmt.Sprintf("%s: %s It should be: %s", what, r.Reason, value)}
}

// someSPF is for a relay, whose mechanism only its operator knows.
func (c Config) someSPF(ctx context.Context) Check {
	texts, err := c.Names.TXT(ctx, c.Server.Domain)
	n := 0
	for _, t := range texts {
		if version, _, _ := strings.Cut(strings.ToLower(t), " "); version == "v=spf1" {
			n++
		}
	}
	switch {
	case err != nil:
		return Check{"spf", Warn, fmt.Sprintf("the SPF record of %s could not be looked up: %v", c.Server.Domain, err)}
	case n == 1:
		return Check{"spf", OK, fmt.Sprintf("%s has an SPF record; whether the relay is in it is known once OPENMAIL_SPF names the relay's mechanism", c.Server.Domain)}
	}
	return Check{"spf", Fail, fmt.Sprintf("%s has %d SPF records instead of one: publish v=spf1 with the include: that the relay's operator names", c.Server.Domain, n)}
}

// way looks whether mail can leave.
func (c Config) way(ctx context.Context) []Check {
	switch {
	case !c.Server.Leaves:
		return one("outbound", OK, "mail to other domains waits here: --relay, or a --domain of the internet, lets it out")
	case c.Server.Relay != "":
		return []Check{c.connects(ctx, c.Server.Relay, "the relay: --relay")}
	case c.Probe == "":
		return nil
	}
	hosts, err := c.Names.MX(ctx, c.Probe)
	if err != nil || len(hosts) == 0 {
		return one("outbound", Warn, fmt.Sprintf("the mail servers of %s were not found: name another with --probe (%v)", c.Probe, cmp.Or(err, errors.New("it has none"))))
	}
	return []Check{c.connects(ctx, net.JoinHostPort(hosts[0], "25"), "port 25 on the way out: ask your host to open it, or use a --relay")}
}

func (c Config) connects(ctx context.Context, at, remedy string) Check {
	conn, err := c.Dial(ctx, "tcp", at)
	if err != nil {
		return Check{"outbound", Fail, fmt.Sprintf("%s cannot be reached (%v). Look at %s", at, bare(err), remedy)}
	}
	_ = conn.Close()
	return Check{"outbound", OK, at + " can be reached"}
}
