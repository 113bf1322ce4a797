package httpapi

import (
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/domains"
	"openmail/internal/mailbox"
)

// The spelling of our words on the wire. What may be null is null exactly when
// the word is empty.

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

func list[A, B any](in []A, total int, f func(A) B) api.List[B] {
	return api.List[B]{Data: each(in, f), Total: total}
}

func orEmpty(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func orNull[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}

func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func at(t time.Time) api.Time { return api.Time{Time: t} }

func podJSON(p openmail.Pod) api.Pod {
	return api.Pod{
		ID: p.ID, ClientID: orNull(p.ClientID), Name: orNull(p.Name), IsDefault: p.IsDefault,
		Suspension: suspensionJSON(p.Suspension), CreatedAt: at(p.CreatedAt),
	}
}

func suspensionJSON(s *openmail.Suspension) *api.Suspension {
	if s == nil {
		return nil
	}
	return &api.Suspension{Kind: string(s.Kind), ID: s.ID, Reason: string(s.Reason), Since: at(s.Since)}
}

func domainJSON(d openmail.Domain) api.Domain {
	return api.Domain{
		ID: d.ID, Domain: d.Name, Status: string(d.Status), Reason: orNull(d.Reason), PodID: orNull(d.Pod),
		CreatedAt: at(d.CreatedAt), VerifiedAt: at(d.VerifiedAt), CheckedAt: at(d.CheckedAt),
	}
}

func shownJSON(d domains.Shown) api.Domain {
	out := domainJSON(d.Domain)
	out.Records = each(d.Records, recordJSON)
	return out
}

func recordJSON(r openmail.DomainRecord) api.DomainRecord {
	out := api.DomainRecord{
		Type: r.Type, Name: r.Name, Value: r.Value, Purpose: r.Purpose, Required: r.Required, Status: string(r.Status), Reason: orNull(r.Reason),
	}
	if r.Type == "MX" {
		out.Priority = &r.Priority
	}
	return out
}

func inboxJSON(in openmail.Inbox) api.Inbox {
	out := api.Inbox{
		ID: in.ID, PodID: in.Pod, Address: in.Address, DisplayName: orNull(in.DisplayName),
		ExternalID: orNull(in.ExternalID), Suspension: suspensionJSON(in.Suspension), CreatedAt: at(in.CreatedAt),
	}
	if w := in.Webhook; w != nil {
		out.WebhookURL, out.WebhookDisabledReason = orNull(w.URL), orNull(w.DisabledReason)
	}
	return out
}

func threadJSON(t openmail.Thread) api.Thread {
	return api.Thread{
		ID: t.ID, InboxID: t.Inbox, Subject: t.Subject, IsRead: t.IsRead, MessageCount: t.MessageCount,
		LastMessageAt: at(t.LastMessageAt), CreatedAt: at(t.CreatedAt),
	}
}

func (s *Server) messageJSON(m openmail.Message) api.Message {
	out := api.Message{
		ID: m.ID, ThreadID: m.Thread, InboxID: m.Inbox, Direction: string(m.Direction), Status: string(m.Status),
		FromAddr: m.From.String(), ToAddr: m.ToAddr, HeaderTo: orNull(m.HeaderTo), DeliveryRole: orNull(m.DeliveryRole),
		CC: notNull(m.CC), Subject: m.Subject, BodyText: m.BodyText, BodyHTML: m.BodyHTML, BodyOmitted: m.BodyOmitted, CreatedAt: at(m.CreatedAt),
		RFCMessageID: m.RFCMessageID, InReplyTo: m.InReplyTo, References: notNull(m.References),
		RawURL: s.c.Links.Raw(m.ID), SizeBytes: m.SizeBytes,
		HiddenText: m.HiddenText, Partial: m.Partial,
		Defects:     each(m.Defects, func(d openmail.Defect) string { return string(d) }),
		Attachments: each(m.Attachments, func(a openmail.Attachment) api.Attachment { return s.attachmentJSON(m, a) }),
	}
	if m.Direction == openmail.Outbound {
		out.Deliveries = each(m.Deliveries, mailDeliveryJSON)
	}
	if m.Direction == openmail.Inbound {
		out.Category, out.AutoReplyable = orNull(string(m.Category)), &m.AutoReplyable
		out.Envelope = &api.Envelope{MailFrom: m.Envelope.MailFrom, RcptTo: m.Envelope.RcptTo, Role: string(m.EnvelopeRole)}
	}
	return out
}

// attachmentJSON is a file with its text, unless its list had no room for that.
func (s *Server) attachmentJSON(m openmail.Message, a openmail.Attachment) api.Attachment {
	out := api.Attachment{
		Filename: a.Filename, ContentType: a.ContentType, SizeBytes: a.SizeBytes,
		URL: s.c.Links.Attachment(m.ID, a.Filename), ExtractionMethod: string(a.Extracted.Method),
	}
	if a.Extracted.Method.HasText() && !m.BodyOmitted {
		out.ParsedText = &a.Extracted.Text
	}
	return out
}

func mailDeliveryJSON(d openmail.MailDelivery) api.MailDelivery {
	return api.MailDelivery{
		Recipient: d.Recipient, State: string(d.State), Attempts: d.Attempts, Code: d.Code, EnhancedCode: d.Enhanced,
		LastAnswer: d.Answer, Server: d.Server, TLS: d.TLS, LastAttemptAt: at(d.LastAt), NextAttemptAt: at(d.NextAt),
	}
}

func suppressionJSON(s openmail.Suppression) api.Suppression {
	return api.Suppression{Address: s.Address, Type: string(s.Type), Reason: s.Reason, CreatedAt: at(s.CreatedAt)}
}

func keyJSON(k openmail.Key) api.APIKey {
	return api.APIKey{
		ID: k.ID, Name: orNull(k.Name), PodID: orNull(k.Pod), InboxID: orNull(k.Inbox), TokenPrefix: k.Prefix, Last4: k.Last4,
		CreatedAt: at(k.CreatedAt), LastUsedAt: at(k.LastUsedAt),
	}
}

func eventJSON(e openmail.Event) api.Event {
	d := e.Delivery
	out := api.Event{
		ID: e.ID, Type: string(e.Type), PodID: e.Pod, InboxID: orNull(e.Inbox), ThreadID: orNull(e.Thread), MessageID: orNull(e.Message),
		State: string(d.State), Reason: orNull(d.Reason), Channel: orNull(d.Channel), Attempts: d.Attempts,
		OccurredAt: at(e.OccurredAt), DeliveredAt: at(d.DeliveredAt),
	}
	if d.State == openmail.StateDue {
		out.NextAttemptAt = at(d.Due)
	}
	return out
}

// payloadJSON is the payload as the last hand-over carried it, or the first
// would.
func payloadJSON(e openmail.Event) []byte {
	if e.Payload == nil {
		return nil
	}
	handed := e.Delivery.DeliveredAt
	if handed.IsZero() {
		handed = e.OccurredAt
	}
	return api.Stamp(nil, e.Payload, handed, max(1, e.Delivery.Attempts))
}

func attemptJSON(a openmail.Attempt) api.Attempt {
	return api.Attempt{
		N: a.N, Channel: string(a.Channel), At: at(a.At), TookMS: a.Took.Milliseconds(), Status: a.Status,
		Outcome: string(a.Outcome), Error: a.Error, Remote: a.Remote, Response: a.Response,
	}
}

func webhookJSON(e openmail.Endpoint) api.Webhook {
	return api.Webhook{URL: e.URL, Enabled: e.Enabled, DisabledReason: orNull(e.DisabledReason), CreatedAt: at(e.CreatedAt)}
}

// levelName is what the wire calls a level.
func levelName(at openmail.Scope) string {
	return []string{"account", "pod", "inbox"}[len(at.Levels())-1]
}

// setBy is what the wire calls whose key did something.
func setBy(account bool) string {
	if account {
		return "account"
	}
	return "pod"
}

func policyJSON(p mailbox.LevelPolicy) api.Policy {
	return api.Policy{Scope: levelName(p.At), Inbound: sideJSON(p.Inbound), Outbound: sideJSON(p.Outbound)}
}

func sideJSON(p openmail.Policy) api.PolicySide {
	side := api.PolicySide{Mode: string(p[len(p)-1].Mode), EffectiveMode: string(p.Mode()), Rules: []api.Rule{}}
	for _, l := range p {
		side.Rules = append(side.Rules, each(l.Rules, ruleJSON)...)
	}
	return side
}

func ruleJSON(r openmail.Rule) api.Rule {
	return api.Rule{
		ID: r.ID, Type: string(r.Type), Value: r.Value, Direction: string(r.Direction),
		Scope: levelName(r.At), SetBy: setBy(r.ByAccount), CreatedAt: at(r.CreatedAt),
	}
}

func policyRecordJSON(r openmail.PolicyRecord) api.PolicyRecord {
	d := r.Detail
	out := api.PolicyRecord{
		ID: r.ID, Action: string(r.Action), Direction: string(r.Direction), Scope: levelName(r.At),
		PodID: orNull(r.At.Pod), InboxID: orNull(r.At.Inbox), KeyID: orNull(r.Key), RuleID: orNull(r.Rule),
		Type: orNull(d.Type), Value: orNull(d.Value), Mode: orNull(d.Mode),
		Address: orNull(r.Address), Reason: orNull(r.Reason), Times: r.Times, HeldID: orNull(d.Held), CreatedAt: at(r.CreatedAt),
	}
	if r.Action == openmail.PolicyReplaced {
		out.Added, out.Removed = changesJSON(d.Added), changesJSON(d.Removed)
	}
	return out
}

func changesJSON(c openmail.RuleChanges) *api.RuleChanges {
	return &api.RuleChanges{Count: c.Count, First: notNull(c.First)}
}

func newRule(r api.RuleCreate) mailbox.NewRule {
	return mailbox.NewRule{Type: openmail.RuleType(r.Type), Value: r.Value}
}

func quarantinedJSON(q openmail.Quarantined) api.Quarantined {
	return api.Quarantined{
		ID: q.ID, InboxID: q.Inbox, FromAddr: q.From.String(), Subject: q.Subject,
		Reason: q.Verdict.Reason, RuleID: orNull(q.Verdict.Rule), SizeBytes: q.SizeBytes,
		CreatedAt: at(q.CreatedAt), ExpiresAt: at(q.ExpiresAt),
	}
}
