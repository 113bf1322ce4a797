package certs_test

import (
	"strings"
	"testing"

	"openmail/internal/certs"
)

func TestANameThatNoCAVouchesForIsRefusedInWords(t *testing.T) {
	for name, want := range map[string]string{
		"mx.example.com": "", "a-b.c1.example": "", "xn--mller-kva.example": "",
		"openmail.localhost": "name of this machine", "localhost": "name of this machine",
		"192.0.2.1": "is an address", "[2001:db8::1]": "is an address", "2001:db8::1": "is an address",
		"mail": "not a domain name", "": "not a domain name", "a..example": "not a domain name", "-a.example": "not a domain name",
		"*.example.com": "not a domain name", "mx.example.com/../key": "not a domain name", "MX.example.com": "not a domain name",
		strings.Repeat("a", 64) + ".example": "not a domain name", strings.Repeat("a.", 127) + "example": "not a domain name",
	} {
		err := certs.CheckName(name)
		if want == "" && err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
