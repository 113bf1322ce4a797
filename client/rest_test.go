package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/client"
)

const (
	inboxJSON       = `{"id":"inb_1","podId":"pod_1","address":"jane@openmail.localhost","displayName":null,"webhookUrl":null,"createdAt":"2026-02-24T10:00:00.000Z"}`
	podJSON         = `{"id":"pod_1","clientId":"acme","name":null,"isDefault":false,"createdAt":"2026-02-24T10:00:00.000Z"}`
	domainJSON      = `{"id":"dom_1","domain":"acme.example","status":"pending","reason":null,"podId":null,"records":[{"type":"MX","name":"acme.example","value":"mx.example","priority":10,"purpose":"mx","required":true,"status":"pending","reason":null}],"createdAt":"2026-02-24T10:00:00.000Z","verifiedAt":null,"checkedAt":null}`
	messageJSON     = `{"id":"msg_1","threadId":"thr_1","inboxId":"inb_1","direction":"inbound","fromAddr":"Alice <alice@example.com>","toAddr":"jane@openmail.localhost","headerTo":"jane@openmail.localhost","deliveryRole":"to","cc":[],"subject":"Your order","bodyText":"Hello","bodyHtml":"","attachments":[{"filename":"receipt.pdf","contentType":"application/pdf","sizeBytes":34210,"url":"http://127.0.0.1:8025/v1/attachments/msg_1/receipt.pdf","parsedText":"Receipt","extractionMethod":"pdf"}],"status":"received","createdAt":"2026-02-24T10:05:00.000Z","rfcMessageId":"<a@example.com>","inReplyTo":"","references":[],"rawUrl":"http://127.0.0.1:8025/v1/messages/msg_1/raw","sizeBytes":51234,"category":"personal","autoReplyable":true,"hiddenText":false,"defects":[],"partial":false}`
	threadJSON      = `{"id":"thr_1","inboxId":"inb_1","subject":"Your order","isRead":false,"lastMessageAt":"2026-02-24T10:05:00.000Z","createdAt":"2026-02-24T10:05:00.000Z","messageCount":1}`
	keyJSON         = `{"id":"key_1","name":"support","podId":null,"inboxId":"inb_1","tokenPrefix":"om_ab","last4":"9f3c","createdAt":"2026-02-24T10:00:00.000Z","lastUsedAt":null}`
	newKeyJSON      = `{"id":"key_1","name":"support","podId":null,"inboxId":null,"tokenPrefix":"om_ab","last4":"9f3c","createdAt":"2026-02-24T10:00:00.000Z","lastUsedAt":null,"token":"om_abcdef9f3c"}`
	eventJSON       = `{"id":"evt_1","type":"message.received","podId":"pod_1","inboxId":"inb_1","threadId":"thr_1","messageId":"msg_1","state":"failed","reason":"no_route","channel":null,"attempts":0,"nextAttemptAt":null,"occurredAt":"2026-02-24T10:05:00.000Z","deliveredAt":null}`
	ruleJSON        = `{"id":"rule_1","type":"block","value":"spam.example","direction":"inbound","scope":"account","setBy":"account","createdAt":"2026-02-24T10:00:00.000Z"}`
	policyJSON      = `{"scope":"account","inbound":{"mode":"none","effectiveMode":"none","rules":[` + ruleJSON + `]},"outbound":{"mode":"inherit","effectiveMode":"allowlist","rules":[]}}`
	webhookJSON     = `{"url":"https://example.com/hook","enabled":true,"disabledReason":null,"createdAt":"2026-02-24T10:00:00.000Z"}`
	recordJSON      = `{"id":"rec_1","action":"refused","direction":"outbound","scope":"inbox","podId":"pod_1","inboxId":"inb_1","keyId":"key_1","ruleId":null,"type":null,"value":null,"mode":null,"address":"eve@evil.example","reason":"not_on_allowlist","times":2,"heldId":null,"createdAt":"2026-02-24T10:00:00.000Z"}`
	heldJSON        = `{"id":"msg_2","inboxId":"inb_1","fromAddr":"x@spam.example","subject":"Win","reason":"blocked_by_rule","ruleId":"rule_1","sizeBytes":900,"createdAt":"2026-02-24T10:00:00.000Z","expiresAt":"2026-03-26T10:00:00.000Z"}`
	sentJSON        = `{"messageId":"msg_1","threadId":"thr_1","providerMessageId":"<msg_1@openmail.localhost>","status":"pending","id":"msg_1","inboxId":"inb_1","direction":"outbound","createdAt":"2026-02-24T10:05:00.000Z"}`
	usageJSON       = `{"from":"2026-02-01T00:00:00.000Z","to":"2026-02-24T00:00:00.000Z","groupBy":"inbox","inboxes":[{"inboxId":"inb_1","address":"jane@openmail.localhost","inbound":2,"outbound":1,"attachmentBytes":3,"storedBytes":900}],"total":1,"totals":{"inbound":2,"outbound":1,"attachmentBytes":3,"storedBytes":900}}`
	feedbackJSON    = `{"id":"fbk_1","type":"bug","message":"It broke.","context":{"requestId":"req_1"},"podId":null,"inboxId":"inb_1","keyId":"key_1","createdAt":"2026-02-24T10:00:00.000Z"}`
	suppressionJSON = `{"address":"gone@example.com","type":"bounce","reason":"no such user","createdAt":"2026-02-24T10:05:00.000Z"}`
)

