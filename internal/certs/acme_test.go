package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"go.uber.org/goleak"

	"openmail/internal/certs"
)

// What certmagic and pebble begin for the life of the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

// record is a log that may be read while it is written.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func (r *record) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Reset()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is where a server's ports are, before there is a server.
type house struct {
	dir         string
	fresh       string // a name that no test before had: certmagic remembers failures for the life of the process
	plain, tls  net.Listener
	authority   *httptest.Server
	issued      *x509.CertPool // what the authority signs with
	orders      atomic.Int64   // that it was given
	closed      atomic.Bool    // it answers nothing
	asked       atomic.Int64   // requests of any kind that it was sent
	seen        atomic.Int64   // requests for an HTTP-01 challenge
	seenTLSALPN atomic.Int64   // handshakes for a TLS-ALPN-01 challenge
	log         record
}

const (
	mx   = "mx.ours.example"
	mail = "mail.ours.example"
)

// newHouse opens ports, and a CA that looks at them: pebble, Let's Encrypt's own
// for tests, with names that lead to this machine.
func newHouse(t *testing.T) *house {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	h := &house{dir: t.TempDir(), plain: listen(t), tls: listen(t), issued: x509.NewCertPool()}
	h.fresh = fmt.Sprintf("n%d.ours.example", time.Now().UnixNano())
	quiet := stdlog.New(io.Discard, "", 0)
	here := mockdns.Zone{A: []string{"127.0.0.1"}}
	dns, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{mx + ".": here, mail + ".": here, h.fresh + ".": here}, quiet, false)
	check(t, err)
	t.Cleanup(func() { check(t, dns.Close()) })
	store := db.NewMemoryStore()
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 90 * 24 * 3600}})
	h.issued.AddCert(signer.GetRootCert(0).Cert)
	looker := va.New(quiet, port(h.plain), port(h.tls), false, dns.LocalAddr().String(), store)
	front := wfe.New(quiet, store, looker, signer, []string{"ca.test"}, false, false, 0, 0)
	answer := front.Handler()
	h.authority = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		if r.URL.Path == "/order-plz" {
			h.orders.Add(1)
		}
		if h.closed.Load() {
			panic(http.ErrAbortHandler)
		}
		answer.ServeHTTP(w, r)
	}))
	h.authority.Config.ErrorLog = quiet
	h.authority.StartTLS()
	t.Cleanup(h.authority.Close)
	return h
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// acme is the settings of a server in the house.
func (h *house) acme() *certs.ACME {
	roots := x509.NewCertPool()
	roots.AddCert(h.authority.Certificate())
	return &certs.ACME{
		Names: []string{mx, mail}, Email: "operator@ours.example", Directory: h.authority.URL + "/dir", Roots: roots,
		HTTP: h.plain.Addr(), HTTPS: h.tls.Addr(),
	}
}

// open starts a server in the house; close stops it, and leaves its ports open
// for the next.
func (h *house) open(t *testing.T, a *certs.ACME) (c *certs.Certificates, stop func()) {
	t.Helper()
	c, err := certs.New(certs.Config{Dir: h.dir, Hostname: mx, ACME: a, Logger: slog.New(slog.NewJSONHandler(&h.log, nil))})
	check(t, err)
	plain := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			h.seen.Add(1)
		}
		if !c.Challenge(w, r) {
			http.NotFound(w, r)
		}
	})}
	config := c.HTTPS()
	get := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if slices.Contains(hello.SupportedProtos, "acme-tls/1") {
			h.seenTLSALPN.Add(1)
		}
		return get(hello)
	}
	secure := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: stdlog.New(io.Discard, "", 0)}
	for _, l := range []net.Listener{h.plain, h.tls} {
		_ = l.(*net.TCPListener).SetDeadline(time.Time{})
	}
	var g sync.WaitGroup
	g.Go(func() { _ = plain.Serve(kept{h.plain}) })
	g.Go(func() { _ = secure.Serve(tls.NewListener(kept{h.tls}, config)) })
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		check(t, <-ran)
		check(t, c.Close())
		check(t, plain.Close())
		check(t, secure.Close())
		g.Wait()
	})
	t.Cleanup(stop)
	return c, stop
}

// kept is a listener that its server cannot close, only leave.
type kept struct{ net.Listener }

// Close ends the Accept under way.
func (k kept) Close() error { return k.Listener.(*net.TCPListener).SetDeadline(time.Now()) }

// get is the certificate that a client without SNI, or with the name given, is
// shown by STARTTLS.
func get(t *testing.T, c *certs.Certificates, name string) *x509.Certificate {
	t.Helper()
	cert, err := c.SMTP().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	check(t, err)
	return cert.Leaf
}

// until waits for what goes on elsewhere, and ends a test that waits in vain.
func (h *house) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain for %s: %s", what, &h.log)
		}
	}
}

