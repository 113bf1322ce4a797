package smtpd_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail/internal/certs"
	"openmail/internal/smtpd"
)

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	cert, err := certs.SelfSigned(t.TempDir(), "mx.ours.example")
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func tlsConfig(t testing.TB) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
}

// trusting is the configuration of a client that knows the certificate.
func trusting(t testing.TB, server *tls.Config) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificates[0].Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "mx.ours.example"}
}

func TestStartTLSForgetsWhatWasSaidBefore(t *testing.T) {
	h, config := &house{}, tlsConfig(t)
	s := start(t, smtpd.Config{Receiver: h, TLS: config})
	c := dial(t, s)
	c.expect("220 ")
	c.send("EHLO plain.example\n")
	if got := c.expect("250-"); !strings.Contains(got, "250-STARTTLS\r\n") {
		t.Errorf("no STARTTLS in %q", got)
	}
	c.send("MAIL FROM:<plain@me.example>\n")
	c.expect("250 ")
	c.send("STARTTLS\n")
	c.expect("220 2.0.0")

	secure := newClient(t, tls.Client(c.Conn, trusting(t, config)))
	secure.send("RCPT TO:<b@ours.example>\nMAIL FROM:<>\n")
	secure.expect("503 5.5.1 MAIL first")
	secure.expect("503 5.5.1 EHLO first")
	secure.send("EHLO me.example\n")
	if got := secure.expect("250-"); strings.Contains(got, "STARTTLS") {
		t.Errorf("STARTTLS within TLS: %q", got)
	}
	secure.send("STARTTLS\nMAIL FROM:<a@me.example>\nRCPT TO:<b@ours.example>\nDATA\n")
	secure.expect("503 5.5.1 TLS is on")
	secure.expect("250 ")
	secure.expect("250 ")
	secure.expect("354 ")
	secure.send("x\n.\nQUIT\n")
	secure.expect("250 2.0.0 Ok: queued as msg_1")
	secure.expect("221 ")
	secure.expectEnd()
	if env := h.stored()[0].env; !env.TLS || env.Helo != "me.example" || env.MailFrom != "a@me.example" {
		t.Errorf("envelope %+v", env)
	}
}

func TestCommandsBehindStartTLSAreNotObeyed(t *testing.T) {
	h, config := &house{}, tlsConfig(t)
	s := start(t, smtpd.Config{Receiver: h, TLS: config})

	t.Run("in one packet", func(t *testing.T) {
		c := dial(t, s)
		c.expect("220 ")
		c.send("STARTTLS\nEHLO evil.example\nMAIL FROM:<evil@me.example>\n")
		c.expect("554 5.5.1 Nothing may follow STARTTLS")
		c.expectEnd()
	})
	t.Run("later", func(t *testing.T) {
		c := dial(t, s)
		c.expect("220 ")
		c.send("STARTTLS\n")
		c.expect("220 2.0.0")
		c.send("EHLO evil.example\n")
		rest, err := io.ReadAll(c.r)
		if strings.Contains(string(rest), "250") {
			t.Errorf("the handshake answers %q, %v", rest, err)
		}
	})
}

func TestViolationIsToldWithinTLS(t *testing.T) {
	config := tlsConfig(t)
	s := start(t, smtpd.Config{Receiver: &house{}, TLS: config})
	c := dial(t, s)
	c.expect("220 ")
	c.send("STARTTLS\n")
	c.expect("220 ")
	secure := newClient(t, tls.Client(c.Conn, trusting(t, config)))
	secure.send("NOOP\rNOOP\n" + strings.Repeat("x", 1<<20))
	secure.expect("500 5.5.2 Commands end with CRLF")
	secure.expectEnd()
}

func TestHandshakeIsNotWaitedForLong(t *testing.T) {
	config := tlsConfig(t)
	synctest.Test(t, func(t *testing.T) {
		_, m := startInMemory(t, smtpd.Config{Receiver: &house{}, TLS: config})
		begin := time.Now()
		c := m.dial(t)
		c.expect("220 ")
		c.send("STARTTLS\n")
		c.expect("220 ")
		if _, err := io.ReadAll(c.r); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
