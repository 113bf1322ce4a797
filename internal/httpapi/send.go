package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
	"openmail/api"
	"openmail/internal/outgoing"
)

// Limits of a request that sends a mail.
const (
	maxSend  = 40 << 20        // bytes of it: 25 MB of attachments in base64, and the texts
	sendTime = 2 * time.Minute // for its body to arrive
	// maxUploads is how many bytes of such requests may be under way at a
	// time, half of it for one account: their senders decide how long they
	// take, and a mail is in memory several times while it is made.
	maxUploads = 160 << 20
)

func (s *Server) sendRoutes() {
	const messages, suppressions = "Messages", "Suppressions"
	add(s, route{
		method: http.MethodPost, path: "/v1/inboxes/{id}/send", id: "sendEmail", tag: messages, body: s.sendBodies(),
		summary: "Send a mail, or reply in a thread",
	}, s.send)
	add(s, route{method: http.MethodGet, path: "/v1/suppressions", id: "listSuppressions", tag: suppressions, summary: "List the addresses that get no more mail, newest first"}, s.listSuppressions)
	add(s, route{method: http.MethodDelete, path: "/v1/suppressions/{address}", id: "deleteSuppression", tag: suppressions, summary: "Let mail go to an address again"}, s.deleteSuppression)
}

// sendBodies documents the two forms of a mail.
func (s *Server) sendBodies() *huma.RequestBody {
	schema := huma.SchemaFromType(s.api.OpenAPI().Components.Schemas, reflect.TypeFor[api.SendRequest]())
	if schema.Ref == "" { // a schema of its own, so that it has a name
		schema = s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.SendRequest](), true, "SendRequest")
	}
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	form := &huma.Schema{
		Type: huma.TypeObject, Required: []string{"to", "body"}, AdditionalProperties: true,
		Properties: map[string]*huma.Schema{
			"to": text(""), "subject": text(""), "body": text(""), "bodyHtml": text(""), "threadId": text(""), "replyTo": text(""),
			"includeQuote": {Type: huma.TypeString, Enum: []any{"true", "false"}},
			"cc":           {Type: huma.TypeArray, Items: text("")},
			"attachments":  {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		},
	}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: schema}, "multipart/form-data": {Schema: form},
	}}
}

// sendInput is a request whose body the handler reads: it may be larger than
// others, and of two forms.
type sendInput struct {
	Named
	Key string `header:"Idempotency-Key" doc:"The same key with the same request sends one mail, within 24 hours"`
	x   *exchange
}

// Resolve is called by huma before the handler.
func (in *sendInput) Resolve(ctx huma.Context) []error {
	in.x = ctx.(*call).x
	return in.Caller.Resolve(ctx)
}

func (s *Server) send(ctx context.Context, in *sendInput) (*reply[api.Sent], error) {
	from := &metered{r: http.MaxBytesReader(in.x.ResponseWriter, in.x.whole, maxSend), uploads: &s.uploads, account: in.key.Account}
	defer from.done()
	r, err := in.x.readMail(from)
	if err != nil {
		return nil, err
	}
	r.Inbox, r.Key, r.By = in.ID, in.Key, in.key.ID
	sent, err := s.c.Sender.Send(ctx, in.scope(), r)
	if err != nil {
		return nil, err
	}
	return body(api.Sent{
		MessageID: sent.Message, ThreadID: sent.Thread, ProviderMessageID: sent.RFCMessageID, Status: string(openmail.StatusPending),
		ID: sent.Message, InboxID: sent.Inbox, Direction: string(openmail.Outbound), CreatedAt: at(sent.CreatedAt),
	}), nil
}

// readMail reads the whole body within bounds before anything is made of it:
// the fields of a form come in any order.
func (x *exchange) readMail(from io.Reader) (outgoing.Request, error) {
	x.readUntil(x.start.Add(sendTime))
	r, err := readMail(x.r.Header.Get("Content-Type"), from)
	if err != nil {
		return r, unread(err)
	}
	x.readUntil(time.Time{}) // it would cancel the request while it is worked on
	x.writeWithin(writeTimeout)
	return r, nil
}

func readMail(contentType string, r io.Reader) (outgoing.Request, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "", err == nil && kind == "application/json":
		return readJSON(r)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		return readForm(r, params["boundary"])
	}
	return outgoing.Request{}, openmail.Errorf(openmail.CodeBadRequest, "The body has to be application/json or multipart/form-data.")
}

// unread is what a body that could not be read means.
func unread(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return openmail.Errorf(openmail.CodeTooLarge, "The request is larger than this path takes.")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return openmail.Errorf(openmail.CodeBadRequest, "The request did not arrive in time.")
	}
	if _, ok := errors.AsType[*openmail.Error](err); ok {
		return err
	}
	return &openmail.Error{Code: openmail.CodeBadRequest, Message: "The body is missing, or is not what its Content-Type says.", Err: err}
}

