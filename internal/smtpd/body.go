package smtpd

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// lines follows a mail through its lines. Only CRLF ends one.
type lines struct {
	max    int // bytes of a line with its CRLF
	length int // of the line so far; 0 with cr false: at the start of a line
	cr     bool
	long   bool // some line was longer than max
}

func (l *lines) atStart() bool { return l.length == 0 && !l.cr }

// advance goes to the end of the line, or of b, which is not empty, and returns
// how far that is.
func (l *lines) advance(b []byte) (int, error) {
	if l.cr {
		return l.closeLine(b[0])
	}
	lf := bytes.IndexByte(b, '\n')
	line := b
	if lf >= 0 {
		line = b[:lf]
	}
	cr := bytes.IndexByte(line, '\r')
	switch {
	case lf >= 0 && (lf == 0 || cr != lf-1), lf < 0 && cr >= 0 && cr != len(b)-1:
		return 0, errBare
	case lf >= 0:
		l.grow(lf + 1)
		l.length = 0
		return lf + 1, nil
	default:
		l.grow(len(b))
		l.cr = cr >= 0
		return len(b), nil
	}
}

// closeLine takes the byte behind a CR.
func (l *lines) closeLine(b byte) (int, error) {
	if b != '\n' {
		return 0, errBare
	}
	l.grow(1)
	l.cr, l.length = false, 0
	return 1, nil
}

func (l *lines) grow(n int) {
	l.length += n
	l.long = l.long || l.length > l.max
}

// source is where the bytes of a mail come from.
type source interface {
	// next returns the mail's next bytes, at least one and at most n, valid
	// until the next call; errEnd at its end, and only there.
	next(n int) ([]byte, error)

	// drain skips what the client is bound to send before it hears a reply.
	drain() error
}

// dataSource is the mail of a DATA command: dot-stuffed lines up to CRLF.CRLF
// (RFC 5321 section 4.5.2).
type dataSource struct {
	wire  *wire
	lines *lines
	dot   int // of a line's start ".\r": the bytes that were seen
	ended bool
}

func (d *dataSource) next(n int) ([]byte, error) {
	for {
		if d.wire.buffered() == 0 {
			if err := d.wire.fillMail(); err != nil {
				return nil, err
			}
		}
		part, used, err := d.step(d.wire.peek(n))
		d.wire.skip(used)
		if len(part) > 0 || err != nil {
			return part, err
		}
	}
}

// step decodes the front of b: used bytes of it, of which part is the mail's.
func (d *dataSource) step(b []byte) (part []byte, used int, err error) {
	switch {
	case d.dot == 2 && b[0] == '\n':
		d.ended = true
		return nil, 1, errEnd
	case d.dot == 2:
		return nil, 0, errBare
	case d.dot == 1 && b[0] == '\r':
		d.dot = 2
		return nil, 1, nil
	case d.dot == 1:
		d.dot = 0
		d.lines.length = 1 // the dot is dropped, and the line has begun
		return nil, 0, nil
	case d.lines.atStart() && b[0] == '.':
		d.dot = 1
		return nil, 1, nil
	}
	n, err := d.plain(b)
	return b[:n], n, err
}

