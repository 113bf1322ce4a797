package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// step is a moment of a conversation with the sink.
type step string

// The steps, in their order.
const (
	stepData   step = "DATA, before 354"
	stepDot    step = "the dot, before the mail counts as taken"
	stepAnswer step = "the mail is taken, before 250"
	stepTaken  step = "250 is written"
	stepQuit   step = "QUIT"
)

// handover is a mail that the sink has taken: it answers for it, whether the
// 250 was heard or not.
type handover struct {
	mailID   string
	from     string
	to       []string
	digest   [32]byte
	opened   time.Time // the conversation
	answered time.Time // the 250
	quit     time.Time // zero: the conversation ended without
}

// sink is a mail server that takes everything and keeps a record of it.
type sink struct {
	ln   net.Listener
	done sync.WaitGroup

	mu    sync.Mutex
	took  []*handover
	open  map[net.Conn]bool
	watch func(step) bool // false: the conversation ends there
}

func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, open: map[net.Conn]bool{}}
	s.done.Go(s.accept)
	return s, nil
}

func (s *sink) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = true
		s.mu.Unlock()
		s.done.Go(func() {
			_ = s.serve(conn) // whoever was killed says no goodbye
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
			closeAll(conn)
		})
	}
}

// close ends all conversations.
func (s *sink) close() error {
	err := s.ln.Close()
	s.mu.Lock()
	for conn := range s.open {
		closeAll(conn)
	}
	s.mu.Unlock()
	s.done.Wait()
	return err
}

// at has f called at every step of every conversation; nil ends that.
func (s *sink) at(f func(step) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
}

// errEnd ends a conversation that is not to go on.
var errEnd = errors.New("the conversation ends here")

func (s *sink) reach(at step) error {
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	if watch != nil && !watch(at) {
		return errEnd
	}
	return nil
}

// handovers lists what was taken until now, in its order.
func (s *sink) handovers() []handover {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]handover, len(s.took))
	for i, h := range s.took {
		all[i] = *h
	}
	return all
}

func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = nil
}

// hearing is one conversation.
type hearing struct {
	*sink
	r    *bufio.Reader
	w    *bufio.Writer
	mail *handover
	last *handover // that was taken
	born time.Time
}

func (s *sink) serve(conn net.Conn) error {
	h := &hearing{sink: s, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriter(conn), mail: &handover{}, born: time.Now()}
	if err := h.say("220 sink.example ESMTP"); err != nil {
		return err
	}
	for {
		line, err := h.r.ReadString('\n')
		if err != nil {
			return err
		}
		if over, err := h.command(strings.TrimRight(line, "\r\n")); over || err != nil {
			return err
		}
	}
}

// say writes a reply; replies to commands that came together leave together.
func (h *hearing) say(reply string) error {
	_, _ = h.w.WriteString(reply + "\r\n")
	if h.r.Buffered() > 0 {
		return nil
	}
	return h.w.Flush()
}

func (h *hearing) command(line string) (over bool, err error) {
	verb, rest, _ := strings.Cut(line, ":")
	switch verb {
	case "MAIL FROM":
		h.mail = &handover{from: path(rest), opened: h.born}
		return false, h.say("250 2.1.0 Ok")
	case "RCPT TO":
		h.mail.to = append(h.mail.to, path(rest))
		return false, h.say("250 2.1.5 Ok")
	case "DATA":
		return false, h.data()
	case "QUIT":
		return true, h.goodbye()
	}
	if strings.HasPrefix(verb, "EHLO ") {
		return false, h.say("250-sink.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME")
	}
	return false, h.say("502 5.5.1 What?")
}

func path(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), ">")
	return strings.TrimPrefix(s, "<")
}

func (h *hearing) data() error {
	if err := h.reach(stepData); err != nil {
		return err
	}
	if err := h.say("354 Go on"); err != nil {
		return err
	}
	raw, err := io.ReadAll(textproto.NewReader(h.r).DotReader())
	if err != nil {
		return err
	}
	if err := h.reach(stepDot); err != nil {
		return err
	}
	h.mail.digest = sha256.Sum256(raw)
	h.mail.mailID = messageIDOf(raw)
	h.last = h.mail
	h.mu.Lock()
	h.mail.answered = time.Now() // it is ours from here
	h.took = append(h.took, h.mail)
	h.mu.Unlock()
	return h.answer()
}

func (h *hearing) answer() error {
	if err := h.reach(stepAnswer); err != nil {
		return err
	}
	h.mu.Lock()
	h.last.answered = time.Now()
	h.mu.Unlock()
	if err := h.say("250 2.0.0 Ok"); err != nil {
		return err
	}
	return h.reach(stepTaken)
}

func (h *hearing) goodbye() error {
	if h.last != nil {
		h.mu.Lock()
		h.last.quit = time.Now()
		h.mu.Unlock()
	}
	if err := h.reach(stepQuit); err != nil {
		return err
	}
	return h.say("221 2.0.0 Bye")
}

// messageIDOf is the Message-ID in a mail's header.
func messageIDOf(raw []byte) string {
	for line := range strings.Lines(string(raw)) {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Message-ID") {
			return strings.TrimSpace(value)
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	return ""
}

func (s *sink) String() string { return fmt.Sprintf("smtp://%s", s.ln.Addr()) }
