package httpapi

import (
	"context"
	"net/http"

	"openmail/api"
	"openmail/internal/access"
)

func (s *Server) keyRoutes() {
	const tag = "Keys"
	add(s, route{method: http.MethodGet, path: "/v1/api-keys", id: "listKeys", tag: tag, summary: "List the keys that reach the whole account"}, s.listKeys)
	add(s, route{method: http.MethodPost, path: "/v1/api-keys", id: "createKey", tag: tag, summary: "Create a key that reaches the whole account", status: http.StatusCreated}, s.createKey)
	add(s, route{method: http.MethodDelete, path: "/v1/api-keys/{id}", id: "revokeKey", tag: tag, summary: "Revoke a key"}, s.revokeKey)
	add(s, route{method: http.MethodGet, path: "/v1/inboxes/{id}/api-keys", id: "listInboxKeys", tag: tag, summary: "List the keys of an inbox"}, s.listInboxKeys)
	add(s, route{method: http.MethodPost, path: "/v1/inboxes/{id}/api-keys", id: "createInboxKey", tag: tag, summary: "Create a key that reaches one inbox", status: http.StatusCreated}, s.createInboxKey)
	add(s, route{method: http.MethodDelete, path: "/v1/inboxes/{id}/api-keys/{keyId}", id: "revokeInboxKey", tag: tag, summary: "Revoke a key of an inbox"}, s.revokeInboxKey)
}

type keysReply = reply[api.Rows[api.APIKey]]

func (s *Server) keys(ctx context.Context, in *Caller, of access.Owner) (*keysReply, error) {
	keys, err := s.c.Access.Keys(ctx, in.scope(), of)
	if err != nil {
		return nil, err
	}
	return body(api.Rows[api.APIKey]{Data: each(keys, keyJSON)}), nil
}

func (s *Server) newKey(ctx context.Context, in *Caller, of access.Owner, asked *api.APIKeyCreate) (*reply[api.APIKey], error) {
	if asked == nil {
		asked = &api.APIKeyCreate{}
	}
	key, token, err := s.c.Access.CreateKey(ctx, in.scope(), of, orEmpty(asked.Name))
	if err != nil {
		return nil, err
	}
	out := keyJSON(key)
	out.Token = token
	return body(out), nil
}

func (s *Server) listKeys(ctx context.Context, in *Caller) (*keysReply, error) {
	return s.keys(ctx, in, access.Owner{})
}

type createKeyInput struct {
	Caller
	Body *api.APIKeyCreate
}

func (s *Server) createKey(ctx context.Context, in *createKeyInput) (*reply[api.APIKey], error) {
	return s.newKey(ctx, &in.Caller, access.Owner{}, in.Body)
}

func (s *Server) revokeKey(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Access.Revoke(ctx, in.scope(), access.Owner{}, in.ID)
}

func (s *Server) listInboxKeys(ctx context.Context, in *Named) (*keysReply, error) {
	return s.keys(ctx, &in.Caller, access.Owner{Inbox: in.ID})
}

type createInboxKeyInput struct {
	Named
	Body *api.APIKeyCreate
}

func (s *Server) createInboxKey(ctx context.Context, in *createInboxKeyInput) (*reply[api.APIKey], error) {
	return s.newKey(ctx, &in.Caller, access.Owner{Inbox: in.ID}, in.Body)
}

type inboxKeyInput struct {
	Named
	KeyID string `path:"keyId" maxLength:"200"`
}

func (s *Server) revokeInboxKey(ctx context.Context, in *inboxKeyInput) (*nothing, error) {
	return nil, s.c.Access.Revoke(ctx, in.scope(), access.Owner{Inbox: in.ID}, in.KeyID)
}
