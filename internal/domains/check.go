package domains

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"openmail"
)

// patience is how long the records of one domain may take to be looked up.
const patience = 20 * time.Second

// finding is what was found of a record.
type finding struct {
	status openmail.DomainStatus
	reason string
	unsure bool // it could not be looked up
	here   bool // of an MX: this server is among the mail servers
}

func right() finding { return finding{status: openmail.DomainVerified} }

func wrong(format string, args ...any) finding {
	return finding{status: openmail.DomainFailed, reason: fmt.Sprintf(format, args...)}
}

func missing() finding {
	return finding{status: openmail.DomainPending, reason: "Not found yet."}
}

func unsure() finding {
	return finding{unsure: true, reason: "Could not be checked: the name servers do not answer. It is tried again."}
}

// look looks all records up at the same time.
func (d *Domains) look(ctx context.Context, records []openmail.DomainRecord) []finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := make([]finding, len(records))
	var all sync.WaitGroup
	for i, r := range records {
		all.Go(func() { found[i] = d.find(ctx, r, records) })
	}
	all.Wait()
	return found
}

// find looks one record up, and where it ends by mistake when it is not there.
func (d *Domains) find(ctx context.Context, r openmail.DomainRecord, all []openmail.DomainRecord) finding {
	f := d.at(ctx, r, r.Name)
	if f.unsure || f.status != openmail.DomainPending || !r.Required {
		return f
	}
	for _, name := range misplaced(r, domainOf(all)) {
		if other := d.at(ctx, r, name); !other.unsure && other.status == openmail.DomainVerified {
			return wrong("It was published at %s instead of %s: the names in your DNS panel may be meant without what you have bought, or with all of it.", name, r.Name)
		}
	}
	return f
}

func domainOf(records []openmail.DomainRecord) string {
	i := slices.IndexFunc(records, func(r openmail.DomainRecord) bool { return r.Purpose == purposeMX })
	return records[i].Name
}

// misplaced are the names at which records end by mistake: with the zone twice,
// without the subdomain, or at the domain itself.
func misplaced(r openmail.DomainRecord, domain string) []string {
	bought := zone(domain)
	names := []string{r.Name + "." + bought}
	if domain != bought {
		names = append(names, strings.TrimSuffix(r.Name, domain)+bought, r.Name+"."+domain)
	}
	if r.Name != domain {
		names = append(names, domain)
	}
	if r.Purpose == purposeMX || r.Purpose == purposeSPF { // may well be there for the name above
		names = names[:1]
	}
	return names
}

// at is what there is of a record at a name.
func (d *Domains) at(ctx context.Context, r openmail.DomainRecord, name string) finding {
	if r.Type == "MX" {
		hosts, err := d.c.Names.MX(ctx, name)
		if err != nil {
			return unsure()
		}
		return d.judgeMX(hosts)
	}
	texts, err := d.c.Names.TXT(ctx, name)
	if err != nil {
		return unsure()
	}
	switch r.Purpose {
	case purposeSPF:
		return d.judgeSPF(texts)
	case purposeDKIM:
		return judgeDKIM(texts, r.Value)
	case purposeDMARC:
		return judgeDMARC(texts)
	}
	return judgeOwnership(texts, r.Value)
}

func (d *Domains) judgeMX(hosts []string) finding {
	own := strings.ToLower(d.c.Hostname)
	others := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return h == own })
	switch {
	case len(hosts) == 0:
		return missing()
	case len(others) == len(hosts):
		return wrong("The MX record leads to %s instead of %s.", some(others), own)
	case len(others) > 0:
		f := wrong("There are old MX records beside the right one, to %s: mail would be lost to there. Remove them.", some(others))
		f.here = true
		return f
	}
	f := right()
	f.here = true
	return f
}

// some are the first of what strangers wrote, made harmless.
func some(texts []string) string {
	var shown []string
	for _, t := range texts[:min(len(texts), 3)] {
		shown = append(shown, excerpt(t))
	}
	if len(texts) > len(shown) {
		shown = append(shown, "…")
	}
	return strings.Join(shown, ", ")
}

func excerpt(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return clean[:min(len(clean), 80)]
}

func (d *Domains) judgeSPF(texts []string) finding {
	found := beginning(texts, "v=spf1")
	switch {
	case len(found) > 1:
		return wrong("There are %d SPF records, and then none counts (RFC 7208 section 4.5): make one of them, with %s in it.", len(found), d.c.SPF)
	case len(found) == 1 && d.passes(found[0]):
		return right()
	case len(found) == 1:
		return wrong("The SPF record does not have %s before its \"all\": add it there. It is now: %s", d.c.SPF, excerpt(found[0]))
	}
	return quoted(texts, "v=spf1")
}

// beginning are the texts that are a record of that version.
func beginning(texts []string, version string) (found []string) {
	for _, t := range texts {
		if rest, ok := strings.CutPrefix(strings.ToLower(t), version); ok && (rest == "" || strings.ContainsAny(rest[:1], " ;")) {
			found = append(found, t)
		}
	}
	return found
}

// quoted is what becomes of a record that was not found: a panel may have taken
// quotation marks for part of it.
func quoted(texts []string, version string) finding {
	for _, t := range texts {
		if bare := strings.TrimLeft(t, ` "'\`); bare != t && strings.HasPrefix(strings.ToLower(bare), version) {
			return wrong("The value begins with a quotation mark or a space: publish it without.")
		}
	}
	return missing()
}

func judgeDKIM(texts []string, value string) finding {
	want := tag(value, "p")
	keys := slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return !strings.Contains(t, "p=") })
	switch {
	case len(keys) == 1 && tag(keys[0], "p") == want && (tag(keys[0], "k") == tag(value, "k")):
		return right()
	case len(keys) > 1:
		return wrong("There are %d keys at this name, and then none counts (RFC 6376 section 3.6.2.2): leave the right one.", len(keys))
	case len(keys) == 1:
		return wrong("%s", whyNot(keys[0], texts, want))
	}
	return quoted(texts, "v=dkim1")
}

// whyNot says how a key differs from the right one.
func whyNot(text string, all []string, want string) string {
	got := tag(text, "p")
	switch {
	case strings.ContainsAny(text, `"\`):
		return "There are quotation marks or backslashes within the value: publish it without."
	case got != want && got != "" && strings.HasPrefix(want, got) && len(all) > 1:
		return "The value was split into several records: it has to be one record, of several strings if need be."
	case got != want && got != "" && strings.HasPrefix(want, got):
		return fmt.Sprintf("The value is cut off after %d characters: if your DNS panel takes no more than 255, enter it as two strings, each in quotation marks.", len(text))
	case got == want:
		return "The key is right, but the rest of the value is not: publish it as it is shown."
	}
	return "Another key is published at this name: replace it."
}

func judgeOwnership(texts []string, value string) finding {
	if slices.Contains(texts, value) {
		return right()
	}
	for _, t := range texts {
		if strings.Contains(t, value) {
			return wrong("There is more than the value in the record, such as quotation marks: publish it as it is shown.")
		}
	}
	if slices.ContainsFunc(texts, func(t string) bool { return strings.HasPrefix(t, tokenPrefix) }) {
		return wrong("There is another value, of another account or from before the domain was deleted: add the one that is shown.")
	}
	return missing()
}

// judgeDMARC takes any policy: it is the owner's to choose.
func judgeDMARC(texts []string) finding {
	switch found := beginning(texts, "v=dmarc1"); {
	case len(found) == 1:
		return right()
	case len(found) > 1:
		return wrong("There are %d DMARC records, and then none counts (RFC 7489 section 6.6.3).", len(found))
	}
	return missing()
}
