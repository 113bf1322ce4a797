package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"slices"
	"syscall"
	"time"
)

// What a disk should have, in bytes.
const (
	littleSpace = 1 << 30
	noSpace     = 128 << 20
)

func (c Config) disk(context.Context) []Check {
	var s syscall.Statfs_t
	if err := syscall.Statfs(c.Data, &s); err != nil {
		return one("disk", Warn, fmt.Sprintf("the data folder cannot be looked at: %v", err))
	}
	status, message := space(uint64(max(s.Bavail, 0)) * uint64(s.Bsize)) // signed on some systems, and then below 0 in what is kept for root
	return one("disk", status, message)
}

func space(free uint64) (Status, string) {
	text := fmt.Sprintf("%.1f GiB are free for the data folder", float64(free)/(1<<30))
	switch {
	case free < noSpace:
		return Fail, text + ": make room now, or mail is turned away"
	case free < littleSpace:
		return Warn, text + ": make room, or delete sooner (OPENMAIL_RETAIN_MESSAGES)"
	}
	return OK, text
}

// here is an address of this machine that a listening address stands for.
func here(listening string) (string, error) {
	at, err := netip.ParseAddrPort(listening)
	if err != nil {
		return "", err
	}
	ip := at.Addr().Unmap()
	if ip.IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String(), nil
	}
	if !ip.IsLoopback() && !isOurs(ip) {
		return "", fmt.Errorf("%s is no address of this machine", ip)
	}
	return at.String(), nil
}

// isOurs reports whether this machine has the address.
func isOurs(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip.Unmap()
	})
}

// smtp talks to the server's own port.
func (c Config) smtp(ctx context.Context) []Check {
	at, err := here(c.Server.SMTP)
	if err != nil {
		return one("smtp", Fail, fmt.Sprintf("the server listens nowhere: %v", err))
	}
	chain, err := c.converse(ctx, at)
	if err != nil {
		return one("smtp", Fail, fmt.Sprintf("no mail is taken at %s (%v): is the server running?", at, err))
	}
	checks := one("smtp", OK, "mail is taken at "+at+", with STARTTLS")
	if c.Server.local() {
		return checks
	}
	status, message := c.certificate(chain, c.Server.Hostname, Warn)
	return append(checks, Check{"certificate", status, message})
}

// converse greets an SMTP server up to STARTTLS and returns its certificates.
func (c Config) converse(ctx context.Context, at string) ([]*x509.Certificate, error) {
	conn, err := c.Dial(ctx, "tcp", at)
	if err != nil {
		return nil, bare(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	s, err := smtp.NewClient(conn, c.Server.Hostname)
	if err != nil {
		return nil, bare(err)
	}
	if err := s.StartTLS(&tls.Config{ServerName: c.Server.Hostname, InsecureSkipVerify: true}); err != nil { // judged below
		return nil, bare(err)
	}
	state, _ := s.TLSConnectionState()
	return state.PeerCertificates, s.Quit()
}

// bare is an error without the address, which is told beside it.
func bare(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

func (c Config) https(ctx context.Context) []Check {
	if c.Server.HTTPS == "" {
		return nil
	}
	at, err := here(c.Server.HTTPS)
	if err != nil {
		return one("https", Fail, fmt.Sprintf("the server listens nowhere: %v", err))
	}
	raw, err := c.Dial(ctx, "tcp", at)
	if err != nil {
		return one("https", Fail, fmt.Sprintf("nobody answers at %s (%v): is the server running?", at, bare(err)))
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{ServerName: c.Server.Site, InsecureSkipVerify: true}) // judged below
	if err := conn.HandshakeContext(ctx); err != nil {
		return one("https", Fail, fmt.Sprintf("TLS fails at %s: %v", at, err))
	}
	status, message := c.certificate(conn.ConnectionState().PeerCertificates, c.Server.Site, Fail)
	return one("https", status, message)
}

// soon is how long before its end a certificate should have been renewed.
const soon = 7 * 24 * time.Hour

// certificate judges what a server shows for a name. unproven is how bad it is
// when nobody vouches for it.
func (c Config) certificate(chain []*x509.Certificate, name string, unproven Status) (Status, string) {
	if len(chain) == 0 {
		return Fail, "no certificate is shown"
	}
	leaf, between := chain[0], x509.NewCertPool()
	for _, more := range chain[1:] {
		between.AddCert(more)
	}
	left := time.Until(leaf.NotAfter)
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: c.Roots, Intermediates: between})
	switch {
	case left < 0:
		return Fail, fmt.Sprintf("the certificate ended on %s: renew it (--tls-cert), or have it renewed (--acme on)", leaf.NotAfter.Format(time.DateOnly))
	case leaf.VerifyHostname(name) != nil:
		return unproven, fmt.Sprintf("the certificate is not for %s: get one that is (--tls-cert, --acme on)", name)
	case err != nil:
		return unproven, fmt.Sprintf("nobody vouches for the certificate of %s: get one from a CA (--acme on), or clients and careful senders refuse it", name)
	case left < soon:
		return Warn, fmt.Sprintf("the certificate for %s ends on %s and has not been renewed: look at the log of the server, or renew the file", name, leaf.NotAfter.Format(time.DateOnly))
	}
	return OK, fmt.Sprintf("the certificate for %s is good until %s", name, leaf.NotAfter.Format(time.DateOnly))
}