// noAnswer is what a call answers with that says nothing but its success.
type noAnswer struct{}

func done(err error) (any, error) { return noAnswer{}, err }

func value[T any](v T, err error) (any, error) { return v, err }

func list[T any](v []T, err error) (any, error) { return api.Rows[T]{Data: v}, err }

// calls is every method with what it sends and what the contract answers.
var calls = []struct {
	request string // method, path and query, body
	status  int
	answer  string
	call    func(context.Context, *client.Client) (any, error)
}{
	{"GET /v1/inboxes?limit=2&offset=4", 200, `{"data":[` + inboxJSON + `],"total":5}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.InboxPage(ctx, openmail.Page{Limit: 2, Offset: 4}))
	}},
	{"GET /v1/attachments/msg_1/two%20words.pdf/text", 200, `{"inboxId":"inb_1","filename":"two words.pdf","contentType":"application/pdf","extractionMethod":"pdf","text":"Total"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.AttachmentText(ctx, "msg_1", "two words.pdf"))
	}},
	{"GET /v1/inboxes/inb_1", 200, inboxJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Inbox(ctx, "inb_1"))
	}},
	{"GET /v1/inboxes/a%2Fb%3Fc", 200, inboxJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Inbox(ctx, "a/b?c"))
	}},
	{`POST /v1/inboxes {"mailboxName":"jane"}`, 201, inboxJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.CreateInbox(ctx, api.InboxCreate{MailboxName: "jane"}))
	}},
	{`PATCH /v1/inboxes/inb_1 {"displayName":null}`, 200, inboxJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.UpdateInbox(ctx, "inb_1", api.InboxUpdate{DisplayName: api.Optional[string]{Set: true}}))
	}},
	{"GET /v1/inboxes?limit=2&podId=acme", 200, `{"data":[` + inboxJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.PodInboxPage(ctx, "acme", openmail.Page{Limit: 2}))
	}},
	{"POST /v1/inboxes/inb_1/webhook/test", 200, `{"ok":true,"message":"delivered","status":200,"tookMs":12,"response":"ok"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.TestInboxWebhook(ctx, "inb_1"))
	}},
	{"POST /v1/inboxes/inb_1/webhook/rotate-secret", 200, `{"webhookSecret":"whsec_2"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.RotateInboxWebhookSecret(ctx, "inb_1"))
	}},
	{"GET /v1/domains?limit=2", 200, `{"data":[` + domainJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.DomainPage(ctx, openmail.Page{Limit: 2}))
	}},
	{"GET /v1/domains/acme.example", 200, domainJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Domain(ctx, "acme.example"))
	}},
	{`POST /v1/domains {"domain":"acme.example"}`, 201, domainJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.CreateDomain(ctx, api.DomainCreate{Domain: "acme.example"}))
	}},
	{`PATCH /v1/domains/dom_1 {"podId":null}`, 200, domainJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.UpdateDomain(ctx, "dom_1", api.DomainUpdate{PodID: api.Optional[string]{Set: true}}))
	}},
	{"POST /v1/domains/dom_1/verify", 200, domainJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.VerifyDomain(ctx, "dom_1"))
	}},
	{"DELETE /v1/domains/dom_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteDomain(ctx, "dom_1"))
	}},
	{"GET /v1/pods", 200, `{"data":[` + podJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.PodPage(ctx, openmail.Page{}))
	}},
	{"GET /v1/pods/acme%2F7", 200, podJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Pod(ctx, "acme/7"))
	}},
	{`POST /v1/pods {"clientId":"acme"}`, 201, podJSON, func(ctx context.Context, c *client.Client) (any, error) {
		clientID := "acme"
		return value(c.CreatePod(ctx, api.PodCreate{ClientID: &clientID}))
	}},
	{`PATCH /v1/pods/acme {"name":null}`, 200, podJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.UpdatePod(ctx, "acme", api.PodUpdate{Name: api.Optional[string]{Set: true}}))
	}},
	{"DELETE /v1/pods/acme", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeletePod(ctx, "acme"))
	}},
	{"GET /v1/pods/acme/api-keys", 200, `{"data":[` + keyJSON + `]}`, func(ctx context.Context, c *client.Client) (any, error) {
		return list(c.PodKeys(ctx, "acme"))
	}},
	{`POST /v1/pods/acme/api-keys {}`, 201, newKeyJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.CreatePodKey(ctx, "acme", api.APIKeyCreate{}))
	}},
	{"DELETE /v1/pods/acme/api-keys/key_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.RevokePodKey(ctx, "acme", "key_1"))
	}},
	{"DELETE /v1/inboxes/inb_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteInbox(ctx, "inb_1"))
	}},
	{"GET /v1/inboxes/inb_1/messages?direction=inbound&limit=1", 200, `{"data":[` + messageJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.MessagePage(ctx, "inb_1", client.MessageFilter{Direction: openmail.Inbound, Page: openmail.Page{Limit: 1}}))
	}},
	{`POST /v1/inboxes/inb_1/send {"to":"bob@example.com","subject":"Hi","body":"Hello","includeQuote":false,"cc":["c@example.com"],"attachments":[{"filename":"a.txt","data":"aGk="}]}`, 200, sentJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Send(ctx, "inb_1", api.SendRequest{
			To: "bob@example.com", Subject: "Hi", Body: "Hello", CC: []string{"c@example.com"}, IncludeQuote: new(false),
			Attachments: []api.SendAttachment{{Filename: "a.txt", Data: []byte("hi")}},
		}, "k"))
	}},
	{"GET /v1/suppressions?limit=2", 200, `{"data":[` + suppressionJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.SuppressionPage(ctx, openmail.Page{Limit: 2}))
	}},
	{"DELETE /v1/suppressions/gone@example.com", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteSuppression(ctx, "gone@example.com"))
	}},
	{"GET /v1/usage?from=2026-02-01T00%3A00%3A00Z&group_by=account&limit=5", 200, usageJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Usage(ctx, client.UsageFilter{From: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), ByAccount: true, Page: openmail.Page{Limit: 5}}))
	}},
	{`POST /v1/feedback {"type":"bug","message":"It broke.","context":{"requestId":"req_1"}}`, 201, `{"ok":true}`, func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.GiveFeedback(ctx, api.FeedbackCreate{Type: "bug", Message: "It broke.", Context: &api.FeedbackContext{RequestID: "req_1"}}))
	}},
	{"GET /v1/feedback?limit=2", 200, `{"data":[` + feedbackJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.FeedbackPage(ctx, openmail.Page{Limit: 2}))
	}},
	{"GET /v1/messages/msg_1", 200, messageJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Message(ctx, "msg_1"))
	}},
	{"DELETE /v1/messages/msg_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteMessage(ctx, "msg_1"))
	}},
	{"GET /v1/inboxes/inb_1/threads?is_read=false", 200, `{"data":[` + threadJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		unread := false
		return value(c.ThreadPage(ctx, "inb_1", client.ThreadFilter{IsRead: &unread}))
	}},
	{"GET /v1/threads/thr_1/messages", 200, `{"threadId":"thr_1","inboxId":"inb_1","subject":"Your order","isRead":false,"data":[` + messageJSON + `]}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Thread(ctx, "thr_1"))
	}},
	{`PATCH /v1/threads/thr_1 {"is_read":true}`, 200, `{"ok":true}`, func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.MarkThread(ctx, "thr_1", true))
	}},
	{"DELETE /v1/threads/thr_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteThread(ctx, "thr_1"))
	}},
	{"GET /v1/quarantine", 200, `{"data":[` + heldJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.QuarantinePage(ctx, openmail.Page{}))
	}},
	{"GET /v1/quarantine/msg_2", 200, heldJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Quarantined(ctx, "msg_2"))
	}},
	{"POST /v1/quarantine/msg_2/release", 200, `{"messageId":"msg_2","threadId":"thr_2","eventId":"evt_2"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Release(ctx, "msg_2"))
	}},
	{"DELETE /v1/quarantine/msg_2", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteQuarantined(ctx, "msg_2"))
	}},
	{"GET /v1/me", 200, `{"customerId":"acc_1","plan":"self-hosted","apiKeyScope":{"inboxId":"inb_1","podId":null},"mcpScopes":null}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Me(ctx))
	}},
	{"GET /v1/api-keys", 200, `{"data":[` + keyJSON + `]}`, func(ctx context.Context, c *client.Client) (any, error) {
		return list(c.Keys(ctx))
	}},
	{`POST /v1/api-keys {}`, 201, newKeyJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.CreateKey(ctx, api.APIKeyCreate{}))
	}},
	{"DELETE /v1/api-keys/key_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.RevokeKey(ctx, "key_1"))
	}},
	{"GET /v1/inboxes/inb_1/api-keys", 200, `{"data":[` + keyJSON + `]}`, func(ctx context.Context, c *client.Client) (any, error) {
		return list(c.InboxKeys(ctx, "inb_1"))
	}},
	{`POST /v1/inboxes/inb_1/api-keys {"name":"support"}`, 201, newKeyJSON, func(ctx context.Context, c *client.Client) (any, error) {
		name := "support"
		return value(c.CreateInboxKey(ctx, "inb_1", api.APIKeyCreate{Name: &name}))
	}},
	{"DELETE /v1/inboxes/inb_1/api-keys/key_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.RevokeInboxKey(ctx, "inb_1", "key_1"))
	}},
	{"GET /v1/policy", 200, policyJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Policy(ctx, client.Level{}))
	}},
	{`PUT /v1/policy?podId=acme {"inbound":{"mode":"allowlist","rules":[{"type":"allow","value":"a@b.co"}]}}`, 200, policyJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.PutPolicy(ctx, client.Level{Pod: "acme"}, api.PolicyPut{Inbound: &api.PolicySidePut{Mode: "allowlist", Rules: []api.RuleCreate{{Type: "allow", Value: "a@b.co"}}}}))
	}},
	{`PUT /v1/policy/mode?inboxId=inb_1 {"mode":"none","direction":"inbound"}`, 200, policyJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.SetPolicyMode(ctx, client.Level{Inbox: "inb_1"}, api.PolicyMode{Mode: "none", Direction: "inbound"}))
	}},
	{`POST /v1/policy/rules {"type":"block","value":"spam.example"}`, 201, ruleJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.AddRule(ctx, client.Level{}, api.RuleCreate{Type: "block", Value: "spam.example"}))
	}},
	{"DELETE /v1/policy/rules/rule_1?podId=pod_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteRule(ctx, client.Level{Pod: "pod_1"}, "rule_1"))
	}},
	{"GET /v1/policy/audit?action=refused&direction=outbound&inboxId=inb_1&limit=10&since=2026-02-24T10%3A00%3A00Z", 200, `{"data":[` + recordJSON + `],"total":1}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.PolicyRecords(ctx, client.PolicyFilter{
			Level: client.Level{Inbox: "inb_1"}, Action: "refused", Direction: "outbound", Since: time.Date(2026, 2, 24, 10, 0, 0, 0, time.UTC),
		}, openmail.Page{Limit: 10}))
	}},
	{"GET /v1/webhook", 200, webhookJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Webhook(ctx))
	}},
	{`PUT /v1/webhook {"url":"https://example.com/hook"}`, 200, webhookJSON, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.PutWebhook(ctx, api.WebhookPut{URL: "https://example.com/hook"}))
	}},
	{"DELETE /v1/webhook", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.DeleteWebhook(ctx))
	}},
	{"POST /v1/webhook/test", 200, `{"ok":true,"message":"delivered","status":200,"tookMs":12,"response":"ok"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.TestWebhook(ctx))
	}},
	{"POST /v1/webhook/rotate-secret", 200, `{"webhookSecret":"whsec_2"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.RotateWebhookSecret(ctx))
	}},
	{"POST /v1/webhook/next-secret", 200, `{"webhookSecret":"whsec_3"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.NextWebhookSecret(ctx))
	}},
	{"POST /v1/webhook/activate-secret", 200, `{"ok":true}`, func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.ActivateWebhookSecret(ctx))
	}},
	{"GET /v1/sockets", 200, `{"data":[{"id":"sck_1","remote":"127.0.0.1:5000","connectedAt":"2026-02-24T10:00:00.000Z","subscribed":true,"inboxIds":[],"eventTypes":[],"behind":0,"unconfirmed":1,"lastReceiptAt":null}]}`, func(ctx context.Context, c *client.Client) (any, error) {
		return list(c.Sockets(ctx))
	}},
	{"DELETE /v1/sockets/sck_1", 204, "", func(ctx context.Context, c *client.Client) (any, error) {
		return done(c.CloseSocket(ctx, "sck_1"))
	}},
	{"POST /v1/ws/ticket", 201, `{"ticket":"tkt_1","expiresAt":"2026-02-24T10:01:00.000Z"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Ticket(ctx))
	}},
	{"GET /v1/events?cursor=abc&inboxId=inb_1&limit=10&since=2026-02-24T09%3A00%3A00.000Z&state=failed&type=message.received&until=2026-02-24T11%3A00%3A00.000Z", 200, `{"data":[` + eventJSON + `],"next":"def"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.EventPage(ctx, client.EventFilter{
			State: openmail.StateFailed, InboxID: "inb_1", Type: "message.received", Limit: 10, Cursor: "abc",
			Since: time.Date(2026, 2, 24, 9, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 24, 12, 0, 0, 0, time.FixedZone("CET", 3600)),
		}))
	}},
	{"GET /v1/events/evt_1", 200, strings.TrimSuffix(eventJSON, "}") + `,"payload":{"event":"message.received","event_id":"evt_1"}}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Event(ctx, "evt_1"))
	}},
	{"GET /v1/events/evt_1/attempts", 200, `{"data":[{"n":1,"channel":"webhook","at":"2026-02-24T10:05:00.000Z","tookMs":15000,"status":0,"outcome":"error","error":"timeout","remote":"https://example.com/hook","response":""}]}`, func(ctx context.Context, c *client.Client) (any, error) {
		return list(c.Attempts(ctx, "evt_1"))
	}},
	{"POST /v1/events/evt_1/redeliver", 202, `{"id":"evt_1","state":"due"}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.Redeliver(ctx, "evt_1"))
	}},
	{`POST /v1/events/redeliver {"state":"failed","since":"2026-02-24T09:00:00.000Z"}`, 202, `{"count":17}`, func(ctx context.Context, c *client.Client) (any, error) {
		return value(c.RedeliverAll(ctx, api.Redeliver{State: "failed", Since: api.Time{Time: time.Date(2026, 2, 24, 9, 0, 0, 0, time.UTC)}}))
	}},
}

func TestEveryCallSendsAndReadsWhatTheContractSays(t *testing.T) {
	for _, test := range calls {
		t.Run(test.request, func(t *testing.T) {
			t.Parallel()
			var got string
			c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = strings.TrimSpace(r.Method + " " + r.RequestURI + " " + body(r))
				if r.Header.Get("Authorization") != "Bearer "+testKey {
					t.Errorf("Authorization: %q", r.Header.Get("Authorization"))
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.answer)
			}))
			answer, err := test.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if got != test.request {
				t.Errorf("sent\n%s\nwant\n%s", got, test.request)
			}
			if _, none := answer.(noAnswer); none {
				return
			}
			var read strings.Builder
			out := json.NewEncoder(&read)
			out.SetEscapeHTML(false)
			if err := out.Encode(answer); err != nil || read.String() != test.answer+"\n" {
				t.Errorf("read\n%s\nwant\n%s", read.String(), test.answer)
			}
		})
	}
}

func TestErrorsCarryTheContractsCode(t *testing.T) {
	tests := map[string]struct {
		status int
		header http.Header
		body   string
		want   client.Error
	}{
		"of the contract": {
			404,
			http.Header{"X-Request-Id": {"req_1"}},
			`{"error":"not_found","message":"There is no such inbox.","requestId":"req_1"}`,
			client.Error{Status: 404, RequestID: "req_1", Err: &openmail.Error{Code: "not_found", Message: "There is no such inbox."}},
		},
		"with a field": {
			400, nil, `{"error":"bad_request","message":"At most 200.","field":"displayName"}`,
			client.Error{Status: 400, Err: &openmail.Error{Code: "bad_request", Message: "At most 200.", Field: "displayName"}},
		},
		"with a time to wait": {
			429,
			http.Header{"Retry-After": {"7"}},
			`{"error":"rate_limit_exceeded","message":"Slower."}`,
			client.Error{Status: 429, RetryAfter: 7 * time.Second, Err: &openmail.Error{Code: "rate_limit_exceeded", Message: "Slower."}},
		},
		"of a proxy": {
			502, nil, "<html>nginx</html>",
			client.Error{Status: 502, Err: &openmail.Error{Code: "unavailable", Message: "the answer was 502 Bad Gateway, and not in OpenMail's words"}},
		},
		"of a redirect": {
			301,
			http.Header{"Location": {"https://mail.example/v1/inboxes/inb_1"}},
			"",
			client.Error{Status: 301, Err: &openmail.Error{Code: "bad_request", Message: "the server has moved to https://mail.example: use that as the base URL"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range test.header {
					w.Header()[k] = v
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}))
			for _, call := range []func() error{
				func() error { _, err := c.Inbox(t.Context(), "inb_1"); return err },
				func() error { return c.DeleteInbox(t.Context(), "inb_1") },
			} {
				err := call()
				e, ok := errors.AsType[*client.Error](err)
				if !ok {
					t.Fatalf("got %v, which is no *client.Error", err)
				}
				if got, want := fmt.Sprintf("%+v %+v", *e.Err, e.RetryAfter), fmt.Sprintf("%+v %+v", *test.want.Err, test.want.RetryAfter); got != want || e.Error() != test.want.Error() {
					t.Errorf("got  %s %v\nwant %s %v", got, e, want, &test.want)
				}
				if openmail.CodeOf(err) != test.want.Err.Code {
					t.Errorf("code %q", openmail.CodeOf(err))
				}
			}
		})
	}
}

func TestAnIDNeverBecomesAnotherPath(t *testing.T) {
	c := connect(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.RequestURI) }))
	for _, id := range []string{"", ".", ".."} {
		if err := c.DeleteInbox(t.Context(), id); openmail.CodeOf(err) != openmail.CodeBadRequest {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestPagesAreWalkedToTheirEnd(t *testing.T) {
	const total = 230
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var limit, offset int
		fmt.Sscan(r.FormValue("limit"), &limit)
		fmt.Sscan(r.FormValue("offset"), &offset)
		answer := api.List[api.Inbox]{Data: []api.Inbox{}, Total: total}
		for i := offset; i < min(offset+limit, total); i++ {
			answer.Data = append(answer.Data, api.Inbox{ID: fmt.Sprint(i)})
		}
		json.NewEncoder(w).Encode(answer)
	}))
	n := 0
	for inbox, err := range c.Inboxes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if inbox.ID != fmt.Sprint(n) {
			t.Fatalf("row %d is %s", n, inbox.ID)
		}
		n++
	}
	if n != total {
		t.Errorf("%d rows of %d", n, total)
	}
}

func TestEventsGoOnPastAnEmptyPage(t *testing.T) {
	pages := map[string]string{
		"":  `{"data":[{"id":"evt_3"}],"next":"a"}`,
		"a": `{"data":[],"next":"b"}`,
		"b": `{"data":[{"id":"evt_1"}],"next":null}`,
	}
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, pages[r.FormValue("cursor")])
	}))
	var got []string
	for e, err := range c.Events(t.Context(), client.EventFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
	}
	if fmt.Sprint(got) != "[evt_3 evt_1]" {
		t.Error(got)
	}
}

func TestADownloadFollowsARedirectWithoutTheKey(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the key went to another server")
		}
		w.Header().Set("Content-Type", "application/pdf")
		io.WriteString(w, "%PDF signed by "+r.FormValue("sig"))
	}))
	defer elsewhere.Close()
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/v1/attachments/msg_1/two%20words.pdf":
			w.Header().Set("Location", "/files/1?sig=x")
		case "/files/1":
			if r.Header.Get("Authorization") != "" {
				t.Error("the key went to a signed URL")
			}
			w.Header().Set("Location", elsewhere.URL+"/2?sig=y")
		}
		w.WriteHeader(http.StatusFound)
	}))
	d, err := c.Attachment(t.Context(), "msg_1", "two words.pdf")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err := io.ReadAll(d); err != nil || string(b) != "%PDF signed by y" {
		t.Errorf("%q, %v", b, err)
	}
	if d.ContentType != "application/pdf" || d.Size != 16 {
		t.Errorf("%s of %d bytes", d.ContentType, d.Size)
	}
}

func TestADownloadDoesNotFollowForEver(t *testing.T) {
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/again?sig=secret")
		w.WriteHeader(http.StatusFound)
	}))
	_, err := c.RawMessage(t.Context(), "msg_1")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestADownloadThatStallsFails(t *testing.T) {
	block := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "From: a")
		w.(http.Flusher).Flush()
		<-block
	}))
	defer server.Close()
	defer close(block)
	c := newClient(t, client.Options{BaseURL: server.URL, Timeout: 50 * time.Millisecond})
	d, err := c.RawMessage(t.Context(), "msg_1")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b, err := io.ReadAll(d)
	if string(b) != "From: a" || openmail.CodeOf(err) != openmail.CodeUnavailable {
		t.Errorf("%q, %v", b, err)
	}
}

func TestHealthTellsTheServersClock(t *testing.T) {
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Tue, 24 Feb 2026 10:00:00 GMT")
		io.WriteString(w, `{"status":"ok"}`)
	}))
	h, err := c.Health(t.Context())
	if err != nil || h.Status != "ok" || !h.Date.Equal(time.Date(2026, 2, 24, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, o := range []client.Options{
		{BaseURL: "mail.example"},
		{BaseURL: "ftp://mail.example"},
		{BaseURL: "http://"},
		{BaseURL: "http://user:secret@mail.example"},
		{BaseURL: "http://mail.example?x=1"},
		{APIKey: "om_a b"},
		{APIKey: "om_a\r\nX: y"},
	} {
		if _, err := client.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "om_") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}
