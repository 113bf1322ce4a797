package smtpout_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
)

func tlsa(usage, selector, matching int, cert *x509.Certificate) string {
	data := cert.Raw
	if selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return fmt.Sprintf("%d %d %d %s", usage, selector, matching, hex.EncodeToString(data))
}

// daneWorld is a server, and a name server that vouches for what it says.
func daneWorld(t *testing.T, srv *server, records ...string) (*smtpout.Sender, *names) {
	t.Helper()
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1")
	for _, r := range records {
		n.add(t, fmt.Sprintf("_%d._tcp.mx.there.test. TLSA %s", p, r))
	}
	n.change(func() { n.signed = true })
	return sender(t, smtpout.Config{Port: p, DNS: []string{dns}}), n
}

func TestTLSARecordsDecideWhoTheServerIs(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	right, wrong := ca.server(t, "mx.there.test"), ca.server(t, "else.test")
	byDomain := ca.server(t, "there.test")
	leaf := func(c *tls.Config) *x509.Certificate { return c.Certificates[0].Leaf }
	alone := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf(right).Raw}, PrivateKey: right.Certificates[0].PrivateKey}}}
	for name, c := range map[string]struct {
		tls     *tls.Config
		records []string
		ok      bool
	}{
		"end entity, whole certificate":         {right, []string{tlsa(3, 0, 0, leaf(right))}, true},
		"end entity, SHA-256":                   {right, []string{tlsa(3, 0, 1, leaf(right))}, true},
		"end entity, key":                       {right, []string{tlsa(3, 1, 0, leaf(right))}, true},
		"end entity, key, SHA-256":              {right, []string{tlsa(3, 1, 1, leaf(right))}, true},
		"end entity, key, SHA-512":              {right, []string{tlsa(3, 1, 2, leaf(right))}, true},
		"end entity of another name":            {wrong, []string{tlsa(3, 1, 1, leaf(wrong))}, true},
		"one of several":                        {right, []string{tlsa(3, 1, 1, leaf(wrong)), tlsa(0, 0, 1, ca.cert), tlsa(3, 1, 1, leaf(right))}, true},
		"another end entity":                    {right, []string{tlsa(3, 1, 1, leaf(wrong))}, false},
		"authority":                             {right, []string{tlsa(2, 0, 1, ca.cert)}, true},
		"authority, key":                        {right, []string{tlsa(2, 1, 2, ca.cert)}, true},
		"authority, and the name of the domain": {byDomain, []string{tlsa(2, 0, 1, ca.cert)}, true},
		"authority that only the record has":    {alone, []string{tlsa(2, 0, 0, ca.cert)}, true},
		"authority that nobody has":             {alone, []string{tlsa(2, 0, 1, ca.cert)}, false},
		"authority, another name":               {wrong, []string{tlsa(2, 0, 1, ca.cert)}, false},
		"another authority":                     {right, []string{tlsa(2, 0, 1, other.cert)}, false},
		"another authority, whole":              {right, []string{tlsa(2, 0, 0, other.cert)}, false},
		"the authority as an end entity":        {right, []string{tlsa(3, 0, 1, ca.cert)}, false},
	} {
		srv := &server{tls: c.tls}
		s, _ := daneWorld(t, srv, c.records...)
		a := one(t, s)
		if c.ok && (a.Fate != outgoing.FateAccepted || a.TLS != "dane") {
			t.Errorf("%s: %+v", name, a)
		}
		if !c.ok {
			if a.Fate != outgoing.FateDeferred || a.Enhanced != "4.7.5" || !strings.Contains(a.Text, "TLSA") {
				t.Errorf("%s: %+v", name, a)
			}
			checkNothingInClear(t, name, srv)
		}
	}
}

// checkNothingInClear holds that the mail was not told of.
func checkNothingInClear(t *testing.T, name string, srv *server) {
	t.Helper()
	if slices.ContainsFunc(srv.said(), func(l string) bool { return strings.HasPrefix(l, "MAIL") }) || srv.connections() > 1 {
		t.Errorf("%s: %d connections said %q", name, srv.connections(), srv.said())
	}
}

func TestWhereThereAreTLSARecordsNothingIsSentInClear(t *testing.T) {
	cert := newAuthority(t).server(t, "mx.there.test")
	record := tlsa(3, 1, 1, cert.Certificates[0].Leaf)
	for name, c := range map[string]struct {
		srv    *server
		record string
		status string
	}{
		"no STARTTLS":      {&server{}, record, "4.7.4"},
		"refused STARTTLS": {&server{tls: cert, replies: map[string]string{"STARTTLS": "454 not now"}}, record, "4.7.4"},
		"no handshake":     {&server{tls: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoCertificate }}}, record, "4.7.5"},
		"unusable records": {&server{}, "0 0 1 " + strings.Repeat("ab", 32), "4.7.4"},
	} {
		s, _ := daneWorld(t, c.srv, c.record)
		a := one(t, s)
		if a.Fate != outgoing.FateDeferred || a.Enhanced != c.status || !strings.Contains(a.Text, "its TLSA records demand it") {
			t.Errorf("%s: %+v", name, a)
		}
		checkNothingInClear(t, name, c.srv)
	}
	// With records that say nothing of the certificate, any will do.
	s, _ := daneWorld(t, &server{tls: cert}, "0 0 1 "+strings.Repeat("ab", 32))
	if a := one(t, s); a.Fate != outgoing.FateAccepted || a.TLS != "opportunistic" {
		t.Errorf("answer %+v", a)
	}
}

func TestTLSARecordsCountOnlyWhereTheyAreValidated(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.server(t, "mx.there.test")
	wrong := tlsa(3, 1, 1, ca.cert)
	s, n := daneWorld(t, &server{tls: cert}, wrong)
	n.change(func() { n.signed = false })
	if a := one(t, s); a.Fate != outgoing.FateAccepted || a.TLS != "opportunistic" {
		t.Errorf("answer %+v", a)
	}
}

func TestTLSARecordsThatCannotBeLookedUpDefer(t *testing.T) {
	srv := &server{tls: newAuthority(t).server(t, "mx.there.test")}
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1")
	n.change(func() { n.signed = true; n.fail[fmt.Sprintf("_%d._tcp.mx.there.test. TLSA", p)] = true })
	checkAnswer(t, one(t, sender(t, smtpout.Config{Port: p, DNS: []string{dns}})), outgoing.FateDeferred, 0, "4.7.5", "could not be looked up")
	if srv.connections() != 0 {
		t.Error("the server was asked")
	}
}

func TestTLSARecordsOfAnAliasAreFound(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.server(t, "mx.there.test")
	for _, owner := range []string{"mx", "real"} {
		p := port(t)
		srv := &server{tls: cert}
		srv.start(t, "127.0.0.1", p)
		n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. CNAME real.there.test.", "real.there.test. A 127.0.0.1",
			fmt.Sprintf("_%d._tcp.%s.there.test. TLSA %s", p, owner, tlsa(2, 0, 1, ca.cert)))
		n.change(func() { n.signed = true })
		if a := one(t, sender(t, smtpout.Config{Port: p, DNS: []string{dns}})); a.Fate != outgoing.FateAccepted || a.TLS != "dane" {
			t.Errorf("at %s: %+v", owner, a)
		}
	}
}
