package httpapi

import (
	"cmp"
	"context"
	"net/http"

	"openmail"
	"openmail/api"
	"openmail/internal/mailbox"
)

func (s *Server) inboxRoutes() {
	const tag = "Inboxes"
	add(s, route{method: http.MethodGet, path: "/v1/inboxes", id: "listInboxes", tag: tag, summary: "List inboxes, newest first"}, s.listInboxes)
	add(s, route{method: http.MethodPost, path: "/v1/inboxes", id: "createInbox", tag: tag, summary: "Create an inbox", status: http.StatusCreated}, s.createInbox)
	add(s, route{method: http.MethodGet, path: "/v1/inboxes/{id}", id: "getInbox", tag: tag, summary: "Get an inbox"}, s.getInbox)
	add(s, route{method: http.MethodPatch, path: "/v1/inboxes/{id}", id: "updateInbox", tag: tag, summary: "Change an inbox"}, s.updateInbox)
	add(s, route{method: http.MethodDelete, path: "/v1/inboxes/{id}", id: "deleteInbox", tag: tag, summary: "Delete an inbox and everything in it, for good"}, s.deleteInbox)
}

type listInput struct {
	Caller
	Paging
}

type listInboxesInput struct {
	Caller
	Paging
	PodID string `query:"podId" maxLength:"255" doc:"Only those of this pod, by id or clientId; none when there is no such pod"`
}

func (s *Server) listInboxes(ctx context.Context, in *listInboxesInput) (*reply[api.List[api.Inbox]], error) {
	inboxes, total, err := s.c.Mailbox.Inboxes(ctx, in.scope(), in.PodID, in.page())
	if err != nil {
		return nil, err
	}
	return body(list(inboxes, total, inboxJSON)), nil
}

type createInboxInput struct {
	Caller
	Body *api.InboxCreate
}

func (s *Server) createInbox(ctx context.Context, in *createInboxInput) (*reply[api.Inbox], error) {
	var asked api.InboxCreate
	if in.Body != nil {
		asked = *in.Body
	}
	created, err := s.c.Mailbox.CreateInbox(ctx, in.scope(), mailbox.NewInbox{
		Name: cmp.Or(asked.MailboxName, asked.Username), Domain: asked.Domain, Pod: orEmpty(asked.PodID),
		DisplayName: orEmpty(asked.DisplayName), ExternalID: orEmpty(asked.ExternalID),
	})
	if err != nil {
		return nil, err
	}
	return body(inboxJSON(created)), nil
}

func (s *Server) getInbox(ctx context.Context, in *Named) (*reply[api.Inbox], error) {
	inbox, err := s.c.Mailbox.Inbox(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(inboxJSON(inbox)), nil
}

type updateInboxInput struct {
	Named
	Body api.InboxUpdate
}

func (s *Server) updateInbox(ctx context.Context, in *updateInboxInput) (*reply[api.Inbox], error) {
	inbox, err := s.changeInbox(ctx, in)
	if err != nil {
		return nil, err
	}
	return body(inboxJSON(inbox)), nil
}

// changeInbox changes what was sent; an empty change is one that a key must be
// allowed to make too.
func (s *Server) changeInbox(ctx context.Context, in *updateInboxInput) (openmail.Inbox, error) {
	if name := in.Body.DisplayName; name.Set {
		return s.c.Mailbox.SetDisplayName(ctx, in.scope(), in.ID, orEmpty(name.Value))
	}
	if err := in.scope().NeedPod("change an inbox"); err != nil {
		return openmail.Inbox{}, err
	}
	return s.c.Mailbox.Inbox(ctx, in.scope(), in.ID)
}

func (s *Server) deleteInbox(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Mailbox.DeleteInbox(ctx, in.scope(), in.ID)
}
