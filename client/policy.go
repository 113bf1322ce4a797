package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"openmail"
	"openmail/api"
)

// Level names whose policy is meant: that of an inbox, of a pod, or, where both
// are empty, of the account.
type Level struct {
	Pod   string // its id or clientId
	Inbox string
}

func (l Level) query() url.Values {
	q := url.Values{}
	set(q, "podId", l.Pod)
	set(q, "inboxId", l.Inbox)
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// Policy is with whom mail may be exchanged at a level.
func (c *Client) Policy(ctx context.Context, at Level) (api.Policy, error) {
	return fetch[api.Policy](ctx, c, request{method: http.MethodGet, path: "/v1/policy", query: at.query()})
}

// PutPolicy replaces the policy of a level. A side left out stays, and the rules
// of a side without any.
func (c *Client) PutPolicy(ctx context.Context, at Level, in api.PolicyPut) (api.Policy, error) {
	return fetch[api.Policy](ctx, c, request{method: http.MethodPut, path: "/v1/policy", query: at.query(), body: in})
}

// SetPolicyMode sets what happens to addresses that no rule names.
func (c *Client) SetPolicyMode(ctx context.Context, at Level, in api.PolicyMode) (api.Policy, error) {
	return fetch[api.Policy](ctx, c, request{method: http.MethodPut, path: "/v1/policy/mode", query: at.query(), body: in})
}

// AddRule adds a rule; the code is rule_exists when it is there already.
func (c *Client) AddRule(ctx context.Context, at Level, in api.RuleCreate) (api.Rule, error) {
	return fetch[api.Rule](ctx, c, request{method: http.MethodPost, path: "/v1/policy/rules", query: at.query(), body: in})
}

// DeleteRule removes a rule of that level; the code is inherited_rule when it is
// one of a wider level.
func (c *Client) DeleteRule(ctx context.Context, at Level, id string) error {
	return c.exec(ctx, request{method: http.MethodDelete, path: "/v1/policy/rules/{}", query: at.query(), ids: []string{id}})
}

// PolicyFilter chooses records of policies; what is empty chooses all.
type PolicyFilter struct {
	Level
	Action, Direction string
	Since, Until      time.Time // from Since, before Until
}

// PolicyRecords is a page of what was changed of policies and what they refused,
// newest first.
func (c *Client) PolicyRecords(ctx context.Context, f PolicyFilter, p openmail.Page) (api.List[api.PolicyRecord], error) {
	q := f.query()
	set(q, "action", f.Action)
	set(q, "direction", f.Direction)
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return fetch[api.List[api.PolicyRecord]](ctx, c, request{method: http.MethodGet, path: "/v1/policy/audit", query: pageQuery(q, p)})
}