// signed reports whether the authority has signed what is shown for a name.
func (h *house) signed(c *certs.Certificates, name string) func() bool {
	return func() bool {
		cert, err := c.SMTP().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			return false
		}
		between := x509.NewCertPool()
		for _, der := range cert.Certificate[1:] {
			if parsed, err := x509.ParseCertificate(der); err == nil {
				between.AddCert(parsed)
			}
		}
		_, err = cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: h.issued, Intermediates: between})
		return err == nil
	}
}

func TestACertificateIsGotForEveryNameOverTheRealChallenges(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			a := h.acme()
			if kind == "http-01" {
				a.HTTPS = nil
			} else {
				a.HTTP = h.tls.Addr() // nobody answers HTTP-01 there
				check(t, h.plain.Close())
			}
			c, stop := h.open(t, a)
			if leaf := get(t, c, ""); leaf.VerifyHostname(mx) != nil || leaf.Issuer.CommonName != mx {
				t.Errorf("before there is a certificate, %q is shown", leaf.Subject)
			}
			h.until(t, "certificates", func() bool { return h.signed(c, mx)() && h.signed(c, mail)() })
			if (h.seen.Load() > 0) != (kind == "http-01") || (h.seenTLSALPN.Load() > 0) != (kind == "tls-alpn-01") {
				t.Errorf("%d looks over HTTP, %d over TLS", h.seen.Load(), h.seenTLSALPN.Load())
			}
			for _, name := range []string{"", "stranger.example", "127.0.0.1"} {
				if leaf := get(t, c, name); leaf.VerifyHostname(mx) != nil {
					t.Errorf("a client that asks for %q gets %v", name, leaf.DNSNames)
				}
			}
			if e := c.Expiries(); len(e) != 2 || e[0].Source != "acme" || e[1].Name != mail || time.Until(e[1].At) > 90*24*time.Hour {
				t.Errorf("expiries %v", e)
			}
			stop()
			onlyForTheOwner(t, filepath.Join(h.dir, "acme"))
			for _, secret := range []string{"PRIVATE KEY", "operator@", "keyAuth"} {
				if strings.Contains(h.log.String(), secret) {
					t.Errorf("the log holds %q: %s", secret, &h.log)
				}
			}
			if !strings.Contains(h.log.String(), "certificate.obtained") {
				t.Errorf("the log does not say so: %s", &h.log)
			}
		})
	}
}

func onlyForTheOwner(t *testing.T, dir string) {
	t.Helper()
	n := 0
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	}))
	if n < 10 {
		t.Errorf("%d files in %s", n, dir)
	}
}

