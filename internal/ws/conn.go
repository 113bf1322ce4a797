package ws

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

const (
	// writeWait is how long one write may take. It is longer than a socket
	// lives without a pong, which ends it first.
	writeWait = 2 * time.Minute
	// closeWait is how long a client has to answer a close frame.
	closeWait = 5 * time.Second
	// pageBytes is about how much goes out in one write: it is also what a
	// client that stopped reading costs.
	pageBytes = 32 << 10
)

// conn is the server's end of a WebSocket (RFC 6455) without extensions, on a
// connection that was taken over from net/http. It keeps no buffers for
// writing, no timers while idle, and no goroutine of its own: whoever reads
// feeds the bytes to in, whether that is a goroutine or a poller.
type conn struct {
	nc  net.Conn
	raw syscall.RawConn // nil: every write may block

	// mu is held while bytes go out, so that frames never interleave. To
	// hold it is also the right to push events.
	mu sync.Mutex
	// closing: a close frame went out, and nothing may follow it. It is set
	// under mu.
	closing atomic.Bool

	in  parser
	buf [128]byte // for reading; most that clients send is shorter
}

// open begins on a connection whose handshake is done.
func (c *conn) open(nc net.Conn) {
	c.nc = nc
	if tcp, ok := nc.(*net.TCPConn); ok && canOffer {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	tune(bare(nc))
}

// bare is the connection below TLS.
func bare(nc net.Conn) net.Conn {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return nc
}

// kill ends the connection at once, without a word and without waiting; the
// reader finds out. Any goroutine may call it.
func (c *conn) kill() { _ = bare(c.nc).Close() }

// offer writes what the kernel takes at once, and leaves the rest in o. It
// never blocks. mu is held.
func (c *conn) offer(o *output) (done bool) {
	if c.raw != nil && len(o.buf) > 0 {
		o.offer(c.raw)
	}
	return len(o.rest()) == 0
}

// finish writes b to its end. When that fails, the connection ends. mu is held.
func (c *conn) finish(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(writeWait))
	_, err := c.nc.Write(b)
	if err != nil {
		c.kill()
		return err
	}
	return c.nc.SetWriteDeadline(time.Time{}) // no timer stays behind
}

// write sends frames that are ready, and waits until they are out. After a
// close frame it does nothing.
func (c *conn) write(frames []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing.Load() {
		return net.ErrClosed
	}
	return c.finish(frames)
}

// expectEnd gives the client closeWait to end the connection.
func (c *conn) expectEnd() { _ = c.nc.SetReadDeadline(time.Now().Add(closeWait)) }

// refuse sends frames and a close frame, and waits for the client's end of the
// connection to fall silent, so that it reads them before the reset.
func (c *conn) refuse(frames []byte, f *fault) {
	defer c.nc.Close()
	c.expectEnd()
	c.mu.Lock()
	sent := c.closing.Swap(true)
	var err error
	if !sent {
		err = c.finish(appendClose(frames, f.code, f.reason))
	}
	c.mu.Unlock()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	for err == nil {
		_, err = c.nc.Read(c.buf[:])
	}
}

// output is a buffer for frames on their way out, with what it takes to offer
// them to the kernel without an allocation. It goes back into a pool.
type output struct {
	buf []byte
	n   int // bytes of buf that are out
	try func(fd uintptr) bool
}

func newOutput() *output {
	o := &output{buf: make([]byte, 0, 4<<10)}
	o.try = func(fd uintptr) bool {
		o.n = max(0, writeOnce(fd, o.buf))
		return true // in any case: never wait
	}
	return o
}

// offer writes what the kernel takes at once. An error is left for whoever
// writes the rest to find again.
func (o *output) offer(raw syscall.RawConn) { _ = raw.Write(o.try) }

func (o *output) rest() []byte { return o.buf[o.n:] }

// close appends a close frame.
func (o *output) close(f *fault) { o.buf = appendClose(o.buf, f.code, f.reason) }

// say appends a text message.
func (o *output) say(message []byte) { o.buf = appendFrame(o.buf, ws.OpText, message) }

// outputs is a pool of them.
type outputs struct{ pool sync.Pool }

func (p *outputs) get() *output {
	if o, ok := p.pool.Get().(*output); ok {
		return o
	}
	return newOutput()
}

// put takes o back, unless a large event has made it large.
func (p *outputs) put(o *output) {
	if cap(o.buf) > 2*pageBytes {
		return
	}
	o.buf, o.n = o.buf[:0], 0
	p.pool.Put(o)
}

// echo answers a client's close frame, if that can be done at once.
func (c *conn) echo(code ws.StatusCode) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.closing.Swap(true) {
		return
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(closeWait))
	_, _ = c.nc.Write(appendClose(nil, code, ""))
}
