package smtpd_test

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"openmail/internal/smtpd"
)

// endings are spellings of the end of data, right and wrong: each line end
// that somebody somewhere took for one, before and behind the dot, and dots in
// company.
func endings() []string {
	ends := []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\n", "\x00\r\n"}
	all := []string{
		"\r\n..\r\n", "\r\n. \r\n", "\r\n .\r\n", "\r\n.\t\r\n", "\r\n.\x00\r\n",
		"\r\n\u0085.\u0085", "\r\n.\u2028", "\r\n.\v\n", "\r\n.=0D=0A", "\r\n.\r\r\n\n",
	}
	for _, before := range ends {
		for _, behind := range ends {
			all = append(all, before+"."+behind)
		}
	}
	return all
}

// reading is what one must make of the bytes behind DATA: a plain statement of
// the rule, to check the server's automaton by. ok is false when the session
// has to end without the mail.
func reading(sent string) (body, rest string, ok bool) {
	body, rest, ended := strings.Cut("\r\n"+sent, "\r\n.\r\n")
	bare := strings.ReplaceAll(body+"\r\n", "\r\n", "")
	if !ended || strings.ContainsAny(bare, "\r\n") {
		return "", "", false
	}
	body = strings.ReplaceAll(body, "\r\n.", "\r\n")
	return strings.TrimPrefix(body+"\r\n", "\r\n"), rest, true
}

// smuggle is a mail with an ending in its middle and a second mail behind it.
// The body between them is short, so that every way to split it can be tried.
func smuggle(ending string) string {
	return "a" + ending + "MAIL FROM:<evil@me.example>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n"
}

func TestOnlyCRLFDotCRLFEndsData(t *testing.T) {
	h := &house{}
	s := start(t, smtpd.Config{Receiver: h})
	for _, ending := range endings() {
		before := len(h.stored())
		c := dial(t, s)
		c.upToData()
		c.sendRaw(smuggle(ending))
		rest, err := io.ReadAll(c.r)
		if err != nil {
			t.Fatal(err)
		}
		checkSmuggling(t, ending, string(rest), h.bodies()[before:])
	}
}

func checkSmuggling(t *testing.T, ending, reply string, got []string) {
	t.Helper()
	body, rest, ok := reading(smuggle(ending))
	var want []string
	switch {
	case !ok && !strings.HasPrefix(reply, "550 5.6.0 "):
		t.Errorf("%q: answered %q, want 550", ending, reply)
	case ok && strings.HasPrefix(rest, "MAIL"):
		want = []string{body, "evil\r\n"} // the right ending: two mails
	case ok:
		want = []string{body}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q: stored %q, want %q", ending, got, want)
	}
}

func TestEndOfDataHoldsHoweverTheBytesAreSplit(t *testing.T) {
	h := &house{}
	_, m := startInMemory(t, smtpd.Config{Receiver: h})
	for _, ending := range endings() {
		mail := smuggle(ending)
		for at := 1; at < len(mail); at++ {
			before := len(h.stored())
			reply := sendSplit(t, m, mail[:at], mail[at:])
			checkSmuggling(t, ending, reply, h.bodies()[before:])
		}
		before := len(h.stored())
		reply := sendSplit(t, m, strings.Split(mail, "")...)
		checkSmuggling(t, ending, reply, h.bodies()[before:])
	}
}

// sendSplit sends a mail in parts that arrive one by one, and returns what the
// server says to it until it ends the session.
func sendSplit(t *testing.T, m *memory, parts ...string) string {
	t.Helper()
	c := m.dial(t)
	defer c.Close()
	c.upToData()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, part := range parts {
			if _, err := io.WriteString(c, part); err != nil {
				return // the server has ended the session
			}
		}
	}()
	rest, err := io.ReadAll(c.r)
	if err != nil {
		t.Error(err)
	}
	<-sent
	return string(rest)
}

func TestMailThatIsCutOffIsNotStored(t *testing.T) {
	h := &house{}
	s := start(t, smtpd.Config{Receiver: h})
	for _, part := range []string{"", "x", "x\r\n", "x\r\n.", "x\r\n.\r", "\r\n.\r", ".", ".\r"} {
		c := dial(t, s)
		c.upToData()
		c.sendRaw(part)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.expectEnd()
	}
	if got := h.bodies(); len(got) > 0 {
		t.Errorf("stored %q", got)
	}
	if s.Held() != 0 {
		t.Errorf("%d bytes are still held", s.Held())
	}
}
