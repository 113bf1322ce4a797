package smtpout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// security is what is asked of a connection.
type security struct {
	label    string // outgoing.Answer.TLS
	required bool   // nothing is sent in clear
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

// tlsWords tells why there is no TLS.
func tlsWords(ctx context.Context, err error) string {
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
