package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"openmail/api"
	"openmail/client"
	"openmail/internal/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is the settings of a server on free ports; given overrides.
func config(t *testing.T, dir string, given map[string]string) app.Config {
	t.Helper()
	env := map[string]string{"OPENMAIL_HTTP": "127.0.0.1:0", "OPENMAIL_SMTP": "127.0.0.1:0", "OPENMAIL_DATA": dir}
	for k, v := range given {
		env[k] = v
	}
	c, _, err := app.Load(func(name string) string { return env[name] }, func(string) (string, bool) { return "", false })
	check(t, err)
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// log is a log that may be read while it is written.
type log struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	started chan struct{} // closed by the record that the server runs
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(b, []byte(`"server.started"`)) {
		close(l.started)
	}
	return l.buf.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// server is a server that runs.
type server struct {
	*app.App
	log  *log
	stop func() error
}

// serve starts a server; stop it.
func serve(t *testing.T, c app.Config) *server {
	t.Helper()
	s := &server{log: &log{started: make(chan struct{})}}
	a, err := app.New(t.Context(), c, "test", slog.New(slog.NewJSONHandler(s.log, nil)))
	check(t, err)
	s.App = a
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { check(t, s.stop()) })
	<-s.log.started
	return s
}

func (s *server) client(t *testing.T, key string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{BaseURL: "http://" + s.Addresses().HTTP, APIKey: key})
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

// mail sends a mail without STARTTLS, whose certificate nobody has signed.
func (s *server) mail(t testing.TB, to, subject string) {
	t.Helper()
	c, err := smtp.Dial(s.Addresses().SMTP)
	check(t, err)
	defer c.Close()
	check(t, errors.Join(c.Mail("ann@sender.test"), c.Rcpt(to)))
	w, err := c.Data()
	check(t, err)
	_, err = io.WriteString(w, "From: ann@sender.test\r\nTo: "+to+"\r\nSubject: "+subject+"\r\n\r\nHello\r\n")
	check(t, errors.Join(err, w.Close(), c.Quit()))
}

func TestAMailGoesFromTheSMTPPortToTheSocketAndIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, config(t, dir, nil))
	c := s.client(t, s.NewKey())
	inbox, err := c.CreateInbox(t.Context(), api.InboxCreate{MailboxName: "jane"})
	check(t, err)

	options := client.ListenOptions{OnState: func(st client.State) {
		if st.Kind == client.StateConnected {
			s.mail(t, "jane+tag@openmail.localhost", "first")
		}
	}}
	var message string
	for e, err := range c.Listen(t.Context(), options) {
		check(t, err)
		if e.Message.Subject != "first" || e.InboxID != inbox.ID || e.Attempt != 1 || e.Message.Envelope.RcptTo != "jane+tag@openmail.localhost" {
			t.Errorf("the event is %s", e.Raw)
		}
		message = e.Message.ID
		break
	}
	check(t, s.stop())

	again := serve(t, config(t, dir, nil))
	if again.NewKey() != "" {
		t.Error("a second start made a key")
	}
	key, err := os.ReadFile(again.KeyFile())
	check(t, err)
	m, err := again.client(t, strings.TrimSpace(string(key))).Message(t.Context(), message)
	if err != nil || m.Subject != "first" {
		t.Errorf("after the restart: %+v, %v", m, err)
	}
}

// Clients read a message again by REST as soon as its event comes.
func TestAMessageIsThereBeforeItsEventIs(t *testing.T) {
	const mails = 20
	s := serve(t, config(t, t.TempDir(), nil))
	c := s.client(t, s.NewKey())
	inbox, err := c.CreateInbox(t.Context(), api.InboxCreate{})
	check(t, err)
	var sent sync.WaitGroup
	defer sent.Wait()
	options := client.ListenOptions{OnState: func(st client.State) {
		if st.Kind == client.StateConnected {
			sent.Go(func() {
				for n := range mails {
					s.mail(t, inbox.Address, strconv.Itoa(n)+" of many")
				}
			})
		}
	}}
	seen := 0
	for e, err := range c.Listen(t.Context(), options) {
		check(t, err)
		thread, err := c.Thread(t.Context(), e.ThreadID)
		if check(t, err); !slices.ContainsFunc(thread.Data, func(m api.Message) bool { return m.ID == e.Message.ID }) {
			t.Errorf("%s is not in its thread", e.Message.ID)
		}
		if seen++; seen == mails {
			break
		}
	}
}