func TestTheNextStartUsesWhatIsStoredAndAsksNobody(t *testing.T) {
	h := newHouse(t)
	c, stop := h.open(t, h.acme())
	h.until(t, "certificates", func() bool { return h.signed(c, mx)() && h.signed(c, mail)() })
	stop()
	orders, first := h.orders.Load(), get(t, c, mail)
	again, err := certs.New(certs.Config{Dir: h.dir, Hostname: mx, ACME: h.acme(), Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	if !get(t, again, mail).Equal(first) || !h.signed(again, mx)() {
		t.Error("before it runs, it does not show what was stored")
	}
	check(t, again.Close())
	c, stop = h.open(t, h.acme())
	if !get(t, c, mail).Equal(first) {
		t.Error("another certificate after a restart")
	}
	stop()
	if h.orders.Load() != orders {
		t.Errorf("%d orders, %d before the restart", h.orders.Load(), orders)
	}
}

func TestACertificateIsRenewedAndServedWithoutARestart(t *testing.T) {
	h := newHouse(t)
	a := h.acme()
	a.Names = []string{h.fresh}
	a.RenewSoon(50 * time.Millisecond)
	c, stop := h.open(t, a)
	h.until(t, "a certificate", h.signed(c, h.fresh))
	first := get(t, c, h.fresh)
	h.until(t, "its renewal", func() bool { return h.signed(c, h.fresh)() && !get(t, c, h.fresh).Equal(first) })
	stop()
	if !strings.Contains(h.log.String(), `"renewal":true`) {
		t.Errorf("the log does not tell of a renewal: %s", &h.log)
	}
}

func TestWhileTheCAIsDownTheServerStartsAndServes(t *testing.T) {
	h := newHouse(t)
	h.closed.Store(true)
	c, stop := h.open(t, h.acme())
	h.until(t, "the failure", func() bool { return strings.Count(h.log.String(), "certificate.trouble") >= 2 })
	if leaf := get(t, c, ""); leaf.VerifyHostname(mx) != nil {
		t.Errorf("it serves %v", leaf.DNSNames)
	}
	if e := c.Expiries(); len(e) != 2 || e[0].Source != "self-signed" {
		t.Errorf("expiries %v", e)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}

func TestAProcessThatIsStartedAgainAndAgainDoesNotAskEachTime(t *testing.T) {
	h := newHouse(t)
	h.closed.Store(true)
	a := h.acme()
	a.Names = a.Names[:1]
	_, stop := h.open(t, a)
	h.until(t, "the failure", func() bool { return strings.Contains(h.log.String(), "certificate.trouble") })
	stop()
	asked := h.asked.Load()
	for range 2 {
		h.log.reset()
		_, stop = h.open(t, a)
		h.until(t, "the rest", func() bool { return strings.Contains(h.log.String(), "certificate.resting") })
		stop()
	}
	if h.asked.Load() != asked {
		t.Errorf("asked %d times more", h.asked.Load()-asked)
	}
	tries, err := filepath.Glob(filepath.Join(h.dir, "acme", "tries", "*"))
	if err != nil || len(tries) != 1 {
		t.Fatalf("files %v, %v", tries, err)
	}
	long := time.Now().Add(-time.Hour)
	check(t, os.Chtimes(tries[0], long, long))
	h.closed.Store(false)
	c, stop := h.open(t, a)
	h.until(t, "a certificate", h.signed(c, mx))
	stop()
	if _, err := os.Stat(tries[0]); !os.IsNotExist(err) {
		t.Errorf("the tries are not forgotten: %v", err)
	}
}

func TestStrangersMakeNobodyAskForACertificate(t *testing.T) {
	h := newHouse(t)
	c, stop := h.open(t, h.acme())
	h.until(t, "certificates", func() bool { return h.signed(c, mx)() && h.signed(c, mail)() })
	orders := h.orders.Load()
	for i := range 20 {
		hello := &tls.ClientHelloInfo{ServerName: fmt.Sprintf("s%d.example", i), SupportedProtos: []string{"acme-tls/1"}}
		if cert, err := c.HTTPS().GetCertificate(hello); err == nil {
			t.Errorf("a stranger's challenge is answered: %v", cert.Leaf.DNSNames)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://"+mx+"/.well-known/acme-challenge/abc", nil)
		if !c.Challenge(w, r) || w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "abc.") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/.well-known/acme-challenge/abc", nil),
		httptest.NewRequest(http.MethodGet, "/v1/me", nil),
	} {
		if c.Challenge(httptest.NewRecorder(), r) {
			t.Errorf("%s %s is taken for a challenge", r.Method, r.URL)
		}
	}
	stop()
	if h.orders.Load() != orders {
		t.Errorf("strangers made it order %d times", h.orders.Load()-orders)
	}
}

func TestOtherHostsThanTheDirectorysAreNotReached(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer elsewhere.Close()
	evil := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"newNonce":%q,"newAccount":%[1]q,"newOrder":%[1]q}`, elsewhere.URL)
	}))
	defer evil.Close()
	// The library remembers directories by their URL: these are no other test's, whichever port it had.
	for _, path := range []string{"/of-another-host", "/redirect"} {
		h := newHouse(t)
		a := h.acme()
		a.Roots.AddCert(evil.Certificate())
		a.Directory, a.Names = evil.URL+path, a.Names[:1]
		_, stop := h.open(t, a)
		h.until(t, "the refusal", func() bool { return strings.Contains(h.log.String(), "not its directory's host") })
		stop()
	}
}

func TestADirectoryWithoutHTTPSIsRefused(t *testing.T) {
	h := newHouse(t)
	for _, url := range []string{"http://ca.example/dir", "ca.example", "https://", "ftp://ca.example"} {
		a := h.acme()
		a.Directory = url
		if _, err := certs.New(certs.Config{Dir: h.dir, Hostname: mx, ACME: a, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
}

func TestAStoredCertificateThatIsDamagedDoesNotKeepTheServerFromStarting(t *testing.T) {
	h := newHouse(t)
	c, stop := h.open(t, h.acme())
	h.until(t, "certificates", func() bool { return h.signed(c, mx)() && h.signed(c, mail)() })
	stop()
	damaged, err := filepath.Glob(filepath.Join(h.dir, "acme", "certificates", "*", mx, mx+".crt"))
	if err != nil || len(damaged) != 1 {
		t.Fatalf("files %v, %v", damaged, err)
	}
	check(t, os.WriteFile(damaged[0], []byte("damaged"), 0o600))
	c, err = certs.New(certs.Config{Dir: h.dir, Hostname: mx, ACME: h.acme(), Logger: slog.New(slog.NewJSONHandler(&h.log, nil))})
	check(t, err)
	if get(t, c, mx).Issuer.CommonName != mx || !h.signed(c, mail)() {
		t.Error("not our own for the one and the stored one for the other")
	}
	if !strings.Contains(h.log.String(), "certificate.unreadable") {
		t.Errorf("the log does not say so: %s", &h.log)
	}
	check(t, c.Close())
}
