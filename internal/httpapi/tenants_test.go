package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openmail"
	"openmail/api"
)

// rights is what each key is answered that asks for what is another's, or its
// own: a status of refusal, or
const (
	ok    = 0 // it may
	apart = 1 // it is answered for what is its own, and sees and changes nothing of the target
	no    = http.StatusForbidden
	none  = http.StatusNotFound
)

// rights are those of the keys that ask for something of one inbox in one pod.
type rights struct {
	stranger   int // another account's key
	otherPod   int // the key of another pod of the account
	otherInbox int // the key of another inbox of the pod
	pod        int // the key of the pod
	inbox      int // the key of the inbox
}

// accountOnly are the rights where only a key of the account may do it, and
// what it names belongs to the account.
func accountOnly(stranger int) rights { return rights{stranger, no, no, no, no} }

// matrix has the rights for every operation of the OpenAPI document.
func matrix() map[string]rights {
	return map[string]rights{
		"me": {apart, apart, ok, ok, ok}, "createTicket": {apart, apart, apart, ok, ok},

		"listPods": {apart, apart, ok, ok, ok}, "getPod": {none, no, ok, ok, ok}, "createPod": accountOnly(apart),
		"updatePod": accountOnly(none), "deletePod": accountOnly(none),
		"listPodKeys": accountOnly(none), "createPodKey": accountOnly(none), "revokePodKey": accountOnly(none),

		"listDomains": {apart, apart, no, ok, no}, "createDomain": {apart, apart, no, ok, no}, "getDomain": {none, none, no, ok, no},
		"updateDomain": accountOnly(none), "deleteDomain": accountOnly(none), "verifyDomain": accountOnly(none),

		"listInboxes": {apart, apart, apart, ok, ok}, "createInbox": {http.StatusBadRequest, no, no, ok, no},
		"getInbox": {none, no, no, ok, ok}, "updateInbox": {none, no, no, ok, no}, "deleteInbox": accountOnly(none),
		"listInboxKeys": {none, no, no, ok, no}, "createInboxKey": {none, no, no, ok, no}, "revokeInboxKey": {none, no, no, ok, no},

		"rotateInboxSecret": accountOnly(none), "testInboxWebhook": accountOnly(none),

		"listMessages": {none, no, no, ok, ok}, "listThreads": {none, no, no, ok, ok},
		"getThread": {none, none, none, ok, ok}, "updateThread": {none, none, none, ok, ok}, "deleteThread": {none, none, no, ok, no},
		"getMessage": {none, none, none, ok, ok}, "getRawMessage": {none, none, none, ok, ok}, "deleteMessage": {none, none, no, ok, no},
		"getAttachment": {none, none, none, ok, ok}, "getAttachmentText": {none, none, none, ok, ok},

		"sendEmail": {none, no, no, ok, ok}, "listSuppressions": accountOnly(apart), "deleteSuppression": accountOnly(none),

		"listEvents": {apart, apart, apart, ok, ok}, "getEvent": {none, none, none, ok, ok}, "listAttempts": {none, none, none, ok, ok},
		"redeliverEvent": {none, none, none, ok, ok}, "redeliverEvents": {apart, apart, apart, ok, ok},

		"getAccount": accountOnly(apart), "updateAccount": accountOnly(apart),
		"listKeys": accountOnly(apart), "createKey": accountOnly(apart), "revokeKey": accountOnly(none),
		"getPolicy": accountOnly(apart), "putPolicy": accountOnly(apart), "setPolicyMode": accountOnly(apart),
		"addRule": accountOnly(apart), "deleteRule": accountOnly(none), "listPolicyRecords": {apart, apart, no, ok, no},
		"listQuarantine": accountOnly(apart), "getQuarantined": accountOnly(none), "deleteQuarantined": accountOnly(none), "releaseQuarantined": accountOnly(none),
		"getWebhook": accountOnly(apart), "putWebhook": accountOnly(apart), "deleteWebhook": accountOnly(apart), "testWebhook": accountOnly(apart),
		"rotateSecret": accountOnly(apart), "nextSecret": accountOnly(apart), "activateSecret": accountOnly(apart),
		"getUsage": accountOnly(apart), "createFeedback": {apart, apart, apart, ok, ok}, "listFeedback": accountOnly(apart),
		"listSockets": accountOnly(apart), "disconnectSocket": accountOnly(none),
	}
}

