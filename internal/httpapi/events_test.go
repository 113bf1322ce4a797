package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
)

// letters files n mails and returns their events, newest first.
func (w *world) letters(inbox api.Inbox, n int) []string {
	w.t.Helper()
	var events []string
	for i := range n {
		filed := w.mail(inbox, letter(fmt.Sprintf("%d@%s", i, inbox.ID), fmt.Sprint(i)), time.Now(), admitted())
		events = append(events, filed.Event)
	}
	slices.Reverse(events)
	return events
}

func TestEventsAreWalkedPageByPage(t *testing.T) {
	w := newWorld(t)
	events := w.letters(w.inbox("jane"), 7)
	var got, cursors []string
	for next := ""; ; {
		page := want[api.EventList](w, 200, http.MethodGet, "/v1/events?limit=3&cursor="+next, nil)
		for _, e := range page.Data {
			got = append(got, e.ID)
		}
		if page.Next == nil {
			break
		}
		next = *page.Next
		cursors = append(cursors, next)
	}
	if !slices.Equal(got, events) {
		t.Errorf("walked %v, want %v", got, events)
	}
	for _, c := range cursors {
		if len(c) != 22 {
			t.Errorf("cursor %q", c)
		}
		w.fails(400, openmail.CodeBadRequest, "cursor", http.MethodGet, "/v1/events?cursor="+c, w.otherToken, nil)
	}
	for _, bad := range []string{"1", "AAAAAAAAAAAAAAAAAAAAAA", "%00", "...."} {
		w.fails(400, openmail.CodeBadRequest, "cursor", http.MethodGet, "/v1/events?cursor="+bad, w.token, nil)
	}
}

func TestEventsAreFiltered(t *testing.T) {
	w := newWorld(t)
	jane, joe := w.inbox("jane"), w.inbox("joe")
	w.letters(jane, 2)
	w.letters(joe, 1)
	for query, n := range map[string]int{
		"": 3, "state=failed": 3, "state=delivered": 0, "inboxId=" + joe.ID: 1, "inboxId=inb_none": 0,
		"type=message.received": 3, "type=other": 0, "since=2020-01-01T00:00:00Z": 3, "until=2020-01-01T00:00:00.5Z": 0,
	} {
		if got := want[api.EventList](w, 200, http.MethodGet, "/v1/events?"+query, nil); len(got.Data) != n {
			t.Errorf("%s finds %d, want %d", query, len(got.Data), n)
		}
	}
	for query, field := range map[string]string{"state=lost": "state", "since=yesterday": "since", "until=0": "until", "limit=0": "limit"} {
		w.fails(400, openmail.CodeBadRequest, field, http.MethodGet, "/v1/events?"+query, w.token, nil)
	}
}

func TestEventShowsItsPayloadAndNoPosition(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	event := w.letters(inbox, 1)[0]
	got := w.do(http.MethodGet, "/v1/events/"+event, w.token, nil)
	var e api.Event
	if err := json.Unmarshal(got.body, &e); err != nil {
		t.Fatal(err)
	}
	if e.State != "failed" || *e.Reason != "no_route" || e.Channel != nil || orEmpty(e.InboxID) != inbox.ID || !e.NextAttemptAt.IsZero() || !e.DeliveredAt.IsZero() {
		t.Errorf("event: %s", got.body)
	}
	var payload map[string]any
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	if payload["event_id"] != event || payload["attempt"] != 1.0 || payload["delivered_at"] == "" {
		t.Errorf("payload: %s", e.Payload)
	}
	if strings.Contains(strings.ToLower(string(got.body)), "position") || strings.Contains(string(got.body), `"nextAttemptAt":"`) {
		t.Errorf("it says too much: %s", got.body)
	}
	if list := w.do(http.MethodGet, "/v1/events", w.token, nil); strings.Contains(string(list.body), "payload") {
		t.Errorf("the list carries payloads: %s", list.body)
	}
	if got := want[api.Rows[api.Attempt]](w, 200, http.MethodGet, "/v1/events/"+event+"/attempts", nil); got.Data == nil || len(got.Data) != 0 {
		t.Errorf("attempts: %+v", got)
	}
	for _, path := range []string{"/v1/events/evt_none", "/v1/events/evt_none/attempts"} {
		w.fails(404, openmail.CodeNotFound, "", http.MethodGet, path, w.token, nil)
		w.fails(404, openmail.CodeNotFound, "", http.MethodGet, strings.Replace(path, "evt_none", event, 1), w.otherToken, nil)
	}
}

