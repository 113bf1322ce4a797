package httpapi

import (
	"context"
	"net/http"
	"time"

	"openmail"
	"openmail/api"
)

// routes declares everything that is answered, but for /openapi.json.
func (s *Server) routes() {
	s.systemRoutes()
	s.accountRoutes()
	s.podRoutes()
	s.domainRoutes()
	s.inboxRoutes()
	s.mailRoutes()
	s.sendRoutes()
	s.keyRoutes()
	s.policyRoutes()
	s.eventRoutes()
	s.webhookRoutes()
	s.socketRoutes()
	s.usageRoutes()
}

func (s *Server) systemRoutes() {
	add(s, route{method: http.MethodGet, path: "/health", id: "health", tag: "System", open: true, summary: "Whether the server serves"}, s.health)
	add(s, route{method: http.MethodGet, path: "/ready", id: "ready", tag: "System", open: true, summary: "Whether the store answers"}, s.ready)
	add(s, route{method: http.MethodGet, path: "/v1/me", id: "me", tag: "System", summary: "Who the key is"}, s.me)
	s.mux.HandleFunc("GET /openapi.json", s.openapi)
}

// Named is the input of a route whose path names one thing.
type Named struct {
	Caller
	ID string `path:"id" maxLength:"200"`
}

// Paging is the input of a list that is counted.
type Paging struct {
	Limit  int `query:"limit" default:"50" minimum:"1" doc:"At most 100 are returned, whatever is asked for"`
	Offset int `query:"offset" minimum:"0"`
}

func (p Paging) page() openmail.Page { return openmail.Page{Limit: p.Limit, Offset: p.Offset} }

// openAsker is the input of a route that wants no key.
type openAsker struct{}

func (s *Server) health(context.Context, *openAsker) (*reply[api.Health], error) {
	return body(api.Health{Status: "ok"}), nil
}

// readyTimeout is how long the store has to answer.
const readyTimeout = 2 * time.Second

func (s *Server) ready(ctx context.Context, _ *openAsker) (*reply[api.Health], error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.c.Ready(ctx); err != nil {
		return nil, &openmail.Error{Code: openmail.CodeUnavailable, Message: "The store does not answer.", Err: err}
	}
	return body(api.Health{Status: "ok"}), nil
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	x := w.(*exchange)
	x.route = "/openapi.json"
	x.Header().Set("Content-Type", "application/json")
	x.Write(s.document) // Write notes an error
}

// limitedTo is the scope of a key that does not reach a whole account.
type limitedTo struct {
	PodID   *string `json:"podId"`
	InboxID *string `json:"inboxId"`
}

func (s *Server) me(_ context.Context, in *Caller) (*reply[api.Me], error) {
	me := api.Me{CustomerID: in.key.Account, Plan: "self-hosted", APIKeyScope: "account"}
	if in.key.Pod != "" {
		me.APIKeyScope = limitedTo{PodID: orNull(in.key.Pod), InboxID: orNull(in.key.Inbox)}
	}
	return body(me), nil
}
