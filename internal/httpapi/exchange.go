package httpapi

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"openmail"
	"openmail/api"
)

// exchange is one request with its answer, and what the log will say of it.
type exchange struct {
	http.ResponseWriter
	r     *http.Request
	whole io.ReadCloser // the body without the limit that other routes have
	id    string
	route string // the pattern; "none" until one matched
	start time.Time
	key   openmail.Key // zero without one

	status int   // 0 until the header is written
	sent   int64 // bytes of body
	cause  error // of a status from 500 on
	gone   bool  // whoever asked reads no more
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader notes the status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(b)
	x.sent += int64(n)
	x.gone = x.gone || err != nil
	return n, err
}

// writeWithin bounds how long the answer may take. Where the connection knows
// no deadlines, whoever gave us the connection bounds it.
func (x *exchange) writeWithin(d time.Duration) {
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(d))
}

// readUntil bounds when the body has to be there, also what is left of it when
// the handler has answered. The zero time lifts that.
func (x *exchange) readUntil(t time.Time) {
	_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(t)
}

// fail answers with what err means.
func (x *exchange) fail(err error) {
	status, body := x.problem(err)
	x.answer(status, body)
}

// answer writes an error that has its status already.
func (x *exchange) answer(status int, body api.Error) {
	body.RequestID = x.id
	x.Header().Set("Content-Type", "application/json")
	x.WriteHeader(status)
	// An error here means that nobody reads any more: Write has noted it.
	_ = json.NewEncoder(x).Encode(body)
}

// end writes the one record of a request, and answers for a handler that
// panicked. It is deferred.
func (s *Server) end(x *exchange) {
	p := recover()
	cut := p != nil && x.status != 0
	if p != nil && !x.gone && p != http.ErrAbortHandler {
		s.panicked(x, p)
	}
	s.record(x)
	if cut {
		panic(http.ErrAbortHandler) // so that nobody takes half an answer for a whole one
	}
}

// panicked logs where it happened, but no value that a request may have put
// into the panic.
func (s *Server) panicked(x *exchange, p any) {
	s.panics.Add(1)
	what := "panic"
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	s.c.Logger.LogAttrs(x.r.Context(), slog.LevelError, "http.panic",
		slog.String("request", x.id), slog.String("route", x.route), slog.String("error", what), slog.String("stack", string(debug.Stack())))
	if x.status == 0 {
		x.fail(openmail.Errorf(openmail.CodeInternal, "The server failed."))
	}
}

func (s *Server) record(x *exchange) {
	took := time.Since(x.start)
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", x.r.Method), slog.String("route", x.route), slog.Int("status", x.status),
		slog.Duration("took", took), slog.Int64("bytes", x.sent), slog.String("request", x.id),
		slog.String("account", x.key.Account), slog.String("key", x.key.ID),
	}
	if x.cause != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", x.cause))
	}
	s.c.Logger.LogAttrs(x.r.Context(), level, "http.request", attrs...)
	if s.c.Observe != nil {
		s.c.Observe(x.r.Method, x.route, x.status, took)
	}
}

// base gives a call the methods of huma.Context under another name than that
// of its method Context.
type base huma.Context

// call is huma's view of an exchange.
type call struct {
	base
	x      *exchange
	status int // takes the place of the one that huma would write; 0: none
}

// begin is the outermost of huma's layers.
func begin(ctx huma.Context, next func(huma.Context)) {
	_, w := humago.Unwrap(ctx)
	x := w.(*exchange)
	x.route = ctx.Operation().Path
	next(&call{base: ctx, x: x})
}

// Unwrap is for humago.
func (c *call) Unwrap() huma.Context { return c.base }

// SetStatus writes the header.
func (c *call) SetStatus(status int) {
	if c.status != 0 {
		status = c.status
	}
	c.base.SetStatus(status)
}

// BodyReader is the body. When it has been read to its end its deadline is
// lifted, which would otherwise cancel the request while its handler works.
func (c *call) BodyReader() io.Reader { return timed{c.x} }

// timed hides the body's Close, which is net/http's to call: of a body that a
// handler closed before its end, behind MaxBytesReader, it would take the rest
// for the next request.
type timed struct{ x *exchange }

func (t timed) Read(b []byte) (int, error) {
	n, err := t.x.r.Body.Read(b)
	if err == io.EOF {
		t.x.readUntil(time.Time{})
	}
	return n, err
}

// Caller is embedded in the input of a route: whose key asks.
type Caller struct{ key openmail.Key }

// Resolve is called by huma before the handler.
func (c *Caller) Resolve(ctx huma.Context) []error {
	c.key = ctx.(*call).x.key
	return nil
}

func (c *Caller) scope() openmail.Scope { return c.key.Scope() }
