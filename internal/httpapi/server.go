// Package httpapi is the REST door: every route, its JSON, its errors, and the
// OpenAPI document that is made from the same declarations.
//
// A handler takes its input already checked, asks a room with the scope of
// the key that asks, and answers; everything that all requests share stands
// around the handlers: the request id, the limits, the key, the error shape,
// the record in the log.
package httpapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
	"openmail/api"
	"openmail/internal/access"
	"openmail/internal/dispatch"
	"openmail/internal/domains"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/mailbox"
	"openmail/internal/outgoing"
)

// Limits of a request and of its answer.
const (
	maxBody      = 4 << 20          // bytes of any request: a policy of 10,000 rules fits
	smallBody    = 64 << 10         // bytes of a request that is not a policy
	readTimeout  = 10 * time.Second // for the whole body of a request, unless Config says otherwise
	writeTimeout = time.Minute      // for an answer in JSON
	streamTime   = 10 * time.Minute // for the bytes of a mail or an attachment
)

// Releaser takes mail out of quarantine.
type Releaser interface {
	// Release makes it a message with an event; openmail.CodeNotFound.
	Release(ctx context.Context, scope openmail.Scope, id string) (intake.Filed, error)
}

// Redeliverer sends events again.
type Redeliverer interface {
	// Redeliver sends one event again and returns it; openmail.CodeNotFound.
	Redeliver(ctx context.Context, scope openmail.Scope, event string) (openmail.Event, error)
	// RedeliverAll sends again what the filter matches, and returns how many
	// events those were.
	RedeliverAll(ctx context.Context, scope openmail.Scope, f dispatch.Filter) (int, error)
}

// Webhooks manages the account's endpoint.
type Webhooks interface {
	// Webhook returns it; openmail.CodeNotFound when none is set.
	Webhook(ctx context.Context, scope openmail.Scope) (openmail.Endpoint, error)
	// PutWebhook sets its URL. created reports that there was none, so that
	// its secret is new and has to be shown. openmail.CodeInvalidWebhookURL.
	PutWebhook(ctx context.Context, scope openmail.Scope, url string) (e openmail.Endpoint, created bool, err error)
	// DeleteWebhook removes it; it is no error when there is none.
	DeleteWebhook(ctx context.Context, scope openmail.Scope) error
	// TestWebhook posts a test event and returns how that ended;
	// openmail.CodeNoWebhookURL.
	TestWebhook(ctx context.Context, scope openmail.Scope) (openmail.Attempt, error)
}

// InboxWebhooks manages the endpoints of single inboxes.
type InboxWebhooks interface {
	// NewWebhook makes an endpoint with that URL and a secret, which is not
	// stored; openmail.CodeInvalidWebhookURL.
	NewWebhook(ctx context.Context, scope openmail.Scope, url string) (openmail.Endpoint, error)
	// PutInboxWebhook stores what NewWebhook made, for the inbox that it
	// names. The secret stays when there was an endpoint before; created
	// reports that there was none.
	PutInboxWebhook(ctx context.Context, scope openmail.Scope, fresh openmail.Endpoint) (e openmail.Endpoint, created bool, err error)
	// DeleteInboxWebhook removes it; it is no error when there is none.
	DeleteInboxWebhook(ctx context.Context, scope openmail.Scope, inbox string) error
	// TestInboxWebhook posts a test event and returns how that ended;
	// openmail.CodeNoWebhookURL.
	TestInboxWebhook(ctx context.Context, scope openmail.Scope, inbox string) (openmail.Attempt, error)
}

// Secrets changes the secret of an endpoint. The error of each is
// openmail.CodeNoWebhookURL when there is none.
type Secrets interface {
	// RotateSecret returns a new secret; the old one is invalid at once.
	RotateSecret(ctx context.Context, scope openmail.Scope) (string, error)
	// RotateInboxSecret is RotateSecret for the endpoint of an inbox.
	RotateInboxSecret(ctx context.Context, scope openmail.Scope, inbox string) (string, error)
	// NextSecret returns a new secret that signs beside the old one.
	NextSecret(ctx context.Context, scope openmail.Scope) (string, error)
	// ActivateSecret lets the next secret take the place of the old one;
	// openmail.CodeConflict when there is no next secret.
	ActivateSecret(ctx context.Context, scope openmail.Scope) error
}

// Sender sends mail.
type Sender interface {
	// Send takes a mail: it is on disk when it returns. What the same
	// idempotency key was used for before is returned again.
	Send(ctx context.Context, scope openmail.Scope, r outgoing.Request) (outgoing.Sent, error)
}

