package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/access"
)

// maxKeys is how many keys the contract allows of an account, a pod or an inbox.
const maxKeys = 20

func TestKeyIsShownOnceAndEndsWhenRevoked(t *testing.T) {
	w := newWorld(t)
	made := want[api.APIKey](w, 201, http.MethodPost, "/v1/api-keys", `{"name":"laptop"}`)
	if !access.WellFormed(made.Token) || made.TokenPrefix != made.Token[:5]+".." || !strings.HasSuffix(made.Token, made.Last4) || *made.Name != "laptop" || made.PodID != nil || made.InboxID != nil {
		t.Fatalf("made: %+v", made)
	}
	listed := want[api.Rows[api.APIKey]](w, 200, http.MethodGet, "/v1/api-keys", nil)
	if len(listed.Data) != 2 || listed.Data[0].ID != made.ID || listed.Data[0].Token != "" || !listed.Data[0].LastUsedAt.IsZero() {
		t.Fatalf("listed: %+v", listed)
	}
	wantAs[api.Me](w, made.Token, 200, http.MethodGet, "/v1/me", nil)
	want[any](w, 204, http.MethodDelete, "/v1/api-keys/"+made.ID, nil)
	e := w.fails(401, openmail.CodeUnauthorized, "", http.MethodGet, "/v1/me", made.Token, nil)
	if e.Message != "Missing or invalid Authorization header" || !slices.Equal(w.revoked, []string{made.ID}) {
		t.Errorf("%q; told of %v", e.Message, w.revoked)
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/api-keys/"+made.ID, w.token, nil)
	w.fails(400, openmail.CodeBadRequest, "scopes", http.MethodPost, "/v1/api-keys", w.token, `{"scopes":["all"]}`)
	want[api.APIKey](w, 201, http.MethodPost, "/v1/api-keys", `{"name":null}`)
}

func TestTwentyKeysOfAnAccountAreEnough(t *testing.T) {
	w := newWorld(t)
	for range maxKeys - 1 { // it has one
		want[api.APIKey](w, 201, http.MethodPost, "/v1/api-keys", nil)
	}
	w.fails(422, openmail.CodeKeyLimit, "", http.MethodPost, "/v1/api-keys", w.token, nil)
}

func TestTwentyKeysOfAnInboxAreEnough(t *testing.T) {
	w := newWorld(t)
	path := "/v1/inboxes/" + w.inbox("jane").ID + "/api-keys"
	for range maxKeys {
		want[api.APIKey](w, 201, http.MethodPost, path, nil)
	}
	w.fails(422, openmail.CodeKeyLimit, "", http.MethodPost, path, w.token, nil)
	keys := want[api.Rows[api.APIKey]](w, 200, http.MethodGet, path, nil)
	want[any](w, 204, http.MethodDelete, path+"/"+keys.Data[0].ID, nil)
	want[api.APIKey](w, 201, http.MethodPost, path, nil)
	// A key of one list is not in another.
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/api-keys/"+keys.Data[1].ID, w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodPost, "/v1/inboxes/inb_none/api-keys", w.token, nil)
}

// The matrix of what a key that reaches one inbox may do (0: not refused).
func TestInboxKeyReachesItsInboxAndNothingElse(t *testing.T) {
	w := newWorld(t)
	mine, other := w.inbox("mine"), w.inbox("other")
	raw := withFiles(map[string]string{"a.txt": "text/plain"})
	inside, outside := w.mail(mine, raw, time.Now(), admitted()), w.mail(other, raw, time.Now(), admitted())
	held := w.mail(mine, letter("held@x", "Held"), time.Now(), openmail.Verdict{Reason: openmail.ReasonBlocked})
	key := w.inboxKey(mine.ID).Token
	const refused, absent = 403, 404
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/me", "", 200},
		{"GET", "/v1/inboxes/" + mine.ID, "", 200},
		{"GET", "/v1/inboxes/" + other.ID, "", refused},
		{"POST", "/v1/inboxes", "{}", refused},
		{"PATCH", "/v1/inboxes/" + mine.ID, `{"displayName":"x"}`, refused},
		{"PATCH", "/v1/inboxes/" + mine.ID, `{}`, refused},
		{"DELETE", "/v1/inboxes/" + mine.ID, "", refused},
		{"GET", "/v1/inboxes/" + mine.ID + "/messages", "", 200},
		{"GET", "/v1/inboxes/" + other.ID + "/messages", "", refused},
		{"GET", "/v1/inboxes/" + mine.ID + "/threads", "", 200},
		{"GET", "/v1/inboxes/" + other.ID + "/threads", "", refused},
		{"GET", "/v1/messages/" + inside.Message, "", 200},
		{"GET", "/v1/messages/" + outside.Message, "", absent},
		{"GET", "/v1/messages/" + inside.Message + "/raw", "", 200},
		{"GET", "/v1/messages/" + outside.Message + "/raw", "", absent},
		{"GET", "/v1/attachments/" + inside.Message + "/a.txt", "", 302},
		{"GET", "/v1/attachments/" + outside.Message + "/a.txt", "", absent},
		{"GET", "/v1/threads/" + inside.Thread + "/messages", "", 200},
		{"GET", "/v1/threads/" + outside.Thread + "/messages", "", absent},
		{"PATCH", "/v1/threads/" + inside.Thread, `{"is_read":true}`, 200},
		{"PATCH", "/v1/threads/" + outside.Thread, `{"is_read":true}`, absent},
		{"GET", "/v1/events/" + inside.Event, "", 200},
		{"GET", "/v1/events/" + outside.Event, "", absent},
		{"GET", "/v1/events/" + outside.Event + "/attempts", "", absent},
		{"POST", "/v1/events/" + inside.Event + "/redeliver", "", 202},
		{"POST", "/v1/events/" + outside.Event + "/redeliver", "", absent},
		{"GET", "/v1/events?inboxId=" + other.ID, "", refused},
		{"POST", "/v1/events/redeliver", `{"inboxId":"` + other.ID + `"}`, refused},
		{"DELETE", "/v1/messages/" + inside.Message, "", refused},
		{"DELETE", "/v1/threads/" + inside.Thread, "", refused},
		{"GET", "/v1/api-keys", "", refused},
		{"POST", "/v1/api-keys", "{}", refused},
		{"DELETE", "/v1/api-keys/key_x", "", refused},
		{"GET", "/v1/inboxes/" + mine.ID + "/api-keys", "", refused},
		{"POST", "/v1/inboxes/" + mine.ID + "/api-keys", "{}", refused},
		{"GET", "/v1/policy", "", refused},
		{"PUT", "/v1/policy", `{}`, refused},
		{"PUT", "/v1/policy/mode", `{"mode":"none"}`, refused},
		{"POST", "/v1/policy/rules", `{"type":"allow","value":"a@b.example"}`, refused},
		{"DELETE", "/v1/policy/rules/rule_x", "", refused},
		{"GET", "/v1/quarantine", "", refused},
		{"GET", "/v1/quarantine/" + held.Message, "", refused},
		{"POST", "/v1/quarantine/" + held.Message + "/release", "", refused},
		{"DELETE", "/v1/quarantine/" + held.Message, "", refused},
		{"GET", "/v1/webhook", "", refused},
		{"PUT", "/v1/webhook", `{"url":"https://x.example"}`, refused},
		{"DELETE", "/v1/webhook", "", refused},
		{"POST", "/v1/webhook/test", "", refused},
		{"POST", "/v1/webhook/rotate-secret", "", refused},
		{"POST", "/v1/webhook/next-secret", "", refused},
		{"POST", "/v1/webhook/activate-secret", "", refused},
		{"GET", "/v1/sockets", "", refused},
		{"DELETE", "/v1/sockets/sck_x", "", refused},
		{"POST", "/v1/ws/ticket", "", 201},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		got := w.do(c.method, c.path, key, body)
		if got.status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, got.status, got.body, c.status)
		}
		if got.status == refused && !strings.Contains(string(got.body), "This key reaches") {
			t.Errorf("%s %s does not name the boundary: %s", c.method, c.path, got.body)
		}
	}
	for path, n := range map[string]string{"/v1/inboxes": mine.ID, "/v1/events": inside.Event} {
		got := string(w.do(http.MethodGet, path, key, nil).body)
		if !strings.Contains(got, n) || strings.Contains(got, other.ID) {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := wantAs[api.Count](w, key, 202, http.MethodPost, "/v1/events/redeliver", nil); got.Count != 1 {
		t.Errorf("redelivered %d events", got.Count)
	}
	if fmt.Sprint(w.revoked) != "[]" {
		t.Errorf("revoked: %v", w.revoked)
	}
}
