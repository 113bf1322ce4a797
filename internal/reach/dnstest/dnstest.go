// Package dnstest serves the DNS to tests.
package dnstest

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

// Serve has h answer questions, by datagram and by stream, until the test ends,
// and returns where: an address of this machine, host:port.
func Serve(t testing.TB, h dns.Handler) string {
	t.Helper()
	ln, pc := listen(t)
	for _, s := range []*dns.Server{{Listener: ln, Handler: h}, {PacketConn: pc, Handler: h}} {
		started, done := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(done); _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
	return ln.Addr().String()
}

// listen finds a port that is free for both.
func listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	var last error
	for range 20 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", ln.Addr().String())
		if err == nil {
			return ln, pc
		}
		last = err
		_ = ln.Close()
	}
	t.Fatal(last)
	return nil, nil
}
