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
	// patience is how long a page of the log is kept for a client that is
	// slow to read; afterwards it is read again.
	patience = 100 * time.Millisecond
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
	buf [64]byte // for reading; a pong is shorter by far
}

// open begins on a connection whose handshake is done.
func (c *conn) open(nc net.Conn) {
	c.nc = nc
	if sc, ok := nc.(syscall.Conn); ok && canOffer {
		if raw, err := sc.SyscallConn(); err == nil {
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

// flush writes o to its end. When the client is slow to read, forget is called
// once, so that only o is kept for it. mu is held.
func (c *conn) flush(o *output, forget func()) error {
	if c.offer(o) {
		return nil
	}
	if c.raw == nil || forget == nil {
		return c.finish(o.rest())
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	n, _ := c.nc.Write(o.rest()) // an error shows again below
	if o.n += n; len(o.rest()) > 0 {
		forget()
		return c.finish(o.rest())
	}
	return c.nc.SetWriteDeadline(time.Time{})
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
