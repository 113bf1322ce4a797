package httpapi

import (
	"context"
	"net/http"

	"openmail/api"
)

func (s *Server) socketRoutes() {
	const tag = "Sockets"
	add(s, route{method: http.MethodGet, path: "/v1/sockets", id: "listSockets", tag: tag, summary: "List the open connections of the event stream"}, s.listSockets)
	add(s, route{method: http.MethodDelete, path: "/v1/sockets/{id}", id: "disconnectSocket", tag: tag, summary: "Close a connection"}, s.disconnect)
	add(s, route{method: http.MethodPost, path: "/v1/ws/ticket", id: "createTicket", tag: tag, summary: "Get a ticket that opens one connection, once, within a minute", status: http.StatusCreated}, s.ticket)
}

func (s *Server) listSockets(_ context.Context, in *Caller) (*reply[api.Rows[api.Socket]], error) {
	if err := in.scope().NeedAccount("see the account's connections"); err != nil {
		return nil, err
	}
	sockets := s.c.Sockets.Sockets(in.scope())
	if sockets == nil {
		sockets = []api.Socket{}
	}
	return body(api.Rows[api.Socket]{Data: sockets}), nil
}

func (s *Server) disconnect(_ context.Context, in *Named) (*nothing, error) {
	if err := in.scope().NeedAccount("close the account's connections"); err != nil {
		return nil, err
	}
	return nil, s.c.Sockets.Disconnect(in.scope(), in.ID)
}

func (s *Server) ticket(_ context.Context, in *Caller) (*reply[api.Ticket], error) {
	text, expires := s.c.Sockets.Ticket(in.key)
	return body(api.Ticket{Ticket: text, ExpiresAt: api.Time{Time: expires}}), nil
}
