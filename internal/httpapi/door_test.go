package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/httpapi"
)

// operation is one route of the OpenAPI document.
type operation struct {
	Method, Path string
	ID           string `json:"operationId"`
	Security     []map[string][]string
	Parameters   []struct{ Name string }
	RequestBody  *struct {
		Content map[string]struct{ Schema map[string]any }
	}
	Responses map[string]response
}

type response struct {
	Ref     string `json:"$ref"`
	Content map[string]struct {
		Schema   map[string]any
		Examples map[string]struct{ Value api.Error }
	}
}

type openAPI struct {
	OpenAPI    string
	Paths      map[string]map[string]operation
	Components struct {
		Schemas   map[string]map[string]any
		Responses map[string]response
	}
}

// socketID is the operation that another package serves.
const socketID = "openSocket"

func (w *world) document() openAPI {
	w.t.Helper()
	return wantAs[openAPI](w, "", 200, http.MethodGet, "/openapi.json", nil)
}

func (w *world) operations() []operation {
	w.t.Helper()
	var all []operation
	for path, methods := range w.document().Paths {
		for method, op := range methods {
			op.Method, op.Path = strings.ToUpper(method), path
			if op.ID != socketID {
				all = append(all, op)
			}
		}
	}
	if len(all) < 45 {
		w.t.Fatalf("the document lists %d operations only", len(all))
	}
	return all
}

// things are ids that belong to the account of a world.
func (w *world) things() map[string]string {
	inbox := w.inbox("jane")
	filed := w.mail(inbox, withFiles(map[string]string{"a.txt": "text/plain"}), time.Now(), admitted())
	held := w.mail(inbox, letter("held@x", "Held"), time.Now(), openmail.Verdict{Reason: openmail.ReasonUnknown})
	rule := want[api.Rule](w, 201, http.MethodPost, "/v1/policy/rules", `{"type":"block","value":"evil.example"}`)
	want[api.Webhook](w, 200, http.MethodPut, "/v1/webhook", `{"url":"http://127.0.0.1:1/hook"}`)
	w.suppress(inbox.ID)
	keys := want[api.Rows[api.APIKey]](w, 200, http.MethodGet, "/v1/api-keys", nil)
	return map[string]string{
		"/v1/inboxes/{id}": inbox.ID, "/v1/pods/{id}": w.pod("acme").ID, "/v1/threads/{id}": filed.Thread, "/v1/messages/{id}": filed.Message,
		"/v1/events/{id}": filed.Event, "/v1/quarantine/{id}": held.Message, "/v1/policy/rules/{id}": rule.ID,
		"/v1/api-keys/{id}": keys.Data[0].ID, "/v1/sockets/{id}": "sck_of_" + w.account,
		"/v1/suppressions/{address}": "gone@b.example", "/v1/domains/{id}": w.domain("acme.example", "acme").ID,
		"{messageId}": filed.Message, "{filename}": "a.txt", "{keyId}": w.inboxKey(inbox.ID).ID,
	}
}

// fill puts the things into a path.
func fill(path string, things map[string]string) string {
	for place, id := range things {
		before, _, _ := strings.Cut(place, "{")
		if before == "" || strings.HasPrefix(path, place) {
			path = strings.Replace(path, place, before+id, 1)
		}
	}
	return path
}

// bodies are the smallest bodies of the routes that demand something.
var bodies = map[string]string{
	"createDomain": `{"domain":"new.example"}`,
	"putWebhook":   `{"url":"http://127.0.0.1:1/hook"}`, "updateThread": `{"is_read":true}`, "setPolicyMode": `{"mode":"none"}`,
	"addRule": `{"type":"allow","value":"a@b.example"}`, "sendEmail": `{"to":"a@b.example","subject":"x","body":"y"}`,
	"createFeedback": `{"type":"bug","message":"x"}`,
}

func (op operation) body() any {
	if b := bodies[op.ID]; b != "" {
		return b
	}
	return "{}"
}

