package ws

import (
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"openmail/api"
)

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

// event appends an event as a text message.
func (o *output) event(payload []byte, at time.Time, attempt int) {
	from := len(o.buf)
	var room [maxHeader]byte
	o.buf = append(o.buf, room[:]...)
	o.buf = api.Stamp(o.buf, payload, at, attempt)
	body := o.buf[from+maxHeader:]
	header := appendHeader(room[:0], ws.OpText, len(body))
	copy(o.buf[from:], header)
	copy(o.buf[from+len(header):], body)
	o.buf = o.buf[:from+len(header)+len(body)]
}

func (o *output) reset() { o.buf, o.n = o.buf[:0], 0 }
