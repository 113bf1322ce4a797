package smtpout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"openmail/internal/outgoing"
)

// security is what is asked of a connection.
type security struct {
	label    string // outgoing.Answer.TLS
	required bool   // nothing is sent in clear
	because  string // of required, for people
	never    bool   // TLS has been tried, and failed
	config   *tls.Config
}

// opportunistic takes any TLS: whoever can put himself between could as well
// hide that there is any, so a certificate proves nothing (RFC 7435).
func opportunistic(name string) security {
	return security{label: "opportunistic", config: &tls.Config{
		ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
	}}
}

// verified takes TLS with a certificate that is valid for the name.
func (s *Sender) verified(name, label, because string) security {
	return security{label: label, required: true, because: because, config: &tls.Config{
		ServerName: name, RootCAs: s.roots, MinVersion: tls.VersionTLS12,
	}}
}

// protection is what is asked of connections to a mail server of a domain, by
// what that has published: TLSA records come first, then the MTA-STS policy (RFC
// 8461 section 2).
func (s *Sender) protection(ctx context.Context, o *offer, h exchanger, at place) (security, *outgoing.Answer) {
	records, base, fault := s.tlsa(ctx, h, at)
	switch {
	case fault != nil:
		return security{}, fault
	case base != "":
		return dane(records, base, h.name, o.domain), nil
	case !o.enforced:
		return opportunistic(h.name), nil
	case !o.policy.names(h.name):
		return security{}, deferred(statusUnverified, "the MTA-STS policy of the domain does not name the mail server "+h.name)
	}
	return s.verified(h.name, "mta-sts", "the MTA-STS policy of its domain demands it"), nil
}

// tlsWords tells why there is no TLS.
func tlsWords(ctx context.Context, err error) string {
	if e, ok := errors.AsType[certificateError](err); ok {
		return string(e)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the TLS certificate is not valid for this host"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the TLS certificate is signed by an unknown authority"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "the TLS certificate has expired or is not valid yet"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the TLS certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS after STARTTLS"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server refused the TLS handshake"
	}
	return "TLS failed: " + words(ctx, err)
}
