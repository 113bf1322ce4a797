package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"openmail/api"
	"openmail/internal/app"
)

// trust is the configuration of a client that knows the certificate in the data
// folder, and calls the server by a name.
func trust(t *testing.T, dir, name string) *tls.Config {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "smtp-tls.pem"))
	check(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// over is an HTTP client that comes to addr whatever it is asked for, and does
// not follow a redirect.
func over(t *testing.T, addr string, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestHTTPSServesRESTAndTheStream(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, config(t, dir, map[string]string{"OPENMAIL_HTTPS": "127.0.0.1:0", "OPENMAIL_DOMAIN": "ours.example"}))
	at := s.Addresses()
	_, port, err := net.SplitHostPort(at.HTTPS)
	check(t, err)
	if want := "https://ours.example:" + port; s.PublicURL() != want {
		t.Errorf("public URL %s, want %s", s.PublicURL(), want)
	}
	var written app.Addresses
	b, err := os.ReadFile(filepath.Join(dir, "addresses.json"))
	check(t, err)
	if check(t, json.Unmarshal(b, &written)); written != at {
		t.Errorf("addresses.json has %+v, not %+v", written, at)
	}

	trusting := trust(t, dir, "ours.example")
	r, err := http.NewRequest(http.MethodPost, s.PublicURL()+"/v1/inboxes", strings.NewReader(`{"mailboxName":"jane"}`))
	check(t, err)
	r.Header.Set("Authorization", "Bearer "+s.NewKey())
	r.Header.Set("Content-Type", "application/json")
	resp, err := over(t, at.HTTPS, trusting).Do(r)
	check(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.ProtoMajor != 1 {
		t.Errorf("answered %s %s", resp.Proto, resp.Status)
	}

	dialer := websocket.Dialer{TLSClientConfig: trusting}
	conn, _, err := dialer.Dial("wss://"+at.HTTPS+"/v1/ws", http.Header{"Authorization": {"Bearer " + s.NewKey()}})
	check(t, err)
	defer conn.Close()
	check(t, conn.WriteJSON(map[string]string{"type": "subscribe"}))
	check(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	read := func(what string) {
		for message := ""; !strings.Contains(message, what); {
			_, b, err := conn.ReadMessage()
			check(t, err)
			message = string(b)
		}
	}
	read(`"type":"subscribed"`)
	s.mail(t, "jane@ours.example", "over TLS")
	read(`"subject":"over TLS"`)
}

func TestOldVersionsOfTLSAndHTTP2AreNotSpoken(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, config(t, dir, map[string]string{"OPENMAIL_HTTPS": "127.0.0.1:0"}))
	old := trust(t, dir, "openmail.localhost")
	old.MaxVersion = tls.VersionTLS11
	if conn, err := tls.Dial("tcp", s.Addresses().HTTPS, old); err == nil {
		t.Errorf("version %x is spoken", conn.ConnectionState().Version)
	}
	wants := trust(t, dir, "openmail.localhost")
	wants.NextProtos = []string{"h2", "http/1.1"}
	conn, err := tls.Dial("tcp", s.Addresses().HTTPS, wants)
	check(t, err)
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("%q was chosen", p)
	}
}

func TestThePlainPortRefusesKeysOfOthersAndRedirectsWhatHasNone(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), map[string]string{"OPENMAIL_HTTPS": "127.0.0.1:0", "OPENMAIL_PUBLIC_URL": "https://mail.ours.example/om"}))
	plain := over(t, s.Addresses().HTTP, nil)
	ask := func(method, path string, header ...string) (*http.Response, string) {
		r, err := http.NewRequest(method, "http://evil.example"+path, nil)
		check(t, err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := plain.Do(r)
		check(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		check(t, err)
		return resp, string(b)
	}
	const forwarded, stranger = "X-Forwarded-For", "192.0.2.7"
	resp, _ := ask("GET", "/openapi.json", forwarded, stranger)
	if want := "https://mail.ours.example/om/openapi.json"; resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != want {
		t.Errorf("%s to %q, want %s", resp.Status, resp.Header.Get("Location"), want)
	}
	for _, path := range []string{"/v1/me", "/v1/ws?token=" + s.NewKey()} {
		resp, body := ask("GET", path, forwarded, stranger, "Authorization", "Bearer "+s.NewKey())
		var told api.Error
		if json.Unmarshal([]byte(body), &told) != nil || told.Code != "https_required" || resp.StatusCode != http.StatusForbidden || !resp.Close {
			t.Errorf("%s: %s, close %v, %s", path, resp.Status, resp.Close, body)
		}
		if resp.Header.Get("Location") != "" || strings.Contains(body, s.NewKey()) {
			t.Errorf("%s: the answer has the key, or a way: %s %s", path, resp.Header, body)
		}
	}
	for _, path := range []string{"/health", "/ready", "/metrics"} {
		if resp, _ := ask("GET", path, forwarded, stranger); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if resp, _ := ask("GET", "/v1/me", "Authorization", "Bearer "+s.NewKey()); resp.StatusCode != http.StatusOK {
		t.Errorf("from this machine: %s", resp.Status)
	}
}

func TestWithoutHTTPSThePlainPortServesEverybody(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), nil))
	r, err := http.NewRequest(http.MethodGet, "http://"+s.Addresses().HTTP+"/v1/me", nil)
	check(t, err)
	r.Header.Set("X-Forwarded-For", "192.0.2.7")
	r.Header.Set("Authorization", "Bearer "+s.NewKey())
	resp, err := over(t, s.Addresses().HTTP, nil).Do(r)
	check(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || s.Addresses().HTTPS != "" {
		t.Errorf("%s, %+v", resp.Status, s.Addresses())
	}
}

