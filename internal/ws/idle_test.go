package ws

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// idleVariable makes the test binary a server: a process of its own, so that
// its memory can be measured from outside.
const idleVariable = "OPENMAIL_TEST_IDLE_SERVER" // plain or tls

// idleServer runs that server until its standard input ends, if it is to.
func idleServer() bool {
	if os.Getenv(idleVariable) == "" {
		return false
	}
	w := newWorld()
	limits := DefaultLimits()
	limits.Connections = 0
	w.server = New(w.config(limits))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	web := httptest.NewUnstartedServer(w.server)
	if os.Getenv(idleVariable) == "tls" {
		web.StartTLS()
	} else {
		web.Start()
	}
	fmt.Println(web.Listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	<-done
	web.Close()
	return true
}

// BenchmarkIdleSocket measures what an idle, subscribed socket takes of the
// server's resident memory, as Linux tells it. -benchtime=5000x opens five
// thousand.
func BenchmarkIdleSocket(b *testing.B) {
	for _, kind := range []string{"plain", "tls"} {
		b.Run(kind, func(b *testing.B) { benchmarkIdle(b, kind) })
	}
}

func benchmarkIdle(b *testing.B, kind string) {
	if b.N == 1 {
		return // the first run, which only finds out how many to open
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	server := exec.Command(self)
	server.Env = append(os.Environ(), idleVariable+"="+kind)
	stdin, _ := server.StdinPipe()
	stdout, _ := server.StdoutPipe()
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer server.Wait()
	defer stdin.Close()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	openIdle(b, kind, addr).Close() // warm
	before := resident(b, server.Process.Pid)
	b.ResetTimer()
	for range b.N {
		defer openIdle(b, kind, addr).Close()
	}
	b.StopTimer()
	time.Sleep(6 * time.Second) // memory settles; not a condition of the test
	b.ReportMetric(float64(resident(b, server.Process.Pid)-before)/float64(b.N), "B/socket")
}

// openIdle opens a socket and subscribes.
func openIdle(b *testing.B, kind, addr string) net.Conn {
	nc, err := net.Dial("tcp", addr)
	if kind == "tls" && err == nil {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) // only its memory is of interest
	}
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(nc, "GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer om_a\r\n\r\n")
	_, _ = nc.Write(masked(0x81, `{"type":"subscribe"}`))
	_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got []byte
	for !strings.Contains(string(got), all) {
		buf := make([]byte, 512)
		n, err := nc.Read(buf)
		if err != nil {
			b.Fatalf("%v after %q", err, got)
		}
		got = append(got, buf[:n]...)
	}
	return nc
}

// resident is a process's resident memory, in bytes.
func resident(b *testing.B, pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb << 10
}
