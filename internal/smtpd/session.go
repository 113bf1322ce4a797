package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"openmail"
)

// session is one connection's conversation.
type session struct {
	srv    *Server
	raw    net.Conn
	remote netip.Addr
	host   *host // what the remote address uses; set by the gate
	life   life
	wire   wire

	helo string // "" before HELO or EHLO
	tls  bool
	tx   transaction

	badCommands, badRecipients int
	idle                       int // commands since the last mail that led nowhere
	mails                      int // accepted
}

// transaction is the envelope that MAIL began.
type transaction struct {
	open  bool
	utf8  bool
	from  string
	rcpts []openmail.Recipient
}

// command is one line of the client.
type command struct {
	verb string // in upper case
	arg  string // without the spaces around it
}

func newSession(srv *Server, conn net.Conn) *session {
	return &session{srv: srv, raw: conn, remote: remoteAddr(conn)}
}

// serve speaks with the client until one of both has enough.
func (s *session) serve(ctx context.Context) {
	start := time.Now()
	ctx, cancel := context.WithDeadline(ctx, start.Add(s.srv.limits.SessionTimeout))
	defer cancel()
	s.wire = newWire(s.srv, s.raw, &s.life, start)
	s.srv.metrics.Sessions.Add(1)
	s.srv.metrics.Open.Add(1)
	defer s.srv.metrics.Open.Add(-1)

	err := s.converse(ctx)
	s.part(err)
	s.srv.log.Debug("smtp.closed",
		"remote_ip", s.remote.String(), "tls", s.tls, "mails", s.mails,
		"duration_ms", time.Since(start).Milliseconds(), "reason", err.Error())
}

// converse greets and obeys until an error ends the session; errQuit is the
// friendly one. A panic of the Receiver costs the client's session, not the
// server: the sender of such a mail would come back with it for days.
func (s *session) converse(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.srv.log.Error("smtp.panic", "remote_ip", s.remote.String(), "panic", r, "stack", string(debug.Stack()))
			err = errOurFailure
		}
	}()
	if sentEarly(s.raw) {
		return errEarly
	}
	s.say("220 " + s.srv.cfg.Hostname + " ESMTP OpenMail")
	for {
		cmd, err := s.readCommand()
		if err != nil {
			return err
		}
		if err := s.obey(ctx, cmd); err != nil {
			return err
		}
	}
}

// part says why the session ends, where the client does not know, and closes
// the connection.
func (s *session) part(err error) {
	s.life.end()
	v, ok := err.(violation)
	if ok {
		s.say(string(v))
	}
	if v.hostile() {
		s.srv.log.Info("smtp.guard", "remote_ip", s.remote.String(), "reply", string(v))
	}
	if s.wire.flush() == nil && ok && v != errTimeout {
		s.wire.linger()
	}
	_ = s.wire.conn.Close() // nothing is owed any more
}

// say replies, and counts what is refused.
func (s *session) say(reply string) {
	s.srv.metrics.countReply(reply)
	s.wire.reply(reply)
}

// bad answers a command that makes no sense.
func (s *session) bad(reply string) error {
	if s.badCommands++; s.badCommands > s.srv.limits.BadCommands {
		return errBadCmds
	}
	s.say(reply)
	return nil
}

// maxIdle is how many commands may pass without a mail; few senders need more
// than a dozen.
const maxIdle = 200

// wasted counts a command that is correct and leads nowhere.
func (s *session) wasted(reply string) error {
	if s.idle++; s.idle > maxIdle {
		return errIdle
	}
	s.say(reply)
	return nil
}

func (s *session) noop() error { return s.wasted(replyOK) }

// readCommand waits for the next line. It answers lines that hold no command
// itself.
func (s *session) readCommand() (command, error) {
	for {
		line, err := s.wire.readLine()
		if err != nil {
			return command{}, err
		}
		refused := faultOfLine(line)
		if refused == "" {
			verb, arg, _ := strings.Cut(line, " ")
			return command{strings.ToUpper(verb), strings.Trim(arg, " ")}, nil
		}
		if err := s.bad(refused); err != nil {
			return command{}, err
		}
	}
}

func faultOfLine(line string) (reply string) {
	if len(line) > softLine {
		return string(errLongLine)
	}
	for i := range len(line) {
		if line[i] < ' ' || line[i] == 0x7f {
			return "500 5.5.2 Control characters do not belong into a command"
		}
	}
	return ""
}

// obey does what a command says. An error ends the session.
func (s *session) obey(ctx context.Context, cmd command) error {
	switch cmd.verb {
	case "HELO", "EHLO":
		return s.hello(cmd)
	case "STARTTLS":
		return s.startTLS(ctx, cmd.arg)
	case "MAIL":
		return s.mail(cmd.arg)
	case "RCPT":
		return s.rcpt(ctx, cmd.arg)
	case "DATA":
		return s.data(ctx, cmd.arg)
	case "BDAT":
		return s.bdat(ctx, cmd.arg)
	case "RSET":
		s.reset()
		return s.noop()
	case "QUIT":
		s.say("221 2.0.0 Bye")
		return errQuit
	default:
		return s.obeySmall(cmd)
	}
}

