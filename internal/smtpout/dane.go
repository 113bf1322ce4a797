package smtpout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"openmail/internal/outgoing"
)

// maxTLSA records of a server are looked at.
const maxTLSA = 32

// Usages, selectors and matchings of TLSA records (RFC 7218).
const (
	daneTA   = 2
	daneEE   = 3
	selCert  = 0
	selSPKI  = 1
	matchRaw = 0
	match256 = 1
	match512 = 2
)

// tlsa finds the TLSA records of a mail server: where its name, its addresses
// and the records themselves were all validated (RFC 7672 section 2.2). base is
// the name that has them; "" when there are none.
func (s *Sender) tlsa(ctx context.Context, h exchanger, at place) (records []*dns.TLSA, base string, fault *outgoing.Answer) {
	if !h.secure || !at.secure || h.literal.IsValid() {
		return nil, "", nil
	}
	for _, name := range slices.Compact([]string{at.name, h.name}) {
		f, err := s.dns.Ask(ctx, fmt.Sprintf("_%d._tcp.%s", s.port, name), dns.TypeTLSA)
		if err != nil {
			// Somebody may be hiding them (RFC 7672 section 2.1.2).
			return nil, "", deferred(statusUnverified, "the TLSA records of "+h.name+" could not be looked up")
		}
		if f.Secure && len(f.Records) > 0 {
			return usable(f.Records), name, nil
		}
	}
	return nil, "", nil
}

// usable are the records that say something of a server of mail (RFC 7672
// section 3.1).
func usable(all []dns.RR) (records []*dns.TLSA) {
	for _, rr := range all[:min(len(all), maxTLSA)] {
		r := rr.(*dns.TLSA)
		if (r.Usage == daneTA || r.Usage == daneEE) && r.Selector <= selSPKI && r.MatchingType <= match512 {
			records = append(records, r)
		}
	}
	return records
}

// dane demands a certificate that the records name. With records of which none
// can be used it demands TLS (RFC 7672 section 2.2).
func dane(records []*dns.TLSA, base string, names ...string) security {
	s := opportunistic(base)
	s.required, s.because = true, "its TLSA records demand it"
	if len(records) == 0 {
		return s
	}
	s.label = "dane"
	s.config.VerifyConnection = func(cs tls.ConnectionState) error {
		if !proven(records, cs.PeerCertificates, append(names, base)) {
			return errDANE
		}
		return nil
	}
	return s
}

// errDANE is a handshake with somebody else.
const errDANE certificateError = "the TLS certificate is not the one that the TLSA records name"

type certificateError string

func (e certificateError) Error() string { return string(e) }

// proven reports whether any record names the server's certificate, or one that
// it descends from.
func proven(records []*dns.TLSA, chain []*x509.Certificate, names []string) bool {
	return len(chain) > 0 && slices.ContainsFunc(records, func(r *dns.TLSA) bool {
		if r.Usage == daneEE {
			// Neither names nor dates count (RFC 7672 section 3.1.1).
			return matches(r, chain[0])
		}
		return descends(r, chain, names)
	})
}

func matches(r *dns.TLSA, cert *x509.Certificate) bool {
	want, err := hex.DecodeString(r.Certificate)
	if err != nil {
		return false
	}
	data := cert.Raw
	if r.Selector == selSPKI {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch r.MatchingType {
	case match256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case match512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(want, data)
}

// descends reports whether the chain leads from a certificate of one of the
// names to one that the record names (RFC 7672 sections 3.1.2 and 3.2.2).
func descends(r *dns.TLSA, chain []*x509.Certificate, names []string) bool {
	anchors, between := x509.NewCertPool(), x509.NewCertPool()
	for _, cert := range chain {
		between.AddCert(cert)
		if matches(r, cert) {
			anchors.AddCert(cert)
		}
	}
	if r.Selector == selCert && r.MatchingType == matchRaw {
		// The record has the whole certificate, so the server need not.
		der, err := hex.DecodeString(r.Certificate)
		if cert, parse := x509.ParseCertificate(der); err == nil && parse == nil {
			anchors.AddCert(cert)
		}
	}
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: anchors, Intermediates: between})
		return err == nil
	})
}
