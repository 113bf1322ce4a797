package smtpout

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"openmail/internal/outgoing"
	"openmail/internal/reach"
)

// fault is why a conversation ended before there was a transaction.
type fault struct {
	answer    outgoing.Answer
	talked    bool // the server had said something
	handshake bool // it was TLS that failed
}

// conversation is one connection on which mail can be offered.
type conversation struct {
	ctx        context.Context // ends the connection
	stop       func() bool
	patience   Patience
	wire       *wire
	server     string // outgoing.Answer.Server
	tls        string // outgoing.Answer.TLS
	relay      bool   // the server is one that takes mail for everybody
	extensions map[string]string
	offered    map[int]bool // recipients by their number in the offer
	broken     bool         // nothing more can be said on it
}

// open connects, greets, and sees to TLS.
func (s *Sender) open(ctx context.Context, h hop) (*conversation, *fault) {
	conn, failed := s.connect(ctx, h)
	if failed != nil {
		return nil, failed
	}
	c := &conversation{ctx: ctx, patience: s.patience, wire: newWire(conn), server: serverOf(h, conn), relay: h.relay != Relay{}, offered: map[int]bool{}}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	for _, step := range []func() *fault{
		func() *fault { return c.implicitTLS(h) },
		c.greeting,
		func() *fault { return c.hello(s.hostname) },
		func() *fault { return c.startTLS(h.security, s.hostname) },
		func() *fault { return c.logIn(h.relay) },
	} {
		if failed := step(); failed != nil {
			c.close()
			return nil, failed
		}
	}
	return c, nil
}

func (s *Sender) connect(ctx context.Context, h hop) (net.Conn, *fault) {
	dialCtx, cancel := context.WithTimeout(ctx, s.patience.Connect)
	defer cancel()
	conn, err := h.dialer.Dial(dialCtx, "tcp", h.addr)
	if r, ok := errors.AsType[reach.Refusal](err); ok {
		return nil, &fault{answer: *refused(statusNoHost, r.Error())}
	}
	if err != nil {
		return nil, &fault{answer: *deferred(statusNoAnswer, h.name+": "+words(ctx, err))}
	}
	return conn, nil
}

// serverOf is "mx.example.com [192.0.2.1]".
func serverOf(h hop, conn net.Conn) string {
	ip, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil || strings.HasPrefix(h.name, "[") {
		return h.name
	}
	return h.name + " [" + ip + "]"
}

// greeting waits for the server to speak first. One that does not want to talk
// to us today (RFC 5321 section 3.1 has 554 for it) may tomorrow, or another of
// the domain may now: who says 554 here has not seen the mail, only us. 521 alone
// is for good, and means the host (RFC 7504 section 3).
func (c *conversation) greeting() *fault {
	r, err := c.wire.reply(c.patience.Greeting)
	if err != nil {
		return c.lost(err, r.code != 0)
	}
	if r.done() {
		return nil
	}
	f := c.unwilling(r, stageGreeting)
	if r.code != 521 {
		f.answer.Fate = outgoing.FateDeferred
		f.answer.Enhanced = "4" + f.answer.Enhanced[1:]
	}
	return f
}

// hello says EHLO, or HELO to a server that does not know that (RFC 5321 section
// 3.2), and keeps what the server can do.
func (c *conversation) hello(name string) *fault {
	c.extensions = map[string]string{}
	r, err := c.ask("EHLO " + name)
	if err == nil && r.refused() {
		if r, err = c.ask("HELO " + name); err == nil {
			r.lines = r.lines[:min(len(r.lines), 1)]
		}
	}
	switch {
	case err != nil:
		return c.lost(err, true)
	case !r.done():
		return c.unwilling(r, stageHello)
	}
	for _, line := range r.lines[min(len(r.lines), 1):] {
		keyword, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		c.extensions[strings.ToUpper(keyword)] = value
	}
	return c.loop(r, name)
}

