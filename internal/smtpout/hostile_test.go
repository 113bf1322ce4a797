package smtpout_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
)

type conn = net.Conn

func drain(c conn) { _, _ = io.Copy(io.Discard, c) }

// flood writes a text over and over, until the other side has had enough.
func flood(c conn, text string) {
	big := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
	for {
		if _, err := c.Write(big); err != nil {
			return
		}
	}
}

// drip writes a byte at a time.
func drip(c conn, text string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		<-tick.C
	}
}

// afterHello is what a server does once it has greeted and been greeted.
func afterHello(f func(conn)) func(conn) {
	return func(c conn) {
		buf := make([]byte, 512)
		_, _ = io.WriteString(c, "220 mx\r\n")
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "250 mx\r\n")
		_, _ = c.Read(buf)
		f(c)
	}
}

// silentTLS offers TLS and says nothing once it is wanted.
func silentTLS(c conn) {
	buf := make([]byte, 512)
	_, _ = io.WriteString(c, "220 mx\r\n")
	_, _ = c.Read(buf)
	_, _ = io.WriteString(c, "250-mx\r\n250 STARTTLS\r\n")
	_, _ = c.Read(buf)
	_, _ = io.WriteString(c, "220 go\r\n")
	drain(c)
}

func TestAHostileServerCostsLittle(t *testing.T) {
	for name, c := range map[string]struct {
		raw      func(conn)
		enhanced string
		text     string
	}{
		"endless banner":             {func(c conn) { flood(c, "220-hello\r\n") }, "4.5.0", "too many lines"},
		"endless line":               {func(c conn) { flood(c, "220 hello") }, "4.5.0", "too long"},
		"a byte at a time":           {func(c conn) { drip(c, "220-hello\r\n") }, "4.4.2", "no answer in time"},
		"silence":                    {drain, "4.4.2", "no answer in time"},
		"zeros":                      {func(c conn) { flood(c, "\x00\x00\x00\n") }, "4.5.0", "not SMTP"},
		"codes that differ":          {func(c conn) { _, _ = io.WriteString(c, "220-a\r\n250 b\r\n"); drain(c) }, "4.5.0", "not SMTP"},
		"a code out of range":        {func(c conn) { _, _ = io.WriteString(c, "999 a\r\n"); drain(c) }, "4.5.0", "not SMTP"},
		"hangs up":                   {func(conn) {}, "4.4.2", "closed the connection"},
		"100,000 lines to MAIL":      {afterHello(func(c conn) { flood(c, "250-ok\r\n") }), "4.5.0", "too many lines"},
		"a megabyte line to MAIL":    {afterHello(func(c conn) { flood(c, "250 ok") }), "4.5.0", "too long"},
		"a byte at a time to MAIL":   {afterHello(func(c conn) { drip(c, "250-ok\r\n") }), "4.4.2", "no answer in time"},
		"silence after MAIL":         {afterHello(drain), "4.4.2", "no answer in time"},
		"silence in the handshake":   {silentTLS, "4.4.2", "no answer in time"},
		"answers before it is asked": {afterHello(func(c conn) { flood(c, "250 ok\r\n") }), "4.5.0", "out of place"},
	} {
		srv := &server{raw: c.raw}
		p := port(t)
		srv.start(t, "127.0.0.1", p)
		_, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1")
		wait := 30 * time.Second
		if c.text == "no answer in time" {
			wait = 300 * time.Millisecond
		}
		s := sender(t, smtpout.Config{Port: p, DNS: []string{dns}, Patience: smtpout.Patience{Greeting: wait, Command: wait, Block: wait, End: wait}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		a := one(t, s)
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) >> 10; n > 2048 {
			t.Errorf("%s took %d KiB", name, n)
		}
		if a.Fate != outgoing.FateDeferred || a.Enhanced != c.enhanced || !strings.Contains(a.Text, c.text) {
			t.Errorf("%s: %+v", name, a)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func TestAServerThatDoesNotReadIsLeft(t *testing.T) {
	srv := &server{raw: afterHello(func(c conn) {
		buf := make([]byte, 512)
		for _, reply := range []string{"250 ok\r\n", "250 ok\r\n"} {
			_, _ = io.WriteString(c, reply)
			_, _ = c.Read(buf)
		}
		_, _ = io.WriteString(c, "354 go\r\n")
		<-t.Context().Done()
	})}
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	_, dns := startNames(t, "there.test. A 127.0.0.1")
	short := 300 * time.Millisecond
	s := sender(t, smtpout.Config{Port: p, DNS: []string{dns}, Patience: smtpout.Patience{Block: short}})
	mail := parcel("b@there.test")
	mail.Mail = []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 300_000))
	checkAnswer(t, s.Send(t.Context(), mail)[0], outgoing.FateDeferred, 0, "4.4.2", "no answer in time")
}

func TestOneSendEndsInTime(t *testing.T) {
	srv := &server{raw: afterHello(drain)}
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	_, dns := startNames(t, "there.test. A 127.0.0.1")
	s := sender(t, smtpout.Config{Port: p, DNS: []string{dns}, Patience: smtpout.Patience{Whole: 300 * time.Millisecond}})
	checkAnswer(t, one(t, s), outgoing.FateDeferred, 0, "4.4.2", "no answer in time")
}

func TestAServerMaySayWhyItReadsNoFurther(t *testing.T) {
	srv := &server{raw: afterHello(func(c conn) {
		buf := make([]byte, 512)
		_, _ = io.WriteString(c, "250 ok\r\n")
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "250 ok\r\n")
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "354 go\r\n")
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "552 5.3.4 too much\r\n")
		_ = c.(*net.TCPConn).CloseRead() // nothing is thrown away that was said
		drain(c)
	})}
	s, _ := single(t, srv)
	mail := parcel("b@there.test")
	mail.Mail = []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100_000))
	a := s.Send(t.Context(), mail)[0]
	if a.Fate == outgoing.FateAccepted || a.Code != 0 && a.Code != 552 {
		t.Errorf("answer %+v", a)
	}
}

func TestAnEarlyRefusalOfTheWholeMailCounts(t *testing.T) {
	srv := &server{raw: afterHello(func(c conn) {
		buf := make([]byte, 512)
		for _, reply := range []string{"250 ok\r\n", "250 ok\r\n", "354 go\r\n552 5.3.4 too much\r\n"} {
			_, _ = io.WriteString(c, reply)
			_, _ = c.Read(buf)
		}
		drain(c)
	})}
	s, _ := single(t, srv)
	checkAnswer(t, one(t, s), outgoing.FateRefused, 552, "5.3.4", "too much")
}

func TestWhatIsSaidInClearAfterSTARTTLSIsNotHeard(t *testing.T) {
	srv := &server{raw: func(c conn) {
		buf := make([]byte, 512)
		_, _ = io.WriteString(c, "220 mx\r\n")
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "250-mx\r\n250 STARTTLS\r\n")
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n250 ok\r\n")
		drain(c)
	}}
	s, _ := single(t, srv)
	checkAnswer(t, one(t, s), outgoing.FateDeferred, 0, "4.5.0", "between STARTTLS and TLS")
	if srv.connections() != 1 {
		t.Errorf("%d connections", srv.connections())
	}
}
