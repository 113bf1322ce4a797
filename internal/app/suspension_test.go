package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"openmail"
	"openmail/api"
	"openmail/internal/admin"
)

func TestTheOperatorSuspendsAnInboxAndItsWebhookIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "om") // short enough for a socket
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	type post struct {
		header http.Header
		body   []byte
	}
	posts := make(chan post, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.Header, body}
	}))
	t.Cleanup(hook.Close)
	s := serve(t, config(t, dir, map[string]string{"OPENMAIL_WEBHOOK_ALLOW": "127.0.0.0/8"}))
	root := s.client(t, s.NewKey())
	customer := newTenant(t, s, root, "acme")
	put, err := root.PutWebhook(t.Context(), api.WebhookPut{URL: hook.URL})
	check(t, err)
	customer.say(`{"type":"subscribe"}`)
	customer.next()

	operator := admin.Dial(dir)
	done, err := operator.Suspend(t.Context(), "pod", customer.inbox.PodID, "high_complaint_rate")
	check(t, err)
	_, err = customer.client.Send(t.Context(), customer.inbox.ID, api.SendRequest{To: "a@elsewhere.example", Subject: "x", Body: "y"}, "")
	if openmail.CodeOf(err) != openmail.CodeSuspended {
		t.Errorf("it sends: %v", err)
	}
	p := <-posts
	mac := hmac.New(sha256.New, []byte(put.WebhookSecret))
	mac.Write([]byte(p.header.Get("X-Timestamp") + "." + string(p.body)))
	signed := p.header.Get("X-Signature") == hex.EncodeToString(mac.Sum(nil))
	if id := p.header.Get("X-Event-Id"); !signed || id != done.EventID || !strings.Contains(string(p.body), `"reason":"high_complaint_rate"}`) {
		t.Errorf("posted %s as %s, signed: %v", p.body, id, signed)
	}
	_, err = operator.Reactivate(t.Context(), "pod", customer.inbox.PodID)
	check(t, err)
	if p = <-posts; !strings.Contains(string(p.body), `"pod.reactivated"`) || !strings.Contains(string(p.body), `"reason":null`) {
		t.Errorf("posted %s", p.body)
	}
	// The socket has heard nothing of it.
	s.mail(t, customer.inbox.Address, "hello")
	if f := customer.next(); f.Event != string(openmail.MessageReceived) {
		t.Errorf("the socket gets %+v", f)
	}
}
