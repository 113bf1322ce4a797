package domains

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"openmail"
	"openmail/internal/reach"
)

// maxName leaves room for what stands before a domain: a mailbox with a bounce
// tag and an @ (RFC 5321 section 4.5.3.1.3), the longest selector of a key.
const maxName = 190

// named is the name of a domain that may be brought, in lower case and ASCII.
func (d *Domains) named(text string) (string, error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), ".")
	if len(text) > 4*maxName {
		text = ""
	}
	name, err := idna.Lookup.ToASCII(text)
	if err != nil || len(name) > maxName || !strings.Contains(name, ".") || strings.Contains(name, "_") || reach.CheckName(name) != nil {
		return "", openmail.FieldErrorf(openmail.CodeInvalidDomain, "domain", "domain is not a domain name such as example.com.")
	}
	switch {
	case slices.ContainsFunc(d.c.Own, func(own string) bool { return within(name, own) }):
		return "", blocked("%s belongs to this server.", name)
	case slices.ContainsFunc([]string{"localhost", "local", "onion", "invalid", "arpa"}, func(tld string) bool { return within(name, tld) }):
		return "", blocked("%s is not a name of the internet that mail could come to.", name)
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return "", blocked("%s is a public suffix: domains of many owners are below it.", name)
	}
	return name, nil
}

// spelled is an id, or the name of a domain as it is kept.
func spelled(name string) string {
	if len(name) > 4*maxName { // more takes time by the square of its length
		return name
	}
	if ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, ".")); err == nil && strings.Contains(name, ".") {
		return ascii
	}
	return name
}

func blocked(format string, name string) error {
	return openmail.FieldErrorf(openmail.CodeDomainBlocked, "domain", format, name)
}

// within reports whether name is that domain or lies below it.
func within(name, domain string) bool {
	domain = strings.ToLower(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// zone is the name that the owner's DNS panel is most likely about: what was
// bought.
func zone(name string) string {
	bought, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return bought
}
