package webhook_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
	"openmail/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback opens this machine to the sender of a test.
var loopback = []string{"127.0.0.0/8"}

func newSender(tb testing.TB, c webhook.Config) *webhook.Sender {
	tb.Helper()
	s, err := webhook.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// testPost is the second hand-over of an event, to the URL.
func testPost(url string) dispatch.Post {
	event := openmail.Event{
		ID: "evt_7f2a3b4c", Type: openmail.MessageReceived, Account: "acc_1",
		Inbox: "inb_8f3a1b2c", Thread: "thr_9d4e5f6a",
		OccurredAt: time.Date(2026, 2, 24, 10, 5, 0, 0, time.UTC),
		Delivery:   openmail.Delivery{Attempts: 2},
	}
	event.Payload = api.Links{PublicURL: "https://mail.example"}.Received(event, openmail.Message{
		ID: "msg_4c8d5e6f", From: openmail.Address{Addr: "customer@example.com"},
		ToAddr: "jane@example.com", Subject: "Re: <Größe> & \u2028 \"mehr\" 📮",
		BodyText: "Line one\r\n\tline two \\ \x01 ￿",
	})
	return dispatch.Post{Event: event, Endpoint: openmail.Endpoint{
		Account: "acc_1", URL: url, Secret: webhook.NewSecret(), Enabled: true,
	}}
}

// received is a request as a receiver saw it.
type received struct {
	header http.Header
	method string
	path   string
	host   string
	body   []byte
}

// receiver answers with a status and tells what it was sent.
func receiver(tb testing.TB, status int, answer string) (url string, got <-chan received) {
	tb.Helper()
	seen := make(chan received, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			tb.Errorf("reading the post: %v", err)
		}
		seen <- received{r.Header, r.Method, r.RequestURI, r.Host, body}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	tb.Cleanup(srv.Close)
	return srv.URL, seen
}

func TestPostSendsTheStampedEventAndTellsOfTheAnswer(t *testing.T) {
	url, got := receiver(t, http.StatusOK, "thanks")
	s := newSender(t, webhook.Config{Allow: loopback})
	p := testPost(url + "/hook/%2Fa?key=1")
	at := time.Date(2026, 2, 24, 10, 5, 0, 12e6, time.UTC)

	a, retryAfter := s.Post(t.Context(), p, at)

	if a.N != 2 || a.Channel != openmail.ChannelWebhook || !a.At.Equal(at) || a.Took <= 0 ||
		a.Status != 200 || a.Outcome != openmail.OutcomeDelivered || a.Error != "" ||
		a.Response != "thanks" || "http://"+a.Remote != url || retryAfter != 0 {
		t.Errorf("attempt %+v, retry after %v", a, retryAfter)
	}
	r := <-got
	if want := string(api.Stamp(nil, p.Event.Payload, at, 2)); string(r.body) != want {
		t.Errorf("body %s, want %s", r.body, want)
	}
	if r.method != "POST" || r.path != "/hook/%2Fa?key=1" || "http://"+r.host != url {
		t.Errorf("%s %s to %s", r.method, r.path, r.host)
	}
	if r.header.Get("X-Timestamp") != "1771927500" || r.header.Get("Webhook-Timestamp") != "1771927500" {
		t.Errorf("timestamps of %v", r.header)
	}
}

func TestPostSendsTheseHeadersAndNoOthers(t *testing.T) {
	url, got := receiver(t, http.StatusOK, "")
	s := newSender(t, webhook.Config{Allow: loopback, UserAgent: "OpenMail/1.0"})
	p := testPost(url)
	s.Post(t.Context(), p, time.Now())
	p.Endpoint.NextSecret = webhook.NewSecret()
	s.Post(t.Context(), p, time.Now())

	want := []string{
		"Content-Type", "Content-Length", "User-Agent", "X-Event-Id", "X-Timestamp", "X-Signature",
		"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature",
	}
	for _, extra := range [][]string{nil, {"X-Signature-Next"}} {
		r := <-got
		for _, key := range append(want, extra...) {
			if len(r.header[key]) != 1 {
				t.Errorf("header %s is %q", key, r.header[key])
			}
			delete(r.header, key)
		}
		if len(r.header) > 0 {
			t.Errorf("headers besides: %v", r.header)
		}
	}
}

func TestTestPostsTheBodyAsItIs(t *testing.T) {
	url, got := receiver(t, http.StatusTeapot, "no")
	s := newSender(t, webhook.Config{Allow: loopback})
	body := api.Test("evt_1", "", time.Now())
	a := s.Test(t.Context(), testPost(url).Endpoint, body, "evt_1")
	if a.N != 1 || a.Outcome != openmail.OutcomeRefused || a.Status != 418 || a.At.IsZero() {
		t.Errorf("attempt %+v", a)
	}
	if r := <-got; string(r.body) != string(body) || r.header.Get("X-Event-Id") != "evt_1" {
		t.Errorf("body %s, headers %v", r.body, r.header)
	}
}

func TestTheStatusDecidesTheOutcome(t *testing.T) {
	s := newSender(t, webhook.Config{Allow: loopback})
	for status, want := range map[int]openmail.Outcome{
		200: openmail.OutcomeDelivered, 201: openmail.OutcomeDelivered, 202: openmail.OutcomeDelivered,
		204: openmail.OutcomeDelivered, 299: openmail.OutcomeDelivered,
		300: openmail.OutcomeRefused, 304: openmail.OutcomeRefused, 400: openmail.OutcomeRefused,
		404: openmail.OutcomeRefused, 409: openmail.OutcomeRefused, 410: openmail.OutcomeGone,
		429: openmail.OutcomeRefused, 500: openmail.OutcomeRefused, 503: openmail.OutcomeRefused,
		999: openmail.OutcomeRefused,
	} {
		url, _ := receiver(t, status, "")
		a, _ := s.Post(t.Context(), testPost(url), time.Now())
		if a.Outcome != want || a.Status != status {
			t.Errorf("status %d: %+v, want %s", status, a, want)
		}
	}
}

func TestPostReadsRetryAfter(t *testing.T) {
	at := time.Date(2026, 2, 24, 10, 5, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"45":                            45 * time.Second,
		"999999999":                     24 * time.Hour,
		"99999999999999999999999":       0,
		"-5":                            0,
		"soon":                          0,
		"Tue, 24 Feb 2026 10:06:30 GMT": 90 * time.Second,
		"Tue, 24 Feb 2026 10:04:00 GMT": 0,
		"Fri, 24 Feb 2096 10:04:00 GMT": 24 * time.Hour,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		s := newSender(t, webhook.Config{Allow: loopback})
		if _, got := s.Post(t.Context(), testPost(srv.URL), at); got != want {
			t.Errorf("Retry-After %q: %v, want %v", value, got, want)
		}
		s.Close()
		srv.Close()
	}
}

func TestPostKeepsAnAnswerAsShortValidText(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"plain":         {"ok\n", "ok\n"},
		"cut":           {strings.Repeat("a", 70000), strings.Repeat("a", 4096)},
		"cut in a rune": {strings.Repeat("é", 3000), strings.Repeat("é", 2048)},
		"not UTF-8":     {"a\xff\xfeb", "a\uFFFDb"},
		"NUL":           {"a\x00b", "a\uFFFDb"},
		"grown by it":   {strings.Repeat("\x00", 4096), strings.Repeat("\uFFFD", 1365)},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := receiver(t, http.StatusOK, c.answer)
			s := newSender(t, webhook.Config{Allow: loopback})
			if a, _ := s.Post(t.Context(), testPost(url), time.Now()); a.Response != c.want {
				t.Errorf("kept %d bytes %.20q, want %d", len(a.Response), a.Response, len(c.want))
			}
		})
	}
}

