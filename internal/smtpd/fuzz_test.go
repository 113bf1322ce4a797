package smtpd_test

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"openmail/internal/smtpd"
)

// FuzzConversation sends any bytes behind the greeting. The session must end
// when the client does, and every mail stored must have had an end.
func FuzzConversation(f *testing.F) {
	for _, c := range conversations {
		f.Add([]byte(strings.ReplaceAll(crlf(c.client), "\x00", "\n")))
	}
	for _, ending := range endings() {
		f.Add([]byte(crlf("HELO x\nMAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n") + smuggle(ending)))
	}
	config := tlsConfig(f)
	last := regexp.MustCompile(`(?i)BDAT +[0-9]+ +LAST *\r\n`)
	f.Fuzz(func(t *testing.T, sent []byte) {
		h := &house{}
		s := smtpd.New(smtpd.Config{Receiver: h, Limits: conversationLimits(), TLS: config})
		m := newMemory()
		s.Use(m)
		stop := run(t, s)
		c := m.dial(t)
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		converse(t, c, sent)
		stop()

		ends := strings.Count(string(sent), "\r\n.\r\n") + len(last.FindAll(sent, -1))
		if got := len(h.stored()); got > ends {
			t.Errorf("%d mails stored of %d that ended", got, ends)
		}
		for _, body := range h.bodies() {
			if strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n") {
				t.Errorf("a bare line end in %q", body)
			}
		}
		if s.Held() != 0 {
			t.Errorf("%d bytes are still held", s.Held())
		}
	})
}

// converse sends everything, hangs up, and reads until then.
func converse(t *testing.T, c *client, sent []byte) {
	t.Helper()
	heard := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c.r)
		heard <- err
	}()
	_, err := c.Write(sent)
	if err == nil {
		c.Close() // all is read; replies may be lost, as when a client dies
	}
	if err := <-heard; err != nil && err != io.ErrClosedPipe {
		t.Errorf("the session did not end: %v", err)
	}
}
