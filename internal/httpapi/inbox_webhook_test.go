package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"openmail"
	"openmail/api"
)

// hearing is an endpoint that keeps what it gets.
func hearing(t *testing.T, status int) (url string, got chan string) {
	t.Helper()
	got = make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func TestAnInboxesWebhookIsSetChangedAndCleared(t *testing.T) {
	w := newWorld(t)
	url, _ := hearing(t, 200)
	made := want[api.Inbox](w, 201, http.MethodPost, "/v1/inboxes", api.InboxCreate{MailboxName: "jane", WebhookURL: &url})
	if orEmpty(made.WebhookURL) != url || !strings.HasPrefix(made.WebhookSecret, "whsec_") {
		t.Fatalf("made %+v", made)
	}
	path := "/v1/inboxes/" + made.ID
	if got := want[api.Inbox](w, 200, http.MethodGet, path, nil); orEmpty(got.WebhookURL) != url || got.WebhookSecret != "" {
		t.Errorf("read %+v", got)
	}
	if got := want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes", nil).Data[0]; orEmpty(got.WebhookURL) != url || got.WebhookSecret != "" {
		t.Errorf("listed %+v", got)
	}
	if got := want[api.Inbox](w, 200, http.MethodPatch, path, `{"webhookUrl":"`+url+`/2","displayName":"Jane"}`); orEmpty(got.WebhookURL) != url+"/2" || got.WebhookSecret != "" || orEmpty(got.DisplayName) != "Jane" {
		t.Errorf("changed %+v", got)
	}
	if got := want[api.Inbox](w, 200, http.MethodPatch, path, `{"displayName":null}`); orEmpty(got.WebhookURL) != url+"/2" || got.DisplayName != nil {
		t.Errorf("renamed %+v", got)
	}
	for _, cleared := range []string{`null`, `""`} {
		if got := want[api.Inbox](w, 200, http.MethodPatch, path, `{"webhookUrl":`+cleared+`}`); got.WebhookURL != nil {
			t.Errorf("cleared by %s: %+v", cleared, got)
		}
		if got := want[api.Inbox](w, 200, http.MethodPatch, path, `{"webhookUrl":"`+url+`"}`); got.WebhookSecret == "" || got.WebhookSecret == made.WebhookSecret {
			t.Errorf("set again: %+v", got)
		}
	}
	for _, bad := range []string{"ftp://x.example", "http://10.0.0.1/", "http://169.254.169.254/latest", strings.Repeat("x", 3000)} {
		w.fails(422, openmail.CodeInvalidWebhookURL, "webhookUrl", http.MethodPatch, path, w.token, `{"displayName":"half","webhookUrl":"`+bad+`"}`)
		w.fails(422, openmail.CodeInvalidWebhookURL, "webhookUrl", http.MethodPost, "/v1/inboxes", w.token, `{"webhookUrl":"`+bad+`"}`)
	}
	if got := want[api.Inbox](w, 200, http.MethodGet, path, nil); got.DisplayName != nil {
		t.Errorf("half of a refused change was made: %+v", got)
	}
	want[any](w, 204, http.MethodDelete, path, nil)
	if again := want[api.Inbox](w, 201, http.MethodPost, "/v1/inboxes", `{"mailboxName":"jane"}`); again.WebhookURL != nil {
		t.Errorf("the webhook outlived its inbox: %+v", again)
	}
}

func TestAnInboxesWebhookIsTestedAndItsSecretRotated(t *testing.T) {
	w := newWorld(t)
	url, got := hearing(t, 200)
	bad, _ := hearing(t, 500)
	inbox := w.inbox("jane")
	path := "/v1/inboxes/" + inbox.ID
	want[api.Webhook](w, 200, http.MethodPut, "/v1/webhook", api.WebhookPut{URL: bad}) // the account's stands in for none
	w.fails(400, openmail.CodeNoWebhookURL, "", http.MethodPost, path+"/webhook/test", w.token, nil)
	w.fails(400, openmail.CodeNoWebhookURL, "", http.MethodPost, path+"/webhook/rotate-secret", w.token, nil)
	first := want[api.Inbox](w, 200, http.MethodPatch, path, `{"webhookUrl":"`+url+`"}`).WebhookSecret
	if r := want[api.WebhookTest](w, 200, http.MethodPost, path+"/webhook/test", nil); !r.OK || r.Message == "" {
		t.Errorf("%+v", r)
	}
	if body := <-got; !strings.Contains(body, `"event":"setup.test"`) || !strings.Contains(body, `"inbox_id":"`+inbox.ID+`"`) {
		t.Errorf("posted %s", body)
	}
	if second := want[api.WebhookSecret](w, 200, http.MethodPost, path+"/webhook/rotate-secret", nil).WebhookSecret; second == "" || second == first {
		t.Errorf("rotated to %s", second)
	}
	want[api.Inbox](w, 200, http.MethodPatch, path, `{"webhookUrl":"`+bad+`"}`)
	e := w.fails(502, openmail.CodeWebhookFailed, "", http.MethodPost, path+"/webhook/test", w.token, nil)
	if !strings.Contains(e.Message, "500") {
		t.Errorf("%+v", e)
	}
	for _, p := range []string{"test", "rotate-secret"} {
		w.fails(404, openmail.CodeNotFound, "", http.MethodPost, "/v1/inboxes/inb_none/webhook/"+p, w.token, nil)
	}
}
