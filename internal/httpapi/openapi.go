package httpapi

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"path"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"openmail"
	"openmail/api"
)

// newAPI is huma with our errors, without its own pages and links.
func newAPI(mux *http.ServeMux, c Config) huma.API {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schemas.RegisterTypeAlias(reflect.TypeFor[api.Time](), reflect.TypeFor[time.Time]())
	schemas.RegisterTypeAlias(reflect.TypeFor[api.Optional[string]](), reflect.TypeFor[*string]())
	schemas.RegisterTypeAlias(reflect.TypeFor[api.Optional[int]](), reflect.TypeFor[*int]())
	schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[api.Error]())
	a := humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "OpenMail", Version: c.Version,
				Description: "Real mailboxes for software agents. Events come over the WebSocket at /v1/ws or by webhook.",
				License:     &huma.License{Name: "MIT", Identifier: "MIT"},
			},
			Servers: servers(c.Links.PublicURL),
			Components: &huma.Components{
				Schemas: schemas, Responses: map[string]*huma.Response{},
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", Description: "A key of the account, of one pod, or of one inbox: om_…"},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{translate},
	})
	a.UseMiddleware(begin)
	return a
}

func servers(url string) []*huma.Server {
	if url == "" {
		return nil
	}
	return []*huma.Server{{URL: url}}
}

// route declares one operation.
type route struct {
	method, path string
	id, summary  string
	tag          string
	status       int   // 0: 200, or 204 where nothing is answered
	limit        int64 // bytes of its body; 0: smallBody
	open         bool  // needs no key
	auth         func(huma.Context, func(huma.Context))
	responses    map[string]*huma.Response
	body         *huma.RequestBody // of a route that reads its body itself
}

// add declares an operation whose handler is called with a checked input. What
// an error means is found out once, by translate.
func add[I, O any](s *Server, r route, handle func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, s.operation(r), func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, &failure{err}
		}
		return out, nil
	})
	if r.body != nil { // huma would read what is declared before
		s.api.OpenAPI().Paths[r.path].Post.RequestBody = r.body
	}
}

func (s *Server) operation(r route) huma.Operation {
	op := huma.Operation{
		Method: r.method, Path: r.path, OperationID: r.id, Summary: r.summary, Tags: []string{r.tag},
		DefaultStatus: r.status, MaxBodyBytes: r.limit, BodyReadTimeout: s.c.ReadTimeout, Responses: r.responses,
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = smallBody
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	if r.open {
		return op
	}
	if r.auth == nil {
		r.auth = s.authenticate
	}
	op.Middlewares = huma.Middlewares{r.auth}
	op.Security = []map[string][]string{{"key": {}}}
	return op
}

// document is the OpenAPI document of what was declared.
func document(a huma.API) []byte {
	doc := a.OpenAPI()
	asked := map[string]bool{}
	for op := range operations(doc) {
		if op.RequestBody != nil {
			markUsed(doc, op.RequestBody.Content["application/json"].Schema, asked)
		}
		illustrate(doc.Components.Schemas, op)
		documentErrors(doc, op)
	}
	documentSocket(doc)
	for name, schema := range doc.Components.Schemas.Map() {
		if !asked[name] {
			schema.AdditionalProperties = true // an answer may gain fields
		}
		for _, property := range schema.Properties {
			// JSON Schema wants null among the values of what can be null.
			if property.Nullable && len(property.Enum) > 0 && !slices.Contains(property.Enum, any(nil)) {
				property.Enum = append(property.Enum, nil)
			}
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err) // the declarations are part of the program
	}
	return b
}

// operations are all operations of a document.
func operations(doc *huma.OpenAPI) iter.Seq[*huma.Operation] {
	return func(yield func(*huma.Operation) bool) {
		for _, item := range doc.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op != nil && !yield(op) {
					return
				}
			}
		}
	}
}

// illustrate gives the bodies of an operation in JSON their examples.
func illustrate(schemas huma.Registry, op *huma.Operation) {
	contents := []map[string]*huma.MediaType{}
	if op.RequestBody != nil {
		contents = append(contents, op.RequestBody.Content)
	}
	for _, r := range op.Responses {
		contents = append(contents, r.Content)
	}
	for _, content := range contents {
		if media := content["application/json"]; media != nil {
			media.Example = example(schemas, media.Schema)
		}
	}
}

// documentSocket adds the event stream, which is served elsewhere.
func documentSocket(doc *huma.OpenAPI) {
	text := func(name, in, what string) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: what, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	op := &huma.Operation{
		Method: http.MethodGet, Path: "/v1/ws", OperationID: "openSocket", Tags: []string{"Sockets"},
		Summary:     "Open the event stream, a WebSocket (RFC 6455)",
		Description: "The key comes in the Authorization header, as token, or by a ticket. A key that does not do is answered after the handshake, by the close code 4001.",
		Parameters:  []*huma.Param{text("token", "query", "A key, where no header can be set"), text("ticket", "query", "A ticket of POST /v1/ws/ticket, instead of a key")},
		Security:    []map[string][]string{{"key": {}}, {}},
		Responses:   map[string]*huma.Response{"101": {Description: "The WebSocket is open"}},
	}
	doc.AddOperation(op)
	documentStatuses(doc, op, map[int][]openmail.Code{
		http.StatusForbidden:          {openmail.CodeForbidden, openmail.CodeHTTPSRequired},
		http.StatusUpgradeRequired:    {openmail.CodeBadRequest},
		http.StatusServiceUnavailable: {openmail.CodeUnavailable},
	})
}

// markUsed notes the names of the schemas that a schema is made of.
func markUsed(doc *huma.OpenAPI, schema *huma.Schema, names map[string]bool) {
	if schema == nil {
		return
	}
	if name := path.Base(schema.Ref); schema.Ref != "" && !names[name] {
		names[name] = true
		markUsed(doc, doc.Components.Schemas.SchemaFromRef(schema.Ref), names)
	}
	markUsed(doc, schema.Items, names)
	for _, property := range schema.Properties {
		markUsed(doc, property, names)
	}
}

// reply is an answer with a body.
type reply[T any] struct{ Body T }

// nothing is the answer 204.
type nothing struct{}

func body[T any](v T) *reply[T] { return &reply[T]{v} }

// bytesOf documents an answer that is not JSON.
func bytesOf(contentType string) *huma.Response {
	return &huma.Response{
		Description: "The bytes",
		Content:     map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
}