// mailBody is a mail in JSON. Fields that are not known are passed over.
type mailBody struct {
	To           *string         `json:"to"`
	Subject      *string         `json:"subject"`
	Body         *string         `json:"body"`
	BodyHTML     *string         `json:"bodyHtml"`
	ThreadID     *string         `json:"threadId"`
	ReplyTo      *string         `json:"replyTo"`
	IncludeQuote *bool           `json:"includeQuote"`
	CC           oneOrMore       `json:"cc"`
	BCC          json.RawMessage `json:"bcc"`
	Attachments  few[fileBody]   `json:"attachments"`
}

// fileBody is a file of a mail in JSON.
type fileBody struct {
	Filename    string `json:"filename"`
	ContentType string `json:"contentType"`
	Data        given  `json:"data"`
}

// given are bytes in base64; nil only where the field is not there.
type given []byte

func (g *given) UnmarshalJSON(b []byte) error {
	err := json.Unmarshal(b, (*[]byte)(g))
	if *g == nil { // null, as some write no bytes
		*g = given{}
	}
	return err
}

// oneOrMore is a list of texts, or one alone.
type oneOrMore []string

func (l *oneOrMore) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*l = oneOrMore{""}
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*few[string])(l))
}

// maxItems is more than any list of a mail may have, which outgoing checks.
const maxItems = 101

// few is a list of which no more than maxItems are read: an item of two bytes
// may take fifty in memory.
type few[T any] []T

func (l *few[T]) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return json.Unmarshal(b, (*[]T)(l))
	}
	*l = nil
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() && len(*l) < maxItems {
		var item T
		if err := d.Decode(&item); err != nil {
			return err
		}
		*l = append(*l, item)
	}
	return nil
}

func readJSON(r io.Reader) (outgoing.Request, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return outgoing.Request{}, err
	}
	var b mailBody
	if err := unmarshal(text, &b); err != nil {
		if field, ok := errors.AsType[nulError](err); ok {
			return outgoing.Request{}, notStorable(string(field))
		}
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
			return outgoing.Request{}, openmail.FieldErrorf(openmail.CodeBadRequest, e.Field, "%s has another type than expected.", e.Field)
		}
		return outgoing.Request{}, err
	}
	if bcc := bytes.Join(bytes.Fields(b.BCC[:min(len(b.BCC), 100)]), nil); !slices.Contains([]string{"", "null", `""`, "[]"}, string(bcc)) {
		return outgoing.Request{}, noBCC()
	}
	m := outgoing.Request{
		To: orEmpty(b.To), CC: b.CC, ReplyTo: orEmpty(b.ReplyTo), Subject: orEmpty(b.Subject), Body: orEmpty(b.Body), BodyHTML: orEmpty(b.BodyHTML),
		Thread: orEmpty(b.ThreadID), NoQuote: b.IncludeQuote != nil && !*b.IncludeQuote,
	}
	for _, f := range b.Attachments {
		if f.Data == nil {
			return outgoing.Request{}, openmail.FieldErrorf(openmail.CodeBadRequest, "attachments", "An attachment has its bytes in data, in base64.")
		}
		m.Attachments = append(m.Attachments, outgoing.File{Filename: f.Filename, ContentType: f.ContentType, Data: f.Data})
	}
	return m, nil
}

func noBCC() error {
	return openmail.FieldErrorf(openmail.CodeUnsupportedField, "bcc", "bcc is not supported: send the mail to each recipient.")
}

// uploads counts the bytes of mails that are being handed in.
type uploads struct {
	mu        sync.Mutex
	all       int64
	byAccount map[string]int64
}

// metered counts what is read until it is done with: how much a request will
// be, it need not say.
type metered struct {
	r       io.Reader
	uploads *uploads
	account string
	n       int64
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if full := m.uploads.take(m.account, int64(n)); full != nil {
		return 0, full
	}
	m.n += int64(n)
	return n, err
}

func (m *metered) done() { m.uploads.give(m.account, m.n) }

// take counts n bytes more; openmail.CodeRateLimit when that is too much now.
func (u *uploads) take(account string, n int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all+n > maxUploads || u.byAccount[account]+n > maxUploads/2 {
		return openmail.Errorf(openmail.CodeRateLimit, "Too many large mails are being sent at a time.")
	}
	if u.byAccount == nil {
		u.byAccount = map[string]int64{}
	}
	u.all += n
	u.byAccount[account] += n
	return nil
}

func (u *uploads) give(account string, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all -= n
	if u.byAccount[account] -= n; u.byAccount[account] == 0 {
		delete(u.byAccount, account)
	}
}

func (s *Server) listSuppressions(ctx context.Context, in *listInput) (*reply[api.List[api.Suppression]], error) {
	if err := in.scope().NeedAccount("see the suppressions"); err != nil {
		return nil, err
	}
	p := in.page()
	p.Limit = min(p.Limit, 100)
	all, total, err := s.c.Suppressed.Suppressions(ctx, in.scope(), p)
	if err != nil {
		return nil, err
	}
	return body(list(all, total, suppressionJSON)), nil
}

type suppressionInput struct {
	Caller
	Address string `path:"address" maxLength:"320"`
}

func (s *Server) deleteSuppression(ctx context.Context, in *suppressionInput) (*nothing, error) {
	if err := in.scope().NeedAccount("change the suppressions"); err != nil {
		return nil, err
	}
	return nil, s.c.Suppressed.DeleteSuppression(ctx, in.scope(), in.Address)
}