func TestPostUsesConnectionsAgain(t *testing.T) {
	var opened atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000)) // more than is kept
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	s := newSender(t, webhook.Config{Allow: loopback})
	for range 20 {
		if a, _ := s.Post(t.Context(), testPost(srv.URL), time.Now()); a.Outcome != openmail.OutcomeDelivered {
			t.Fatalf("attempt %+v", a)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 20 posts", n)
	}
}

// TestPostOutlivesAConnectionThatWasClosedMeanwhile has a receiver that reads
// the second post of each connection and then hangs up on it, as one does that
// closed the connection for idleness while the post was under way.
func TestPostOutlivesAConnectionThatWasClosedMeanwhile(t *testing.T) {
	seen := sync.Map{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, again := seen.LoadOrStore(r.RemoteAddr, true); again {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(srv.Close)
	s := newSender(t, webhook.Config{Allow: loopback})
	for range 3 {
		if a, _ := s.Post(t.Context(), testPost(srv.URL), time.Now()); a.Outcome != openmail.OutcomeDelivered {
			t.Errorf("attempt %+v", a)
		}
	}
}

func TestPostTellsWhyThereWasNoAnswer(t *testing.T) {
	trusting := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(trusting.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	roots := x509.NewCertPool()
	roots.AddCert(trusting.Certificate())
	port := trusting.Listener.Addr().(*net.TCPAddr).Port

	for _, c := range []struct {
		name, url, want string
		roots           *x509.CertPool
	}{
		{"a stranger's certificate", trusting.URL, "TLS certificate is signed by an unknown authority", nil},
		{"another host's certificate", fmt.Sprintf("https://localhost:%d", port), "TLS certificate is not valid for this host", roots},
		{"no TLS", "https://" + plain.Listener.Addr().String(), "the port does not speak TLS", nil},
		{"nobody listens", "http://" + closedAddr(t), "connection refused", nil},
		{
			"not HTTP", "http://" + serveTCP(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 hello\r\n") }),
			"the answer is not HTTP/1.1, or its headers are larger than 16 KiB", nil,
		},
		{"hung up", "http://" + serveTCP(t, readRequest), "the connection was closed before an answer came", nil},
		{"a URL that got stored somehow", "ftp://example.com", "A webhook URL starts with https:// or http://.", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSender(t, webhook.Config{Allow: append(loopback, "localhost"), RootCAs: c.roots})
			a, _ := s.Post(t.Context(), testPost(c.url), time.Now())
			if a.Error != c.want || a.Outcome != openmail.OutcomeError || a.Status != 0 {
				t.Errorf("%+v, want %q", a, c.want)
			}
		})
	}
}

func TestPostSpeaksTLSToWhomTheRootsVouchFor(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("protocol %s", r.Proto)
		}
	}))
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	s := newSender(t, webhook.Config{Allow: loopback, RootCAs: roots})
	for range 2 {
		if a, _ := s.Post(t.Context(), testPost(srv.URL), time.Now()); a.Outcome != openmail.OutcomeDelivered {
			t.Errorf("attempt %+v", a)
		}
	}
}

