package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"openmail"
	"openmail/internal/reach"
)

// words tells the owner of an endpoint why there was no answer. What it says of
// an error is chosen here, and never the error's own text: that names our
// resolvers, addresses and files.
func (s *Sender) words(err error) string {
	if e, ok := errors.AsType[*openmail.Error](err); ok {
		return e.Message
	}
	if r, ok := errors.AsType[reach.Refusal](err); ok {
		return string(r)
	}
	if errors.Is(err, context.Canceled) {
		return "this server stopped before an answer came"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return "the host name does not exist"
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("no answer within %g s", s.timeout.Seconds())
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host name could not be looked up"
	}
	if w := tlsWords(err); w != "" {
		return w
	}
	return connectionWords(err)
}

// tlsWords is "" for an error that is not TLS's.
func tlsWords(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "TLS certificate is not valid for this host"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "TLS certificate is signed by an unknown authority"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "TLS certificate has expired or is not valid yet"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "TLS certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the port does not speak TLS"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "TLS handshake was refused"
	}
	return ""
}

func connectionWords(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset before an answer came"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the host cannot be reached"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before an answer came"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return "the connection failed"
	}
	return fmt.Sprintf("the answer is not HTTP/1.1, or its headers are larger than %d KiB", maxHeaders>>10)
}
