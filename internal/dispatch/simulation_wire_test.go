package dispatch_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wire is a connection as the server has it. What the server writes, and what it
// reads, lies in memory until the simulation takes it or puts it there; nothing
// happens by itself. It can be asked to take what it can at once, as a TCP
// connection can.
type wire struct {
	kernel  *kernel
	onClose func() // tells that the server has closed it, once

	mu       sync.Mutex
	in, out  []byte
	over     bool // the client has reset it
	ended    bool // the client has said all it will
	closed   bool // by the server
	noticed  bool // and its reader has been told
	black    bool // nothing gets through any more, and nobody knows
	full     bool // nothing is taken at once
	deadline time.Time
	changed  chan struct{}
}

func newWire(k *kernel) *wire { return &wire{kernel: k, changed: make(chan struct{}, 1)} }

// kernel is a pipe that stands in for a socket's send buffer, which it is only
// for the moment of a write.
type kernel struct {
	mu       sync.Mutex
	from, to int
}

func newKernel(t *testing.T) *kernel {
	t.Helper()
	var fds [2]int
	check(t, syscall.Pipe2(fds[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	t.Cleanup(func() { _ = syscall.Close(fds[0]); _ = syscall.Close(fds[1]) })
	return &kernel{from: fds[0], to: fds[1]}
}

// through has f write, and returns what it has written.
func (k *kernel) through(f func(fd uintptr) bool) (b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(uintptr(k.to))
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(k.from, buf)
		if n <= 0 || err != nil {
			return b
		}
		b = append(b, buf[:n]...)
	}
}

func (w *wire) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *wire) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.signal()
}

// Read waits for what the client says.
func (w *wire) Read(b []byte) (int, error) {
	for {
		w.mu.Lock()
		n, until, over, ended, closed := copy(b, w.in), w.deadline, w.over, w.ended, w.noticed
		if !closed {
			w.in = w.in[n:]
		}
		w.mu.Unlock()
		switch {
		case closed:
			return 0, net.ErrClosed
		case n > 0:
			return n, nil
		case over:
			return 0, syscall.ECONNRESET
		case ended:
			return 0, io.EOF
		}
		var late <-chan time.Time
		if !until.IsZero() {
			if !time.Now().Before(until) {
				return 0, os.ErrDeadlineExceeded
			}
			timer := time.NewTimer(time.Until(until))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-w.changed:
		case <-late:
		}
	}
}

// Write never waits: the kernel's buffer is large beside what is sent here.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return 0, net.ErrClosed
	case w.over:
		return 0, syscall.EPIPE
	case !w.black:
		w.out = append(w.out, b...)
	}
	return len(b), nil
}

func (w *wire) Close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if !again {
		w.onClose()
	}
	return nil
}

func (w *wire) CloseWrite() error   { return nil }
func (w *wire) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8025} }

func (w *wire) RemoteAddr() net.Addr                  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9999} }
func (w *wire) SetWriteDeadline(time.Time) error      { return nil }
func (w *wire) SetDeadline(t time.Time) error         { return w.SetReadDeadline(t) }
func (w *wire) SetReadDeadline(t time.Time) error     { w.change(func() { w.deadline = t }); return nil }
func (w *wire) SyscallConn() (syscall.RawConn, error) { return rawWire{w}, nil }

// rawWire is the wire below its methods.
type rawWire struct{ *wire }

func (rawWire) Control(func(uintptr)) error   { return syscall.ENOTSUP }
func (rawWire) Read(func(uintptr) bool) error { return syscall.ENOTSUP }

func (r rawWire) Write(f func(fd uintptr) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.over || r.full {
		return syscall.EAGAIN
	}
	if b := r.kernel.through(f); !r.black {
		r.out = append(r.out, b...)
	}
	return nil
}

// handshake is the answer to a request that becomes a wire.
type handshake struct {
	wire   *wire
	header http.Header
	mu     sync.Mutex
	status int // when it did not
}

func (h *handshake) Header() http.Header         { return h.header }
func (h *handshake) Write(b []byte) (int, error) { return len(b), nil }

func (h *handshake) WriteHeader(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *handshake) refused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status != 0
}

func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.wire, bufio.NewReadWriter(bufio.NewReader(h.wire), bufio.NewWriter(h.wire)), nil
}

// The opcodes of RFC 6455 section 5.2 that are used here.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// masked is a frame of a client (RFC 6455 section 5.2), masked with zeros.
func masked(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	if n := len(payload); n < 126 {
		b = append(b, 0x80|byte(n))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// cutFrame takes the first frame of the server's off b; n is 0 where it is not
// whole.
func cutFrame(b []byte) (op byte, payload []byte, n int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	size, at := int(b[1]), 2
	switch {
	case size == 126 && len(b) >= 4:
		size, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case size == 127 && len(b) >= 10:
		size, at = int(binary.BigEndian.Uint64(b[2:])), 10
	case size >= 126:
		return 0, nil, 0
	}
	if len(b) < at+size {
		return 0, nil, 0
	}
	return b[0] & 0x0f, b[at : at+size], at + size
}
