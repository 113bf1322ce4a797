package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/access"
	"openmail/internal/blob"
	"openmail/internal/dispatch"
	"openmail/internal/domains"
	"openmail/internal/extract"
	"openmail/internal/httpapi"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/mailauth"
	"openmail/internal/mailbox"
	"openmail/internal/mime"
	"openmail/internal/outgoing"
	"openmail/internal/store"
	"openmail/internal/webhook"
)

const domain = "mail.example"

// world is a server over the real rooms and the real store, with two accounts.
type world struct {
	t      *testing.T
	db     *store.DB
	server *httpapi.Server
	http   *httptest.Server
	access *access.Access
	log    *bytes.Buffer
	reader reader
	names  names

	account, token           string // an account and its key
	otherAccount, otherToken string // another
	revoked                  []string
}

func newWorld(t *testing.T, change ...func(*httpapi.Config)) *world {
	t.Helper()
	return newWorldOn(t, store.Config{}, change...)
}

// newWorldOn is newWorld over a store with some settings.
func newWorldOn(t *testing.T, on store.Config, change ...func(*httpapi.Config)) *world {
	t.Helper()
	ctx := t.Context()
	links := api.Links{PublicURL: "http://public.example"}
	blobs, err := blob.NewFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	on.Dir, on.Blobs, on.Links, on.FileKey = t.TempDir(), blobs, links, bytes.Repeat([]byte{7}, 32)
	db, err := store.Open(ctx, on)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, log: &bytes.Buffer{}}
	rooms := mailbox.New(mailbox.Config{
		Pods: db, Inboxes: db, Mail: db, Changes: db, Raws: db, Policies: db, Rules: db, Records: db, Quarantine: db,
		Texts: db, Usages: db, Feedbacks: db, Reader: &w.reader, ReadTime: 10 * time.Second, Own: db,
		Domains: []string{domain, "xn--bcher-kva.example"},
	})
	w.access = access.New(access.Config{
		Keys: db, Uses: db, Accounts: db, Inboxes: rooms,
		OnRevoke: func(key string) { w.revoked = append(w.revoked, key) },
	})
	if w.token, _, err = w.access.First(ctx, ""); err != nil {
		t.Fatal(err)
	}
	w.account = w.accounts()[0].ID
	w.otherAccount, w.otherToken = w.newAccount()
	sender, err := webhook.New(webhook.Config{Allow: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	webhooks, listeners := dispatch.NewWebhooks(db, target{sender}), dispatch.NewListeners()
	c := httpapi.Config{
		Access: w.access, Mailbox: rooms, Domains: domains.New(domains.Config{
			Store: db, Due: db, Pods: rooms, Names: &w.names, Keys: mailauth.NewSigner(db), Hostname: "mx." + domain, Own: []string{domain},
			SPF: "a:mx." + domain, PerDay: 20, Logger: slog.New(slog.DiscardHandler),
		}),
		Releaser: intake.New(intake.Config{
			Store: db, Quarantine: db, Bell: quiet{}, Dispatcher: quiet{}, Listening: listeners.Wanted,
			MaxBytes: 1 << 20, Keep: time.Hour, Logger: slog.New(slog.DiscardHandler),
		}),
		Sender: outgoing.New(outgoing.Config{
			Inboxes: rooms, Store: db, Rules: db, Quotas: db, Ours: func(_ context.Context, d string) (bool, error) { return d == domain, nil }, Wake: func(string) {}, MaxBytes: 36 << 20,
		}),
		Suppressed: db,
		Journal:    db, Redeliverer: dispatch.NewAgain(db, listeners, quiet{}),
		Webhooks: webhooks, InboxWebhooks: webhooks, Secrets: webhooks, Sockets: sockets{},
		Ready: db.Ready, Links: links, Version: "test",
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	w.server = httpapi.New(c)
	w.http = httptest.NewServer(w.server)
	t.Cleanup(func() {
		w.http.Close()
		sender.Close()
		if err := errors.Join(db.Close(), blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) accounts() []openmail.Account {
	w.t.Helper()
	accounts, err := w.db.Accounts(w.t.Context(), openmail.Operator())
	if err != nil {
		w.t.Fatal(err)
	}
	return accounts
}

func (w *world) newAccount() (account, token string) {
	w.t.Helper()
	token, now := access.NewToken(), time.Now()
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), Name: "other", ReceiptDeadline: 10 * time.Second, CreatedAt: now}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: now}
	if err := w.db.CreateAccount(w.t.Context(), openmail.Operator(), a, k, sha256.Sum256([]byte(token))); err != nil {
		w.t.Fatal(err)
	}
	return a.ID, token
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request as token; body is sent as it is when it is a string, as
// JSON when it is something else, and not at all when it is nil. Redirects are
// not followed.
func (w *world) do(method, path, token string, body any) answer {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return w.send(req)
}

func (w *world) send(req *http.Request) answer {
	w.t.Helper()
	client := *w.http.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	got := answer{resp.StatusCode, resp.Header, text}
	seen.check(w.t, w.server.OpenAPI(), req, got)
	return got
}

// want sends a request as the account and decodes what is answered with that
// status into a T.
func want[T any](w *world, status int, method, path string, body any) T {
	w.t.Helper()
	return wantAs[T](w, w.token, status, method, path, body)
}

func wantAs[T any](w *world, token string, status int, method, path string, body any) (out T) {
	w.t.Helper()
	got := w.do(method, path, token, body)
	if got.status != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
	if status == http.StatusNoContent {
		return out
	}
	if err := json.Unmarshal(got.body, &out); err != nil {
		w.t.Fatalf("%s %s: %v in %s", method, path, err, got.body)
	}
	return out
}

// fails sends a request and checks the code of the error and its field.
func (w *world) fails(status int, code openmail.Code, field, method, path, token string, body any) api.Error {
	w.t.Helper()
	e := wantAs[api.Error](w, token, status, method, path, body)
	if e.Code != string(code) || e.Field != field || e.Message == "" || !strings.HasPrefix(e.RequestID, openmail.PrefixRequest) {
		w.t.Errorf("%s %s: %+v, want %s on field %q", method, path, e, code, field)
	}
	return e
}

func (w *world) inbox(name string) api.Inbox {
	w.t.Helper()
	return want[api.Inbox](w, http.StatusCreated, http.MethodPost, "/v1/inboxes", api.InboxCreate{MailboxName: name})
}

// pod makes a pod with that clientId.
func (w *world) pod(clientID string) api.Pod {
	w.t.Helper()
	return want[api.Pod](w, http.StatusCreated, http.MethodPost, "/v1/pods", api.PodCreate{ClientID: &clientID})
}

// inboxIn makes an inbox in a pod.
func (w *world) inboxIn(pod, name string) api.Inbox {
	w.t.Helper()
	return want[api.Inbox](w, http.StatusCreated, http.MethodPost, "/v1/inboxes", api.InboxCreate{MailboxName: name, PodID: &pod})
}

// podKey makes a key that reaches that pod only.
func (w *world) podKey(pod string) api.APIKey {
	w.t.Helper()
	return want[api.APIKey](w, http.StatusCreated, http.MethodPost, "/v1/pods/"+pod+"/api-keys", api.APIKeyCreate{})
}

// inboxKey makes a key that reaches that inbox only.
func (w *world) inboxKey(inbox string) api.APIKey {
	w.t.Helper()
	return want[api.APIKey](w, http.StatusCreated, http.MethodPost, "/v1/inboxes/"+inbox+"/api-keys", api.APIKeyCreate{})
}

// mail files a mail in an inbox, as if it had come in at that time.
func (w *world) mail(inbox api.Inbox, raw string, when time.Time, verdict openmail.Verdict) intake.Filed {
	w.t.Helper()
	filed, err := w.db.File(w.t.Context(), filing(w.account, inbox.ID, inbox.Address, raw, when, verdict))
	if err != nil {
		w.t.Fatal(err)
	}
	return filed[0]
}

func admitted() openmail.Verdict { return openmail.Verdict{Admitted: true} }

func filing(account, inbox, address, raw string, when time.Time, verdict openmail.Verdict) intake.Filing {
	c := mime.Read([]byte(raw))
	m := openmail.Message{
		ID: id.At(openmail.PrefixMessage, when), Account: account, Inbox: inbox, Thread: id.New(openmail.PrefixThread),
		Direction: openmail.Inbound, Status: openmail.StatusReceived,
		ToAddr: address, HeaderTo: address, DeliveryRole: openmail.RoleTo, Subject: c.Subject,
		BodyText: c.Text, BodyHTML: c.HTML, Attachments: c.Attachments, Defects: c.Defects,
		RFCMessageID: c.MessageID, References: c.References,
		Envelope:     openmail.MessageEnvelope{MailFrom: "bounce@sender.example", RcptTo: address},
		EnvelopeRole: openmail.RoleTo, SizeBytes: int64(len(raw)), CreatedAt: when,
	}
	if len(c.From) > 0 {
		m.From = c.From[0]
	}
	if len(c.InReplyTo) > 0 {
		m.InReplyTo = c.InReplyTo[0]
	}
	return intake.Filing{
		Raw: []byte(raw), Digest: sha256.Sum256([]byte(raw)), At: when,
		Copies: []intake.Copy{{
			Message: m, Event: id.New(openmail.PrefixEvent), Verdict: verdict, Expires: when.Add(30 * 24 * time.Hour),
		}},
		Listening: nobody,
	}
}

func nobody(string, string, openmail.EventType) bool { return false }

// letter is a small mail in the bytes of the wire.
func letter(messageID, subject string, more ...string) string {
	head := "From: Alice Ärmel <alice@sender.example>\r\nTo: jane@" + domain + "\r\nMessage-ID: <" + messageID + ">\r\nSubject: " + subject + "\r\n"
	return head + strings.Join(more, "") + "\r\nHello from " + subject + ".\r\n"
}

// target is a real sender, which may also post to this machine.
type target struct{ *webhook.Sender }

func (target) NewSecret() string { return webhook.NewSecret() }

// names is the domain name system.
type names struct {
	mu      sync.Mutex
	records []api.DomainRecord
}

func (n *names) publish(records []api.DomainRecord) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records = records
}

func (n *names) find(kind, name string) (values []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.records {
		if r.Type == kind && r.Name == name {
			values = append(values, r.Value)
		}
	}
	return values
}

func (n *names) TXT(_ context.Context, name string) ([]string, error) {
	return n.find("TXT", name), nil
}

func (n *names) MX(_ context.Context, name string) ([]string, error) { return n.find("MX", name), nil }

// reader reads attachments in this process, as a child does.
type reader struct {
	mu     sync.Mutex
	calls  int
	before func()              // what each call waits for; nil for nothing
	says   openmail.Extraction // instead; "" for the truth
}

func (r *reader) Mail(ctx context.Context, _ string, raw []byte, files []openmail.Attachment) []openmail.Attachment {
	r.mu.Lock()
	r.calls++
	before, says := r.before, r.says
	r.mu.Unlock()
	if before != nil {
		before()
	}
	files = slices.Clone(files)
	for i, a := range files {
		data, err := io.ReadAll(mime.Open(raw, a))
		if err != nil {
			panic(err) // the reader has no errors
		}
		if files[i].Extracted = (extract.Tools{}).Text(ctx, a.Filename, a.ContentType, data); says != "" {
			files[i].Extracted = openmail.Extracted{Method: says}
		}
	}
	return files
}

// quiet is a bell that nobody hears and a dispatcher that nobody runs.
type quiet struct{}

func (quiet) Ring(string) {}

func (quiet) Wake(dispatch.Lane) {}

func (quiet) Filed(string, string, openmail.State) {}

// sockets stand for the event stream, with one socket to each account.
type sockets struct{}

func (sockets) Sockets(scope openmail.Scope) []api.Socket {
	return []api.Socket{{ID: "sck_of_" + scope.Account, ConnectedAt: api.Time{Time: time.Now()}, InboxIDs: []string{}, EventTypes: []string{}}}
}

func (sockets) Disconnect(scope openmail.Scope, socket string) error {
	if socket != "sck_of_"+scope.Account {
		return openmail.Errorf(openmail.CodeNotFound, "There is no such socket.")
	}
	return nil
}

func (sockets) Ticket(key openmail.Key) (string, time.Time) {
	return "ticket_of_" + key.ID, time.Now().Add(time.Minute)
}

var errBroken = errors.New("disk on fire at /secret/path")

// domain brings a domain of that pod.
func (w *world) domain(name, pod string) api.Domain {
	w.t.Helper()
	return want[api.Domain](w, http.StatusCreated, http.MethodPost, "/v1/domains", api.DomainCreate{Domain: name, PodID: &pod})
}
