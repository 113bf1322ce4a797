package smtpd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"openmail"
	"openmail/internal/smtpd"
)

// sink is a Receiver that reads and forgets.
type sink struct{ house }

func (*sink) Accept(_ context.Context, _ openmail.Envelope, r io.Reader) (string, error) {
	_, err := io.Copy(io.Discard, r)
	return "msg_01jdk3v8p2x0r7zq4n5m6b8c9d", err
}

// bareServer answers each line, and the lines behind DATA once, without a
// look at what they say: as fast as one goroutine per connection can be.
func bareServer(b *testing.B) net.Addr {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				b.Error(err)
				return
			}
			sessions.Go(func() {
				defer conn.Close()
				bareSession(conn)
			})
		}
	})
	b.Cleanup(func() { l.Close(); sessions.Wait() })
	return l.Addr()
}

func bareSession(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 8<<10)
	reply := "220 bare\r\n"
	for inData := false; ; {
		if reply != "" {
			if _, err := io.WriteString(conn, reply); err != nil {
				return
			}
		}
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case inData && string(line) != ".\r\n":
			reply = ""
		case bytes.HasPrefix(line, []byte("DATA")):
			inData, reply = true, "354 \r\n"
		default:
			inData, reply = false, "250 2.0.0 Ok\r\n"
		}
	}
}

func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{2 << 10, 100 << 10} {
		for _, conns := range []int{1, 8, 64} {
			name := fmt.Sprintf("size=%d/conns=%d", size, conns)
			b.Run("bare/"+name, func(b *testing.B) { load(b, bareServer(b), size, conns) })
			b.Run("smtpd/"+name, func(b *testing.B) {
				s := start(b, smtpd.Config{Receiver: &sink{}})
				load(b, s.Addr(), size, conns)
			})
		}
	}
}

// load sends b.N mails over some connections, in lockstep as simple clients do.
func load(b *testing.B, addr net.Addr, size, conns int) {
	b.Helper()
	line := strings.Repeat("0123456789", 7) + "\r\n"
	mail := []byte(strings.Repeat(line, size/len(line)) + ".\r\n")
	b.SetBytes(int64(len(mail)))
	b.ReportAllocs()
	turns := make(chan struct{}, b.N)
	for range b.N {
		turns <- struct{}{}
	}
	close(turns)
	var clients sync.WaitGroup
	for range conns {
		clients.Go(func() {
			if err := sendMails(addr, mail, turns); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

func sendMails(addr net.Addr, mail []byte, turns <-chan struct{}) error {
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	if _, err := r.ReadSlice('\n'); err != nil {
		return err
	}
	if err := ask(conn, r, []byte("HELO me.example\r\n"), "250"); err != nil {
		return err
	}
	for range turns {
		if err := sendMail(conn, r, mail); err != nil {
			return err
		}
	}
	return nil
}

func sendMail(conn net.Conn, r *bufio.Reader, mail []byte) error {
	return errors.Join(
		ask(conn, r, []byte("MAIL FROM:<a@me.example>\r\n"), "250"),
		ask(conn, r, []byte("RCPT TO:<b@ours.example>\r\n"), "250"),
		ask(conn, r, []byte("DATA\r\n"), "354"),
		ask(conn, r, mail, "250"),
	)
}

func ask(conn net.Conn, r *bufio.Reader, line []byte, want string) error {
	if _, err := conn.Write(line); err != nil {
		return err
	}
	reply, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(reply, []byte(want)) {
		return fmt.Errorf("got %q, want %s", reply, want)
	}
	return nil
}