func TestNoRouteAnswersWithoutAGoodKey(t *testing.T) {
	w := newWorld(t)
	things := w.things()
	for _, op := range w.operations() {
		path := fill(op.Path, things)
		if op.Security == nil {
			if op.Path != "/health" && op.Path != "/ready" {
				t.Errorf("%s %s needs no key", op.Method, op.Path)
			}
			continue
		}
		for _, token := range []string{"", "om_nobody", w.token + "x", w.token[:len(w.token)-1]} {
			got := w.do(op.Method, path, token, op.body())
			if got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s with %d characters of a key: %d %s", op.Method, op.Path, len(token), got.status, got.body)
			}
		}
	}
}

func TestNoRouteShowsOrChangesWhatIsAnothersAccount(t *testing.T) {
	w := newWorld(t)
	things := w.things()
	for _, op := range w.operations() {
		path := fill(op.Path, things)
		if path == op.Path || op.Security == nil {
			continue // it names nothing of the account
		}
		if strings.Contains(path, "{") {
			t.Errorf("%s %s was not filled in: add it to things", op.Method, path)
		}
		w.fails(404, openmail.CodeNotFound, "", op.Method, path, w.otherToken, op.body())
	}
	for _, op := range w.operations() { // and nothing of it is in a list
		if path := fill(op.Path, things); path == op.Path && op.Method == http.MethodGet && op.Security != nil {
			got := string(w.do(op.Method, path, w.otherToken, nil).body)
			for _, id := range things {
				if strings.Contains(got, `"`+id+`"`) {
					t.Errorf("%s shows %s: %s", path, id, got)
				}
			}
		}
	}
	for _, op := range w.operations() { // all of it is still there
		if path := fill(op.Path, things); path != op.Path && op.Method == http.MethodGet {
			if got := w.do(op.Method, path, w.token, nil); got.status >= 400 {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	}
}

func TestNoRouteTakesABodyWithoutALimit(t *testing.T) {
	w := newWorld(t)
	things := w.things()
	for _, op := range w.operations() {
		if op.RequestBody == nil {
			continue
		}
		size := 5 << 20
		if op.ID == "sendEmail" {
			size = 41 << 20
		}
		huge := `{"x":"` + strings.Repeat("x", size) + `"}`
		w.fails(413, openmail.CodeTooLarge, "", op.Method, fill(op.Path, things), w.token, huge)
	}
}

func TestEveryErrorHasOneShape(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	for _, c := range []struct {
		method, path string
		status       int
		code         openmail.Code
	}{
		{"GET", "/", 404, openmail.CodeNotFound},
		{"GET", "/v1", 404, openmail.CodeNotFound},
		{"GET", "/v1/inboxes/", 404, openmail.CodeNotFound},
		{"GET", "/v1//inboxes", 404, openmail.CodeNotFound},
		{"GET", "/v1/x/../inboxes", 404, openmail.CodeNotFound},
		{"GET", "/v1/inboxes/" + inbox.ID + "/send", 405, openmail.CodeBadRequest},
		{"PUT", "/v1/inboxes", 405, openmail.CodeBadRequest},
		{"OPTIONS", "/v1/inboxes", 405, openmail.CodeBadRequest},
		{"DELETE", "/health", 405, openmail.CodeBadRequest},
		{"GET", "/v1/inboxes/" + strings.Repeat("x", 201), 400, openmail.CodeBadRequest},
	} {
		got := w.do(c.method, c.path, w.token, nil)
		var e api.Error
		if err := json.Unmarshal(got.body, &e); err != nil {
			t.Fatalf("%s %s: %v in %s", c.method, c.path, err, got.body)
		}
		if got.status != c.status || e.Code != string(c.code) || e.Message == "" || e.RequestID != got.header.Get("X-Request-Id") || e.RequestID == "" ||
			got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s as %s", c.method, c.path, got.status, got.body, got.header.Get("Content-Type"))
		}
	}
	if got := w.do(http.MethodPut, "/v1/inboxes", w.token, nil).header.Get("Allow"); got != "GET, POST" {
		t.Errorf("Allow: %s", got)
	}
}

func TestBodyOfAnotherTypeIsRefused(t *testing.T) {
	w := newWorld(t)
	for contentType, status := range map[string]int{"application/json; charset=utf-8": 201, "": 201, "text/plain": 415, "application/x-www-form-urlencoded": 415} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL+"/v1/inboxes", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "bearer  "+w.token)
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		if got := w.send(req); got.status != status {
			t.Errorf("%q: %d %s", contentType, got.status, got.body)
		}
	}
}