// Sockets are the open connections of the event stream.
type Sockets interface {
	// Sockets lists those of the scope's account, oldest first.
	Sockets(scope openmail.Scope) []api.Socket
	// Disconnect closes one; openmail.CodeNotFound.
	Disconnect(scope openmail.Scope, id string) error
	// Ticket opens one socket with that key, once, until expires.
	Ticket(key openmail.Key) (ticket string, expires time.Time)
}

// Config is what a Server works with. The rooms are needed, the rest is not.
type Config struct {
	Access      *access.Access
	Mailbox     *mailbox.Mailbox
	Domains     *domains.Domains
	Releaser    Releaser
	Sender      Sender
	Suppressed  outgoing.Suppressions
	Journal     dispatch.Journal
	Redeliverer Redeliverer
	Webhooks    Webhooks
	Secrets     Secrets
	Sockets     Sockets
	// InboxWebhooks is the same as Webhooks for single inboxes.
	InboxWebhooks InboxWebhooks
	Ready         func(context.Context) error // nil when the store answers

	Links   api.Links
	Version string // of the server, for the OpenAPI document
	// Secret is what links to attachments and the cursors of lists are made
	// with: 32 bytes that are the same after a restart and on every node.
	// Empty: random, so that both end with the process.
	Secret []byte
	// InlineAttachments serves attachments at once instead of by a redirect
	// to a signed link.
	InlineAttachments bool
	// RateLimit is how many requests an account may make in a minute, 0 for
	// no limit.
	RateLimit int
	// FailureLimit is after how many bad keys in a minute a network address
	// is answered 429 unless its key is known to be good; 0 for no limit.
	FailureLimit int
	// ReadTimeout is how long the body of a request may take to arrive; 0:
	// 10 s.
	ReadTimeout time.Duration
	// RemoteAddr is the address of whoever asks; nil: the peer's. Set it
	// where a trusted proxy names the client.
	RemoteAddr func(*http.Request) string
	Logger     *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // the clock of limits and links; nil: time.Now
	// Observe is told of each request when it is answered; nil: nobody is.
	// route is the pattern, never the path.
	Observe func(method, route string, status int, took time.Duration)
}

// Server is the REST interface, as an http.Handler.
type Server struct {
	c        Config
	mux      *http.ServeMux
	api      huma.API
	document []byte
	links    signer
	cursors  cursors
	requests *window // by account
	failures *window // by network address
	uploads  uploads
	panics   atomic.Int64
}

// New returns a Server that answers every route but /v1/ws.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.RemoteAddr == nil {
		c.RemoteAddr = peer
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = readTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Secret) == 0 {
		c.Secret = []byte(rand.Text() + rand.Text())
	}
	s := &Server{
		c: c, mux: http.NewServeMux(),
		links: newSigner(c.Secret), cursors: newCursors(c.Secret),
		requests: newWindow(c.RateLimit), failures: newWindow(c.FailureLimit),
	}
	s.api = newAPI(s.mux, c)
	s.routes()
	s.document = document(s.api)
	s.mux.HandleFunc("/", s.unmatched)
	return s
}

// OpenAPI is the OpenAPI 3.1 document of the interface, in JSON.
func (s *Server) OpenAPI() []byte { return s.document }

// Panics is how many requests ended in a fault of the program.
func (s *Server) Panics() int64 { return s.panics.Load() }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, r: r, whole: r.Body, id: id.New(openmail.PrefixRequest), route: "none", start: time.Now()}
	defer s.end(x)
	h := w.Header()
	h.Set("X-Request-Id", x.id)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	x.writeWithin(writeTimeout)
	if r.ContentLength != 0 {
		x.readUntil(x.start.Add(s.c.ReadTimeout))
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if !isClean(r.URL.EscapedPath()) { // the mux would redirect
		x.fail(noRoute())
		return
	}
	if err := storableURL(r.URL); err != nil {
		x.fail(err)
		return
	}
	s.mux.ServeHTTP(x, r)
}

func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}

// unmatched answers what no route does: 405 where another method would do.
func (s *Server) unmatched(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := s.mux.Handler(probe); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		x.fail(noRoute())
		return
	}
	x.Header().Set("Allow", strings.Join(allowed, ", "))
	x.answer(http.StatusMethodNotAllowed, api.Error{
		Code: string(openmail.CodeBadRequest), Message: "This path takes " + strings.Join(allowed, ", ") + " only.",
	})
}

func noRoute() error {
	return openmail.Errorf(openmail.CodeNotFound, "There is no such path: /openapi.json lists those that there are.")
}

// peer is the network address at the other end of the connection.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