func TestTheAddressesAndKeysStandInTheDataFolder(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, config(t, dir, map[string]string{"OPENMAIL_ROOT_KEY": "om_0123456789abcdef0123456789"}))
	b, err := os.ReadFile(filepath.Join(dir, "addresses.json"))
	check(t, err)
	var a app.Addresses
	check(t, json.Unmarshal(b, &a))
	if a != s.Addresses() {
		t.Errorf("addresses.json says %+v, the server listens on %+v", a, s.Addresses())
	}
	for _, name := range []string{"root-key", "file-key", "smtp-tls.pem", "openmail.db"} {
		info, err := os.Stat(filepath.Join(dir, name))
		check(t, err)
		if name != "openmail.db" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode()&fs.ModePerm&0o077 != 0 && !strings.Contains(dir, t.Name()) {
		t.Errorf("the data folder is %v, %v", info.Mode(), err)
	}
	me, err := s.client(t, "om_0123456789abcdef0123456789").Me(t.Context())
	if err != nil || me.APIKeyScope != "account" {
		t.Errorf("me is %+v, %v", me, err)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), nil))
	c := s.client(t, s.NewKey())
	_, err := c.CreateInbox(t.Context(), api.InboxCreate{MailboxName: "jane"})
	check(t, err)
	s.mail(t, "jane@openmail.localhost", "canary-subject")
	resp, err := http.Get("http://" + s.Addresses().HTTP + "/v1/ws?token=" + s.NewKey())
	check(t, err)
	check(t, resp.Body.Close())
	check(t, s.stop())
	for _, secret := range []string{s.NewKey(), "canary", "jane@", "ann@"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, s.log)
		}
	}
	if !strings.Contains(s.log.String(), "mail.received") || !strings.Contains(s.log.String(), "http.request") {
		t.Errorf("the log lacks its records:\n%s", s.log)
	}
}

func TestAServerThatCannotStartSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, config(t, dir, nil))
	newer := t.TempDir()
	check(t, os.WriteFile(filepath.Join(newer, "file-key"), []byte("damaged"), 0o600))
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct {
		dir   string
		given map[string]string
		want  []string
	}{
		"data folder in use": {dir, nil, []string{"in use by another openmail", "--data"}},
		"http port taken":    {t.TempDir(), map[string]string{"OPENMAIL_HTTP": s.Addresses().HTTP}, []string{"taken by another program", "--http"}},
		"smtp port taken":    {t.TempDir(), map[string]string{"OPENMAIL_SMTP": s.Addresses().SMTP}, []string{"taken by another program", "--smtp"}},
		"data is a file":     {file, nil, []string{"cannot be made"}},
		"damaged file key":   {newer, nil, []string{"damaged", "backup"}},
		"bad root key":       {t.TempDir(), map[string]string{"OPENMAIL_ROOT_KEY": "secret"}, []string{"OPENMAIL_ROOT_KEY", "om_"}},
		"no certificate":     {t.TempDir(), map[string]string{"OPENMAIL_TLS_CERT": "/none", "OPENMAIL_TLS_KEY": "/none"}, []string{"certificate"}},
	} {
		_, err := app.New(t.Context(), config(t, c.dir, c.given), "test", slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%s: it started", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: not one line: %q", name, err)
		}
	}
}

func TestARootKeyThatIsRefusedIsNotKept(t *testing.T) {
	dir := t.TempDir()
	_, err := app.New(t.Context(), config(t, dir, map[string]string{"OPENMAIL_ROOT_KEY": "not-a-key"}), "test", slog.New(slog.DiscardHandler))
	if want := "OPENMAIL_ROOT_KEY: The root key must begin with om_"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("error %v, want %q…", err, want)
	}
	s := serve(t, config(t, dir, nil))
	defer func() { check(t, s.stop()) }()
	if !strings.HasPrefix(s.NewKey(), "om_") {
		t.Errorf("the next start made the key %q", s.NewKey())
	}
}

