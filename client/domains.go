package client

import (
	"context"
	"iter"
	"net/http"

	"openmail"
	"openmail/api"
)

// A domain is named by its id or by its own name, everywhere.

// DomainPage is one page of the account's own mail domains, newest first, without
// their records.
func (c *Client) DomainPage(ctx context.Context, p openmail.Page) (api.List[api.Domain], error) {
	return fetch[api.List[api.Domain]](ctx, c, request{method: http.MethodGet, path: "/v1/domains", query: pageQuery(nil, p)})
}

// Domains walks every domain that the key reaches, in the order of DomainPage.
func (c *Client) Domains(ctx context.Context) iter.Seq2[api.Domain, error] {
	return all(openmail.Page{}, func(p openmail.Page) (api.List[api.Domain], error) { return c.DomainPage(ctx, p) })
}

// Domain is one domain with the records to publish.
func (c *Client) Domain(ctx context.Context, domain string) (api.Domain, error) {
	return fetch[api.Domain](ctx, c, request{method: http.MethodGet, path: "/v1/domains/{}", ids: []string{domain}})
}

// CreateDomain brings a domain; the code is domain_exists when the account has
// it, domain_taken when another has proved it, domain_blocked for one that
// nobody can bring.
func (c *Client) CreateDomain(ctx context.Context, in api.DomainCreate) (api.Domain, error) {
	return fetch[api.Domain](ctx, c, request{method: http.MethodPost, path: "/v1/domains", body: in})
}

// UpdateDomain changes what in sets and answers with the domain as it is then.
func (c *Client) UpdateDomain(ctx context.Context, domain string, in api.DomainUpdate) (api.Domain, error) {
	return fetch[api.Domain](ctx, c, request{method: http.MethodPatch, path: "/v1/domains/{}", ids: []string{domain}, body: in})
}

// VerifyDomain has the server look at a domain's records now, which may take
// some seconds.
func (c *Client) VerifyDomain(ctx context.Context, domain string) (api.Domain, error) {
	return fetch[api.Domain](ctx, c, request{method: http.MethodPost, path: "/v1/domains/{}/verify", ids: []string{domain}})
}

// DeleteDomain removes a domain; the code is domain_has_inboxes while there is
// an inbox on it.
func (c *Client) DeleteDomain(ctx context.Context, domain string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/domains/{}", ids: []string{domain}})
}
