package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/httpapi"
	"openmail/internal/outgoing"
	"openmail/internal/store"
)

// TestMain also holds the OpenAPI document to what was answered: every answer
// of every test has to be in it, and what is in it has to be answered in one.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == ""; whole && code == 0 {
			code = seen.unprovoked()
		}
		os.Exit(code)
	}))
}

// seen has what all tests were answered.
var seen = &answers{ids: map[string]map[string]bool{}, schemas: map[string]*jsonschema.Schema{}}

// answers holds answers against the document. Every server makes the same.
type answers struct {
	mu       sync.Mutex
	mux      *http.ServeMux // its patterns are the operations
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by the place in the document
	doc      openAPI
	ids      map[string]map[string]bool // the codes that each operation answered
}

// read takes the document in, the first time.
func (a *answers) read(t *testing.T, document []byte) {
	if a.mux != nil {
		return
	}
	if err := json.Unmarshal(document, &a.doc); err != nil {
		t.Fatal(err)
	}
	a.mux = http.NewServeMux()
	for path, methods := range a.doc.Paths {
		for method := range methods {
			a.mux.Handle(strings.ToUpper(method)+" "+path, http.NotFoundHandler())
		}
	}
	// Answers may gain fields, so that clients have to let them pass; a test
	// does not.
	strict := bytes.ReplaceAll(document, []byte(`"additionalProperties":true`), []byte(`"additionalProperties":false`))
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(strict))
	if err != nil {
		t.Fatal(err)
	}
	a.compiler = jsonschema.NewCompiler()
	a.compiler.AssertFormat()
	if err := a.compiler.AddResource("openapi.json", parsed); err != nil {
		t.Fatal(err)
	}
}

// check holds one answer against the document, and notes it.
func (a *answers) check(t *testing.T, document []byte, req *http.Request, got answer) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read(t, document)
	_, pattern := a.mux.Handler(req)
	if pattern == "" || path.Clean(req.URL.Path) != req.URL.Path { // which the mux would clean
		return // no operation: the answer says so, and some tests want that
	}
	method, route, _ := strings.Cut(pattern, " ")
	op, status := a.doc.Paths[route][strings.ToLower(method)], strconv.Itoa(got.status)
	where := "/paths/" + pointer(route) + "/" + strings.ToLower(method) + "/responses/" + status
	r, ok := op.Responses[status]
	if r.Ref != "" {
		where = strings.TrimPrefix(r.Ref, "#")
		r, ok = a.doc.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
	}
	if !ok {
		t.Errorf("%s was answered %s %s, which the OpenAPI document does not have", pattern, status, got.body)
		return
	}
	code, kind := status, got.header.Get("Content-Type")
	if !takes(r, kind) {
		t.Errorf("%s was answered %s of type %s, which the OpenAPI document does not have", pattern, status, kind)
	} else if kind == "application/json" {
		if err := a.validate(where+"/content/application~1json/schema", got.body); err != nil {
			t.Errorf("%s was answered %s against the OpenAPI document: %v\n%s", pattern, status, err, got.body)
		}
	}
	if got.status >= 400 {
		var e api.Error
		if err := json.Unmarshal(got.body, &e); err != nil {
			t.Errorf("%s was answered %s without JSON: %s", pattern, status, got.body)
		}
		if _, ok := r.Content["application/json"].Examples[e.Code]; !ok {
			t.Errorf("%s was answered %s %s, and the OpenAPI document does not have that code there", pattern, status, e.Code)
		}
		code += " " + e.Code
	}
	if a.ids[op.ID] == nil {
		a.ids[op.ID] = map[string]bool{}
	}
	a.ids[op.ID][code] = true
}

func (a *answers) validate(where string, body []byte) error {
	schema := a.schemas[where]
	if schema == nil {
		var err error
		if schema, err = a.compiler.Compile("openapi.json#" + where); err != nil {
			return err
		}
		a.schemas[where] = schema
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// pointer escapes a name for a JSON Pointer (RFC 6901 section 3) in a URL.
func pointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name)
}