// plain is how much of b holds no line that starts with a dot, but for the line
// that b begins within.
func (d *dataSource) plain(b []byte) (int, error) {
	n := 0
	for n < len(b) && (n == 0 || b[n] != '.' || !d.lines.atStart()) {
		k, err := d.lines.advance(b[n:])
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

// drain reads to the end of the mail: a mail that we do not take costs its
// sender no more than what we would have taken.
func (d *dataSource) drain() error {
	for left := d.wire.limits.MessageBytes; !d.ended; {
		part, err := d.next(blockSize)
		if err != nil && err != errEnd {
			return err
		}
		if left -= int64(len(part)); left < 0 {
			return errEndless
		}
	}
	return nil
}

// chunkSource is the mail of BDAT commands (RFC 3030). It holds the
// conversation between the chunks itself, so that a mail in chunks is read in
// one go like any other.
type chunkSource struct {
	s       *session
	lines   *lines
	size    int64 // of the chunks so far
	left    int64 // of this chunk
	last    bool
	aborted command // what ended the mail early; its verb is "" when nothing did
}

func (c *chunkSource) next(n int) ([]byte, error) {
	for c.left == 0 {
		if err := c.more(); err != nil {
			return nil, err
		}
	}
	wire := &c.s.wire
	if wire.buffered() == 0 {
		if err := wire.fillMail(); err != nil {
			return nil, err
		}
	}
	part := wire.peek(int(min(int64(n), c.left)))
	for done := 0; done < len(part); {
		k, err := c.lines.advance(part[done:])
		if err != nil {
			return nil, err
		}
		done += k
	}
	wire.skip(len(part))
	c.left -= int64(len(part))
	return part, nil
}

// more ends the mail after its last chunk, else asks for the next one.
func (c *chunkSource) more() error {
	switch {
	case !c.last:
		c.s.say("250 2.0.0 Ok, " + strconv.FormatInt(c.size, 10) + " bytes so far")
		return c.await()
	case c.lines.cr:
		return errBare
	default:
		return errEnd
	}
}

// await reads commands until one is a chunk, or gives the mail up.
func (c *chunkSource) await() error {
	for {
		cmd, err := c.s.readCommand()
		if err != nil {
			return err
		}
		switch cmd.verb {
		case "BDAT":
			return c.begin(cmd.arg)
		case "RSET", "QUIT", "EHLO", "HELO":
			c.aborted = cmd
			return errAborted
		case "NOOP":
			err = c.s.noop()
		default:
			err = c.s.bad("503 5.5.1 BDAT or RSET first")
		}
		if err != nil {
			return err
		}
	}
}

// begin starts the chunk that BDAT announces. Nobody knows where a chunk ends
// whose size cannot be read.
func (c *chunkSource) begin(arg string) error {
	size, last, ok := parseChunk(arg)
	if !ok {
		return errLostChunk
	}
	c.left, c.last = size, last
	if c.size += size; c.size > c.s.srv.limits.MessageBytes {
		return errTooBig
	}
	return nil
}

// drain skips the rest of the chunk.
func (c *chunkSource) drain() error {
	if c.left > c.s.srv.limits.MessageBytes {
		return errEndless
	}
	for c.left > 0 {
		wire := &c.s.wire
		if wire.buffered() == 0 {
			if err := wire.fillMail(); err != nil {
				return err
			}
		}
		n := min(int64(wire.buffered()), c.left)
		wire.skip(int(n))
		c.left -= n
	}
	return nil
}

// parseChunk reads the argument of BDAT: a size and, maybe, LAST.
func parseChunk(arg string) (size int64, last, ok bool) {
	number, rest, more := strings.Cut(arg, " ")
	size, ok = parseSize(number)
	if more {
		last = strings.EqualFold(rest, "LAST")
		ok = ok && last
	}
	return size, last, ok
}

// parseSize reads a count of bytes of at most 18 digits, which int64 holds.
func parseSize(s string) (int64, bool) {
	if s == "" || len(s) > 18 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// holdStep is how much memory a mail takes at a time from the common budget.
const holdStep = 64 << 10

// mailReader is the mail as the Receiver reads it, within the limits.
type mailReader struct {
	src   source
	lines lines
	gate  *gate
	host  *host
	max   int64
	size  int64
	held  int64
	err   error // why reading ended; errEnd: the mail is whole
}

func (m *mailReader) Read(p []byte) (int, error) {
	var part []byte
	if m.err == nil && len(p) > 0 {
		part, m.err = m.src.next(len(p))
		m.size += int64(len(part))
	}
	if m.err == nil {
		m.err = m.check()
	}
	switch m.err {
	case nil:
		return copy(p, part), nil
	case errEnd:
		return 0, io.EOF
	default:
		return 0, m.err
	}
}

// check holds the mail so far against the limits.
func (m *mailReader) check() error {
	switch {
	case m.size > m.max:
		return errTooBig
	case m.lines.long:
		return errMailLine
	case m.size > m.held && !m.hold():
		return errBusy
	default:
		return nil
	}
}

func (m *mailReader) hold() bool {
	if !m.gate.hold(m.host, holdStep) {
		return false
	}
	m.held += holdStep
	return true
}

// whole reports whether the mail was read to its end.
func (m *mailReader) whole() bool { return m.err == errEnd }

// finish brings the conversation to where a reply is due. Its error is why the
// mail cannot be taken whatever the Receiver says; nil when that decides.
func (m *mailReader) finish() error {
	if m.whole() {
		return nil
	}
	if _, refused := m.err.(refusal); !refused && m.err != nil {
		return m.err
	}
	if err := m.src.drain(); err != nil {
		return err
	}
	return m.err
}

// release gives back the memory that the mail took.
func (m *mailReader) release() { m.gate.free(m.host, m.held) }
