package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/mailbox"
)

func (s *Server) policyRoutes() {
	const policy, quarantine = "Policy", "Quarantine"
	add(s, route{method: http.MethodGet, path: "/v1/policy", id: "getPolicy", tag: policy, summary: "Get with whom an account, a pod or an inbox may exchange mail"}, s.getPolicy)
	add(s, route{method: http.MethodPut, path: "/v1/policy", id: "putPolicy", tag: policy, summary: "Replace modes, and the rules of each side that has rules", limit: maxBody}, s.putPolicy)
	add(s, route{method: http.MethodPut, path: "/v1/policy/mode", id: "setPolicyMode", tag: policy, summary: "Set the mode"}, s.setMode)
	add(s, route{method: http.MethodPost, path: "/v1/policy/rules", id: "addRule", tag: policy, summary: "Add a rule", status: http.StatusCreated}, s.addRule)
	add(s, route{method: http.MethodDelete, path: "/v1/policy/rules/{id}", id: "deleteRule", tag: policy, summary: "Remove a rule"}, s.deleteRule)
	add(s, route{method: http.MethodGet, path: "/v1/policy/audit", id: "listPolicyRecords", tag: policy, summary: "List what was changed of policies and what they refused, newest first"}, s.listRecords)
	add(s, route{method: http.MethodGet, path: "/v1/quarantine", id: "listQuarantine", tag: quarantine, summary: "List the mail that rules turned away, newest first"}, s.listQuarantine)
	add(s, route{method: http.MethodGet, path: "/v1/quarantine/{id}", id: "getQuarantined", tag: quarantine, summary: "Get a mail in quarantine"}, s.getQuarantined)
	add(s, route{method: http.MethodDelete, path: "/v1/quarantine/{id}", id: "deleteQuarantined", tag: quarantine, summary: "Delete a mail in quarantine for good"}, s.deleteQuarantined)
	add(s, route{method: http.MethodPost, path: "/v1/quarantine/{id}/release", id: "releaseQuarantined", tag: quarantine, summary: "Make it a normal message, with its event"}, s.release)
}

// PolicyInput is the input of a route on the policy of one level.
type PolicyInput struct {
	Caller
	PodID   string `query:"podId" maxLength:"255" doc:"That of this pod, by id or clientId; without podId and inboxId that of the account"`
	InboxID string `query:"inboxId" maxLength:"200" doc:"That of this inbox; not together with podId"`
}

func (in *PolicyInput) level() mailbox.Level { return mailbox.Level{Pod: in.PodID, Inbox: in.InboxID} }

func (s *Server) getPolicy(ctx context.Context, in *PolicyInput) (*reply[api.Policy], error) {
	return policyReply(s.c.Mailbox.Policy(ctx, in.scope(), in.level()))
}

func policyReply(p mailbox.LevelPolicy, err error) (*reply[api.Policy], error) {
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
	var puts []mailbox.PolicyPut
	for _, side := range []struct {
		direction openmail.Direction
		put       *api.PolicySidePut
	}{{openmail.Inbound, in.Body.Inbound}, {openmail.Outbound, in.Body.Outbound}} {
		if side.put == nil {
			continue
		}
		put, err := sidePut(side.direction, *side.put)
		if err != nil {
			return nil, err
		}
		puts = append(puts, put)
	}
	return policyReply(s.c.Mailbox.PutPolicy(ctx, in.key, in.level(), puts))
}

func sidePut(d openmail.Direction, side api.PolicySidePut) (mailbox.PolicyPut, error) {
	put := mailbox.PolicyPut{Direction: d, Mode: openmail.Mode(side.Mode)}
	if side.Rules == nil {
		return put, nil
	}
	put.Rules = each(side.Rules, newRule)
	for _, r := range side.Rules {
		if r.Direction != "" && r.Direction != string(d) {
			return put, openmail.FieldErrorf(openmail.CodeBadRequest, string(d)+".rules", "A rule of this side is %s.", d)
		}
	}
	return put, nil
}

type setModeInput struct {
	PolicyInput
	Body api.PolicyMode
}

func (s *Server) setMode(ctx context.Context, in *setModeInput) (*reply[api.Policy], error) {
	return policyReply(s.c.Mailbox.SetPolicyMode(ctx, in.key, in.level(), direction(in.Body.Direction), openmail.Mode(in.Body.Mode)))
}

// direction is inbound where none is named.
func direction(name string) openmail.Direction {
	return cmp.Or(openmail.Direction(name), openmail.Inbound)
}

type addRuleInput struct {
	PolicyInput
	Body api.RuleCreate
}

func (s *Server) addRule(ctx context.Context, in *addRuleInput) (*reply[api.Rule], error) {
	rule, err := s.c.Mailbox.AddRule(ctx, in.key, in.level(), direction(in.Body.Direction), newRule(in.Body))
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
	return nil, s.c.Mailbox.DeleteRule(ctx, in.key, in.level(), in.ID)
}

type listRecordsInput struct {
	PolicyInput
	Paging
	Action    string    `query:"action" enum:"policy_replaced,mode_set,rule_added,rule_removed,refused"`
	Direction string    `query:"direction" enum:"inbound,outbound"`
	Since     time.Time `query:"since" doc:"Happened then or later"`
	Until     time.Time `query:"until" doc:"Happened before"`
}

func (s *Server) listRecords(ctx context.Context, in *listRecordsInput) (*reply[api.List[api.PolicyRecord]], error) {
	records, total, err := s.c.Mailbox.PolicyRecords(ctx, in.scope(), in.level(), mailbox.RecordFilter{
		Action: openmail.PolicyAction(in.Action), Direction: openmail.Direction(in.Direction), Since: in.Since, Until: in.Until,
	}, in.page())
	if err != nil {
		return nil, err
	}
	return body(list(records, total, policyRecordJSON)), nil
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