func TestBadSettingsNameTheSettingAndWhatIsAllowed(t *testing.T) {
	for env, value := range map[string]string{
		"OPENMAIL_HTTP": "8025", "OPENMAIL_DOMAIN": "jane@x", "OPENMAIL_PUBLIC_URL": "ftp://x", "OPENMAIL_DATABASE": "mysql://x",
		"OPENMAIL_LIMITS": "maybe", "OPENMAIL_RECEIPT_DEADLINE": "1s", "OPENMAIL_LIMIT_SOCKETS": "-1", "OPENMAIL_RETAIN_EVENTS": "30 days", "OPENMAIL_LOG": "xml",
		"OPENMAIL_RELAY": "smtp://me:s3cret@x/y", "OPENMAIL_SMTP_DNS": "127.0.0.1",
		"OPENMAIL_LIMIT_COLD_ACCOUNT": "150,", "OPENMAIL_LIMIT_COLD_INBOX": "many", "OPENMAIL_SMTP_ALLOW": "10.0.0.0/99", "OPENMAIL_WEBHOOK_ALLOW": "10.0.0.0/99", "OPENMAIL_BELL": "nats://x", "OPENMAIL_BLOBS": "s3://x", "OPENMAIL_TLS_CERT": "only-one",
	} {
		_, _, err := app.Load(func(name string) string {
			if name == env {
				return value
			}
			return ""
		}, func(string) (string, bool) { return "", false })
		if err == nil {
			t.Errorf("%s=%s was accepted", env, value)
		} else if env != "OPENMAIL_TLS_CERT" && !strings.HasPrefix(err.Error(), env+": ") {
			t.Errorf("%s=%s: %v", env, value, err)
		} else if strings.Contains(err.Error(), "bad_request") {
			t.Errorf("%s=%s names a code of the wire to a person: %v", env, value, err)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s=%s: a password is repeated: %v", env, value, err)
		}
	}
}

func TestFlagsWinOverTheEnvironmentOverDefaults(t *testing.T) {
	env := map[string]string{"OPENMAIL_HTTP": "127.0.0.1:1", "OPENMAIL_SMTP": "127.0.0.1:2", "OPENMAIL_DATABASE": "postgres://u:secret@h/d", "OPENMAIL_ROOT_KEY": "om_secret", "OPENMAIL_RELAY": "smtps://me:secret@relay.test"}
	c, values, err := app.Load(func(name string) string { return env[name] }, func(name string) (string, bool) {
		return "127.0.0.1:3", name == "http"
	})
	check(t, err)
	if c.HTTP != "127.0.0.1:3" || c.SMTP != "127.0.0.1:2" || c.Domain != "openmail.localhost" || !c.Limits {
		t.Errorf("loaded %+v", c)
	}
	for _, v := range values {
		if strings.Contains(v.Shown(), "secret") {
			t.Errorf("%s is shown as %q", v.Env, v.Shown())
		}
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), nil))
	_, err := s.client(t, s.NewKey()).CreateInbox(t.Context(), api.InboxCreate{MailboxName: "jane"})
	check(t, err)
	s.mail(t, "jane@openmail.localhost", "counted")
	resp, err := http.Get("http://" + s.Addresses().HTTP + "/metrics")
	check(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	for _, want := range []string{"openmail_mails_received_total 1", "openmail_sockets 0", `openmail_deliveries_waiting{state="due"} 0`, "openmail_store_commits_total"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestStoppingTellsANewSMTPClientToComeBack(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), nil))
	conn, err := net.Dial("tcp", s.Addresses().SMTP)
	check(t, err)
	defer conn.Close()
	b := make([]byte, 512)
	n, err := conn.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "220 ") {
		t.Fatalf("greeted with %q, %v", b[:n], err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	rest, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(rest), "421 ") {
		t.Errorf("told %q, %v", rest, err)
	}
	check(t, <-stopped)
}

func TestAPathThatIsNotCleanIsAnsweredInJSONAndNotRedirected(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), nil))
	for _, path := range []string{"/v1/inboxes/../me", "//v1/me", "/v1/./ws", "/metrics/../v1/me"} {
		r, err := http.DefaultTransport.RoundTrip(&http.Request{
			Method: http.MethodPost,
			URL:    &url.URL{Scheme: "http", Host: s.Addresses().HTTP, Path: path},
			Header: http.Header{"Connection": {"close"}},
		})
		check(t, err)
		defer r.Body.Close()
		var told api.Error
		if err := json.NewDecoder(r.Body).Decode(&told); err != nil || r.StatusCode != http.StatusNotFound || told.Code != "not_found" {
			t.Errorf("%s: %s, %+v, %v", path, r.Status, told, err)
		}
	}
}