// estate is an inbox in a pod with everything that a path can name, and the
// keys around it.
type estate struct {
	*world
	paths   map[string]string // what stands for {id} below such a beginning of a path, and for other places
	secrets []string          // ids that only who may see the inbox sees
	podID   string
	inboxID string
	fresh   atomic.Int32 // domains that were asked for
	keys    map[string]string
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	w := newWorld(t)
	pod := w.pod("acme")
	inbox, beside, other := w.inboxIn("acme", "target"), w.inboxIn("acme", "beside"), w.inboxIn(w.pod("other").ID, "elsewhere")
	filed := w.mail(inbox, withFiles(map[string]string{"a.txt": "text/plain"}), time.Now(), admitted())
	held := w.mail(inbox, letter("held@x", "Held"), time.Now(), openmail.Verdict{Reason: openmail.ReasonUnknown})
	rule := want[api.Rule](w, 201, http.MethodPost, "/v1/policy/rules", `{"type":"block","value":"evil.example"}`)
	want[api.Webhook](w, 200, http.MethodPut, "/v1/webhook", `{"url":"http://127.0.0.1:1/hook"}`)
	accountKey := want[api.APIKey](w, 201, http.MethodPost, "/v1/api-keys", nil)
	podKey, inboxKey := w.podKey(pod.ID), w.inboxKey(inbox.ID)
	w.suppress(inbox.ID)
	bound := w.domain("acme.example", pod.ID)
	return &estate{
		world: w, podID: pod.ID, inboxID: inbox.ID,
		paths: map[string]string{
			"/v1/pods/{id}/api-keys/{keyId}":    "/v1/pods/" + pod.ID + "/api-keys/" + w.podKey(pod.ID).ID,
			"/v1/inboxes/{id}/api-keys/{keyId}": "/v1/inboxes/" + inbox.ID + "/api-keys/" + w.inboxKey(inbox.ID).ID,
			"/v1/pods/{id}":                     "/v1/pods/" + pod.ID, "/v1/inboxes/{id}": "/v1/inboxes/" + inbox.ID,
			"/v1/threads/{id}": "/v1/threads/" + filed.Thread, "/v1/messages/{id}": "/v1/messages/" + filed.Message,
			"/v1/events/{id}": "/v1/events/" + filed.Event, "/v1/quarantine/{id}": "/v1/quarantine/" + held.Message,
			"/v1/policy/rules/{id}": "/v1/policy/rules/" + rule.ID, "/v1/api-keys/{id}": "/v1/api-keys/" + accountKey.ID,
			"/v1/sockets/{id}":                       "/v1/sockets/sck_of_" + w.account,
			"/v1/domains/{id}":                       "/v1/domains/" + bound.ID,
			"/v1/suppressions/{address}":             "/v1/suppressions/gone%40b.example",
			"/v1/attachments/{messageId}/{filename}": "/v1/attachments/" + filed.Message + "/a.txt",
		},
		secrets: []string{inbox.ID, filed.Thread, filed.Message, filed.Event, held.Message, bound.ID},
		keys: map[string]string{
			"stranger": w.otherToken, "otherPod": w.podKey(other.PodID).Token, "otherInbox": w.inboxKey(beside.ID).Token,
			"pod": podKey.Token, "inbox": inboxKey.Token,
		},
	}
}

// path is an operation's path on the target: the longest beginning that is
// known is replaced.
func (e *estate) path(op operation) string {
	best := ""
	for begin := range e.paths {
		if strings.HasPrefix(op.Path, begin) && len(begin) > len(best) {
			best = begin
		}
	}
	path := e.paths[best] + strings.TrimPrefix(op.Path, best)
	if strings.Contains(path, "{") {
		e.t.Errorf("%s %s names something that the estate does not have", op.Method, op.Path)
	}
	return path
}

func (e *estate) body(op operation) any {
	if op.ID == "createDomain" {
		return `{"domain":"new` + strconv.Itoa(int(e.fresh.Add(1))) + `.example"}`
	}
	if op.ID == "createInbox" {
		return `{"podId":"` + e.podID + `"}`
	}
	return op.body()
}

// ask asks as one of the keys and compares the answer with the right.
func (e *estate) ask(key string, right int, method, path string, body any) {
	e.t.Helper()
	got := e.do(method, path, e.keys[key], body)
	switch {
	case right == ok && got.status >= 400 && got.status != http.StatusConflict:
		e.t.Errorf("%s, %s %s: %d %s, want it done", key, method, path, got.status, got.body)
	case right == no && !strings.Contains(string(got.body), "This key reaches"):
		e.t.Errorf("%s, %s %s does not name the boundary: %d %s", key, method, path, got.status, got.body)
	case right == apart && got.status == no, right > apart && got.status != right:
		e.t.Errorf("%s, %s %s: %d %s, want %d", key, method, path, got.status, got.body, right)
	case right == ok:
		return
	}
	for _, secret := range e.secrets {
		if strings.Contains(string(got.body), `"`+secret+`"`) {
			e.t.Errorf("%s, %s %s shows %s: %s", key, method, path, secret, got.body)
		}
	}
}

// unharmed checks that everything of the target is there and as it was.
func (e *estate) unharmed() {
	e.t.Helper()
	for _, op := range e.operations() {
		if path := e.path(op); op.Method == http.MethodGet && op.Security != nil {
			if got := e.do(op.Method, path, e.token, nil); got.status >= 400 {
				e.t.Errorf("afterwards %s: %d %s", path, got.status, got.body)
			}
		}
	}
	event := want[api.Event](e.world, 200, http.MethodGet, e.paths["/v1/events/{id}"], nil)
	if event.Attempts != 0 || event.State != "failed" {
		e.t.Errorf("the event was sent again: %+v", event)
	}
	if keys := want[api.Rows[api.APIKey]](e.world, 200, http.MethodGet, e.paths["/v1/inboxes/{id}"]+"/api-keys", nil); len(keys.Data) != 2 {
		e.t.Errorf("the inbox has %d keys", len(keys.Data))
	}
}