func TestEveryRouteRefusesTheWrongForm(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.ReadTimeout = 50 * time.Millisecond })
	things := w.things()
	long := map[string]string{}
	for _, name := range []string{"{id}", "{address}", "{keyId}", "{messageId}", "{filename}"} {
		long[name] = strings.Repeat("x", 1001)
	}
	for _, op := range w.operations() {
		switch {
		case strings.Contains(op.Path, "{"):
			w.refuses(400, op.Method, fill(op.Path, long), "application/json", op.body())
		case op.Method == http.MethodGet && op.takes("limit"):
			w.refuses(400, op.Method, op.Path+"?limit=0", "", nil)
		case op.RequestBody != nil:
			w.refuses(400, op.Method, op.Path, "application/json", `{`)
		}
		if op.RequestBody != nil && op.ID != "sendEmail" {
			w.refuses(415, op.Method, fill(op.Path, things), "text/plain", op.body())
			w.refuses(408, op.Method, fill(op.Path, things), "application/json", never{})
		}
	}
}

// takes reports whether an operation has that parameter.
func (op operation) takes(name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p struct{ Name string }) bool { return p.Name == name })
}

// never is a body that was announced and does not come.
type never struct{}

// refuses sends a body of that type.
func (w *world) refuses(status int, method, path, contentType string, body any) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var r io.Reader
	switch b := body.(type) {
	case string:
		r = strings.NewReader(b)
	case never:
		reader, writer := io.Pipe()
		defer writer.Close()
		r = reader
	}
	req, err := http.NewRequestWithContext(ctx, method, w.http.URL+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", contentType)
	if got := w.send(req); got.status != status {
		w.t.Errorf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
}

func TestEveryRouteCountsForTheRate(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.RateLimit = 1 })
	want[api.Me](w, 200, http.MethodGet, "/v1/me", nil)
	for _, op := range w.operations() {
		if op.Security != nil {
			w.fails(429, openmail.CodeRateLimit, "", op.Method, fill(op.Path, map[string]string{
				"{id}": "x", "{address}": "x", "{keyId}": "x", "{messageId}": "x", "{filename}": "x",
			}), w.token, op.body())
		}
	}
}

func TestAStrictServerWantsAKeyForEachSend(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Sender = outgoing.New(outgoing.Config{NeedKey: true}) })
	w.fails(400, openmail.CodeMissingKey, "Idempotency-Key", http.MethodPost, "/v1/inboxes/"+w.inbox("jane").ID+"/send", w.token, bodies["sendEmail"])
}

func TestADomainThatTakesNoMailIsToldOfByItsField(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Sender = outgoing.New(outgoing.Config{
			Inboxes: c.Mailbox, Store: c.Suppressed.(*store.DB), Rules: c.Suppressed.(*store.DB), Ours: func(context.Context, string) (bool, error) { return false, nil },
			NoMail: func(context.Context, string) string { return "the domain does not exist" },
		})
	})
	w.fails(422, openmail.CodeNoMX, "to", http.MethodPost, "/v1/inboxes/"+w.inbox("jane").ID+"/send", w.token, bodies["sendEmail"])
}

// elsewhere are the codes that other packages' tests provoke: a store that
// fails or is full, and a port that is not encrypted.
var elsewhere = []openmail.Code{openmail.CodeInternal, openmail.CodeUnavailable, openmail.CodeStorageFull, openmail.CodeHTTPSRequired}

// unprovoked prints what the document has and no test was answered, and
// returns 1 if there is any.
func (a *answers) unprovoked() (status int) {
	for path, methods := range a.doc.Paths {
		for method, op := range methods {
			if op.ID == socketID {
				continue
			}
			for code := range a.promised(op) {
				if !a.ids[op.ID][code] {
					fmt.Printf("FAIL: %s %s (%s) is said to answer %s, and no test is answered that\n", strings.ToUpper(method), path, op.ID, code)
					status = 1
				}
			}
		}
	}
	return status
}

// promised are the statuses, with their codes, that an operation answers with.
func (a *answers) promised(op operation) map[string]bool {
	all := map[string]bool{}
	for status, r := range op.Responses {
		if r.Ref == "" {
			all[status] = true
			continue
		}
		r = a.doc.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
		for code := range r.Content["application/json"].Examples {
			if !slices.Contains(elsewhere, openmail.Code(code)) {
				all[status+" "+code] = true
			}
		}
	}
	return all
}

// takes reports whether a response is of that type; "" is that of none.
func takes(r response, kind string) bool {
	_, exactly := r.Content[kind]
	_, whatever := r.Content["*/*"]
	return exactly || whatever || len(r.Content) == 0
}