// loop finds a server that calls itself by our name: it is us, unless it is a
// relay, which may stand on this very machine.
func (c *conversation) loop(r reply, name string) *fault {
	if c.relay {
		return nil
	}
	if first, _, _ := strings.Cut(strings.TrimSpace(r.lines[0]), " "); strings.EqualFold(first, name) {
		return &fault{answer: *c.signed(refused(statusLoop, "the mail server of the domain is this server itself")), talked: true}
	}
	return nil
}

func (c *conversation) has(extension string) bool {
	_, ok := c.extensions[extension]
	return ok
}

// startTLS protects the connection as far as it is asked for and offered.
func (c *conversation) startTLS(s security, name string) *fault {
	if s.never || c.tls != "" {
		return nil
	}
	if !c.has("STARTTLS") {
		return c.inClear(s, "the server offers no TLS")
	}
	r, err := c.ask("STARTTLS")
	switch {
	case err != nil:
		return c.lost(err, true)
	case !r.done():
		return c.inClear(s, fmt.Sprintf("the server refused STARTTLS (%d)", r.code))
	case c.wire.r.Buffered() > 0:
		// What was sent in clear would be read as if it had come protected
		// (CVE-2011-0411 and its like).
		return c.lost(errEarly, true)
	}
	if failed := c.handshake(s); failed != nil {
		return failed
	}
	return c.hello(name) // what was said before may have been anybody's (RFC 3207 section 4.2)
}

func (c *conversation) inClear(s security, text string) *fault {
	if !s.required {
		return nil
	}
	return &fault{answer: *c.signed(deferred(statusNoTLS, text+", and "+s.because)), talked: true}
}

// implicitTLS begins with TLS where the relay wants that.
func (c *conversation) implicitTLS(h hop) *fault {
	if !h.relay.implicit {
		return nil
	}
	return c.handshake(h.security)
}

func (c *conversation) handshake(s security) *fault {
	ctx, cancel := context.WithTimeout(c.ctx, c.patience.Command)
	defer cancel()
	_ = c.wire.conn.SetDeadline(time.Time{})
	conn := tls.Client(c.wire.conn, s.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.broken = true
		text := tlsWords(ctx, err)
		if s.because != "" {
			text += ": nothing is sent without TLS here, since " + s.because
		}
		return &fault{answer: *c.signed(deferred(statusUnverified, text)), talked: true, handshake: true}
	}
	c.wire, c.tls = newWire(conn), s.label
	return nil
}

// ask sends a command and waits for its reply.
func (c *conversation) ask(command string) (reply, error) {
	if err := c.wire.send(c.patience.Command, command); err != nil {
		return reply{}, err
	}
	return c.wire.reply(c.patience.Command)
}

// signed adds to an answer who gave it.
func (c *conversation) signed(a *outgoing.Answer) *outgoing.Answer {
	a.Server, a.TLS = c.server, c.tls
	return a
}

// lost is the fault of a connection that ended, or went wrong.
func (c *conversation) lost(err error, talked bool) *fault {
	c.broken = true
	return &fault{answer: c.lostAnswer(err), talked: talked}
}

func (c *conversation) lostAnswer(err error) outgoing.Answer {
	status := statusLost
	if _, ok := errors.AsType[protocolError](err); ok {
		status = statusProtocol
	}
	return *c.signed(deferred(status, words(c.ctx, err)))
}

// unwilling is the fault of a reply that ends the conversation.
func (c *conversation) unwilling(r reply, at stage) *fault {
	return &fault{answer: *c.signed(new(r.answer(at))), talked: true}
}

// goodbye is how long a QUIT may take: the mail is settled, and nothing depends
// on it (RFC 5321 section 4.1.1.10).
const goodbye = 2 * time.Second

// close says goodbye where that can be heard, and ends the connection.
func (c *conversation) close() {
	if !c.broken && c.ctx.Err() == nil {
		if err := c.wire.send(goodbye, "QUIT"); err == nil {
			_, _ = c.wire.reply(goodbye)
		}
	}
	c.stop()
	_ = c.wire.conn.Close()
}