const canary = "canary-7c1d"

func TestNothingOfARequestIsRepeatedOrLogged(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	w.mail(inbox, letter("c@x", canary), time.Now(), admitted())
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v1/inboxes?limit=" + canary, ""},
		{"GET", "/v1/events?since=" + canary + "&token=" + canary, ""},
		{"GET", "/v1/events?cursor=" + canary, ""},
		{"GET", "/v1/inboxes/" + inbox.ID + "/messages?direction=" + canary, ""},
		{"POST", "/v1/inboxes", `{"mailboxName":"` + canary + canary + canary + `"}`},
		{"POST", "/v1/inboxes", `{"mailboxName":["` + canary + `"]}`},
		{"POST", "/v1/inboxes", `"` + canary + `"`},
		{"POST", "/v1/inboxes", canary},
		{"POST", "/v1/events/redeliver", `{"since":"` + canary + `"}`},
		{"POST", "/v1/policy/rules", `{"type":"` + canary + `","value":"x"}`},
		{"POST", "/v1/policy/rules", `{"type":"allow","value":"@` + canary + `"}`},
		{"PUT", "/v1/webhook", `{"url":"ftp://` + canary + `"}`},
		{"GET", "/v1/attachments/" + canary + "/" + canary + "?signature=" + canary + "&expires=" + canary, ""},
	} {
		got := w.do(c.method, c.path, w.token, nilIfEmpty(c.body))
		if got.status < 400 || strings.Contains(string(got.body), canary) {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
	}
	w.do(http.MethodGet, "/v1/inboxes/"+inbox.ID+"/messages", w.token, nil)
	w.do(http.MethodGet, "/v1/me", "om_"+canary, nil)
	w.http.Close() // so that the last record is written
	for _, secret := range []string{canary, w.token, "alice@sender.example", "Bearer"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(w.log.String(), `"route":"/v1/inboxes/{id}/messages","status":200`) {
		t.Errorf("the log: %s", w.log)
	}
}

func TestHeadersThatAreNotKnownAreIgnored(t *testing.T) {
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL+"/v1/inboxes", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + w.token, "Content-Type": "application/json", "Accept": "text/html", "X-OpenMail-Client": "mcp",
		"User-Agent": "speakeasy-sdk/typescript 0.0.1", "X-Made-Up": "1", "If-None-Match": "*", "Expect": "100-continue",
	} {
		req.Header.Set(name, value)
	}
	if got := w.send(req); got.status != 201 || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func nilIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func TestPanicEndsOneRequestOnly(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Ready = func(context.Context) error { panic(canary) }
	})
	for n := range 2 {
		w.fails(500, openmail.CodeInternal, "", http.MethodGet, "/ready", "", nil)
		if got := w.server.Panics(); got != int64(n+1) {
			t.Errorf("%d panics counted", got)
		}
	}
	want[api.Me](w, 200, http.MethodGet, "/v1/me", nil)
	w.http.Close()
	if log := w.log.String(); !strings.Contains(log, "http.panic") || !strings.Contains(log, "door_test.go") || strings.Contains(log, canary) {
		t.Errorf("the log: %s", log)
	}
}

func TestFaultOfOursIsLoggedAndNotTold(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Ready = func(context.Context) error { return errBroken } })
	e := w.fails(503, openmail.CodeUnavailable, "", http.MethodGet, "/ready", "", nil)
	if strings.Contains(e.Message, "secret") {
		t.Errorf("told: %s", e.Message)
	}
	w.http.Close()
	if log := w.log.String(); !strings.Contains(log, errBroken.Error()) || !strings.Contains(log, e.RequestID) {
		t.Errorf("the log: %s", log)
	}
}