func TestEventsAreSentAgain(t *testing.T) {
	w := newWorld(t)
	jane, joe := w.inbox("jane"), w.inbox("joe")
	event := w.letters(jane, 2)[0]
	w.letters(joe, 1)
	want[api.Webhook](w, 200, http.MethodPut, "/v1/webhook", `{"url":"http://127.0.0.1:1/hook"}`)
	if got := want[api.Redelivered](w, 202, http.MethodPost, "/v1/events/"+event+"/redeliver", nil); got.ID != event || got.State != "due" {
		t.Errorf("one: %+v", got)
	}
	if e := want[api.Event](w, 200, http.MethodGet, "/v1/events/"+event, nil); e.NextAttemptAt.IsZero() {
		t.Errorf("due without a time: %+v", e)
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodPost, "/v1/events/evt_none/redeliver", w.token, nil)
	for _, c := range []struct {
		body string
		n    int
	}{{`{"state":"failed","inboxId":"` + joe.ID + `"}`, 1}, {`{"state":"failed","since":"2020-01-01T00:00:00Z"}`, 1}, {`{"state":"failed"}`, 0}} {
		if got := want[api.Count](w, 202, http.MethodPost, "/v1/events/redeliver", c.body); got.Count != c.n {
			t.Errorf("%s: %d, want %d", c.body, got.Count, c.n)
		}
	}
	w.fails(400, openmail.CodeBadRequest, "state", http.MethodPost, "/v1/events/redeliver", w.token, `{"state":"armed"}`)
	w.fails(400, openmail.CodeBadRequest, "status", http.MethodPost, "/v1/events/redeliver", w.token, `{"status":"failed"}`)
}

func TestWebhookIsSetTestedAndItsSecretShownOnce(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/webhook"
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, path, w.token, nil)
	for _, step := range []string{"test", "rotate-secret", "next-secret", "activate-secret"} {
		w.fails(400, openmail.CodeNoWebhookURL, "", http.MethodPost, path+"/"+step, w.token, nil)
	}
	w.fails(422, openmail.CodeInvalidWebhookURL, "url", http.MethodPut, path, w.token, `{"url":"ftp://x.example"}`)
	w.fails(422, openmail.CodeInvalidWebhookURL, "url", http.MethodPut, path, w.token, `{"url":"http://169.254.169.254/"}`)
	if e := w.fails(400, openmail.CodeBadRequest, "url", http.MethodPut, path, w.token, `{}`); e.Message != "url is missing." {
		t.Errorf("without a URL: %s", e.Message)
	}
	first := want[api.Webhook](w, 200, http.MethodPut, path, api.WebhookPut{URL: receiver(t, 500)})
	if !strings.HasPrefix(first.WebhookSecret, "whsec_") || !first.Enabled || first.DisabledReason != nil {
		t.Errorf("first: %+v", first)
	}
	if e := w.fails(502, openmail.CodeWebhookFailed, "", http.MethodPost, path+"/test", w.token, nil); !strings.Contains(e.Message, "500") {
		t.Errorf("test: %+v", e)
	}
	if got := w.do(http.MethodPut, path, w.token, api.WebhookPut{URL: receiver(t, 200)}); strings.Contains(string(got.body), "ecret") {
		t.Errorf("second: %s", got.body)
	}
	if got := w.do(http.MethodGet, path, w.token, nil); strings.Contains(string(got.body), "whsec") {
		t.Errorf("read: %s", got.body)
	}
	if got := want[api.WebhookTest](w, 200, http.MethodPost, path+"/test", nil); !got.OK || got.Status != 200 || got.TookMS < 0 || got.Response != "thanks" {
		t.Errorf("test: %+v", got)
	}
	if got := want[api.WebhookSecret](w, 200, http.MethodPost, path+"/rotate-secret", nil); !strings.HasPrefix(got.WebhookSecret, "whsec_") || got.WebhookSecret == first.WebhookSecret {
		t.Errorf("rotated: %+v", got)
	}
	w.fails(409, openmail.CodeConflict, "", http.MethodPost, path+"/activate-secret", w.token, nil)
	if got := want[api.WebhookSecret](w, 200, http.MethodPost, path+"/next-secret", nil); !strings.HasPrefix(got.WebhookSecret, "whsec_") {
		t.Errorf("next: %+v", got)
	}
	want[api.OK](w, 200, http.MethodPost, path+"/activate-secret", nil)
	want[any](w, 204, http.MethodDelete, path, nil)
	want[any](w, 204, http.MethodDelete, path, nil)
}

// receiver is an endpoint that answers every post with that status.
func receiver(t *testing.T, status int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, "thanks")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestSocketsAreListedAndClosedByTheirAccountOnly(t *testing.T) {
	w := newWorld(t)
	got := want[api.Rows[api.Socket]](w, 200, http.MethodGet, "/v1/sockets", nil)
	if len(got.Data) != 1 || got.Data[0].ID != "sck_of_"+w.account {
		t.Fatalf("sockets: %+v", got)
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/sockets/"+got.Data[0].ID, w.otherToken, nil)
	want[any](w, 204, http.MethodDelete, "/v1/sockets/"+got.Data[0].ID, nil)
	ticket := want[api.Ticket](w, 201, http.MethodPost, "/v1/ws/ticket", nil)
	if !strings.HasPrefix(ticket.Ticket, "ticket_of_key_") || time.Until(ticket.ExpiresAt.Time) <= 0 {
		t.Errorf("ticket: %+v", ticket)
	}
}
