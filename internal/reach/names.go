package reach

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxRecords is how many records of one name are looked at.
const maxRecords = 100

// TXT returns the texts at a name, each in one piece; none when there are none.
// The error is ErrDNS, wrapped or not.
func (r *DNS) TXT(ctx context.Context, name string) ([]string, error) {
	f, err := r.Ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, rr := range f.Records[:min(len(f.Records), maxRecords)] {
		texts = append(texts, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	return texts, nil
}

// MX returns the mail servers of a name, the preferred first, in lower case
// without a final dot; none when there are none. The error is ErrDNS, wrapped or
// not.
func (r *DNS) MX(ctx context.Context, name string) ([]string, error) {
	f, err := r.Ask(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	var all []*dns.MX
	for _, rr := range f.Records[:min(len(f.Records), maxRecords)] {
		all = append(all, rr.(*dns.MX))
	}
	slices.SortStableFunc(all, func(a, b *dns.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	var hosts []string
	for _, mx := range all {
		hosts = append(hosts, Host(mx.Mx))
	}
	return hosts, nil
}

// Addrs returns the addresses of a name, those of IPv4 first; none when there are
// none. The error is ErrDNS, wrapped or not.
func (r *DNS) Addrs(ctx context.Context, name string) ([]netip.Addr, error) {
	four, err4 := r.Ask(ctx, name, dns.TypeA)
	six, err6 := r.Ask(ctx, name, dns.TypeAAAA)
	if err := errors.Join(err4, err6); err != nil {
		return nil, err
	}
	var ips []netip.Addr
	for _, rr := range slices.Concat(four.Records, six.Records) {
		ip, ok := netip.Addr{}, false
		switch rr := rr.(type) {
		case *dns.A:
			ip, ok = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			ip, ok = netip.AddrFromSlice(rr.AAAA)
		}
		if ok && len(ips) < maxRecords {
			ips = append(ips, ip.Unmap())
		}
	}
	return ips, nil
}

// Reverse returns the names of an address, in lower case without a final dot;
// none when there are none. The error is ErrDNS, wrapped or not.
func (r *DNS) Reverse(ctx context.Context, ip netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(ip.String())
	if err != nil {
		return nil, errors.Join(ErrDNS, err)
	}
	f, err := r.Ask(ctx, name, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, rr := range f.Records[:min(len(f.Records), maxRecords)] {
		hosts = append(hosts, Host(rr.(*dns.PTR).Ptr))
	}
	return hosts, nil
}
