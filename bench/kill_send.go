package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openmail/api"
)

// mail is one mail on its way in.
type mail struct {
	id     string // its Message-ID
	to     []string
	data   []byte
	tried  bool
	digest [32]byte
}

// acknowledged is a mail that got its 250.
type acknowledged struct {
	id      string // of the message, from the reply
	mailID  string
	digest  [32]byte
	to      []string
	checked bool
}

// senders send mail over several sessions, and send again what was not
// acknowledged, as mail servers do.
type senders struct {
	inboxes []api.Inbox
	rngs    []*rand.Rand // one for each session
	again   atomic.Int64
	refused atomic.Int64

	mu      sync.Mutex
	made    int
	pending []*mail
	acked   []acknowledged
}

func newSenders(inboxes []api.Inbox, seed uint64) *senders {
	s := &senders{inboxes: inboxes}
	for i := range killConns {
		s.rngs = append(s.rngs, rand.New(rand.NewPCG(seed, uint64(i+1))))
	}
	return s
}

// run sends until ctx ends or the server is gone. The function that it returns
// waits until all sessions have ended.
func (s *senders) run(ctx context.Context, addr string) (wait func()) {
	var wg sync.WaitGroup
	for _, rng := range s.rngs {
		wg.Go(func() { s.session(ctx, addr, rng) })
	}
	return wg.Wait
}

func (s *senders) session(ctx context.Context, addr string, rng *rand.Rand) {
	c, err := dialMail(ctx, addr)
	if err != nil {
		return // killed already
	}
	defer c.Close()
	for ctx.Err() == nil {
		m := s.next(rng)
		id, err := c.send(m)
		s.settle(m, id, err)
		if err != nil {
			return
		}
	}
}

// next is a mail that was not acknowledged, or a new one.
func (s *senders) next(rng *rand.Rand) *mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.pending); n > 0 {
		m := s.pending[n-1]
		s.pending = s.pending[:n-1]
		return m
	}
	s.made++
	return newMail(s.made, s.inboxes, rng)
}

// settle notes what became of a mail.
func (s *senders) settle(m *mail, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.acked = append(s.acked, acknowledged{id: id, mailID: m.id, digest: m.digest, to: m.to})
		if m.tried {
			s.again.Add(1)
		}
		return
	}
	if isPermanent(err) {
		s.refused.Add(1)
	}
	m.tried = true
	s.pending = append(s.pending, m)
}

func (s *senders) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// unchecked takes those mails that were acknowledged since it was last asked.
func (s *senders) unchecked() []acknowledged {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []acknowledged
	for i := range s.acked {
		if !s.acked[i].checked {
			s.acked[i].checked = true
			fresh = append(fresh, s.acked[i])
		}
	}
	return fresh
}

// newMail makes a mail for one inbox or two, small or too large for a row.
func newMail(n int, inboxes []api.Inbox, rng *rand.Rand) *mail {
	m := &mail{id: fmt.Sprintf("<kill-%d@sender.example>", n)}
	m.to = append(m.to, inboxes[rng.IntN(len(inboxes))].Address)
	if second := inboxes[rng.IntN(len(inboxes))].Address; rng.IntN(4) == 0 && second != m.to[0] {
		m.to = append(m.to, second)
	}
	size := 500 + rng.IntN(4000)
	if rng.IntN(25) == 0 {
		size = 100_000
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <sender@sender.example>\r\nTo: <%s>\r\nSubject: kill %d\r\nMessage-ID: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		strings.Join(m.to, ">, <"), n, m.id)
	for b.Len() < size {
		fmt.Fprintf(&b, "%016x%016x%016x%016x\r\n", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
	}
	m.data = b.Bytes()
	m.digest = sha256.Sum256(m.data)
	return m
}

// mailConn is an SMTP session.
type mailConn struct {
	net.Conn
	text *textproto.Conn
}

func dialMail(ctx context.Context, addr string) (*mailConn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &mailConn{nc, textproto.NewConn(nc)}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, _, err = c.text.ReadResponse(220); err == nil {
		_, err = c.command(250, "EHLO sender.example")
	}
	if err != nil {
		closeAll(c)
		return nil, err
	}
	return c, nil
}

func (c *mailConn) command(want int, format string, args ...any) (string, error) {
	if err := c.text.PrintfLine(format, args...); err != nil {
		return "", err
	}
	_, reply, err := c.text.ReadResponse(want)
	return reply, err
}

// send sends a mail and returns the id that the server gave it.
func (c *mailConn) send(m *mail) (id string, err error) {
	if _, err := c.command(250, "MAIL FROM:<sender@sender.example>"); err != nil {
		return "", err
	}
	for _, to := range m.to {
		if _, err := c.command(250, "RCPT TO:<%s>", to); err != nil {
			return "", err
		}
	}
	if _, err := c.command(354, "DATA"); err != nil {
		return "", err
	}
	if _, err := c.Write(m.data); err != nil { // no line of it begins with a dot
		return "", err
	}
	reply, err := c.command(250, ".")
	if err != nil {
		return "", err
	}
	return reply[strings.LastIndexByte(reply, ' ')+1:], nil
}

func isPermanent(err error) bool {
	e, ok := err.(*textproto.Error)
	return ok && e.Code >= 500
}
