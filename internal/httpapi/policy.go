package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
	"openmail/api"
	"openmail/internal/mailbox"
)

func (s *Server) policyRoutes() {
	const policy, quarantine = "Policy", "Quarantine"
	add(s, route{method: http.MethodGet, path: "/v1/policy", id: "getPolicy", tag: policy, summary: "Get who may write to the account's inboxes"}, s.getPolicy)
	add(s, route{method: http.MethodPut, path: "/v1/policy", id: "putPolicy", tag: policy, summary: "Replace the policy; rules that are left out stay", limit: maxBody}, s.putPolicy)
	add(s, route{method: http.MethodPut, path: "/v1/policy/mode", id: "setPolicyMode", tag: policy, summary: "Set the mode"}, s.setMode)
	add(s, route{method: http.MethodPost, path: "/v1/policy/rules", id: "addRule", tag: policy, summary: "Add a rule", status: http.StatusCreated}, s.addRule)
	add(s, route{method: http.MethodDelete, path: "/v1/policy/rules/{id}", id: "deleteRule", tag: policy, summary: "Remove a rule"}, s.deleteRule)
	add(s, route{method: http.MethodGet, path: "/v1/quarantine", id: "listQuarantine", tag: quarantine, summary: "List the mail that rules turned away, newest first"}, s.listQuarantine)
	add(s, route{method: http.MethodGet, path: "/v1/quarantine/{id}", id: "getQuarantined", tag: quarantine, summary: "Get a mail in quarantine"}, s.getQuarantined)
	add(s, route{method: http.MethodDelete, path: "/v1/quarantine/{id}", id: "deleteQuarantined", tag: quarantine, summary: "Delete a mail in quarantine for good"}, s.deleteQuarantined)
	add(s, route{method: http.MethodPost, path: "/v1/quarantine/{id}/release", id: "releaseQuarantined", tag: quarantine, summary: "Make it a normal message, with its event"}, s.release)
}

// PolicyInput is the input of a route on the account's policy. A narrower scope
// that is asked for is refused: passing over it would change who may write to
// every inbox.
type PolicyInput struct {
	Caller
	PodID   string `query:"podId" hidden:"true"`
	InboxID string `query:"inboxId" hidden:"true"`
}

// Resolve is called by huma before the handler.
func (in *PolicyInput) Resolve(ctx huma.Context) []error {
	for name, value := range map[string]string{"podId": in.PodID, "inboxId": in.InboxID} {
		if value != "" {
			return []error{&huma.ErrorDetail{Location: "query." + name, Message: "only the account as a whole has a policy"}}
		}
	}
	return in.Caller.Resolve(ctx)
}

func (s *Server) getPolicy(ctx context.Context, in *PolicyInput) (*reply[api.Policy], error) {
	return s.policy(ctx, &in.Caller)
}

func (s *Server) policy(ctx context.Context, in *Caller) (*reply[api.Policy], error) {
	p, err := s.c.Mailbox.Policy(ctx, in.scope())
	if err != nil {
		return nil, err
	}
	return body(policyJSON(p)), nil
}

type putPolicyInput struct {
	PolicyInput
	Body api.PolicyPut
}

func (s *Server) putPolicy(ctx context.Context, in *putPolicyInput) (*reply[api.Policy], error) {
	side := in.Body.Inbound
	if side == nil {
		return s.policy(ctx, &in.Caller)
	}
	var rules []mailbox.NewRule
	if side.Rules != nil {
		rules = each(side.Rules, newRule)
	}
	return s.changePolicy(ctx, &in.Caller, side.Mode, rules)
}

type setModeInput struct {
	PolicyInput
	Body api.PolicyMode
}

func (s *Server) setMode(ctx context.Context, in *setModeInput) (*reply[api.Policy], error) {
	return s.changePolicy(ctx, &in.Caller, in.Body.Mode, nil)
}

func (s *Server) changePolicy(ctx context.Context, in *Caller, mode string, rules []mailbox.NewRule) (*reply[api.Policy], error) {
	p, err := s.c.Mailbox.PutPolicy(ctx, in.scope(), openmail.Mode(mode), rules)
	if err != nil {
		return nil, err
	}
	return body(policyJSON(p)), nil
}

type addRuleInput struct {
	PolicyInput
	Body api.RuleCreate
}

func (s *Server) addRule(ctx context.Context, in *addRuleInput) (*reply[api.Rule], error) {
	rule, err := s.c.Mailbox.AddRule(ctx, in.scope(), newRule(in.Body))
	if err != nil {
		return nil, err
	}
	return body(ruleJSON(rule)), nil
}

type deleteRuleInput struct {
	PolicyInput
	ID string `path:"id" maxLength:"200"`
}

func (s *Server) deleteRule(ctx context.Context, in *deleteRuleInput) (*nothing, error) {
	return nil, s.c.Mailbox.DeleteRule(ctx, in.scope(), in.ID)
}

func (s *Server) listQuarantine(ctx context.Context, in *listInput) (*reply[api.List[api.Quarantined]], error) {
	held, total, err := s.c.Mailbox.Quarantined(ctx, in.scope(), in.page())
	if err != nil {
		return nil, err
	}
	return body(list(held, total, quarantinedJSON)), nil
}

func (s *Server) getQuarantined(ctx context.Context, in *Named) (*reply[api.Quarantined], error) {
	held, err := s.c.Mailbox.QuarantinedOne(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(quarantinedJSON(held)), nil
}

func (s *Server) deleteQuarantined(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Mailbox.DeleteQuarantined(ctx, in.scope(), in.ID)
}

func (s *Server) release(ctx context.Context, in *Named) (*reply[api.Released], error) {
	if err := in.scope().NeedAccount("release mail from quarantine"); err != nil {
		return nil, err
	}
	filed, err := s.c.Releaser.Release(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(api.Released{MessageID: filed.Message, ThreadID: filed.Thread, EventID: filed.Event}), nil
}
