package smtpout_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"openmail/internal/outgoing"
)

func TestTLSIsUsedWhereOfferedWhateverTheCertificate(t *testing.T) {
	srv := &server{tls: newAuthority(t).server(t, "somebody.else.test"), extensions: []string{"SIZE 1000"}}
	s, _ := single(t, srv)
	a := one(t, s)
	checkAnswer(t, a, outgoing.FateAccepted, 250, "2.0.0", "taken")
	if a.TLS != "opportunistic" {
		t.Errorf("answer %+v", a)
	}
	checkSaid(t, srv, "EHLO out.openmail.test", "STARTTLS", "EHLO out.openmail.test",
		"MAIL FROM:<agent@openmail.test> SIZE=59", "RCPT TO:<b@there.test>", "DATA", "QUIT")
}

func TestMailGoesInClearWhereTLSFails(t *testing.T) {
	for name, srv := range map[string]*server{
		"a handshake that fails": {tls: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoCertificate }}},
		"a refused STARTTLS":     {tls: &tls.Config{}, replies: map[string]string{"STARTTLS": "454 4.7.0 not now"}},
		"an old TLS":             {tls: &tls.Config{MaxVersion: tls.VersionTLS11, Certificates: newAuthority(t).server(t, "x.test").Certificates}},
	} {
		s, _ := single(t, srv)
		a := one(t, s)
		if a.Fate != outgoing.FateAccepted || a.TLS != "" || !slices.Contains(srv.said(), "STARTTLS") {
			t.Errorf("%s: %+v after %q", name, a, srv.said())
		}
	}
}

type certError string

func (e certError) Error() string { return string(e) }

const errNoCertificate certError = "no certificate"
