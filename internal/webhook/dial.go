package webhook

import (
	"context"
	"crypto/tls"
	"net"
)

// The transport lets a dial outlive the request that asked for it, in case
// another can use the connection. So the deadline of a post does not end it,
// and each dial here has one of its own, over name, connection and TLS.

func (s *Sender) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.dialer.Dial(ctx, network, addr)
}

func (s *Sender) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.dialer.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config := s.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // Dial has split it
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}
