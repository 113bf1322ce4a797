// Package smtpd is the SMTP door: it receives mail for our own inboxes (RFC
// 5321) and hands each mail, whole, to a Receiver.
//
// The server is our own and strict where leniency has been an attack: only
// CRLF.CRLF ends DATA, a bare CR or LF ends the session, and no byte of a mail
// is ever read as a command. It knows PIPELINING, SIZE, STARTTLS, 8BITMIME,
// SMTPUTF8, CHUNKING and ENHANCEDSTATUSCODES; it relays nothing, so there is no
// AUTH.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"openmail"
)

// Receiver is what the door asks of the house. Both methods give up soon after
// ctx ends: the server does not stop before they return.
type Receiver interface {
	// Route finds the inbox of a recipient, given as the sender wrote it. The
	// error is openmail.CodeNotFound when there is none, which refuses the
	// recipient for good.
	Route(ctx context.Context, addr string) (openmail.Recipient, error)

	// Accept stores the mail durably for all recipients of env: when it
	// returns nil, the sender is told that the mail is ours. It returns the
	// message's id only after it has read r to io.EOF; any other error of r
	// means that the mail is not whole, and nothing may be stored. An error
	// without a code of openmail asks the sender to try later.
	Accept(ctx context.Context, env openmail.Envelope, r io.Reader) (messageID string, err error)
}

// Config is what a Server is made of.
type Config struct {
	Addr     string      // host:port to listen on; port 0 picks a free one
	Hostname string      // our name in the greeting
	TLS      *tls.Config // nil: no STARTTLS
	Receiver Receiver
	Limits   Limits
	Logger   *slog.Logger // nil: nothing is logged
}

// Limits bound what a stranger may use. A zero field means the default.
type Limits struct {
	MessageBytes  int64 // of one mail; 35 MiB
	LineBytes     int   // of one line of a mail; 1 MiB
	InFlightBytes int64 // of all mails being received; 256 MiB, half of it for one address
	Recipients    int   // of one mail; 100

	Connections           int // 2,048
	ConnectionsPerAddress int // from one IPv4 address or IPv6 /64; 256
	BadCommands           int // of one session, before it is ended; 10
	BadRecipients         int // of one session, before it is ended; 10

	CommandTimeout time.Duration // to wait for a command; 5 min (RFC 5321 section 4.5.3.2.7)
	DataTimeout    time.Duration // to wait for any next bytes of a mail, or for a reply to leave; 60 s
	SessionTimeout time.Duration // of the whole session; 1 h
	Grace          time.Duration // for transactions to finish when the server stops; 15 s
}

func (l Limits) withDefaults() Limits {
	def(&l.MessageBytes, 35<<20)
	def(&l.LineBytes, 1<<20)
	def(&l.InFlightBytes, 256<<20)
	def(&l.Recipients, 100)
	def(&l.Connections, 2048)
	def(&l.ConnectionsPerAddress, 256)
	def(&l.BadCommands, 10)
	def(&l.BadRecipients, 10)
	def(&l.CommandTimeout, 5*time.Minute)
	def(&l.DataTimeout, time.Minute)
	def(&l.SessionTimeout, time.Hour)
	def(&l.Grace, 15*time.Second)
	// The largest mail must fit into the half that one address may fill.
	l.InFlightBytes = max(l.InFlightBytes, 2*(l.MessageBytes+holdStep))
	return l
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is the SMTP server. Its methods may be called from any goroutine; Run
// is called once.
type Server struct {
	cfg     Config
	limits  Limits
	log     *slog.Logger
	gate    *gate
	metrics Metrics
	blocks  sync.Pool // of *[]byte, blockSize long

	mu       sync.Mutex
	listener net.Listener
}

// New returns a server that does not listen yet.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	limits := cfg.Limits.withDefaults()
	return &Server{
		cfg:    cfg,
		limits: limits,
		log:    cfg.Logger,
		gate:   newGate(limits),
		blocks: sync.Pool{New: func() any { b := make([]byte, blockSize); return &b }},
	}
}

// Metrics counts what the server does; read it at any time.
func (s *Server) Metrics() *Metrics { return &s.metrics }

// Listen takes the port, so that Addr knows it and clients may connect; they
// are greeted once Run runs.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for SMTP: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return nil
}

// Addr is where the server listens; nil before Listen.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends, and listens first if Listen was not called. Then
// new connections and idle sessions are told 421, and a mail on its way has
// Limits.Grace to be finished. Nothing runs any more when Run returns. The
// error is nil when ctx ended, else why the server cannot go on.
func (s *Server) Run(ctx context.Context) error {
	if s.Addr() == nil {
		if err := s.Listen(ctx); err != nil {
			return err
		}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	failed := make(chan error, 1)
	go func() { failed <- s.acceptAll(work) }()

	var err error
	select {
	case <-ctx.Done():
		s.finish(cancel)
		s.closeListener()
		<-failed
	case err = <-failed:
		s.finish(cancel)
		s.closeListener()
	}
	return err
}

func (s *Server) closeListener() {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The listener may have failed already; there is nobody to tell.
	_ = s.listener.Close()
}

// finish waits for the sessions to end, at most Limits.Grace of their own will.
func (s *Server) finish(cancel context.CancelFunc) {
	ended := s.gate.close()
	timer := time.NewTimer(s.limits.Grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		cancel()
		s.gate.cut()
		<-ended
	}
}

// acceptAll serves each connection in a goroutine that the gate waits for. It
// returns when the listener fails or is closed.
func (s *Server) acceptAll(ctx context.Context) error {
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			s.admit(ctx, conn)
		case retryAccept(err):
			pause(ctx, acceptPause)
		default:
			return fmt.Errorf("accept SMTP connections: %w", err)
		}
	}
}

// acceptPause is how long to wait for file descriptors to become free.
const acceptPause = 50 * time.Millisecond

// retryAccept reports whether err is a shortage, which ends.
func retryAccept(err error) bool {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// admit starts the session of a connection, or turns it away.
func (s *Server) admit(ctx context.Context, conn net.Conn) {
	ss := newSession(s, conn)
	if refused := s.gate.enter(ss); refused != "" {
		s.metrics.countReply(refused)
		s.log.Info("smtp.guard", "remote_ip", ss.remote.String(), "reply", refused)
		// A reply of one line into the empty buffer of a new connection does
		// not wait; whether it arrives is the peer's affair.
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, refused+"\r\n")
		_ = conn.Close()
		return
	}
	go func() {
		defer s.gate.leave(ss)
		ss.serve(ctx)
	}()
}
