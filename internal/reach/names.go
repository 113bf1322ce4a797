package reach

import (
	"cmp"
	"context"
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