func TestMailAndHTTPSFlowWhileTheCAIsDown(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, gone.Close())
	dir := t.TempDir()
	s := serve(t, config(t, dir, map[string]string{
		"OPENMAIL_HTTPS": "127.0.0.1:0", "OPENMAIL_DOMAIN": "ours.example", "OPENMAIL_HOSTNAME": "MX.ours.example",
		"OPENMAIL_ACME": "on", "OPENMAIL_ACME_DIRECTORY": "https://" + gone.Addr().String() + "/dir",
	}))
	_, err = s.client(t, s.NewKey()).CreateInbox(t.Context(), api.InboxCreate{MailboxName: "jane"})
	check(t, err)
	c, err := smtp.Dial(s.Addresses().SMTP)
	check(t, err)
	check(t, c.StartTLS(trust(t, dir, "mx.ours.example")))
	check(t, c.Close())
	s.mail(t, "jane@ours.example", "meanwhile")
	resp, err := over(t, s.Addresses().HTTPS, trust(t, dir, "mx.ours.example")).Get("https://mx.ours.example/metrics")
	check(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	if !strings.Contains(string(b), `openmail_certificate_expires_seconds{name="mx.ours.example",source="self-signed"}`) {
		t.Errorf("/metrics does not tell of the certificate: %s", b)
	}
}

func TestBadSettingsOfTLSSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		given map[string]string
		want  string
	}{
		"a name of this machine": {map[string]string{"OPENMAIL_ACME": "on"}, "openmail.localhost is a name of this machine"},
		"an address":             {map[string]string{"OPENMAIL_ACME": "on", "OPENMAIL_HOSTNAME": "192.0.2.1"}, "192.0.2.1 is an address"},
		"an address in the URL":  {map[string]string{"OPENMAIL_ACME": "on", "OPENMAIL_DOMAIN": "ours.example", "OPENMAIL_PUBLIC_URL": "https://[2001:db8::1]:8443"}, "2001:db8::1 is an address"},
		"files and ACME":         {map[string]string{"OPENMAIL_ACME": "on", "OPENMAIL_DOMAIN": "ours.example", "OPENMAIL_TLS_CERT": "c", "OPENMAIL_TLS_KEY": "k"}, "exclude one another"},
		"a plain CA":             {map[string]string{"OPENMAIL_ACME_DIRECTORY": "http://ca.example/dir"}, "OPENMAIL_ACME_DIRECTORY: "},
		"two addresses":          {map[string]string{"OPENMAIL_ACME_EMAIL": "a@x.example, b@x.example"}, "OPENMAIL_ACME_EMAIL: "},
		"no port":                {map[string]string{"OPENMAIL_HTTPS": "443"}, "OPENMAIL_HTTPS: "},
	} {
		_, _, err := app.Load(func(name string) string { return c.given[name] }, func(string) (string, bool) { return "", false })
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	taken := serve(t, config(t, t.TempDir(), nil)).Addresses().HTTP
	empty := filepath.Join(t.TempDir(), "empty.pem")
	check(t, os.WriteFile(empty, nil, 0o600))
	ours := map[string]string{"OPENMAIL_ACME": "on", "OPENMAIL_DOMAIN": "ours.example"}
	for env, value := range map[string]string{"OPENMAIL_HTTPS": taken, "OPENMAIL_ACME_ROOTS": empty} {
		given := map[string]string{env: value}
		for k, v := range ours {
			given[k] = v
		}
		_, err := app.New(t.Context(), config(t, t.TempDir(), given), "test", slog.New(slog.DiscardHandler))
		want := map[string]string{"OPENMAIL_HTTPS": "choose another with --https", "OPENMAIL_ACME_ROOTS": "holds no certificate"}[env]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", env, err, want)
		}
	}
}
