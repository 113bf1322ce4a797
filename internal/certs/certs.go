// Package certs answers every TLS handshake of the server, SMTP's and HTTPS's:
// with the certificate of two files that somebody else renews, with one that it
// gets from a CA by ACME (RFC 8555) for the names of the server and for no other,
// or with one that it has signed itself. The first handshake can be answered as
// soon as New has returned, whatever the CA does.
package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/mholt/acmez/v3"
)

// Config is where certificates come from.
type Config struct {
	Dir      string // the data folder, which is this process's alone
	Hostname string // the name of who does not say which name it wants, as SMTP clients do

	CertFile, KeyFile string // PEM; "" for none
	ACME              *ACME  // nil: off. It is for when there are no files
	Logger            *slog.Logger
}

// Certificates is every certificate of the server. All its methods may be called
// at the same time.
type Certificates struct {
	files  *pair           // nil: none were given
	acme   *manager        // nil: ACME is off
	own    tls.Certificate // for when there are neither files nor, yet, what ACME gets
	logger *slog.Logger
}

// New loads the certificates that there are. Nothing is asked of a CA before
// Run. Close it.
func New(c Config) (*Certificates, error) {
	s := &Certificates{logger: c.Logger}
	var err error
	if c.CertFile != "" {
		s.files, err = newPair(c.CertFile, c.KeyFile, c.Logger)
		return s, err
	}
	if s.own, err = SelfSigned(c.Dir, c.Hostname); err != nil {
		return nil, err
	}
	if c.ACME != nil {
		if s.acme, err = newManager(c); err != nil {
			return nil, fmt.Errorf("ACME: %w", err)
		}
	}
	return s, nil
}

// Close ends what New has begun. Run has returned, or was never called.
func (s *Certificates) Close() error {
	if s.acme != nil {
		s.acme.close()
	}
	return nil
}

// Run looks after the certificates until ctx ends: files that have changed are
// loaded anew, what a CA has to give is got and renewed in time. No failure of
// that ends it: the server goes on with the certificates it has.
func (s *Certificates) Run(ctx context.Context) error {
	switch {
	case s.files != nil:
		s.files.run(ctx)
	case s.acme != nil:
		s.acme.run(ctx)
	default:
		<-ctx.Done()
	}
	return nil
}

// SMTP is the configuration of STARTTLS.
func (s *Certificates) SMTP() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get}
}

// HTTPS is the configuration of the HTTPS port: HTTP/1.1 only, since a WebSocket
// takes its connection over, and the challenge of RFC 8737 when ACME is on.
func (s *Certificates) HTTPS() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get, NextProtos: []string{"http/1.1"}}
	if s.acme != nil {
		c.NextProtos = append(c.NextProtos, acmez.ACMETLS1Protocol)
		c.GetCertificate = s.getOrProve
	}
	return c
}

// get is a tls.Config's. A name that is not ours is answered with ours: a sender
// that checks nothing gets its TLS, one that checks sees what is wrong.
func (s *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.files != nil {
		return s.files.current.Load(), nil
	}
	if s.acme != nil {
		if cert := s.acme.serving(hello.ServerName); cert != nil {
			return cert, nil
		}
	}
	return &s.own, nil
}

func (s *Certificates) getOrProve(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p := hello.SupportedProtos; len(p) == 1 && p[0] == acmez.ACMETLS1Protocol {
		return prove(hello.ServerName)
	}
	return s.get(hello)
}

// Challenge answers a request of a CA that looks whether this server has a name
// (RFC 8555 section 8.3), and reports whether it was one. It tells nothing but
// what this process has just been asked to show.
func (s *Certificates) Challenge(w http.ResponseWriter, r *http.Request) bool {
	return s.acme != nil && challenge(w, r)
}

// Expiry is until when one certificate is good.
type Expiry struct {
	Name   string // that it is for
	Source string // "file", "acme" or "self-signed"
	At     time.Time
}

// Expiries lists the certificates that handshakes are answered with, one for
// each name.
func (s *Certificates) Expiries() []Expiry {
	switch {
	case s.files != nil:
		return expiries(s.files.current.Load(), "file")
	case s.acme != nil:
		return s.acme.expiries(&s.own)
	}
	return expiries(&s.own, "self-signed")
}

func expiries(cert *tls.Certificate, source string) (list []Expiry) {
	for _, name := range cert.Leaf.DNSNames {
		list = append(list, Expiry{name, source, cert.Leaf.NotAfter})
	}
	for _, ip := range cert.Leaf.IPAddresses {
		list = append(list, Expiry{ip.String(), source, cert.Leaf.NotAfter})
	}
	return list
}
