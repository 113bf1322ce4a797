// Package reach connects to where somebody else says, and says where that may
// be. No other package of the server opens connections.
package reach

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
)

// Refusal is why the guard turns a destination away. It tells nothing of what
// is there, so whoever named the destination may read it.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Ports are those from First to Last.
type Ports struct{ First, Last uint16 }

// Config is what a Guard is made of.
type Config struct {
	Who   string  // reaches out, as refusals name it: "webhooks"
	Ports []Ports // that may be reached where nothing else is opened, in ascending order
	// Allow opens destinations that are refused otherwise, on any port: host
	// names, addresses, either with a port to open that one only, and CIDRs.
	Allow []string
}

// Guard says where one may reach: the public internet on certain ports, and
// what the operator opened beside it. It judges the address that is about to be
// connected to, so it makes no difference how that was spelled, or what a name
// resolved to a moment ago.
type Guard struct {
	open    []opening
	ports   []Ports
	public  *ssrf.Guardian // which addresses are the public internet
	address Refusal        // of an address
	port    Refusal        // of a port
}

// opening is a destination that the operator opened: a name or a prefix.
type opening struct {
	name   string       // lower case; "" when it is a prefix
	prefix netip.Prefix // without zones and IPv4-mapped addresses
	port   uint16       // 0: any
}

// New makes a Guard. It fails on an entry of Allow that cannot be read.
func New(c Config) (*Guard, error) {
	g := &Guard{
		ports: c.Ports,
		public: ssrf.New(
			ssrf.WithAnyPort(),
			// Azure's metadata and agent service has an address that is not
			// in any registry of special ones.
			ssrf.WithDeniedV4Prefixes(netip.PrefixFrom(netip.AddrFrom4([4]byte{168, 63, 129, 16}), 32)),
		),
		address: Refusal(fmt.Sprintf("the address is not one that %s may reach", c.Who)),
		port:    Refusal(fmt.Sprintf("the port is not one that %s may reach: %s", c.Who, words(c.Ports))),
	}
	for _, s := range c.Allow {
		o, err := parseOpening(s)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		g.open = append(g.open, o)
	}
	return g, nil
}

// words lists ports for people: "80, 443 and 8000 to 8999 are".
func words(ports []Ports) string {
	var b strings.Builder
	for i, p := range ports {
		switch {
		case i == 0:
		case i == len(ports)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, p.First)
		if p.Last > p.First {
			fmt.Fprintf(&b, " to %d", p.Last)
		}
	}
	if len(ports) == 1 && ports[0].First == ports[0].Last {
		return b.String() + " is"
	}
	return b.String() + " are"
}

func parseOpening(s string) (opening, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return opening{}, fmt.Errorf("not a CIDR: %w", err)
		}
		return opening{prefix: unmapPrefix(p)}, nil
	}
	host, port := s, uint16(0)
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return opening{}, fmt.Errorf("%q is not a port", p)
		}
		host, port = h, uint16(n)
	}
	return openHost(strings.Trim(host, "[]"), port)
}

func openHost(host string, port uint16) (opening, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.WithZone("").Unmap()
		return opening{prefix: netip.PrefixFrom(ip, ip.BitLen()), port: port}, nil
	}
	name := strings.ToLower(host)
	if err := CheckName(name); err != nil {
		return opening{}, err
	}
	return opening{name: name, port: port}, nil
}

// unmapPrefix is p in IPv4 where it holds IPv4-mapped addresses only.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// OpensName reports whether the operator opened that name, in lower case, on
// that port. Where
// such a name leads is the operator's business.
func (g *Guard) OpensName(name string, port uint16) bool {
	return slices.ContainsFunc(g.open, func(o opening) bool {
		return o.name != "" && o.name == name && (o.port == 0 || o.port == port)
	})
}

// opensAddr reports whether the operator opened that address on that port.
// Whoever opened 127.0.0.1 opened ::1 too: localhost is both.
func (g *Guard) opensAddr(to netip.AddrPort) bool {
	v4Loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return slices.ContainsFunc(g.open, func(o opening) bool {
		within := o.prefix.Contains(to.Addr()) ||
			to.Addr() == netip.IPv6Loopback() && o.prefix.Contains(v4Loopback)
		return o.name == "" && within && (o.port == 0 || o.port == to.Port())
	})
}

// Permit returns nil or a refusal. An IPv6 address that carries an IPv4 one is
// permitted only where both are, since a gateway may lead to either: opening
// the prefix of a gateway does not open the private network behind it.
func (g *Guard) Permit(to netip.AddrPort) error {
	ip := to.Addr().WithZone("").Unmap()
	if err := g.permitOuter(netip.AddrPortFrom(ip, to.Port())); err != nil {
		return err
	}
	inner, carries := embedded(ip)
	if carries && len(inner) == 0 {
		return g.address
	}
	for _, v4 := range inner {
		if err := g.permitOuter(netip.AddrPortFrom(v4, to.Port())); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) permitOuter(to netip.AddrPort) error {
	switch {
	case g.opensAddr(to):
		return nil
	case g.public.SafeAddr(to.Addr()) != nil:
		return g.address
	case !g.usual(to.Port()):
		return g.port
	}
	return nil
}

// usual reports whether the port is among those that need no opening.
func (g *Guard) usual(port uint16) bool {
	return slices.ContainsFunc(g.ports, func(p Ports) bool { return p.First <= port && port <= p.Last })
}

// embedded lists the IPv4 addresses that an IPv6 address carries. carries is
// true when it has a form that carries one, even if none can be read.
func embedded(ip netip.Addr) (inner []netip.Addr, carries bool) {
	if !ip.Is6() || ip.IsLoopback() || ip.IsUnspecified() {
		return nil, false
	}
	b := ip.As16()
	v4 := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	last := v4(12, 13, 14, 15)
	switch {
	case inPrefix(b, "\x20\x02"): // 6to4, RFC 3056 section 2
		return []netip.Addr{v4(2, 3, 4, 5)}, true
	case inPrefix(b, "\x20\x01\x00\x00"): // Teredo, RFC 4380 section 4: server, client inverted
		client := netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		return []netip.Addr{v4(4, 5, 6, 7), client}, true
	case inPrefix(b, "\x00\x64\xff\x9b\x00\x01"): // local NAT64, RFC 8215
		return localNAT64(v4(6, 7, 9, 10), last), true
	case inPrefix(b, "\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00"), // NAT64, RFC 6052 section 2.1
		inPrefix(b, "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00"), // IPv4-translated, RFC 2765 section 2.1
		inPrefix(b, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), // IPv4-compatible, RFC 4291 section 2.5.5.1
		b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:     // ISATAP, RFC 5214 section 6.1
		return []netip.Addr{last}, true
	}
	return nil, false
}

func inPrefix(b [16]byte, prefix string) bool { return string(b[:len(prefix)]) == prefix }

// localNAT64 picks the readings of an address in 64:ff9b:1::/48 by RFC 6052
// section 2.2: the network's own prefix may be as long as /48 or /96. A reading
// in 0.0.0.0/8 is the padding of the other length.
func localNAT64(readings ...netip.Addr) []netip.Addr {
	return slices.DeleteFunc(readings, func(ip netip.Addr) bool { return ip.As4()[0] == 0 })
}