// obeySmall obeys commands that change nothing.
func (s *session) obeySmall(cmd command) error {
	switch cmd.verb {
	case "NOOP":
		return s.noop()
	case "VRFY":
		return s.wasted("252 2.5.0 Send the mail, then we shall see")
	case "HELP":
		return s.wasted("214 2.0.0 RFC 5321")
	case "EXPN", "AUTH", "TURN", "ETRN", "SEND", "SOML", "SAML":
		return s.bad("502 5.5.1 Not here")
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI", "HOST:":
		return errForeign // a browser that was talked into speaking to us
	default:
		return s.bad("500 5.5.1 Unknown command")
	}
}

func (s *session) hello(cmd command) error {
	if !validHelo(cmd.arg) {
		return s.bad("501 5.5.4 Syntax: " + cmd.verb + " hostname")
	}
	s.reset()
	s.helo = cmd.arg
	if cmd.verb == "HELO" {
		return s.wasted("250 " + s.srv.cfg.Hostname)
	}
	return s.wasted(s.extensions())
}

// extensions is the answer to EHLO.
func (s *session) extensions() string {
	starttls := ""
	if s.srv.cfg.TLS != nil && !s.tls {
		starttls = "250-STARTTLS\r\n"
	}
	return "250-" + s.srv.cfg.Hostname + "\r\n" +
		"250-PIPELINING\r\n" +
		"250-SIZE " + strconv.FormatInt(s.srv.limits.MessageBytes, 10) + "\r\n" +
		starttls +
		"250-ENHANCEDSTATUSCODES\r\n" +
		"250-8BITMIME\r\n" +
		"250-SMTPUTF8\r\n" +
		"250 CHUNKING"
}

// reset forgets the transaction.
func (s *session) reset() {
	if s.tx.open {
		s.tx = transaction{}
		s.life.end()
	}
}

// startTLS changes to TLS and forgets what was said before (RFC 3207 section
// 4.2). What is buffered behind the command was not protected, though it would
// be taken for protected: it is never looked at.
func (s *session) startTLS(ctx context.Context, arg string) error {
	switch {
	case s.srv.cfg.TLS == nil:
		return s.bad("502 5.5.1 No TLS here")
	case s.tls:
		return s.bad("503 5.5.1 TLS is on")
	case arg != "":
		return s.bad("501 5.5.4 Syntax: STARTTLS")
	case s.wire.buffered() > 0:
		return errInjection
	}
	s.say("220 2.0.0 Go on with TLS")
	if err := s.wire.startTLS(ctx, s.srv.cfg.TLS); err != nil {
		return err
	}
	s.reset()
	s.helo = ""
	s.tls = true
	return nil
}

