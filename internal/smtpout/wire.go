package smtpout

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Patience is how long each step may take. A zero field means the default, which
// is what RFC 5321 section 4.5.3.2 advises, or less where a queue that tries
// again makes up for it.
type Patience struct {
	Connect  time.Duration // 30 s
	Greeting time.Duration // 2 min; RFC 5321 has 5
	Command  time.Duration // 2 min; RFC 5321 has 5
	Block    time.Duration // 3 min for each piece of the mail to leave
	End      time.Duration // 10 min for the answer to the whole mail
	Whole    time.Duration // 30 min for one Send
}

func (p Patience) orDefault() Patience {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&p.Connect, 30 * time.Second},
		{&p.Greeting, 2 * time.Minute},
		{&p.Command, 2 * time.Minute},
		{&p.Block, 3 * time.Minute},
		{&p.End, 10 * time.Minute},
		{&p.Whole, 30 * time.Minute},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return p
}

// Faults of the other side's protocol.
type protocolError string

func (e protocolError) Error() string { return string(e) }

const (
	errTooLong   protocolError = "a line of the server's reply is too long"
	errTooMany   protocolError = "the server's reply has too many lines"
	errMalformed protocolError = "the server's reply is not SMTP"
	errEarly     protocolError = "the server spoke in clear between STARTTLS and TLS"
)

// errLineBreak is our own: a command is one line.
var errLineBreak = errors.New("a command holds a line break")

// wire is a connection, line by line.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

func newWire(conn net.Conn) *wire {
	return &wire{conn, bufio.NewReaderSize(conn, maxLine), bufio.NewWriterSize(conn, 32<<10)}
}

// send writes commands, together.
func (w *wire) send(wait time.Duration, commands ...string) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	for _, c := range commands {
		if strings.ContainsAny(c, "\r\n") {
			return errLineBreak
		}
		_, _ = w.w.WriteString(c)
		_, _ = w.w.WriteString("\r\n") // Flush tells
	}
	return w.w.Flush()
}

// reply reads one reply, all of it within wait.
func (w *wire) reply(wait time.Duration) (reply, error) {
	var r reply
	if err := w.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return r, err
	}
	for range maxLines {
		line, err := w.line()
		if err != nil {
			return r, err
		}
		code, text, more, ok := parseLine(line)
		if !ok || r.code != 0 && code != r.code {
			return r, errMalformed
		}
		r.code, r.lines = code, append(r.lines, text)
		if !more {
			return r, nil
		}
	}
	return r, errTooMany
}

func (w *wire) line() (string, error) {
	line, err := w.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errTooLong
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

// words tells a sender why there was no answer. They are chosen here, since an
// error's own text names our resolvers and addresses.
func words(ctx context.Context, err error) string {
	if e, ok := errors.AsType[protocolError](err); ok {
		return string(e)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && ctx.Err() == nil {
		if e.IsNotFound {
			return "the host name does not exist"
		}
		return "the host name could not be looked up"
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "this server stopped before an answer came"
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the host cannot be reached"
	}
	return "the connection failed"
}
