package smtpout

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"openmail/internal/outgoing"
	"openmail/internal/reach"
)

// maxHosts is how many mail servers of a domain are considered.
const maxHosts = 20

// askHosts is how many of them may be asked about for one send, before it is
// taken.
const askHosts = 3

// exchanger is a mail server of a domain.
type exchanger struct {
	name       string
	preference uint16
	secure     bool       // what named it was validated
	literal    netip.Addr // of a domain that is an address; invalid otherwise
}

// Enhanced codes of faults on the way (RFC 3463, RFC 7505 section 4.2).
const (
	statusNoDomain   = "5.1.2"
	statusNullMX     = "5.1.10"
	statusNoHost     = "5.4.4"
	statusLoop       = "5.4.6"
	statusNoAnswer   = "4.4.1"
	statusLost       = "4.4.2"
	statusDNS        = "4.4.3"
	statusProtocol   = "4.5.0"
	statusUnverified = "4.7.5"
	statusNoTLS      = "4.7.4"
)

func deferred(status, text string) *outgoing.Answer {
	return &outgoing.Answer{Fate: outgoing.FateDeferred, Enhanced: status, Text: plain(text)}
}

func refused(status, text string) *outgoing.Answer {
	return &outgoing.Answer{Fate: outgoing.FateRefused, Enhanced: status, Text: plain(text)}
}

// route lists the servers of a domain, in the order in which they are to be
// tried (RFC 5321 section 5.1), or says why there are none.
func (s *Sender) route(ctx context.Context, domain string) ([]exchanger, *outgoing.Answer) {
	if ip, ok := literal(domain); ok {
		return []exchanger{{name: domain, literal: ip}}, nil
	}
	if !isHostName(domain) {
		return nil, refused(statusNoDomain, "the domain is not one that can exist")
	}
	mx, err := s.dns.Ask(ctx, domain, dns.TypeMX)
	switch {
	case err != nil:
		return nil, deferred(statusDNS, "the mail servers of the domain could not be looked up")
	case !mx.Exists:
		return nil, refused(statusNoDomain, "the domain does not exist")
	case len(mx.Records) == 0:
		// The domain itself, as if an MX said so.
		return s.withoutSelf([]exchanger{{name: mx.Name, secure: mx.Secure}})
	}
	hosts := exchangers(mx)
	if len(hosts) == 0 {
		return nil, refused(statusNullMX, "the domain takes no mail") // RFC 7505
	}
	return s.withoutSelf(hosts)
}

// NoMail tells why no mail can get to a domain, as far as its records say: it
// does not exist, takes none (RFC 7505), or has neither servers nor an address.
// It is "" where mail may, where nobody answers within ctx, where a relay finds
// the way, and where there are more than askHosts servers: that is no mistyped
// domain, and a client must not have us ask the DNS much by a send that costs it
// nothing.
func (s *Sender) NoMail(ctx context.Context, domain string) string {
	if s.relay != (Relay{}) {
		return ""
	}
	hosts, none := s.route(ctx, domain)
	if len(hosts) > askHosts {
		return ""
	}
	for _, h := range hosts {
		if _, none = s.places(ctx, h); none == nil || none.Fate != outgoing.FateRefused {
			return ""
		}
	}
	if none.Fate != outgoing.FateRefused {
		return ""
	}
	return none.Text
}

// exchangers reads MX records: by preference, in random order among equals.
func exchangers(mx reach.Found) []exchanger {
	var hosts []exchanger
	for _, rr := range mx.Records {
		mx := rr.(*dns.MX)
		if name := reach.Host(mx.Mx); name != "" {
			hosts = append(hosts, exchanger{name: name, preference: mx.Preference})
		}
	}
	for i := range hosts {
		hosts[i].secure = mx.Secure
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	slices.SortStableFunc(hosts, func(a, b exchanger) int { return cmp.Compare(a.preference, b.preference) })
	return hosts
}

// withoutSelf drops this server from the list, and those that are not better:
// they would give the mail back.
func (s *Sender) withoutSelf(hosts []exchanger) ([]exchanger, *outgoing.Answer) {
	self := slices.IndexFunc(hosts, func(h exchanger) bool { return strings.EqualFold(h.name, s.hostname) })
	if self >= 0 {
		worst := hosts[self].preference
		hosts = slices.DeleteFunc(hosts, func(h exchanger) bool { return h.preference >= worst })
	}
	if len(hosts) == 0 {
		return nil, refused(statusLoop, "the mail servers of the domain lead back to this server")
	}
	return hosts[:min(len(hosts), maxHosts)], nil
}

// place is where a mail server stands.
type place struct {
	addrs  []netip.Addr
	name   string // at the end of the aliases
	secure bool
}

// places looks up the addresses of a server: IPv4 and IPv6 in turn, in random
// order each.
func (s *Sender) places(ctx context.Context, h exchanger) (place, *outgoing.Answer) {
	if h.literal.IsValid() {
		return place{addrs: []netip.Addr{h.literal}}, nil
	}
	four, err4 := s.dns.Ask(ctx, h.name, dns.TypeA)
	six, err6 := s.dns.Ask(ctx, h.name, dns.TypeAAAA)
	p := place{addrs: alternate(addrsOf(four), addrsOf(six)), name: cmp.Or(four.Name, six.Name)}
	switch {
	case len(p.addrs) > 0:
		p.secure = secureOrFailed(four, err4) && secureOrFailed(six, err6) && (four.Name == six.Name || err4 != nil || err6 != nil)
		return p, nil
	case err4 != nil || err6 != nil:
		return place{}, deferred(statusDNS, "the address of the mail server could not be looked up")
	}
	return place{}, refused(statusNoHost, "the mail server has no address")
}

func secureOrFailed(f reach.Found, err error) bool { return err != nil || f.Secure }

func addrsOf(f reach.Found) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range f.Records {
		var ip netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			ip, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			ip, _ = netip.AddrFromSlice(rr.AAAA)
		}
		if ip.IsValid() {
			addrs = append(addrs, ip.Unmap())
		}
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs
}

func alternate(a, b []netip.Addr) []netip.Addr {
	all := make([]netip.Addr, 0, len(a)+len(b))
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			all = append(all, a[i])
		}
		if i < len(b) {
			all = append(all, b[i])
		}
	}
	return all
}

// literal reads an address in brackets (RFC 5321 section 4.1.3).
func literal(domain string) (netip.Addr, bool) {
	if !strings.HasPrefix(domain, "[") || !strings.HasSuffix(domain, "]") {
		return netip.Addr{}, false
	}
	inner := strings.Trim(domain, "[]")
	v6 := false
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		inner, v6 = inner[5:], true
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" || ip.Is6() != v6 {
		return netip.Addr{}, false
	}
	return ip, true
}
