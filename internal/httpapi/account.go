package httpapi

import (
	"context"
	"net/http"
	"time"

	"openmail"
	"openmail/api"
)

func (s *Server) accountRoutes() {
	const tag = "Account"
	add(s, route{method: http.MethodGet, path: "/v1/account", id: "getAccount", tag: tag, summary: "Get the account's settings"}, s.getAccount)
	add(s, route{method: http.MethodPatch, path: "/v1/account", id: "updateAccount", tag: tag, summary: "Change the account's settings"}, s.updateAccount)
}

func (s *Server) getAccount(ctx context.Context, in *Caller) (*reply[api.Account], error) {
	account, err := s.c.Access.Account(ctx, in.scope())
	if err != nil {
		return nil, err
	}
	return body(accountJSON(account)), nil
}

type updateAccountInput struct {
	Caller
	Body api.AccountUpdate
}

func (s *Server) updateAccount(ctx context.Context, in *updateAccountInput) (*reply[api.Account], error) {
	if deadline := in.Body.ReceiptDeadlineSeconds; deadline.Set {
		var d time.Duration // null: the server's own
		if deadline.Value != nil {
			d = time.Duration(*deadline.Value) * time.Second
		}
		if err := s.c.Access.SetReceiptDeadline(ctx, in.scope(), d); err != nil {
			return nil, err
		}
	}
	return s.getAccount(ctx, &in.Caller)
}

func accountJSON(a openmail.Account) api.Account {
	out := api.Account{ID: a.ID, Name: a.Name, CreatedAt: at(a.CreatedAt)}
	if a.ReceiptDeadline > 0 {
		seconds := int(a.ReceiptDeadline / time.Second)
		out.ReceiptDeadlineSeconds = &seconds
	}
	return out
}
