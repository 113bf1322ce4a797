package certs

import (
	"fmt"
	"net/netip"
	"strings"
)

// CheckName says in words why no CA could vouch for a name over ACME; nil when
// one might.
func CheckName(name string) error {
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	switch {
	case err == nil:
		return fmt.Errorf("%s is an address: a certificate is for a name", name)
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return fmt.Errorf("%s is a name of this machine only (RFC 6761): no CA gives a certificate for it", name)
	case !isDomain(name):
		return fmt.Errorf("%q is not a domain name, such as mail.example.com", name)
	}
	return nil
}

// isDomain reports whether a name has two labels or more of letters, digits and
// hyphens (RFC 1123 section 2.1), in lower case.
func isDomain(name string) bool {
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(labels) > 1 && len(name) <= 253
}