func TestPostEndsWithItsContext(t *testing.T) {
	arrived := make(chan struct{})
	url := "http://" + serveTCP(t, func(c net.Conn) { readRequest(c); close(arrived); drain(c) })
	s := newSender(t, webhook.Config{Allow: loopback})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	a, _ := s.Post(ctx, testPost(url), time.Now())
	if a.Outcome != openmail.OutcomeError || a.Error != "this server stopped before an answer came" {
		t.Errorf("attempt %+v", a)
	}
}

func TestPostIgnoresProxySettings(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://"+closedAddr(t))
	t.Setenv("http_proxy", "http://"+closedAddr(t))
	t.Setenv("NO_PROXY", "")
	url, _ := receiver(t, http.StatusOK, "")
	s := newSender(t, webhook.Config{Allow: loopback})
	if a, _ := s.Post(t.Context(), testPost(url), time.Now()); a.Outcome != openmail.OutcomeDelivered {
		t.Errorf("attempt %+v", a)
	}
}

func TestPostKeepsNoCookies(t *testing.T) {
	var withCookie atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		withCookie.Store(withCookie.Load() || r.Header.Get("Cookie") != "")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	}))
	t.Cleanup(srv.Close)
	s := newSender(t, webhook.Config{Allow: loopback})
	for range 2 {
		s.Post(t.Context(), testPost(srv.URL), time.Now())
	}
	if withCookie.Load() {
		t.Error("a cookie came back")
	}
}

func TestTheLogTellsTheCauseAndNoSecrets(t *testing.T) {
	var log strings.Builder
	handler := slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})
	s := newSender(t, webhook.Config{Allow: loopback, Log: slog.New(handler)})
	p := testPost("http://" + closedAddr(t) + "/canary?key=canary")
	a, _ := s.Post(t.Context(), p, time.Now())
	if a.Error != "connection refused" || !strings.Contains(log.String(), "connect: connection refused") {
		t.Errorf("%+v, logged %s", a, &log)
	}
	for _, secret := range []string{"canary", p.Endpoint.Secret, "customer@", "mehr"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q in the log: %s", secret, &log)
		}
	}
}

// closedAddr is an address where nobody listens.
func closedAddr(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// serveTCP gives each connection to handle and closes it then.
func serveTCP(tb testing.TB, handle func(net.Conn)) (addr string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			group.Go(func() { defer c.Close(); handle(c) })
		}
	})
	tb.Cleanup(func() { ln.Close(); group.Wait() })
	return ln.Addr().String()
}

// readRequest reads what a post sends: it ends with the event's last bracket.
func readRequest(c net.Conn) {
	var b [4096]byte
	var tail string
	for {
		n, err := c.Read(b[:])
		if tail += string(b[:n]); err != nil || strings.HasSuffix(tail, "}}}") {
			return
		}
	}
}

// drain reads until the other end hangs up.
func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