func TestHealthIsServedWithoutAKey(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/health", "/ready"} {
		if got := wantAs[api.Health](w, "", 200, http.MethodGet, path, nil); got.Status != "ok" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestAccountIsHeldToItsRate(t *testing.T) {
	now := time.Date(2026, 2, 24, 10, 5, 39, 0, time.UTC)
	w := newWorld(t, func(c *httpapi.Config) {
		c.RateLimit, c.Now = 3, func() time.Time { return now }
	})
	for left := 2; left >= 0; left-- {
		h := w.do(http.MethodGet, "/v1/me", w.token, nil).header
		if h.Get("X-RateLimit-Limit") != "3" || h.Get("X-RateLimit-Remaining") != strconv.Itoa(left) || h.Get("X-RateLimit-Reset") != "1771927560" {
			t.Errorf("with %d left: %v", left, h)
		}
	}
	got := w.do(http.MethodGet, "/v1/me", w.token, nil)
	if got.status != 429 || got.header.Get("Retry-After") != "22" || !strings.Contains(string(got.body), `"rate_limit_exceeded"`) {
		t.Errorf("the fourth: %d %s, Retry-After %s", got.status, got.body, got.header.Get("Retry-After"))
	}
	wantAs[api.Me](w, w.otherToken, 200, http.MethodGet, "/v1/me", nil)
	now = now.Add(21 * time.Second)
	want[api.Me](w, 200, http.MethodGet, "/v1/me", nil)
}

func TestBadKeysWearOutTheirAddressOnly(t *testing.T) {
	remote, now := "2001:db8::1", time.Date(2026, 2, 24, 10, 5, 39, 0, time.UTC)
	w := newWorld(t, func(c *httpapi.Config) {
		c.FailureLimit, c.Now = 2, func() time.Time { return now }
		c.RemoteAddr = func(*http.Request) string { return remote }
	})
	want[api.Me](w, 200, http.MethodGet, "/v1/me", nil)
	for i, status := range []int{401, 401, 429, 429} {
		remote = fmt.Sprintf("2001:db8::%d", i) // of one network
		if got := w.do(http.MethodGet, "/v1/me", "om_guess", nil); got.status != status {
			t.Errorf("guess %d: %d %s", i, got.status, got.body)
		}
	}
	want[api.Me](w, 200, http.MethodGet, "/v1/me", nil) // known to be good
	if got := w.do(http.MethodGet, "/v1/me", w.otherToken, nil); got.status != 429 {
		t.Errorf("a key not seen before: %d", got.status)
	}
	remote = "2001:db8:0:1::1"
	wantAs[api.Me](w, w.otherToken, 200, http.MethodGet, "/v1/me", nil)
	remote, now = "2001:db8::1", now.Add(time.Minute)
	w.fails(401, openmail.CodeUnauthorized, "", http.MethodGet, "/v1/me", "om_guess", nil)
}

// talk sends bytes over one connection, then a last request that ends it, and
// returns the answers that came.
func (w *world) talk(parts ...string) []int {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.http.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	for _, part := range append(parts, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
		if _, err := io.WriteString(conn, part); err != nil {
			break // the server has closed: its answers say why
		}
	}
	var statuses []int
	for r := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, resp.Body) // a connection that is cut ends the next read too
		resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
}

func (w *world) head(length int) string {
	return fmt.Sprintf("POST /v1/inboxes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", w.token, length)
}

func TestBodyInPiecesIsTakenAndTheConnectionKept(t *testing.T) {
	w := newWorld(t)
	if got := w.talk(w.head(2)+"{", "}", w.head(0)); !slices.Equal(got, []int{201, 201, 200}) {
		t.Errorf("answers: %v", got)
	}
}

