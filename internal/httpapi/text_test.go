package httpapi_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"testing"

	"openmail/api"
)

func TestATextThatNoStoreCanKeepIsRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t)
	in := want[api.Inbox](w, 201, http.MethodPost, "/v1/inboxes", api.InboxCreate{MailboxName: "jane"})
	send := "/v1/inboxes/" + in.ID + "/send"
	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{404, http.MethodGet, "/v1/inboxes/inb%00", ""},
		{404, http.MethodGet, "/v1/inboxes/inb%ff", ""},
		{400, http.MethodGet, "/v1/inboxes?q=a%00b", ""},
		{400, http.MethodGet, "/v1/inboxes?q=%ff", ""},
		{400, http.MethodPost, "/v1/inboxes", `{"displayName":"a\u0000b"}`},
		{400, http.MethodPost, "/v1/feedback", `{"type":"bug","message":"x","context":{"a":[{"b\u0000":1}]}}`},
		{400, http.MethodPost, send, `{"to":"ann@x.test","subject":"x","body":"a\u0000b"}`},
		{400, http.MethodPost, "/v1/feedback", `{"type":"bug","message":"a\u0000b"}`},
		{400, http.MethodPost, "/v1/pods", `{"name":"x","clientId":"a\u0000b"}`},
		{201, http.MethodPost, "/v1/inboxes", `{"displayName":"a\\u0000b"}`}, // six characters, none of them NUL
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		if got := w.do(c.method, c.path, w.token, body); got.status != c.status {
			t.Errorf("%s %s %s: %d, want %d: %s", c.method, c.path, c.body, got.status, c.status, got.body)
		}
	}
	for _, text := range []string{"a\x00b", "a\xffb"} {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		for name, value := range map[string]string{"to": "ann@x.test", "subject": "x", "body": text} {
			if err := form.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest(http.MethodPost, w.http.URL+send, &b)
		req.Header.Set("Content-Type", form.FormDataContentType())
		req.Header.Set("Authorization", "Bearer "+w.token)
		if got := w.send(req); got.status != 400 {
			t.Errorf("a form with %q: %d", text, got.status)
		}
	}
}
