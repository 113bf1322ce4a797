package domains

import (
	"context"
	"slices"
	"strings"

	"openmail"
)

// The purposes of records.
const (
	purposeOwnership = "ownership"
	purposeMX        = "mx"
	purposeSPF       = "spf"
	purposeDKIM      = "dkim"
	purposeDMARC     = "dmarc"
)

// priority is that of the MX record.
const priority = 10

// tokenPrefix is what an ownership record begins with.
const tokenPrefix = "openmail-verification="

// records are those that a domain needs, with what was found of them.
func (d *Domains) records(ctx context.Context, n openmail.Domain) ([]openmail.DomainRecord, error) {
	keys, err := d.c.Keys.Records(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	txt := func(purpose, name, value string) openmail.DomainRecord {
		return openmail.DomainRecord{
			DNSRecord: openmail.DNSRecord{Type: "TXT", Name: name, Value: value}, Purpose: purpose, Required: true,
		}
	}
	var all []openmail.DomainRecord
	if n.Token != "" {
		all = append(all, txt(purposeOwnership, "_openmail."+n.Name, tokenPrefix+n.Token))
	}
	all = append(all, openmail.DomainRecord{DNSRecord: openmail.DNSRecord{Type: "MX", Name: n.Name, Value: d.c.Hostname, Priority: priority}, Purpose: purposeMX, Required: true})
	if d.c.SPF != "" {
		all = append(all, txt(purposeSPF, n.Name, "v=spf1 "+d.c.SPF+" ~all"))
	}
	for _, k := range keys {
		r := txt(purposeDKIM, k.Name, k.Value)
		r.Required = tag(k.Value, "k") == "rsa" // many receivers read no other
		all = append(all, r)
	}
	dmarc := txt(purposeDMARC, "_dmarc."+n.Name, "v=DMARC1; p=none;")
	dmarc.Required = false
	all = append(all, dmarc)
	for i, r := range all {
		all[i].Status = openmail.DomainPending
		for _, c := range n.Checks {
			if c.Type == r.Type && c.Name == r.Name {
				all[i].Status, all[i].Reason = c.Status, c.Reason
			}
		}
	}
	return all, nil
}

func (d *Domains) shown(ctx context.Context, n openmail.Domain) (Shown, error) {
	records, err := d.records(ctx, n)
	return Shown{n, records}, err
}

// Looked is a record, and what is found of it now.
type Looked struct {
	openmail.DomainRecord
	Unsure bool // it could not be looked up
}

// Look looks at what a domain needs that nobody has to prove: the server's own.
// Of c it takes Names, Keys, Hostname and SPF; without SPF, that record is left
// out.
func Look(ctx context.Context, c Config, name string) ([]Looked, error) {
	d := New(c)
	records, err := d.records(ctx, openmail.Domain{Name: name})
	if err != nil {
		return nil, err
	}
	all := make([]Looked, len(records))
	for i, f := range d.look(ctx, records) {
		all[i] = Looked{records[i], f.unsure}
		all[i].Status, all[i].Reason = f.status, f.reason
	}
	return all, nil
}

// tag is the value of a tag of a record of the form "a=b; c=d" (RFC 6376 section
// 3.2), without white space, which means nothing in those that are asked for.
func tag(record, name string) string {
	for field := range strings.SplitSeq(record, ";") {
		key, value, _ := strings.Cut(field, "=")
		if strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

// mechanisms are the terms of an SPF record up to the one that matches
// everything: no mail comes to what stands behind it (RFC 7208 section 5.1).
func mechanisms(record string) []string {
	terms := strings.Fields(strings.ToLower(record))
	for i, t := range terms {
		if strings.TrimLeft(t, "+-~?") == "all" {
			return terms[:i]
		}
	}
	return terms
}

// passes reports whether an SPF record passes what the mechanism names. The MX
// record leads to the hostname, so "mx" is as good as that.
func (d *Domains) passes(record string) bool {
	good := []string{strings.ToLower(d.c.SPF), "+" + strings.ToLower(d.c.SPF)}
	if strings.EqualFold(d.c.SPF, "a:"+d.c.Hostname) {
		good = append(good, "mx", "+mx")
	}
	return slices.ContainsFunc(mechanisms(record), func(t string) bool { return slices.Contains(good, t) })
}
