package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Sizes of the read buffer: of a session, and of one whose mail is larger.
const (
	bufferSize = 8 << 10
	blockSize  = 64 << 10
)

// Bounds of a command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for
// 512, and extensions add to that; past the second nobody waits for its end.
const (
	softLine = 1000
	hardLine = 4096
)

// wire is a connection with its buffers and deadlines. Replies collect until
// the next read that has to wait, as PIPELINING wants it (RFC 2920).
type wire struct {
	raw    net.Conn // deadlines are set here; never changes
	conn   net.Conn // raw, or TLS over it
	limits *Limits
	life   *life
	end    time.Time // of the session
	blocks *sync.Pool

	small []byte  // the session's own buffer
	block *[]byte // a large one from blocks; nil mostly
	in    []byte  // small or *block
	r, w  int     // in[r:w] is read and not used yet
	out   []byte  // replies that are not sent yet
}

func newWire(srv *Server, conn net.Conn, life *life, start time.Time) wire {
	small := make([]byte, bufferSize)
	return wire{
		raw: conn, conn: conn,
		limits: &srv.limits,
		life:   life,
		end:    start.Add(srv.limits.SessionTimeout),
		blocks: &srv.blocks,
		small:  small, in: small,
	}
}

// past is a deadline that ends a wait at once.
func past() time.Time { return time.Unix(1, 0) }

// fill sends the replies and waits for bytes. The buffer has room for them.
func (c *wire) fill(patience time.Duration) error {
	if err := c.flush(); err != nil {
		return err
	}
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	_ = c.raw.SetReadDeadline(c.deadline(patience)) // an error shows in Read
	if c.life.over() {
		return errStopping
	}
	n, err := c.conn.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return c.class(err)
}

func (c *wire) deadline(patience time.Duration) time.Time {
	t := time.Now().Add(patience)
	if c.end.Before(t) {
		return c.end
	}
	return t
}

// class turns the common errors of reading into our own.
func (c *wire) class(err error) error {
	switch {
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF):
		return errHangup // io.EOF has a meaning to readers of a mail
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.life.over():
		return errStopping
	default:
		return errTimeout
	}
}

// fillMail is fill for the bytes of a mail: it takes a larger buffer as soon as
// one read filled the small one. in[r:w] is empty.
func (c *wire) fillMail() error {
	if c.block == nil && c.w == len(c.in) {
		c.block = c.blocks.Get().(*[]byte)
		c.in = *c.block
	}
	c.r, c.w = 0, 0
	return c.fill(c.limits.DataTimeout)
}

// releaseBlock gives the large buffer back, if what is in it fits the small one.
func (c *wire) releaseBlock() {
	if c.block == nil || c.buffered() > len(c.small) {
		return
	}
	c.w = copy(c.small, c.in[c.r:c.w])
	c.r = 0
	c.in = c.small
	c.blocks.Put(c.block)
	c.block = nil
}

func (c *wire) buffered() int { return c.w - c.r }

// peek is what is buffered, at most n bytes of it; valid until the next fill.
func (c *wire) peek(n int) []byte { return c.in[c.r:min(c.w, c.r+n)] }

func (c *wire) skip(n int) { c.r += n }

// readLine waits for a command and returns it without its CRLF.
func (c *wire) readLine() (string, error) {
	seen := 0
	for {
		i := bytes.IndexByte(c.in[c.r+seen:c.w], '\n')
		if i >= 0 {
			line := c.in[c.r : c.r+seen+i+1]
			c.r += len(line)
			return trimCRLF(line)
		}
		if seen = c.buffered(); seen >= hardLine {
			return "", errLongLine
		}
		if err := c.fill(c.limits.CommandTimeout); err != nil {
			return "", err
		}
	}
}

func trimCRLF(line []byte) (string, error) {
	if len(line) > hardLine {
		return "", errLongLine
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.IndexByte(text, '\r') >= 0 {
		return "", errBareLine
	}
	return string(text), nil
}

// reply says a line, once the wire is flushed.
func (c *wire) reply(line string) {
	c.out = append(c.out, line...)
	c.out = append(c.out, "\r\n"...)
}

// flush sends the replies.
func (c *wire) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.raw.SetWriteDeadline(time.Now().Add(c.limits.DataTimeout)) // an error shows in Write
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// lingerTime is how long a session that we end may go on sending, unheard.
const lingerTime = 5 * time.Second

// linger lets the last reply arrive at a peer that is still sending: closing at
// once would reset the connection, and the reply with it.
func (c *wire) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	for left := c.limits.MessageBytes; left > 0 && !c.life.over(); {
		n, err := c.conn.Read(c.in)
		if err != nil {
			return
		}
		left -= int64(n)
	}
}