func TestEveryRouteIsClosedToKeysThatReachElsewhere(t *testing.T) {
	e := newEstate(t)
	all := matrix()
	for _, op := range e.operations() {
		if op.Security == nil {
			continue
		}
		r, known := all[op.ID]
		if !known {
			t.Errorf("%s %s (%s) has no rights: say in matrix who may", op.Method, op.Path, op.ID)
			continue
		}
		for key, right := range map[string]int{"stranger": r.stranger, "otherPod": r.otherPod, "otherInbox": r.otherInbox, "pod": r.pod, "inbox": r.inbox} {
			if right != ok {
				e.ask(key, right, op.Method, e.path(op), e.body(op))
			}
		}
	}
	for _, c := range []struct {
		key          string
		right        int
		method, path string
		body         any
	}{
		{"stranger", apart, "GET", "/v1/inboxes?podId=" + e.podID, nil},
		{"otherPod", no, "GET", "/v1/inboxes?podId=" + e.podID, nil},
		{"otherPod", no, "GET", "/v1/inboxes?podId=acme", nil},
		{"otherPod", no, "GET", "/v1/pods/acme", nil},
		{"otherInbox", apart, "GET", "/v1/inboxes?podId=acme", nil},
		{"stranger", apart, "GET", "/v1/events?inboxId=" + e.inboxID, nil},
		{"otherPod", no, "GET", "/v1/events?inboxId=" + e.inboxID, nil},
		{"otherInbox", no, "GET", "/v1/events?inboxId=" + e.inboxID, nil},
		{"stranger", apart, "POST", "/v1/events/redeliver", `{"inboxId":"` + e.inboxID + `"}`},
		{"otherPod", no, "POST", "/v1/events/redeliver", `{"inboxId":"` + e.inboxID + `"}`},
		{"otherInbox", no, "POST", "/v1/events/redeliver", `{"inboxId":"` + e.inboxID + `"}`},
		{"pod", no, "POST", "/v1/inboxes", `{"podId":"other"}`},
		{"pod", no, "POST", "/v1/domains", `{"domain":"x.example","podId":"other"}`},
		{"stranger", http.StatusBadRequest, "POST", "/v1/domains", `{"domain":"x.example","podId":"` + e.podID + `"}`},
		{"pod", no, "POST", "/v1/inboxes", `{"webhookUrl":"http://127.0.0.1:1/hook"}`},
		{"pod", no, "PATCH", "/v1/inboxes/" + e.inboxID, `{"webhookUrl":null}`},
		{"pod", no, "PATCH", "/v1/inboxes/" + e.inboxID, `{"displayName":"x","webhookUrl":"http://127.0.0.1:1/hook"}`},
		{"inbox", no, "PATCH", "/v1/inboxes/" + e.inboxID, `{"webhookUrl":null}`},
		{"stranger", none, "PATCH", "/v1/inboxes/" + e.inboxID, `{"webhookUrl":null}`},
	} {
		e.ask(c.key, c.right, c.method, c.path, c.body)
	}
	for _, level := range []string{"?podId=" + e.podID, "?inboxId=" + e.inboxID} {
		e.policies("stranger", none, level)
		e.policies("otherPod", no, level)
		e.policies("otherInbox", no, level)
		e.policies("inbox", no, level)
	}
	e.unharmed()
}

// policies asks for all that can be asked of the policy of a level.
func (e *estate) policies(key string, right int, level string) {
	e.t.Helper()
	e.ask(key, right, http.MethodGet, "/v1/policy"+level, nil)
	e.ask(key, right, http.MethodGet, "/v1/policy/audit"+level, nil)
	e.ask(key, right, http.MethodPut, "/v1/policy"+level, `{"inbound":{"mode":"allowlist"}}`)
	e.ask(key, right, http.MethodPut, "/v1/policy/mode"+level, `{"mode":"allowlist"}`)
	e.ask(key, right, http.MethodPost, "/v1/policy/rules"+level, `{"type":"block","value":"evil.example"}`)
	if right != ok {
		e.ask(key, right, http.MethodDelete, e.paths["/v1/policy/rules/{id}"]+level, nil)
	}
}

func TestEveryRouteIsOpenToTheKeysThatReachIt(t *testing.T) {
	e := newEstate(t)
	e.policies("pod", ok, "?podId="+e.podID)
	e.policies("pod", ok, "?inboxId="+e.inboxID)
	all := matrix()
	for _, op := range e.operations() {
		r := all[op.ID]
		for key, right := range map[string]int{"otherInbox": r.otherInbox, "pod": r.pod, "inbox": r.inbox} {
			if right != ok || op.Security == nil {
				continue
			}
			at := e
			if op.Method == http.MethodDelete { // what is gone is not there for the next
				at = newEstate(t)
			}
			at.ask(key, ok, op.Method, at.path(op), at.body(op))
		}
	}
}
