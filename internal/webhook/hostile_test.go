package webhook_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/webhook"
)

// short is the deadline against those who would hold a post for ever.
const short = 300 * time.Millisecond

const noAnswer = "no answer within 0.3 s"

// flood writes until the other end hangs up.
func flood(c net.Conn, start, chunk string) {
	_, err := io.WriteString(c, start)
	for err == nil {
		_, err = io.WriteString(c, chunk)
	}
}

// trickle writes a byte at a time, pausing, until the other end hangs up.
func trickle(c net.Conn, start string) {
	_, err := io.WriteString(c, start)
	for err == nil {
		// A read with a deadline waits, and ends at once when the other
		// end is gone.
		if err = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			return
		}
		if _, err = c.Read(make([]byte, 1)); err == io.EOF {
			return
		}
		_, err = io.WriteString(c, "x")
	}
}

func bomb() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 256 {
		_, _ = z.Write(make([]byte, 64<<10))
	}
	_ = z.Close()
	return b.String()
}

func TestAHostileReceiverHoldsNothing(t *testing.T) {
	zipped := bomb()
	for _, c := range []struct {
		name    string
		scheme  string
		handle  func(net.Conn)
		status  int
		outcome openmail.Outcome
		words   string
	}{
		{"says nothing", "http", drain, 0, openmail.OutcomeError, noAnswer},
		{"says nothing to TLS", "https", drain, 0, openmail.OutcomeError, noAnswer},
		{"trickles TLS", "https", func(c net.Conn) { trickle(c, "\x16\x03\x03\x40\x00") }, 0, openmail.OutcomeError, noAnswer},
		{"trickles a status line", "http", func(c net.Conn) { readRequest(c); trickle(c, "HTTP/1.1 200 O") }, 0, openmail.OutcomeError, noAnswer},
		{"trickles headers", "http", func(c net.Conn) { readRequest(c); trickle(c, "HTTP/1.1 200 OK\r\nA: ") }, 0, openmail.OutcomeError, noAnswer},
		{"trickles a body", "http", func(c net.Conn) {
			readRequest(c)
			trickle(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
		}, 200, openmail.OutcomeDelivered, ""},
		{"never sends the body", "http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\n")
			drain(c)
		}, 500, openmail.OutcomeRefused, ""},
		{"never ends the body", "http", func(c net.Conn) {
			readRequest(c)
			flood(c, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 4096))
		}, 200, openmail.OutcomeDelivered, ""},
		{"never ends a chunked body", "http", func(c net.Conn) {
			readRequest(c)
			flood(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("e", 1000)+"\r\nx\r\n")
		}, 200, openmail.OutcomeDelivered, ""},
		{"never ends the trailers", "http", func(c net.Conn) {
			readRequest(c)
			flood(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n")
		}, 200, openmail.OutcomeDelivered, ""},
		{"sends 10 MiB of headers", "http", func(c net.Conn) {
			readRequest(c)
			flood(c, "HTTP/1.1 200 OK\r\n", "A: "+strings.Repeat("x", 1000)+"\r\n")
		}, 0, openmail.OutcomeError, "the answer is not HTTP/1.1, or its headers are larger than 16 KiB"},
		{"sends one endless header", "http", func(c net.Conn) {
			readRequest(c)
			flood(c, "HTTP/1.1 200 OK\r\nA: ", strings.Repeat("x", 4096))
		}, 0, openmail.OutcomeError, "the answer is not HTTP/1.1, or its headers are larger than 16 KiB"},
		{"always says continue", "http", func(c net.Conn) {
			readRequest(c)
			flood(c, "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		}, 0, openmail.OutcomeError, "the answer is not HTTP/1.1, or its headers are larger than 16 KiB"},
		{"switches protocols", "http", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			drain(c)
		}, 101, openmail.OutcomeRefused, ""},
		{"answers before it has read", "http", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.WriteString(c, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
			drain(c)
		}, 410, openmail.OutcomeGone, ""},
		{"sends a gzip bomb", "http", func(c net.Conn) {
			readRequest(c)
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zipped), zipped)
		}, 200, openmail.OutcomeDelivered, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := serveTCP(t, c.handle)
			s := newSender(t, webhook.Config{Allow: loopback, Timeout: short})
			a, _ := s.Post(t.Context(), testPost(c.scheme+"://"+addr), time.Now())
			if a.Status != c.status || a.Outcome != c.outcome || a.Error != c.words || len(a.Response) > 4096 {
				t.Errorf("attempt %+v", a)
			}
		})
	}
}

// TestABacklogThatNobodyAcceptsHoldsNothing: the kernel takes the connection,
// and the program never does.
func TestABacklogThatNobodyAcceptsHoldsNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := newSender(t, webhook.Config{Allow: loopback, Timeout: short})
	for _, scheme := range []string{"http", "https"} {
		a, _ := s.Post(t.Context(), testPost(scheme+"://"+ln.Addr().String()), time.Now())
		if a.Outcome != openmail.OutcomeError || a.Error != noAnswer {
			t.Errorf("%s: %+v", scheme, a)
		}
	}
}

// TestAReceiverThatReadsNothingHoldsNothing has a body that no socket buffer
// holds, so that writing it never ends.
func TestAReceiverThatReadsNothingHoldsNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := newSender(t, webhook.Config{Allow: loopback, Timeout: short})
	body := bytes.Repeat([]byte{' '}, 32<<20)
	a := s.Test(t.Context(), testPost("http://"+ln.Addr().String()).Endpoint, body, "evt_1")
	if a.Outcome != openmail.OutcomeError || a.Error != noAnswer {
		t.Errorf("attempt %+v", a)
	}
}

func TestAHundredHostileReceiversHoldNothing(t *testing.T) {
	addr := serveTCP(t, func(c net.Conn) { readRequest(c); trickle(c, "HTTP/1.1 200 O") })
	s := newSender(t, webhook.Config{Allow: loopback, Timeout: short})
	var posts sync.WaitGroup
	for range 100 {
		posts.Go(func() {
			a, _ := s.Post(t.Context(), testPost("http://"+addr), time.Now())
			if a.Outcome != openmail.OutcomeError || a.Error != noAnswer {
				t.Errorf("attempt %+v", a)
			}
		})
	}
	posts.Wait()
}

// TestADialEndsThoughNobodyWaitsForIt: the transport would let a handshake go on
// after its post has ended, for as long as the receiver likes.
func TestADialEndsThoughNobodyWaitsForIt(t *testing.T) {
	hungUp := make(chan struct{})
	addr := serveTCP(t, func(c net.Conn) { drain(c); close(hungUp) })
	s := newSender(t, webhook.Config{Allow: loopback, Timeout: short})
	if a, _ := s.Post(t.Context(), testPost("https://"+addr), time.Now()); a.Error != noAnswer {
		t.Errorf("attempt %+v", a)
	}
	select {
	case <-hungUp:
	case <-time.After(10 * time.Second):
		t.Error("the handshake goes on")
	}
}
