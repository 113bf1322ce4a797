package httpapi

import (
	"context"
	"net/http"

	"openmail/api"
	"openmail/internal/domains"
)

func (s *Server) domainRoutes() {
	const tag = "Domains"
	add(s, route{method: http.MethodGet, path: "/v1/domains", id: "listDomains", tag: tag, summary: "List the account's own mail domains, newest first"}, s.listDomains)
	add(s, route{method: http.MethodPost, path: "/v1/domains", id: "createDomain", tag: tag, summary: "Add a mail domain; the answer has the records to publish", status: http.StatusCreated}, s.createDomain)
	add(s, route{method: http.MethodGet, path: "/v1/domains/{id}", id: "getDomain", tag: tag, summary: "Get a domain with its records, by id or name"}, s.getDomain)
	add(s, route{method: http.MethodPatch, path: "/v1/domains/{id}", id: "updateDomain", tag: tag, summary: "Bind a domain to a pod, or to none"}, s.updateDomain)
	add(s, route{method: http.MethodDelete, path: "/v1/domains/{id}", id: "deleteDomain", tag: tag, summary: "Delete a domain that has no inboxes"}, s.deleteDomain)
	add(s, route{method: http.MethodPost, path: "/v1/domains/{id}/verify", id: "verifyDomain", tag: tag, summary: "Look at a domain's records now"}, s.verifyDomain)
}

type domainReply = reply[api.Domain]

// showDomain is the answer with a domain.
func showDomain(d domains.Shown, err error) (*domainReply, error) {
	if err != nil {
		return nil, err
	}
	return body(shownJSON(d)), nil
}

func (s *Server) listDomains(ctx context.Context, in *listInput) (*reply[api.List[api.Domain]], error) {
	all, total, err := s.c.Domains.List(ctx, in.scope(), in.page())
	if err != nil {
		return nil, err
	}
	return body(list(all, total, domainJSON)), nil
}

type createDomainInput struct {
	Caller
	Body api.DomainCreate
}

func (s *Server) createDomain(ctx context.Context, in *createDomainInput) (*domainReply, error) {
	return showDomain(s.c.Domains.Add(ctx, in.scope(), in.Body.Domain, orEmpty(in.Body.PodID)))
}

func (s *Server) getDomain(ctx context.Context, in *Named) (*domainReply, error) {
	return showDomain(s.c.Domains.Domain(ctx, in.scope(), in.ID))
}

type updateDomainInput struct {
	Named
	Body api.DomainUpdate
}

func (s *Server) updateDomain(ctx context.Context, in *updateDomainInput) (*domainReply, error) {
	if !in.Body.PodID.Set {
		if err := in.scope().NeedAccount("change a domain"); err != nil {
			return nil, err
		}
		return s.getDomain(ctx, &in.Named)
	}
	return showDomain(s.c.Domains.Bind(ctx, in.scope(), in.ID, orEmpty(in.Body.PodID.Value)))
}

func (s *Server) deleteDomain(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Domains.Delete(ctx, in.scope(), in.ID)
}

func (s *Server) verifyDomain(ctx context.Context, in *Named) (*domainReply, error) {
	return showDomain(s.c.Domains.Verify(ctx, in.scope(), in.ID))
}
