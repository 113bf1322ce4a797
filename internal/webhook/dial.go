package webhook

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
)

// The transport lets a dial outlive the request that asked for it, in case
// another can use the connection. So the deadline of a post does not end it,
// and each dial here has one of its own, over name, connection and TLS.

func (s *Sender) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.connect(ctx, network, addr)
}

func (s *Sender) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config := s.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // connect has split it
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// connect dials through the guard. A name that the operator opened needs none.
func (s *Sender) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Resolver: s.resolver}
	if !s.guard.OpensName(strings.ToLower(host), uint16(port)) {
		d.Control = s.guard.Control
	}
	return d.DialContext(ctx, network, addr)
}
