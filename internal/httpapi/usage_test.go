package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
)

func TestUsageCountsWhatInboxesDo(t *testing.T) {
	w := newWorld(t)
	idle, jane := w.inbox("idle"), w.inbox("jane")
	yesterday := time.Now().UTC().Add(-24 * time.Hour)
	w.mail(jane, withFiles(map[string]string{"a.txt": "text/plain"}), time.Now(), admitted())
	w.mail(jane, letter("old@x", "Old"), yesterday, admitted())
	w.mail(jane, letter("held@x", "Held"), time.Now(), openmail.Verdict{Reason: openmail.ReasonUnknown})
	want[api.Sent](w, 200, http.MethodPost, "/v1/inboxes/"+jane.ID+"/send", bodies["sendEmail"])
	deleted := w.inbox("gone")
	w.mail(deleted, letter("gone@x", "Gone"), time.Now(), admitted())
	want[struct{}](w, 204, http.MethodDelete, "/v1/inboxes/"+deleted.ID, nil)

	u := want[api.Usage](w, 200, http.MethodGet, "/v1/usage", nil)
	if n := u.To.Sub(u.From.Time); u.GroupBy != "inbox" || n != 31*24*time.Hour || !u.To.After(time.Now()) {
		t.Errorf("from %v to %v by %s", u.From, u.To, u.GroupBy)
	}
	if len(u.Inboxes) != 3 || u.Total != 3 || u.Inboxes[0].InboxID != deleted.ID || u.Inboxes[0].Address != deleted.Address || u.Inboxes[0].Inbound != 1 || u.Inboxes[0].StoredBytes != 0 {
		t.Fatalf("%+v", u)
	}
	if got := u.Inboxes[2]; got.InboxID != idle.ID || got.UsageCounts != (api.UsageCounts{}) {
		t.Errorf("idle: %+v", got)
	}
	of := u.Inboxes[1]
	if of.InboxID != jane.ID || of.Inbound != 2 || of.Outbound != 1 || of.AttachmentBytes != int64(len(script)) || of.StoredBytes < 200 {
		t.Errorf("jane: %+v", of)
	}
	of.Inbound++
	if u.Totals != of.UsageCounts {
		t.Errorf("all %+v, want %+v", u.Totals, of.UsageCounts)
	}
	day := want[api.Usage](w, 200, http.MethodGet, "/v1/usage?group_by=account&from="+yesterday.Format(time.DateOnly)+"&to="+time.Now().UTC().Format(time.DateOnly), nil)
	if day.Totals.Inbound != 1 || len(day.Inboxes) != 0 || day.GroupBy != "account" || day.Total != 2 {
		t.Errorf("yesterday: %+v", day)
	}
	page := want[api.Usage](w, 200, http.MethodGet, "/v1/usage?limit=1&offset=1", nil)
	if len(page.Inboxes) != 1 || page.Inboxes[0].InboxID != jane.ID || page.Total != 3 || page.Totals != u.Totals {
		t.Errorf("a page: %+v", page)
	}
}

func TestUsageOfAnImpossibleTimeIsRefused(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC()
	stamp := func(ago time.Duration) string { return url.QueryEscape(now.Add(-ago).Format(time.RFC3339Nano)) }
	const day = 24 * time.Hour
	for query, field := range map[string]string{
		"from=yesterday":                                        "from",
		"to=2026-13-01":                                         "to",
		"from=" + stamp(0) + "&to=" + stamp(0):                  "from",
		"from=" + stamp(0) + "&to=" + stamp(day):                "from",
		"from=" + stamp(92*day+time.Second) + "&to=" + stamp(0): "from",
		"group_by=pod":                                          "group_by",
		"limit=0":                                               "limit",
		"offset=-1":                                             "offset",
	} {
		w.fails(400, openmail.CodeBadRequest, field, http.MethodGet, "/v1/usage?"+query, w.token, nil)
	}
	want[api.Usage](w, 200, http.MethodGet, "/v1/usage?from="+stamp(92*day)+"&to="+stamp(0), nil)
}

func TestFeedbackOfAnyKeyIsReadByTheAccount(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	key := w.inboxKey(inbox.ID)
	say := func(token, text string) {
		t.Helper()
		if got := wantAs[api.OK](w, token, 201, http.MethodPost, "/v1/feedback", text); !got.OK {
			t.Errorf("%s: %+v", text, got)
		}
	}
	say(key.Token, `{"type":"bug","message":" It broke.\n","context":{"endpoint":"GET /v1/me","errorCode":"internal_error","requestId":"req_1"}}`)
	say(w.token, `{"type":"feature_request","message":"More of it."}`)
	got := want[api.List[api.Feedback]](w, 200, http.MethodGet, "/v1/feedback", nil)
	if got.Total != 2 || got.Data[0].Message != "More of it." || got.Data[0].Context != nil || got.Data[0].PodID != nil || got.Data[0].InboxID != nil {
		t.Fatalf("%+v", got)
	}
	if f := got.Data[1]; f.Type != "bug" || f.Message != "It broke." || *f.Context != (api.FeedbackContext{Endpoint: "GET /v1/me", ErrorCode: "internal_error", RequestID: "req_1"}) ||
		f.KeyID != key.ID || *f.InboxID != inbox.ID || *f.PodID != inbox.PodID {
		t.Errorf("%+v", f)
	}
	if other := wantAs[api.List[api.Feedback]](w, w.otherToken, 200, http.MethodGet, "/v1/feedback", nil); other.Total != 0 {
		t.Errorf("another account reads %+v", other)
	}
	if strings.Contains(w.log.String(), "It broke") {
		t.Error("what was said stands in the log")
	}
}

func TestFeedbackIsBounded(t *testing.T) {
	w := newWorld(t)
	for body, field := range map[string]string{
		`{"type":"praise","message":"x"}`:                                "type",
		`{"type":"bug"}`:                                                 "message",
		`{"type":"bug","message":" "}`:                                   "message",
		`{"type":"bug","message":"` + strings.Repeat("x", 10_001) + `"}`: "message",
		`{"type":"bug","message":"x","context":{"endpoint":"` + strings.Repeat("x", 501) + `"}}`: "context.endpoint",
	} {
		w.fails(400, openmail.CodeBadRequest, field, http.MethodPost, "/v1/feedback", w.token, body)
	}
	for n := range 100 {
		wantAs[api.OK](w, w.token, 201, http.MethodPost, "/v1/feedback", fmt.Sprintf(`{"type":"%s","message":"%d"}`, []string{"bug", "friction", "feature_request"}[n%3], n))
	}
	w.fails(429, openmail.CodeRateLimit, "", http.MethodPost, "/v1/feedback", w.token, `{"type":"bug","message":"one more"}`)
}