func (c *wire) startTLS(ctx context.Context, config *tls.Config) error {
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.raw.SetDeadline(c.deadline(c.limits.DataTimeout)); err != nil {
		return fmt.Errorf("prepare TLS: %w", err)
	}
	conn := tls.Server(c.raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.conn = conn
	return nil
}

func (s *session) mail(arg string) error {
	switch {
	case s.helo == "":
		return s.bad("503 5.5.1 EHLO first")
	case s.tx.open:
		return s.bad("503 5.5.1 There is a transaction already")
	}
	path, rest, ok := cutPath(arg, "FROM:")
	if !ok {
		return s.bad("501 5.5.4 Syntax: MAIL FROM:<address>")
	}
	params, refused := parseMailParams(rest)
	if refused != "" {
		return s.bad(refused)
	}
	from, fault := parseReversePath(path, params.utf8)
	if fault != nil {
		return s.bad(addressReply(fault, "501 5.1.7 Bad sender address"))
	}
	return s.begin(from, params)
}

// begin opens a transaction, if the mail's size is welcome.
func (s *session) begin(from string, params mailParams) error {
	switch {
	case params.size > s.srv.limits.MessageBytes:
		return s.wasted(replyTooBig)
	case !s.srv.gate.hasRoom(s.host, params.size):
		return s.wasted(replyBusy)
	case !s.life.begin():
		return errStopping
	}
	s.tx = transaction{open: true, from: from, utf8: params.utf8}
	return s.wasted(replyOK)
}

func (s *session) rcpt(ctx context.Context, arg string) error {
	if !s.tx.open {
		return s.bad(replyNoMail)
	}
	path, rest, ok := cutPath(arg, "TO:")
	switch {
	case !ok:
		return s.bad("501 5.5.4 Syntax: RCPT TO:<address>")
	case rest != "":
		return s.bad("555 5.5.4 Unknown parameter")
	}
	addr, fault := parseForwardPath(path, s.srv.cfg.Hostname, s.tx.utf8)
	if fault != nil {
		return s.badRcpt(addressReply(fault, "501 5.1.3 Bad recipient address"))
	}
	return s.addRcpt(ctx, addr)
}

// addRcpt takes a recipient in. One who is named twice counts once.
func (s *session) addRcpt(ctx context.Context, addr string) error {
	for _, r := range s.tx.rcpts {
		if strings.EqualFold(r.Addr, addr) {
			return s.wasted(replyOK)
		}
	}
	if len(s.tx.rcpts) >= s.srv.limits.Recipients {
		return s.wasted("452 4.5.3 Too many recipients")
	}
	r, err := s.srv.cfg.Receiver.Route(ctx, addr)
	if err != nil {
		reply := replyTo(err)
		s.logFailure("smtp.route", err, reply)
		if reply[0] == '5' {
			return s.badRcpt(reply)
		}
		return s.wasted(reply)
	}
	s.tx.rcpts = append(s.tx.rcpts, r)
	s.say(replyOK)
	return nil
}

// badRcpt refuses a recipient. Too many are somebody trying out names.
func (s *session) badRcpt(reply string) error {
	if s.badRecipients++; s.badRecipients > s.srv.limits.BadRecipients {
		return errBadRcpts
	}
	s.say(reply)
	return nil
}

// logFailure logs what is our own fault: the client is told nothing of it.
func (s *session) logFailure(event string, err error, reply string) {
	if reply == replyLater {
		s.srv.log.Error(event, "remote_ip", s.remote.String(), "error", err)
	}
}

func (s *session) data(ctx context.Context, arg string) error {
	switch {
	case !s.tx.open:
		return s.bad(replyNoMail)
	case arg != "":
		return s.bad("501 5.5.4 Syntax: DATA")
	case len(s.tx.rcpts) == 0:
		return s.bad(replyNoRecipients)
	}
	s.say("354 End with CRLF.CRLF")
	m := s.newMail()
	m.src = &dataSource{wire: &s.wire, lines: &m.lines}
	return s.receive(ctx, m)
}

func (s *session) bdat(ctx context.Context, arg string) error {
	m := s.newMail()
	c := &chunkSource{s: s, lines: &m.lines}
	m.src = c
	err := c.begin(arg)
	if err == errTooBig {
		m.err = errTooBig
	} else if err != nil {
		return err
	}
	if refused := s.noChunk(); refused != "" {
		if err := c.drain(); err != nil {
			return err
		}
		return s.bad(refused)
	}
	if err := s.receive(ctx, m); err != errAborted {
		return err
	}
	s.reset()
	return s.obey(ctx, c.aborted)
}

// noChunk is why there may be no BDAT now; "" when there may.
func (s *session) noChunk() (refused string) {
	switch {
	case !s.tx.open:
		return replyNoMail
	case len(s.tx.rcpts) == 0:
		return replyNoRecipients
	default:
		return ""
	}
}

func (s *session) newMail() *mailReader {
	return &mailReader{
		lines: lines{max: s.srv.limits.LineBytes},
		gate:  s.srv.gate,
		host:  s.host,
		max:   s.srv.limits.MessageBytes,
	}
}

// receive hands a mail to the Receiver and tells the client what became of it.
// Its error ends the session, but for errAborted.
func (s *session) receive(ctx context.Context, m *mailReader) error {
	id, accepted, fault := s.handOver(ctx, m)
	if r, refused := fault.(refusal); refused {
		s.say(string(r))
	} else if fault != nil {
		return fault
	} else {
		s.conclude(m, id, accepted)
	}
	s.reset()
	return s.wire.flush()
}

// handOver returns what the Receiver said, and what is wrong with the mail
// whatever it said.
func (s *session) handOver(ctx context.Context, m *mailReader) (id string, accepted, fault error) {
	defer m.release()
	if m.err == nil {
		id, accepted = s.srv.cfg.Receiver.Accept(ctx, s.envelope(), m)
	}
	fault = m.finish()
	s.wire.releaseBlock()
	return id, accepted, fault
}

// conclude answers a mail by what the Receiver made of it.
func (s *session) conclude(m *mailReader, id string, err error) {
	if err == nil && !m.whole() {
		err = errUnread
	}
	if err != nil {
		reply := replyTo(err)
		s.logFailure("smtp.accept", err, reply)
		s.say(reply)
		return
	}
	s.mails++
	s.idle = 0
	s.srv.metrics.Accepted.Add(1)
	s.srv.metrics.Bytes.Add(m.size)
	s.say("250 2.0.0 Ok: queued as " + id)
}

func (s *session) envelope() openmail.Envelope {
	return openmail.Envelope{
		MailFrom: s.tx.from,
		Rcpts:    s.tx.rcpts,
		RemoteIP: s.remote.String(),
		Helo:     s.helo,
		TLS:      s.tls,
	}
}
