package smtpd_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail/internal/smtpd"
)

// inBubble runs a test against a server whose time is the test's own.
func inBubble(t *testing.T, h *house, test func(t *testing.T, s *smtpd.Server, m *memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, m := startInMemory(t, smtpd.Config{Receiver: h})
		test(t, s, m)
	})
}

func TestSilentClientIsSentAwayAfterTheCommandTimeout(t *testing.T) {
	inBubble(t, &house{}, func(t *testing.T, _ *smtpd.Server, m *memory) {
		begin := time.Now()
		c := m.dial(t)
		c.expect("220 ")
		c.expect("421 4.4.2")
		c.expectEnd()
		if waited := time.Since(begin); waited != 5*time.Minute {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestSlowCommandIsNotWaitedForPastTheSession(t *testing.T) {
	inBubble(t, &house{}, func(t *testing.T, _ *smtpd.Server, m *memory) {
		begin := time.Now()
		c := m.dial(t)
		c.expect("220 ")
		go func() {
			for { // a byte every four minutes is never a timeout
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(4 * time.Minute)
			}
		}()
		c.expect("421 4.4.2")
		if waited := time.Since(begin); waited != time.Hour {
			t.Errorf("waited %v", waited)
		}
		c.Close()
		time.Sleep(4 * time.Minute) // the goroutine sees it
	})
}

func TestSteadyUploadIsNotCutByTimeouts(t *testing.T) {
	h := &house{}
	inBubble(t, h, func(t *testing.T, _ *smtpd.Server, m *memory) {
		c := m.dial(t)
		c.upToData()
		for range 50 {
			time.Sleep(50 * time.Second)
			c.send("a line\n")
		}
		c.send(".\n")
		c.expect("250 2.0.0 Ok: queued as msg_1")
	})
	if got, want := h.bodies()[0], strings.Repeat("a line\r\n", 50); got != want {
		t.Errorf("stored %d bytes, want %d", len(got), len(want))
	}
}

func TestBodyAfterADataTimeoutIsNeverReadAsCommands(t *testing.T) {
	h := &house{}
	inBubble(t, h, func(t *testing.T, s *smtpd.Server, m *memory) {
		begin := time.Now()
		c := m.dial(t)
		c.upToData()
		c.send("MAIL FROM:<evil@me.example>\nx")
		c.expect("421 4.4.2")
		if waited := time.Since(begin); waited != time.Minute {
			t.Errorf("waited %v", waited)
		}
		if _, err := io.WriteString(c, "\r\n.\r\nMAIL FROM:<evil@me.example>\r\n"); err == nil {
			t.Error("somebody still reads")
		}
		c.expectEnd()
		if s.Held() != 0 {
			t.Errorf("%d bytes are still held", s.Held())
		}
	})
	if got := h.bodies(); len(got) > 0 {
		t.Errorf("stored %q", got)
	}
}

func TestClientThatReadsNoRepliesIsGivenUp(t *testing.T) {
	inBubble(t, &house{}, func(t *testing.T, s *smtpd.Server, m *memory) {
		m.dial(t) // and does not even read the greeting
		synctest.Wait()
		if n := s.Metrics().Open.Load(); n != 1 {
			t.Fatalf("%d sessions are open", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := s.Metrics().Open.Load(); n != 0 {
			t.Errorf("%d sessions are still open", n)
		}
	})
}

// stopping runs a server in a bubble that the test itself stops.
func stopping(t *testing.T, h *house, test func(t *testing.T, m *memory, stop context.CancelFunc, done <-chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := smtpd.New(smtpd.Config{Receiver: h, Hostname: "mx.ours.example"})
		m := newMemory()
		s.Use(m)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		test(t, m, stop, done)
	})
}

func TestStoppingEndsIdleSessionsAtOnce(t *testing.T) {
	stopping(t, &house{}, func(t *testing.T, m *memory, stop context.CancelFunc, done <-chan error) {
		begin := time.Now()
		c := m.dial(t)
		c.expect("220 ")
		synctest.Wait()
		stop()
		c.expect("421 4.3.2")
		c.expectEnd()
		if err := <-done; err != nil || time.Since(begin) != 0 {
			t.Errorf("Run: %v after %v", err, time.Since(begin))
		}
	})
}

func TestStoppingLetsATransactionFinish(t *testing.T) {
	h := &house{}
	stopping(t, h, func(t *testing.T, m *memory, stop context.CancelFunc, done <-chan error) {
		c := m.dial(t)
		c.upToData()
		c.send("x\n")
		stop()
		synctest.Wait()
		late := m.dial(t)
		late.expect("421 4.3.2")
		late.expectEnd()

		time.Sleep(14 * time.Second)
		c.send(".\n")
		c.expect("250 2.0.0 Ok: queued as msg_1")
		c.expect("421 4.3.2")
		c.expectEnd()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	if len(h.stored()) != 1 {
		t.Errorf("stored %q", h.bodies())
	}
}

func TestStoppingCutsATransactionAfterTheGrace(t *testing.T) {
	h := &house{}
	stopping(t, h, func(t *testing.T, m *memory, stop context.CancelFunc, done <-chan error) {
		begin := time.Now()
		c := m.dial(t)
		c.upToData()
		c.send("x\n")
		stop()
		c.expectEnd()
		if err := <-done; err != nil || time.Since(begin) != 15*time.Second {
			t.Errorf("Run: %v after %v", err, time.Since(begin))
		}
	})
	if len(h.stored()) != 0 {
		t.Errorf("stored %q", h.bodies())
	}
}

func TestRunTellsWhyItCannotGoOn(t *testing.T) {
	s := smtpd.New(smtpd.Config{Receiver: &house{}})
	m := newMemory()
	s.Use(m)
	m.Close()
	if err := s.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}
