package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
	"openmail/internal/reach"
)

// DefaultTimeout is the contract's: an answer that comes later is none.
const DefaultTimeout = 15 * time.Second

// What is taken of an answer, in bytes.
const (
	maxHeaders = 16 << 10
	maxBody    = 64 << 10 // read, so that the connection can be used again
	keptBody   = 4 << 10  // kept in the attempt
)

// Connections that wait to be used again.
const (
	idlePerHost = 16
	idleTotal   = 512
	idleTime    = 30 * time.Second
)

// maxRetryAfter bounds what an answer may ask for.
const maxRetryAfter = 24 * time.Hour

// Config is what a Sender is made of. The zero Config posts to the public
// internet only.
type Config struct {
	// Allow opens destinations that are refused otherwise, on any port:
	// host names, addresses, either with a port to open that one only, and
	// CIDRs.
	Allow     []string
	UserAgent string         // "": OpenMail
	Timeout   time.Duration  // of a whole post; 0: DefaultTimeout
	Resolver  *net.Resolver  // nil: the system's
	RootCAs   *x509.CertPool // nil: the system's
	Log       *slog.Logger   // nil: none; causes of failures, at level Debug
}

// Sender posts events. It follows no redirect, knows no proxy and no cookie,
// asks for no compression, and reaches only where its guard permits. It is safe
// for concurrent use.
type Sender struct {
	dialer    reach.Dialer
	timeout   time.Duration
	transport *http.Transport
	tls       *tls.Config
	userAgent []string
	log       *slog.Logger
}

// New makes a Sender. It fails on an entry of Allow that cannot be read. Close
// it when it is done with.
func New(c Config) (*Sender, error) {
	g, err := reach.New(reach.Config{
		Who: "webhooks", Ports: []reach.Ports{{First: 80, Last: 80}, {First: 443, Last: 443}, {First: 8000, Last: 8999}}, Allow: c.Allow,
	})
	if err != nil {
		return nil, err
	}
	s := &Sender{
		dialer:    reach.Dialer{Guard: g, Resolver: cmp.Or(c.Resolver, net.DefaultResolver)},
		timeout:   cmp.Or(c.Timeout, DefaultTimeout),
		tls:       &tls.Config{RootCAs: c.RootCAs, NextProtos: []string{"http/1.1"}},
		userAgent: []string{cmp.Or(c.UserAgent, "OpenMail")},
		log:       cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
	}
	s.transport = s.newTransport()
	return s, nil
}

func (s *Sender) newTransport() *http.Transport {
	// HTTP/2 would share one connection, its windows and its header table
	// among the posts to a host: bounds that are not ours.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            s.dial,
		DialTLSContext:         s.dialTLS,
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConns:           idleTotal,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTime,
	}
}

// Close ends the connections that wait to be used again. Posts under way end as
// their contexts do.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// Post hands an event over. The attempt is complete; retryAfter is what the
// answer asked for, zero when it did not.
func (s *Sender) Post(ctx context.Context, p dispatch.Post, at time.Time) (a openmail.Attempt, retryAfter time.Duration) {
	n := p.Event.Delivery.Attempts
	stamped := make([]byte, 0, len(p.Event.Payload)+stampSize)
	return s.send(ctx, post{
		endpoint: p.Endpoint, eventID: p.Event.ID, at: at, attempt: n,
		body: api.Stamp(stamped, p.Event.Payload, at, n),
	})
}

// stampSize is room for what api.Stamp adds.
const stampSize = 80

// Test posts a body that is complete, such as that of a setup.test event.
func (s *Sender) Test(ctx context.Context, endpoint openmail.Endpoint, body []byte, eventID string) openmail.Attempt {
	a, _ := s.send(ctx, post{endpoint: endpoint, eventID: eventID, at: time.Now(), attempt: 1, body: body})
	return a
}

// post is one request to be made.
type post struct {
	endpoint openmail.Endpoint
	eventID  string
	at       time.Time
	attempt  int
	body     []byte
}

func (s *Sender) send(ctx context.Context, p post) (a openmail.Attempt, retryAfter time.Duration) {
	a = openmail.Attempt{
		N: p.attempt, Channel: openmail.ChannelWebhook, At: p.at, Outcome: openmail.OutcomeError,
	}
	start := time.Now()
	defer func() { a.Took = time.Since(start) }()

	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := s.request(ctx, p, &a.Remote)
	if err != nil {
		a.Error = s.words(err)
		return a, 0
	}
	// A transport alone makes one request: redirects and cookies are a
	// client's doing.
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		a.Error = s.words(cmp.Or(ctx.Err(), err))
		s.log.DebugContext(ctx, "webhook post failed", "event", p.eventID,
			"account", p.endpoint.Account, "attempt", p.attempt, "cause", err)
		return a, 0
	}
	return read(a, res), retryAfterOf(res.Header, p.at)
}

// request builds the signed request. remote receives the address at the other
// end of the connection that it is sent on.
func (s *Sender) request(ctx context.Context, p post, remote *string) (*http.Request, error) {
	t, err := parseTarget(p.endpoint.URL)
	if err != nil {
		return nil, err
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { *remote = c.Conn.RemoteAddr().String() },
	})
	req := (&http.Request{
		Method: http.MethodPost, URL: t.url, Host: t.url.Host,
		Header: http.Header{
			"Content-Type": {"application/json"},
			"User-Agent":   s.userAgent,
			// Never sent, being empty: it tells the transport that the
			// request may be made again, on another connection, when one
			// that was used before turns out to be closed. Receivers close
			// idle connections at will, and must know an event by its id
			// anyway; without this, such a race would cost a retry.
			"Idempotency-Key": nil,
		},
		ContentLength: int64(len(p.body)),
		GetBody: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(p.body)), nil
		},
	}).WithContext(ctx)
	req.Body = io.NopCloser(bytes.NewReader(p.body))
	sign(req.Header, p.endpoint, p.eventID, p.at, p.body)
	return req, nil
}

// read completes the attempt with what the answer says, and closes it. The
// status decides: a body that breaks off or never ends takes nothing back.
func read(a openmail.Attempt, res *http.Response) openmail.Attempt {
	defer res.Body.Close()
	a.Status, a.Outcome = res.StatusCode, outcomeOf(res.StatusCode)
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		a.Error = "redirects are not followed"
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		// Not a body but the bare connection, which no deadline governs.
		return a
	}
	kept, err := io.ReadAll(io.LimitReader(res.Body, keptBody))
	if err == nil {
		// The rest is of no interest, but read to its end it frees the
		// connection for the next post.
		_, _ = io.CopyN(io.Discard, res.Body, maxBody-keptBody)
	}
	a.Response = text(kept)
	return a
}

func outcomeOf(status int) openmail.Outcome {
	switch {
	case status >= 200 && status < 300:
		return openmail.OutcomeDelivered
	case status == http.StatusGone:
		return openmail.OutcomeGone
	}
	return openmail.OutcomeRefused
}

// text is b as valid UTF-8 without NUL, which some databases cannot hold, in at
// most keptBody bytes.
func text(b []byte) string {
	s := strings.ToValidUTF8(strings.ReplaceAll(string(b), "\x00", "\uFFFD"), "\uFFFD")
	if len(s) <= keptBody {
		return s
	}
	end := keptBody
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// retryAfterOf reads Retry-After (RFC 9110 section 10.2.3): seconds, or a date
// that counts from at. Nonsense is zero.
func retryAfterOf(h http.Header, at time.Time) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(at), 0), maxRetryAfter)
}