func TestBodyThatDoesNotArriveEndsItsConnection(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.ReadTimeout = 50 * time.Millisecond })
	for what, head := range map[string]string{
		"a body that is read":     w.head(10),
		"a body that is not read": strings.Replace(w.head(10), "POST /v1/inboxes", "GET /v1/me", 1),
		"no key":                  strings.Replace(w.head(10), "Bearer", "None", 1),
	} {
		conn, err := net.Dial("tcp", w.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, head+"{")
		if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
			t.Errorf("%s: %q, %v", what, answer, err)
		}
		conn.Close()
	}
}

// deadlines notes what is set on a connection.
type deadlines struct {
	*httptest.ResponseRecorder
	read []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

func TestDeadlineOfABodyIsLiftedWhenItHasArrived(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		method, path, body string
		set, lifted        bool
	}{
		{http.MethodGet, "/v1/me", "", false, false},
		{http.MethodGet, "/v1/me", "{}", true, false}, // nobody reads it
		{http.MethodPost, "/v1/inboxes", "{}", true, true},
		{http.MethodPost, "/v1/inboxes", strings.Repeat(" ", 65<<10), true, false},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
		req.Header.Set("Authorization", "Bearer "+w.token)
		d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		w.server.ServeHTTP(d, req)
		set := len(d.read) > 0
		if lifted := set && d.read[len(d.read)-1].IsZero(); set != c.set || lifted != c.lifted {
			t.Errorf("%s %s with %d bytes: deadlines %v", c.method, c.path, len(c.body), d.read)
		}
	}
}

// What is left of a body that was not read to its end is no request.
func TestRestOfABodyIsNeverTakenForARequest(t *testing.T) {
	w := newWorld(t)
	hidden := w.head(0)
	for _, size := range []int{70 << 10, 100 << 10, 300 << 10, 1 << 20} {
		before, inside := strings.Repeat(" ", 64<<10), strings.Repeat(hidden, size/len(hidden))
		got := w.talk(w.head(len(before)+len(inside)) + before + inside)
		for i, status := range got {
			if status != []int{413, 200}[min(i, 1)] || i > 1 {
				t.Fatalf("%d bytes: answer %d of %d is %d", size, i, len(got), status)
			}
		}
	}
	if got := want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes", nil); got.Total != 0 {
		t.Errorf("%d inboxes were made", got.Total)
	}
}

func TestDocumentIsOpenAPIWithoutForeignLinks(t *testing.T) {
	w := newWorld(t)
	got := w.do(http.MethodGet, "/openapi.json", "", nil)
	doc := w.document()
	if doc.OpenAPI != "3.1.0" || strings.Contains(string(got.body), "$schema") || strings.Contains(string(got.body), "problem+json") {
		t.Errorf("document: %.200s", got.body)
	}
	for _, name := range []string{"ErrorModel", "ErrorDetail"} {
		if _, ok := doc.Components.Schemas[name]; ok {
			t.Errorf("the document has %s", name)
		}
	}
	for name, schema := range doc.Components.Schemas {
		properties, _ := schema["properties"].(map[string]any)
		for field, p := range properties {
			types, many := p.(map[string]any)["type"].([]any)
			if many && types[0] == "array" && field != "mcpScopes" {
				t.Errorf("%s.%s may be null", name, field)
			}
		}
	}
	for name, open := range map[string]bool{
		"Inbox": true, "Error": true, "Policy": true, "ListMessage": true, "ThreadUpdate": true,
		"InboxCreate": false, "APIKeyCreate": false, "PolicyPut": false, "PolicySidePut": false, "RuleCreate": false,
	} {
		if doc.Components.Schemas[name]["additionalProperties"] != open {
			t.Errorf("%s: additionalProperties is %v", name, doc.Components.Schemas[name]["additionalProperties"])
		}
	}
	for name, r := range doc.Components.Responses {
		if ref := r.Content["application/json"].Schema["$ref"]; ref != "#/components/schemas/Error" {
			t.Errorf("%s is a %v", name, ref)
		}
	}
	if fields := doc.Components.Schemas["APIKey"]["properties"].(map[string]any); fmt.Sprint(fields["lastUsedAt"].(map[string]any)["type"]) != "[string null]" {
		t.Errorf("lastUsedAt: %v", fields["lastUsedAt"])
	}
}
