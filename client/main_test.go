package client_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"openmail/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "om_test"

// connect is a client of a real server on loopback.
func connect(t *testing.T, h http.Handler) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newClient(t, client.Options{BaseURL: server.URL, APIKey: testKey})
}

func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// pipes is a listener whose connections are in memory, for tests in which time
// is synthetic.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- newBuffered(far):
		return newBuffered(near), nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// buffered is a pipe's end whose writes do not wait for the reader, as a
// socket's do not. Closing it lets what was written arrive first.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	queue  chan []byte
	closed bool
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c, queue: make(chan []byte, 1000)}
	go func() {
		for p := range b.queue {
			b.Conn.Write(p)
		}
		b.Conn.Close()
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.queue <- bytes.Clone(p)
	return len(p), nil
}

func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.queue)
	}
	return nil
}

// connectPiped is a client of a server over pipes. stop ends both, and must be
// called within the bubble.
func connectPiped(t *testing.T, h http.Handler) (c *client.Client, stop func()) {
	t.Helper()
	listener := newPipes()
	server := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: listener.dial}
	c, err := client.New(client.Options{BaseURL: "http://pipe", APIKey: testKey, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() {
		c.Close()
		server.Close()
		<-served
	}
}

// body reads a request's body.
func body(r *http.Request) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}
