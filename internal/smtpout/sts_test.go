package smtpout_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
	"openmail/internal/webhook"
)

var (
	_ outgoing.Transport = (*smtpout.Sender)(nil)
	_ smtpout.Documents  = (*webhook.Sender)(nil)
)

// shelf is the web: documents by URL.
type shelf map[string]string

func (s shelf) Get(_ context.Context, url string, limit int64) (string, []byte, error) {
	text, ok := s[url]
	if !ok || int64(len(text)) > limit {
		return "", nil, errors.New("not there")
	}
	return "text/plain; charset=utf-8", []byte(text), nil
}

// stsWorld is a domain with a policy.
func stsWorld(t *testing.T, srv *server, ca *authority, mode, mx string) (*smtpout.Sender, *names) {
	t.Helper()
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1", `_mta-sts.there.test. TXT "v=STSv1; id=1;"`)
	web := shelf{"https://mta-sts.there.test/.well-known/mta-sts.txt": fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 604800\r\n", mode, mx)}
	return sender(t, smtpout.Config{Port: p, DNS: []string{dns}, Web: web, RootCAs: ca.pool()}), n
}

func TestAnEnforcedPolicyIsKept(t *testing.T) {
	ca := newAuthority(t)
	right := func() *server { return &server{tls: ca.server(t, "mx.there.test")} }
	for name, c := range map[string]struct {
		srv      *server
		mode, mx string
		fate     outgoing.Fate
		tls      string
		text     string
	}{
		"valid":               {right(), "enforce", "mx.there.test", outgoing.FateAccepted, "mta-sts", ""},
		"wildcard":            {right(), "enforce", "*.THERE.test", outgoing.FateAccepted, "mta-sts", ""},
		"not named":           {right(), "enforce", "mx.else.test", outgoing.FateDeferred, "", "does not name the mail server mx.there.test"},
		"wildcard too high":   {right(), "enforce", "*.test", outgoing.FateDeferred, "", "does not name the mail server"},
		"no STARTTLS":         {&server{}, "enforce", "mx.there.test", outgoing.FateDeferred, "", "offers no TLS, and the MTA-STS policy of its domain demands it"},
		"refused STARTTLS":    {&server{tls: &tls.Config{}, replies: map[string]string{"STARTTLS": "454 no"}}, "enforce", "mx.there.test", outgoing.FateDeferred, "", "refused STARTTLS"},
		"another name":        {&server{tls: ca.server(t, "there.test")}, "enforce", "mx.there.test", outgoing.FateDeferred, "", "not valid for this host"},
		"unknown authority":   {&server{tls: newAuthority(t).server(t, "mx.there.test")}, "enforce", "mx.there.test", outgoing.FateDeferred, "", "unknown authority"},
		"testing, unknown":    {&server{tls: newAuthority(t).server(t, "mx.there.test")}, "testing", "mx.there.test", outgoing.FateAccepted, "opportunistic", ""},
		"testing, not named":  {right(), "testing", "mx.else.test", outgoing.FateAccepted, "opportunistic", ""},
		"testing, in clear":   {&server{}, "testing", "mx.there.test", outgoing.FateAccepted, "", ""},
		"none":                {&server{}, "none", "mx.else.test", outgoing.FateAccepted, "", ""},
		"a policy of nothing": {&server{}, "sometimes", "mx.else.test", outgoing.FateAccepted, "", ""},
	} {
		s, _ := stsWorld(t, c.srv, ca, c.mode, c.mx)
		a := one(t, s)
		if a.Fate != c.fate || a.TLS != c.tls || !strings.Contains(a.Text, c.text) {
			t.Errorf("%s: %+v", name, a)
		}
		if c.fate == outgoing.FateDeferred {
			checkNothingInClear(t, name, c.srv)
		}
	}
}

func TestAPolicyOutlivesItsRecord(t *testing.T) {
	ca := newAuthority(t)
	srv := &server{tls: ca.server(t, "mx.there.test")}
	s, n := stsWorld(t, srv, ca, "enforce", "mx.there.test")
	if a := one(t, s); a.TLS != "mta-sts" {
		t.Fatalf("answer %+v", a)
	}
	n.change(func() { delete(n.records, "_mta-sts.there.test.") })
	if a := one(t, s); a.TLS != "mta-sts" {
		t.Errorf("answer %+v", a)
	}
	n.change(func() { n.fail["_mta-sts.there.test. TXT"] = true })
	if a := one(t, s); a.TLS != "mta-sts" {
		t.Errorf("answer %+v", a)
	}
}

func TestTLSARecordsWinOverAPolicy(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	srv := &server{tls: other.server(t, "mx.there.test")} // unknown to the policy
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1", `_mta-sts.there.test. TXT "v=STSv1; id=1;"`,
		fmt.Sprintf("_%d._tcp.mx.there.test. TLSA %s", p, tlsa(2, 1, 1, other.cert)))
	n.change(func() { n.signed = true })
	web := shelf{"https://mta-sts.there.test/.well-known/mta-sts.txt": "version: STSv1\nmode: enforce\nmx: mx.else.test\nmax_age: 1000\n"}
	if a := one(t, sender(t, smtpout.Config{Port: p, DNS: []string{dns}, Web: web, RootCAs: ca.pool()})); a.Fate != outgoing.FateAccepted || a.TLS != "dane" {
		t.Errorf("answer %+v", a)
	}
}
