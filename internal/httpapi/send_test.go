package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/httpapi"
	"openmail/internal/outgoing"
	"openmail/internal/store"
)

// field is a part of a form; one with a filename is a file.
type field struct{ name, value, filename, contentType string }

// form sends a form with its fields in that order.
func (w *world) form(path string, header map[string]string, fields ...field) answer {
	w.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, f := range fields {
		h := textproto.MIMEHeader{}
		disposition := `form-data; name="` + f.name + `"`
		if f.filename != "" {
			disposition += `; filename="` + f.filename + `"`
		}
		h.Set("Content-Disposition", disposition)
		if f.contentType != "" {
			h.Set("Content-Type", f.contentType)
		}
		p, err := m.CreatePart(h)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := p.Write([]byte(f.value)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.http.URL+path, &b)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", m.FormDataContentType())
	for name, value := range header {
		req.Header.Set(name, value)
	}
	return w.send(req)
}

func TestSendAnswersWithBothShapes(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	got := want[map[string]any](w, 200, http.MethodPost, "/v1/inboxes/"+inbox.ID+"/send",
		`{"to":"Bob <bob@other.example>","subject":"Hi","body":"Hello <b>Bob</b>","unknown":[1],"bcc":[],"cc":"c@other.example","attachments":[{"filename":"a.txt","contentType":"text/plain","data":"`+base64.StdEncoding.EncodeToString([]byte("hello"))+`"}]}`)
	if got["messageId"] != got["id"] || got["inboxId"] != inbox.ID || got["direction"] != "outbound" || got["status"] != "pending" || len(got) != 8 ||
		got["providerMessageId"] != "<"+got["id"].(string)+"@"+domain+">" {
		t.Errorf("answered %v", got)
	}
	m := want[api.Message](w, 200, http.MethodGet, "/v1/messages/"+got["id"].(string), nil)
	if m.FromAddr != inbox.Address || m.BodyText != "Hello Bob" || m.BodyHTML != "Hello <b>Bob</b>\r\n" || len(m.Attachments) != 1 || m.Attachments[0].SizeBytes != 5 || m.ThreadID != got["threadId"] ||
		len(m.CC) != 1 || m.HeaderTo != nil || m.DeliveryRole != nil || m.Envelope != nil || len(m.Deliveries) != 2 || m.Deliveries[0].State != "pending" || !strings.Contains(m.Deliveries[0].LastAnswer, "OPENMAIL_RELAY") {
		t.Errorf("the message is %+v", m)
	}
	list := want[api.List[api.Message]](w, 200, http.MethodGet, "/v1/inboxes/"+inbox.ID+"/messages?direction=outbound", nil)
	if list.Total != 1 || list.Data[0].ID != m.ID || want[api.List[api.Message]](w, 200, http.MethodGet, "/v1/inboxes/"+inbox.ID+"/messages?direction=inbound", nil).Total != 0 {
		t.Errorf("listed %+v", list)
	}
}

func TestAFormIsReadInAnyOrder(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	filed := w.mail(inbox, letter("1@x", "Topic"), time.Now(), admitted())
	path := "/v1/inboxes/" + inbox.ID + "/send"
	got := w.form(
		path, map[string]string{"idempotency-key": "k"},
		field{name: "attachments", value: "one", filename: "a.txt", contentType: "text/plain"},
		field{name: "includeQuote", value: "false"},
		field{name: "cc", value: "c@other.example"},
		field{name: "attachments", value: "two", filename: "b.bin"},
		field{name: "threadId", value: filed.Thread},
		field{name: "body", value: "Hello"},
		field{name: "nonsense", value: "x"},
		field{name: "cc", value: "D <d@other.example>"},
		field{name: "to", value: "alice@sender.example"},
		field{name: "subject", value: "passed over"},
	)
	var sent api.Sent
	if err := json.Unmarshal(got.body, &sent); err != nil || got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	m := want[api.Message](w, 200, http.MethodGet, "/v1/messages/"+sent.ID, nil)
	if m.BodyText != "Hello" || len(m.Attachments) != 2 || m.Attachments[0].ContentType != "text/plain" || m.Attachments[1].ContentType != "application/octet-stream" ||
		len(m.CC) != 2 || m.CC[1] != "d@other.example" || m.ThreadID != filed.Thread || m.Subject != "Re: Topic" || m.InReplyTo != "<1@x>" {
		t.Errorf("the message is %+v", m)
	}
	// The same in JSON is the same request.
	again := w.do(http.MethodPost, path, w.token, `{"to":"alice@sender.example","body":"other"}`)
	if again.status != 400 {
		t.Errorf("no subject: %d %s", again.status, again.body)
	}
}

func TestAFormThatIsWrongIsRefusedWithItsField(t *testing.T) {
	w := newWorld(t)
	path := "/v1/inboxes/" + w.inbox("jane").ID + "/send"
	basic := []field{{name: "to", value: "a@b.example"}, {name: "subject", value: "x"}, {name: "body", value: "y"}}
	for _, c := range []struct {
		more   field
		status int
		code   openmail.Code
		field  string
	}{
		{field{name: "bcc", value: "x@y.example"}, 400, openmail.CodeUnsupportedField, "bcc"},
		{field{name: "includeQuote", value: "perhaps"}, 400, openmail.CodeBadRequest, "includeQuote"},
		{field{name: "replyTo", value: "a@b.example\r\nX: y"}, 400, openmail.CodeBadRequest, "replyTo"},
		{field{name: "attachments", filename: "a", value: strings.Repeat("x", outgoing.MaxAttachments+1)}, 413, openmail.CodeTooLarge, "attachments"},
		{field{name: "bodyHtml", value: strings.Repeat("x", 500_001)}, 400, openmail.CodeBadRequest, "bodyHtml"},
		{field{name: "cc", value: "\xff@b.example"}, 400, openmail.CodeBadRequest, "cc"},
	} {
		got := w.form(path, nil, append([]field{c.more}, basic...)...)
		var e api.Error
		if err := json.Unmarshal(got.body, &e); err != nil || got.status != c.status || e.Code != string(c.code) || e.Field != c.field {
			t.Errorf("%s: %d %s", c.more.name, got.status, got.body)
		}
	}
	many := make([]field, 301)
	for i := range many {
		many[i] = field{name: "x"}
	}
	if got := w.form(path, nil, many...); got.status != 400 {
		t.Errorf("301 parts: %d %s", got.status, got.body)
	}
	for _, body := range []string{"", "{", "[]", `{"to":7}`, `{"to":"a@b.example","bcc":["x@y.example"],"subject":"x","body":"y"}`, `{"attachments":[{"data":"?"}]}`} {
		if got := w.do(http.MethodPost, path, w.token, body); got.status != 400 {
			t.Errorf("%q: %d %s", body, got.status, got.body)
		}
	}
	// A file whose bytes are under another name is not sent as an empty one.
	w.fails(400, openmail.CodeBadRequest, "attachments", http.MethodPost, path, w.token, `{"to":"a@b.example","subject":"x","body":"y","attachments":[{"filename":"a.txt","content":"aGVsbG8="}]}`)
	want[api.Sent](w, 200, http.MethodPost, path, `{"to":"a@b.example","subject":"x","body":"y","attachments":[{"filename":"empty.txt","data":""}]}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL+path, strings.NewReader("to=a"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := w.send(req); got.status != 400 || !strings.Contains(string(got.body), "multipart/form-data") {
		t.Errorf("another type: %d %s", got.status, got.body)
	}
}

func TestTheLargestMailIsTaken(t *testing.T) {
	const most = 25 << 20 // of all its files
	w := newWorld(t)
	path := "/v1/inboxes/" + w.inbox("jane").ID + "/send"
	got := w.form(
		path, nil, field{name: "attachments", filename: "a.bin", value: strings.Repeat("x", most)},
		field{name: "to", value: "a@b.example"}, field{name: "subject", value: "x"}, field{name: "body", value: "y"},
	)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	data := base64.StdEncoding.EncodeToString(make([]byte, most))
	if got := w.do(http.MethodPost, path, w.token, `{"to":"a@b.example","subject":"x","body":"y","attachments":[{"filename":"a","data":"`+data+`"}]}`); got.status != 200 {
		t.Errorf("in JSON: %d %.200s", got.status, got.body)
	}
}

func TestAKeyIsAnsweredTheSameAgain(t *testing.T) {
	w := newWorld(t)
	path := "/v1/inboxes/" + w.inbox("jane").ID + "/send"
	send := func(key, subject string) answer {
		return w.form(path, map[string]string{"Idempotency-Key": key}, field{name: "to", value: "a@b.example"}, field{name: "subject", value: subject}, field{name: "body", value: "y"})
	}
	first, again := send("k", "x"), send("k", "x")
	if first.status != 200 || again.status != 200 || !bytes.Equal(first.body, again.body) {
		t.Errorf("%s and %s", first.body, again.body)
	}
	if got := send("k", "z"); got.status != 409 || !strings.Contains(string(got.body), `"idempotency_conflict"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestSuppressionsAreForKeysOfTheAccount(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	key := w.inboxKey(inbox.ID)
	w.fails(403, openmail.CodeForbidden, "", http.MethodGet, "/v1/suppressions", key.Token, nil)
	w.fails(403, openmail.CodeForbidden, "", http.MethodDelete, "/v1/suppressions/gone@b.example", key.Token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/suppressions/other@b.example", w.token, nil)
	w.suppress(inbox.ID)
	list := want[api.List[api.Suppression]](w, 200, http.MethodGet, "/v1/suppressions", nil)
	if list.Total != 1 || list.Data[0].Address != "gone@b.example" || list.Data[0].Type != "bounce" {
		t.Errorf("listed %+v", list)
	}
	e := w.fails(422, openmail.CodeSuppressed, "to", http.MethodPost, "/v1/inboxes/"+inbox.ID+"/send", w.token, `{"to":"gone@b.example","subject":"x","body":"y"}`)
	if e.Type != "bounce" {
		t.Errorf("type %q", e.Type)
	}
	want[any](w, 204, http.MethodDelete, "/v1/suppressions/gone%40b.example", nil)
	want[api.Sent](w, 200, http.MethodPost, "/v1/inboxes/"+inbox.ID+"/send", `{"to":"gone@b.example","subject":"x","body":"y"}`)
}

// suppress has gone@b.example refuse a mail of an inbox for good.
func (w *world) suppress(inbox string) {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now()
	want[api.Sent](w, 200, http.MethodPost, "/v1/inboxes/"+inbox+"/send", `{"to":"gone@b.example","subject":"x","body":"y"}`)
	if _, err := w.db.ResumeMail(ctx, openmail.Operator(), now, 10); err != nil {
		w.t.Fatal(err)
	}
	c, err := w.db.ClaimMail(ctx, openmail.Operator(), "b.example", now)
	if err != nil || len(c.Due) != 1 {
		w.t.Fatalf("claimed %+v, %v", c, err)
	}
	gone := outgoing.Settled{Due: c.Due[0], Next: outgoing.Next{State: openmail.StatusFailed, Suppress: true}, Answer: outgoing.Answer{Text: "no such user"}}
	if err := w.db.SettleMail(ctx, openmail.Operator(), c, []outgoing.Settled{gone}, now); err != nil {
		w.t.Fatal(err)
	}
}

func TestASpentQuotaSaysWhenItBeginsAnew(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Sender = spent{}
	})
	got := w.form("/v1/inboxes/"+w.inbox("jane").ID+"/send", nil, field{name: "to", value: "a@b.example"})
	var e api.Error
	if err := json.Unmarshal(got.body, &e); err != nil || got.status != 429 || e.Code != "rate_limit_exceeded" || e.Message != "Max 10 sends per minute per inbox" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if h := got.header; h.Get("Retry-After") != "90" || h.Get("X-RateLimit-Limit") != "10" || h.Get("X-RateLimit-Remaining") != "0" || h.Get("X-RateLimit-Reset") == "" {
		t.Errorf("header %v", h)
	}
}

func TestTooManyFirstContactsAreAnsweredWithTheirLimit(t *testing.T) {
	ours := func(context.Context, string) (bool, error) { return true, nil }
	var db *store.DB
	w := newWorld(t, func(c *httpapi.Config) {
		db = c.Journal.(*store.DB)
		c.Sender = outgoing.New(outgoing.Config{
			Inboxes: db, Store: db, Rules: db, Quotas: db, Ours: ours, Wake: func(string) {}, MaxBytes: 1 << 20,
			Cold: outgoing.Cold{Inbox: 1, NewAccount: 2}, Contacts: db,
		})
	})
	for _, c := range []struct {
		scope string
		limit int
	}{{"inbox", 1}, {"customer", 2}} {
		path := "/v1/inboxes/" + w.inbox(c.scope).ID + "/send"
		want[api.Sent](w, 200, http.MethodPost, path, api.SendRequest{To: c.scope + "1@b.example", Subject: "Hello", Body: "Hi."})
		if c.scope == "customer" {
			path = "/v1/inboxes/" + w.inbox("third").ID + "/send"
		}
		got := w.do(http.MethodPost, path, w.token, api.SendRequest{To: c.scope + "2@b.example", Subject: "Hello", Body: "Hi."})
		var e api.Error
		if err := json.Unmarshal(got.body, &e); err != nil || got.status != 429 || e.Code != "cold_outreach_limit" || e.Scope != c.scope || e.Limit != c.limit {
			t.Errorf("%d %s", got.status, got.body)
		}
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		wait, err := strconv.Atoi(got.header.Get("Retry-After"))
		if err != nil || e.ResetsAt == nil || !e.ResetsAt.Equal(midnight) || time.Until(midnight)-time.Duration(wait)*time.Second > time.Minute {
			t.Errorf("it begins anew at %v, in %d s: %v", e.ResetsAt, wait, err)
		}
	}
}

// spent is a room that sends no more for a minute and a half.
type spent struct{}

func (spent) Send(context.Context, openmail.Scope, outgoing.Request) (outgoing.Sent, error) {
	return outgoing.Sent{}, openmail.Quota{Most: 10, Until: time.Now().Add(90*time.Second - time.Millisecond), Message: "Max 10 sends per minute per inbox"}.Spent()
}
