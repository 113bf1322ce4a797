package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"openmail"
	"openmail/internal/reach"
)

// TestWordsNameTheFaultAndNothingOfOurs gives each error as it comes out of a
// dialler, with our resolver, address and file in its text.
func TestWordsNameTheFaultAndNothingOfOurs(t *testing.T) {
	dial := func(err error) error {
		to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.9.8.7:443"))
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: err})
	}
	dns := func(e net.DNSError) error {
		e.Name, e.Server, e.Err = "hooks.intra", "10.9.8.53:53", "on 10.9.8.53"
		return dial(&e)
	}
	cert := func(err error) error { return dial(&tls.CertificateVerificationError{Err: err}) }
	s, err := New(Config{}) // which waits as long as the contract says
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct {
		err  error
		want string
	}{
		{context.DeadlineExceeded, "no answer within 15 s"},
		{dial(os.ErrDeadlineExceeded), "no answer within 15 s"},
		{dial(context.Canceled), "this server stopped before an answer came"},
		{dial(reach.Refusal("the address is not one that webhooks may reach")), "the address is not one that webhooks may reach"},
		{openmail.Errorf(openmail.CodeInvalidWebhookURL, "This is not a URL."), "This is not a URL."},
		{dns(net.DNSError{IsNotFound: true}), "the host name does not exist"},
		{dns(net.DNSError{IsTemporary: true}), "the host name could not be looked up"},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection refused"},
		{dial(os.NewSyscallError("read", syscall.ECONNRESET)), "the connection was reset before an answer came"},
		{dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), "the host cannot be reached"},
		{dial(os.NewSyscallError("socket", syscall.EMFILE)), "the connection failed"},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), "the connection was closed before an answer came"},
		{cert(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "10.9.8.7"}), "TLS certificate is not valid for this host"},
		{cert(x509.UnknownAuthorityError{}), "TLS certificate is signed by an unknown authority"},
		{cert(x509.CertificateInvalidError{Reason: x509.Expired}), "TLS certificate has expired or is not valid yet"},
		{cert(x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}), "TLS certificate is not valid"},
		{dial(tls.RecordHeaderError{Msg: "10.9.8.7"}), "the port does not speak TLS"},
		{dial(tls.AlertError(40)), "TLS handshake was refused"},
		{errors.New("malformed answer of 10.9.8.7"), "the answer is not HTTP/1.1, or its headers are larger than 16 KiB"},
	} {
		got := s.words(c.err)
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
		if strings.Contains(got, "10.9.8") || strings.Contains(got, "intra") {
			t.Errorf("%q tells of our network", got)
		}
	}
}
