package certs_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail/internal/certs"
)

// issue writes a new certificate for a name to two files.
func issue(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := certs.SelfSigned(dir, name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "smtp-tls.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{certFile, keyFile} {
		if file == "" {
			continue
		}
		if err := errors.Join(os.WriteFile(file, text, 0o600), os.Chtimes(file, time.Time{}, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
}

// served is the name in the certificate that a client of SMTP gets.
func served(t *testing.T, c *certs.Certificates) string {
	t.Helper()
	cert, err := c.SMTP().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf.DNSNames[0]
}

func TestFilesThatChangeAreLoadedWithoutARestart(t *testing.T) {
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	issue(t, "first.example", certFile, keyFile)
	var log record
	synctest.Test(t, func(t *testing.T) {
		c, err := certs.New(certs.Config{CertFile: certFile, KeyFile: keyFile, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go c.Run(ctx)
		look := func() { time.Sleep(time.Minute); synctest.Wait() }
		look()
		if log.String() != "" {
			t.Errorf("files that nobody touched: %s", &log)
		}

		issue(t, "second.example", certFile, "") // the key is not there yet
		look()
		look()
		if got := served(t, c); got != "first.example" {
			t.Errorf("half of a renewal: %s is served", got)
		}
		if n := strings.Count(log.String(), "certificate.refused"); n != 1 {
			t.Errorf("told %d times: %s", n, &log)
		}

		issue(t, "third.example", certFile, keyFile)
		look()
		if got := served(t, c); got != "third.example" {
			t.Errorf("after the renewal: %s is served", got)
		}
		if !strings.Contains(log.String(), "certificate.loaded") || strings.Contains(log.String(), "PRIVATE") {
			t.Errorf("logged %s", &log)
		}

		if err := os.Remove(keyFile); err != nil {
			t.Fatal(err)
		}
		look()
		if got := served(t, c); got != "third.example" {
			t.Errorf("without a key file: %s is served", got)
		}
		if e := c.Expiries(); len(e) != 2 || e[0].Name != "third.example" || e[0].Source != "file" || e[0].At.IsZero() {
			t.Errorf("expiries %v", e)
		}
		stop()
		synctest.Wait()
	})
}

func TestFilesThatCannotBeLoadedAtStartEndIt(t *testing.T) {
	_, err := certs.New(certs.Config{CertFile: "/none", KeyFile: "/none", Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "load TLS certificate") {
		t.Errorf("error %v", err)
	}
}

func TestWithoutFilesAndACMEEveryNameIsAnsweredWithOurOwn(t *testing.T) {
	c, err := certs.New(certs.Config{Dir: t.TempDir(), Hostname: "mx.ours.example", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []*tls.Config{c.SMTP(), c.HTTPS()} {
		for _, name := range []string{"", "mx.ours.example", "stranger.example"} {
			cert, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{"acme-tls/1"}})
			if err != nil || cert.Leaf.VerifyHostname("mx.ours.example") != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		if config.MinVersion != tls.VersionTLS12 {
			t.Errorf("from version %x", config.MinVersion)
		}
	}
	if e := c.Expiries(); e[0].Name != "mx.ours.example" || e[0].Source != "self-signed" {
		t.Errorf("expiries %v", e)
	}
}
