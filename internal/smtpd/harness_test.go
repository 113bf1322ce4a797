package smtpd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/internal/smtpd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a Receiver that keeps mail in memory. It has an inbox for every
// address of ours.example, but for what faults names.
type house struct {
	faults map[string]error // what Route says of an address
	accept func(r io.Reader) error

	mu    sync.Mutex
	mails []stored
}

type stored struct {
	env  openmail.Envelope
	body string
}

func (h *house) Route(_ context.Context, addr string) (openmail.Recipient, error) {
	if err := h.faults[addr]; err != nil {
		return openmail.Recipient{}, err
	}
	if !strings.HasSuffix(strings.ToLower(addr), "@ours.example") {
		return openmail.Recipient{}, openmail.Errorf(openmail.CodeNotFound, "no inbox")
	}
	return openmail.Recipient{Addr: addr, Inbox: openmail.Inbox{ID: "inb_1"}}, nil
}

func (h *house) Accept(_ context.Context, env openmail.Envelope, r io.Reader) (string, error) {
	if h.accept != nil {
		if err := h.accept(r); err != nil {
			return "", err
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("read the mail: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mails = append(h.mails, stored{env, string(body)})
	return fmt.Sprintf("msg_%d", len(h.mails)), nil
}

func (h *house) stored() []stored {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]stored(nil), h.mails...)
}

func (h *house) bodies() []string {
	var bodies []string
	for _, m := range h.stored() {
		bodies = append(bodies, m.body)
	}
	return bodies
}

// start runs a server on a free port of loopback until the test ends.
func start(t testing.TB, cfg smtpd.Config) *smtpd.Server {
	t.Helper()
	s := prepare(t, cfg)
	run(t, s)
	return s
}

// prepare makes a server that listens and does not serve yet.
func prepare(t testing.TB, cfg smtpd.Config) *smtpd.Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	cfg.Hostname = "mx.ours.example"
	s := smtpd.New(cfg)
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// run serves until the test ends, or until the returned function is called,
// which waits for the end.
func run(t testing.TB, s *smtpd.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// client is one end of a conversation.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func dial(t testing.TB, s *smtpd.Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

// send writes text with its line ends as CRLF.
func (c *client) send(text string) {
	c.t.Helper()
	c.sendRaw(crlf(text))
}

func (c *client) sendRaw(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// expect reads one reply, which must start with prefix.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	var reply strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		reply.WriteString(line)
		if err != nil {
			c.t.Fatalf("want a reply %q, got %q and %v", prefix, reply.String(), err)
		}
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if !strings.HasPrefix(reply.String(), prefix) {
		c.t.Fatalf("want a reply %q, got %q", prefix, reply.String())
	}
	return reply.String()
}

// expectEnd reads to the end of the session, which must be near.
func (c *client) expectEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("want the end of the session, got %q and %v", rest, err)
	}
}

// upToData brings a conversation to where the mail may follow.
func (c *client) upToData() {
	c.t.Helper()
	c.expect("220 ")
	c.send("EHLO me.example\n")
	c.expect("250-mx.ours.example")
	c.send("MAIL FROM:<a@me.example>\nRCPT TO:<b@ours.example>\nDATA\n")
	c.expect("250 2.0.0")
	c.expect("250 2.0.0")
	c.expect("354 ")
}

// talk sends a whole conversation behind the greeting and returns everything
// the server says, with its line ends as \n.
func (c *client) talk(text string) string {
	c.t.Helper()
	greeting, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(c, text) // a server that hangs up makes it fail, as it may
	}()
	rest, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Fatalf("after %q: %v", rest, err)
	}
	<-sent
	return strings.ReplaceAll(greeting+string(rest), "\r\n", "\n")
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// memory is a listener for conversations in memory: each Write of one side is
// a Read of the other, and time may be that of a bubble.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newMemory() *memory {
	m := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	m.close = sync.OnceFunc(func() { close(m.closed) })
	return m
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.close(); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects to whoever accepts.
func (m *memory) dial(t testing.TB) *client {
	t.Helper()
	return m.dialFrom(t, "192.0.2.1:1")
}

// dialFrom is dial from an address and port.
func (m *memory) dialFrom(t testing.TB, addr string) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	m.conns <- from{theirs, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))}
	return newClient(t, ours)
}

// from is a connection that comes from somewhere.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// startInMemory runs a server over memory until the test ends.
func startInMemory(t testing.TB, cfg smtpd.Config) (*smtpd.Server, *memory) {
	t.Helper()
	cfg.Hostname = "mx.ours.example"
	s := smtpd.New(cfg)
	m := newMemory()
	s.Use(m)
	run(t, s)
	return s, m
}
