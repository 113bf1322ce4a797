package ws

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/gobwas/ws"
)

// link is a TCP connection with small buffers: the server's end and the
// client's.
func link(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	_ = near.(*net.TCPConn).SetWriteBuffer(256 << 10)
	_ = far.(*net.TCPConn).SetReadBuffer(256 << 10)
	var c conn
	c.open(near)
	return &c, far
}

func TestAPageIsForgottenForASlowReaderAndAllArrives(t *testing.T) {
	c, far := link(t)
	o := newOutput()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	o.buf = append(o.buf, want...)
	forgot, done := make(chan struct{}), make(chan error, 1)
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		done <- c.flush(o, func() { close(forgot) })
	}()
	<-forgot // nobody has read so far
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("what arrived differs, %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnOfferTakesWhatTheKernelTakesAndNeverWaits(t *testing.T) {
	c, far := link(t)
	o := newOutput()
	o.buf = append(o.buf, make([]byte, 8<<20)...)
	if c.offer(o) || o.n == 0 {
		t.Fatalf("%d of %d bytes were taken at once", o.n, len(o.buf))
	}
	for o.n > 0 { // until nobody's buffer has room
		o.n = 0
		if c.offer(o) {
			t.Fatal("the kernel takes everything")
		}
	}
	c.kill()
	if err := c.flush(o, nil); err == nil {
		t.Error("writing to a connection that has ended gives no error")
	}
	if _, err := io.Copy(io.Discard, far); err != nil {
		t.Log("the client sees", err)
	}
}

func TestNothingFollowsACloseFrame(t *testing.T) {
	c, far := link(t)
	c.echo(1000)
	if err := c.write(appendFrame(nil, ws.OpText, []byte("late"))); err == nil {
		t.Error("a message was written after the close frame")
	}
	c.echo(1001)
	c.nc.Close()
	if all, err := io.ReadAll(far); err != nil || !bytes.Equal(all, appendClose(nil, 1000, "")) {
		t.Errorf("got %q, %v", all, err)
	}
}
