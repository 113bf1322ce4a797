package smtpd_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"openmail/internal/smtpd"
)

func TestConnectionsAreLimited(t *testing.T) {
	const total, perAddress = "421 4.7.0 Too many connections, try again later", "421 4.7.0 Too many connections from your address, try again later"
	cases := []struct {
		name    string
		clients []string // who is in
		next    string   // who comes
		reply   string
	}{
		{"room for another", []string{"192.0.2.1:1", "192.0.2.2:1"}, "192.0.2.1:2", "220 "},
		{"full", []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}, "192.0.2.4:1", total},
		{"one address", []string{"192.0.2.1:1", "192.0.2.1:2"}, "192.0.2.1:3", perAddress},
		{"one address in two spellings", []string{"192.0.2.1:1", "[::ffff:192.0.2.1]:2"}, "192.0.2.1:3", perAddress},
		{"one IPv6 network", []string{"[2001:db8::1]:1", "[2001:db8::2]:1"}, "[2001:db8::ffff:3%eth0]:1", perAddress},
		{"two IPv6 networks", []string{"[2001:db8::1]:1", "[2001:db8::2]:1"}, "[2001:db8:0:1::1]:1", "220 "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, m := startInMemory(t, smtpd.Config{
					Receiver: &house{},
					Limits:   smtpd.Limits{Connections: 3, ConnectionsPerAddress: 2},
				})
				var in []*client
				for _, addr := range c.clients {
					in = append(in, m.dialFrom(t, addr))
					in[len(in)-1].expect("220 ")
				}
				m.dialFrom(t, c.next).expect(c.reply)

				in[0].send("QUIT\n")
				in[0].expect("221 ")
				in[0].expectEnd()
				synctest.Wait()
				m.dialFrom(t, c.clients[0]).expect("220 ")
			})
		})
	}
}

func TestEarlyTalkerIsSentAway(t *testing.T) {
	var log bytes.Buffer
	s := prepare(t, smtpd.Config{Receiver: &house{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := dial(t, s) // connected by the kernel; nobody has greeted it yet
	c.send("EHLO me.example\n")
	stop := run(t, s)
	c.expect("554 5.5.0 The server speaks first")
	c.Close()
	stop()
	if !strings.Contains(log.String(), "msg=smtp.guard remote_ip=127.0.0.1") || strings.Contains(log.String(), "me.example") {
		t.Errorf("logged %s", log.String())
	}
}

func TestLogsHoldNoAddressesAndNoContent(t *testing.T) {
	var log bytes.Buffer
	h := &house{faults: routeFaults()}
	s := prepare(t, smtpd.Config{
		Receiver: h,
		Logger:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	stop := run(t, s)
	dial(t, s).talk(crlf(hello + "MAIL FROM:<secret@me.example>\nRCPT TO:<b@ours.example>\nDATA\nSubject: secret\n.\n" +
		"MAIL FROM:<secret@me.example>\nRCPT TO:<b@ours.example>\nDATA\nsecret\rbare"))
	stop()
	if s := log.String(); strings.Contains(s, "secret") || strings.Contains(s, "b@ours") || !strings.Contains(s, "smtp.closed") {
		t.Errorf("logged %s", s)
	}
}

// gatedHouse holds every mail until the test lets it go on.
func gatedHouse() (h *house, started chan struct{}, goOn chan struct{}) {
	started, goOn = make(chan struct{}), make(chan struct{})
	return &house{accept: func(r io.Reader) error {
		if _, err := r.Read(make([]byte, 1)); err != nil {
			return err
		}
		started <- struct{}{}
		<-goOn
		return nil
	}}, started, goOn
}

func TestMemoryOfMailsInFlightIsBounded(t *testing.T) {
	// One address may fill half: twice 96 KiB fit, a mail of 64 KiB at once.
	h, started, goOn := gatedHouse()
	s := start(t, smtpd.Config{Receiver: h, Limits: smtpd.Limits{MessageBytes: 32 << 10, InFlightBytes: 192 << 10}})
	first := dial(t, s)
	first.upToData()
	first.send("x\n")
	<-started

	second := dial(t, s)
	second.upToData()
	second.send("y\n.\n")
	second.expect("452 4.3.1 Too much mail at once")
	second.send("MAIL FROM:<> SIZE=32768\n")
	second.expect("250 ") // half of the half is left
	second.send("RSET\n")
	second.expect("250 ")

	goOn <- struct{}{}
	first.send(".\n")
	first.expect("250 2.0.0 Ok: queued")
	second.send("MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n")
	for range 3 {
		second.expect("")
	}
	second.send("y\n")
	<-started
	goOn <- struct{}{}
	second.send(".\n")
	second.expect("250 2.0.0 Ok: queued")
	if s.Held() != 0 {
		t.Errorf("%d bytes are still held", s.Held())
	}
}

func TestAnnouncedSizeIsRefusedWhileThereIsNoRoom(t *testing.T) {
	h, started, goOn := gatedHouse()
	s := start(t, smtpd.Config{Receiver: h, Limits: smtpd.Limits{MessageBytes: 64 << 10, InFlightBytes: 256 << 10}})
	first := dial(t, s)
	first.upToData()
	first.send("x\n")
	<-started
	second := dial(t, s)
	second.expect("220 ")
	second.send(hello)
	second.expect("250")
	second.send("MAIL FROM:<> SIZE=65536\nMAIL FROM:<> SIZE=65536\n")
	second.expect("250 ")
	second.expect("503 ")
	goOn <- struct{}{}
	first.send(".\n")
	first.expect("250 ")
}

func TestLargestMailArrivesWhole(t *testing.T) {
	h := &house{}
	s := start(t, smtpd.Config{Receiver: h})
	body := strings.Repeat(strings.Repeat("0123456789abcdef", 64)+"\r\n.", 35<<20/1027)
	body = body[:len(body)-3]
	body += strings.Repeat("x", 35<<20-len(body)-2) + "\r\n"
	stuffed := strings.ReplaceAll(body, "\r\n.", "\r\n..")
	c := dial(t, s)
	c.upToData()
	c.sendRaw(stuffed + ".\r\nMAIL FROM:<>\r\n")
	c.expect("250 2.0.0 Ok: queued as msg_1")
	c.expect("250 ")
	if got := h.bodies()[0]; len(got) != 35<<20 || got != body {
		t.Errorf("stored %d bytes, not the %d that were sent", len(got), len(body))
	}
	c.send("RCPT TO:<b@ours.example>\nDATA\n")
	c.expect("250 ")
	c.expect("354 ")
	c.sendRaw("x" + stuffed + ".\r\n")
	c.expect("552 5.3.4")
}

func TestThousandSlowClientsDoNotHinderTheNext(t *testing.T) {
	s := start(t, smtpd.Config{Receiver: &house{}, Limits: smtpd.Limits{ConnectionsPerAddress: 1001}})
	for range 1000 {
		c := dial(t, s)
		c.expect("220 ")
		c.sendRaw("E")
	}
	c := dial(t, s)
	c.upToData()
	c.send("x\n.\n")
	c.expect("250 2.0.0 Ok: queued as msg_1")
}
