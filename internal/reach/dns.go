package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// How questions are asked.
const (
	dnsWait    = 5 * time.Second // for one answer
	dnsRounds  = 2               // over all servers
	dnsSize    = 1232            // bytes in a datagram: fits every path without fragments
	maxAliases = 8
)

// server is a name server. It is trusted when what it says about signatures
// (the AD bit) is believed.
type server struct {
	addr    string
	trusted bool
}

// servers lists the name servers: those given, which the operator vouches for,
// or the system's, of which only this machine's own is trusted, since between
// it and us nobody can change an answer (RFC 7672 section 2.1.1).
func servers(given []string) []server {
	var all []server
	for _, addr := range given {
		all = append(all, server{addr, true})
	}
	if len(all) > 0 {
		return all
	}
	c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil || len(c.Servers) == 0 {
		return []server{{"127.0.0.1:53", true}}
	}
	for _, host := range c.Servers {
		ip, err := netip.ParseAddr(host)
		all = append(all, server{net.JoinHostPort(host, c.Port), err == nil && ip.IsLoopback()})
	}
	return all
}

// ErrDNS is a question without an answer, for now.
var ErrDNS = errors.New("the name servers do not answer")

// Found is what a question brought. Its records are of the type asked for, none
// when there are none.
type Found struct {
	Records []dns.RR
	Name    string // at the end of the aliases, in lower case, without a final dot
	Exists  bool   // false: there is no such name
	Secure  bool   // all of it, the aliases too, was validated (RFC 4035 section 3.2.3)
}

// DNS asks name servers. It needs more than the standard library tells:
// whether a name exists, and whether an answer was validated.
type DNS struct{ servers []server }

// NewDNS asks the name servers that are given, host:port, whose word on
// signatures is believed; nil: those of the system.
func NewDNS(given []string) *DNS { return &DNS{servers(given)} }

// Ask returns ErrDNS, wrapped or not, when nobody gave a usable answer.
func (r *DNS) Ask(ctx context.Context, name string, kind uint16) (Found, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	q.SetEdns0(dnsSize, true)
	q.AuthenticatedData = true
	for range dnsRounds {
		for _, s := range r.servers {
			m, err := exchange(ctx, s.addr, q)
			if ctx.Err() != nil {
				return Found{}, errors.Join(ErrDNS, ctx.Err())
			}
			if err == nil && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError) {
				return read(m, s.trusted)
			}
		}
	}
	return Found{}, ErrDNS
}

// exchange asks one server, again by TCP when the answer does not fit.
func exchange(ctx context.Context, addr string, q *dns.Msg) (*dns.Msg, error) {
	m, err := exchangeBy(ctx, "udp", addr, q)
	if err == nil && m.Truncated {
		return exchangeBy(ctx, "tcp", addr, q)
	}
	return m, err
}

func exchangeBy(ctx context.Context, network, addr string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsWait)
	defer cancel()
	raw, err := Dialer{}.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: raw, UDPSize: dnsSize}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	q = q.Copy()
	q.Id = dns.Id()
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		// Somebody else's datagram, or one that cannot be read, must not end
		// the wait for the answer.
		m, err := conn.ReadMsg()
		if err == nil && m.Id == q.Id && m.Response && len(m.Question) == 1 && sameQuestion(m.Question[0], q.Question[0]) {
			return m, nil
		}
		if _, unreadable := errors.AsType[*dns.Error](err); err != nil && !(unreadable && network == "udp") {
			return nil, err
		}
	}
}

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

// read follows the aliases within an answer.
func read(m *dns.Msg, trusted bool) (Found, error) {
	f := Found{Exists: m.Rcode == dns.RcodeSuccess, Secure: trusted && m.AuthenticatedData}
	name := m.Question[0].Name
	for range maxAliases {
		f.Records = recordsOf(m.Answer, name, m.Question[0].Qtype)
		alias := recordsOf(m.Answer, name, dns.TypeCNAME)
		if len(f.Records) > 0 || len(alias) == 0 {
			f.Name = Host(name)
			return f, nil
		}
		name = alias[0].(*dns.CNAME).Target
	}
	return Found{}, ErrDNS
}

func recordsOf(all []dns.RR, name string, kind uint16) []dns.RR {
	return slices.DeleteFunc(slices.Clone(all), func(rr dns.RR) bool {
		return rr.Header().Rrtype != kind || !strings.EqualFold(rr.Header().Name, name)
	})
}

// Host is a DNS name as everything else here spells it.
func Host(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
