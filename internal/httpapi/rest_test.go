package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/intake"
	"openmail/internal/store"
)

func TestInboxIsCreatedFromMissingEmptyAndFullBodies(t *testing.T) {
	w := newWorld(t)
	for _, body := range []any{nil, "", "{}"} {
		got := want[api.Inbox](w, http.StatusCreated, http.MethodPost, "/v1/inboxes", body)
		name, at, _ := strings.Cut(got.Address, "@")
		if len(name) != 8 || at != domain || got.DisplayName != nil || got.ID == "" {
			t.Errorf("from %v: %+v", body, got)
		}
	}
	got := want[api.Inbox](w, http.StatusCreated, http.MethodPost, "/v1/inboxes",
		`{"username":"jane.doe-2","displayName":"Jane","externalId":"crm-7","domain":"Bücher.example"}`)
	if got.Address != "jane.doe-2@xn--bcher-kva.example" || *got.DisplayName != "Jane" || *got.ExternalID != "crm-7" {
		t.Errorf("full body: %+v", got)
	}
	if again := want[api.Inbox](w, http.StatusOK, http.MethodGet, "/v1/inboxes/"+got.ID, nil); again.Address != got.Address || !again.CreatedAt.Equal(got.CreatedAt.Time) {
		t.Errorf("read again: %+v, created %+v", again, got)
	}
}

func TestInboxCreationRefusesWhatTheContractRefuses(t *testing.T) {
	w := newWorld(t)
	w.inbox("taken")
	for _, c := range []struct {
		body   string
		status int
		code   openmail.Code
		field  string
	}{
		{`{"mailboxName":"ab"}`, 400, openmail.CodeInvalidMailboxName, "mailboxName"},
		{`{"mailboxName":"` + strings.Repeat("a", 31) + `"}`, 400, openmail.CodeInvalidMailboxName, "mailboxName"},
		{`{"mailboxName":"Jane"}`, 400, openmail.CodeInvalidMailboxName, "mailboxName"},
		{`{"mailboxName":"-jane"}`, 400, openmail.CodeInvalidMailboxName, "mailboxName"},
		{`{"mailboxName":"ja..ne"}`, 400, openmail.CodeInvalidMailboxName, "mailboxName"},
		{`{"mailboxName":"jane@x"}`, 400, openmail.CodeInvalidMailboxName, "mailboxName"},
		{`{"mailboxName":"taken"}`, 409, openmail.CodeAddressTaken, "mailboxName"},
		{`{"domain":"elsewhere.example"}`, 400, openmail.CodeInvalidDomain, "domain"},
		{`{"displayName":"` + strings.Repeat("x", 201) + `"}`, 400, openmail.CodeBadRequest, "displayName"},
		{`{"displayName":"a\r\nBcc: x@y.example"}`, 400, openmail.CodeBadRequest, "displayName"},
		{`{"podId":"pod_1"}`, 400, openmail.CodeInvalidPod, "podId"},
		{`{"podId":7}`, 400, openmail.CodeBadRequest, "podId"},
		{`{"mailboxName":7}`, 400, openmail.CodeBadRequest, "mailboxName"},
		{`[]`, 400, openmail.CodeBadRequest, ""},
		{`{"mailboxName":`, 400, openmail.CodeBadRequest, ""},
	} {
		w.fails(c.status, c.code, c.field, http.MethodPost, "/v1/inboxes", w.token, c.body)
	}
}

func TestAnAccountHasAsManyInboxesAsItMay(t *testing.T) {
	w := newWorldOn(t, store.Config{MaxInboxes: 2})
	w.inbox("jane")
	joe := w.inbox("joe")
	w.fails(422, openmail.CodeInboxLimit, "", http.MethodPost, "/v1/inboxes", w.token, nil)
	wantAs[api.Inbox](w, w.otherToken, 201, http.MethodPost, "/v1/inboxes", nil)
	want[struct{}](w, 204, http.MethodDelete, "/v1/inboxes/"+joe.ID, nil)
	w.inbox("joe")
}

func TestInboxDisplayNameIsChangedAndCleared(t *testing.T) {
	w := newWorld(t)
	path := "/v1/inboxes/" + w.inbox("jane").ID
	for _, c := range []struct {
		body string
		want *string
	}{
		{`{"displayName":"` + strings.Repeat("ö", 200) + `"}`, new(strings.Repeat("ö", 200))},
		{`{"displayName":"Jane Ö"}`, new("Jane Ö")},
		{`{}`, new("Jane Ö")},
		{`{"displayName":null}`, nil},
	} {
		got := want[api.Inbox](w, http.StatusOK, http.MethodPatch, path, c.body)
		if (got.DisplayName == nil) != (c.want == nil) || c.want != nil && *got.DisplayName != *c.want {
			t.Errorf("after %s the name is %v", c.body, got.DisplayName)
		}
	}
	w.fails(400, openmail.CodeBadRequest, "podId", http.MethodPatch, path, w.token, `{"podId":"pod_x"}`)
	w.fails(400, openmail.CodeBadRequest, "", http.MethodPatch, path, w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodPatch, "/v1/inboxes/inb_none", w.token, `{"displayName":"x"}`)
}

func TestDeletedInboxIsGoneWithItsKeys(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	key := w.inboxKey(inbox.ID)
	wantAs[api.Me](w, key.Token, http.StatusOK, http.MethodGet, "/v1/me", nil)
	want[any](w, http.StatusNoContent, http.MethodDelete, "/v1/inboxes/"+inbox.ID, "{}") // a body, as some clients send one
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/inboxes/"+inbox.ID, w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/inboxes/"+inbox.ID, w.token, nil)
	w.fails(401, openmail.CodeUnauthorized, "", http.MethodGet, "/v1/me", key.Token, nil)
}

func TestListsAreNewestFirstWithTheFullTotal(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"one", "two", "three"} {
		w.inbox(name)
	}
	got := want[api.List[api.Inbox]](w, http.StatusOK, http.MethodGet, "/v1/inboxes?limit=2&offset=1", nil)
	if got.Total != 3 || len(got.Data) != 2 || !strings.HasPrefix(got.Data[0].Address, "two@") {
		t.Errorf("page: %+v", got)
	}
	if got := want[api.List[api.Inbox]](w, http.StatusOK, http.MethodGet, "/v1/inboxes?limit=100000", nil); len(got.Data) != 3 {
		t.Errorf("a limit that is too high: %d rows", len(got.Data))
	}
	for query, field := range map[string]string{"limit=0": "limit", "limit=-1": "limit", "limit=ten": "limit", "offset=-1": "offset", "offset=x": "offset"} {
		w.fails(400, openmail.CodeBadRequest, field, http.MethodGet, "/v1/inboxes?"+query, w.token, nil)
	}
}

func TestAListHasFiftyRowsAndAtMostAHundred(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	start := time.Now().Add(-time.Hour)
	for i := range 101 {
		w.mail(inbox, letter(strconv.Itoa(i)+"@x", "Same", "In-Reply-To: <0@x>\r\n"), start.Add(time.Duration(i)*time.Second), admitted())
	}
	messages := "/v1/inboxes/" + inbox.ID + "/messages"
	for query, n := range map[string]int{"": 50, "?limit=100": 100, "?limit=101": 100, "?limit=100&offset=100": 1, "?offset=101": 0} {
		list := want[api.List[api.Message]](w, 200, http.MethodGet, messages+query, nil)
		if len(list.Data) != n || list.Total != 101 {
			t.Errorf("%q: %d of %d messages", query, len(list.Data), list.Total)
		}
		if n == 50 { // the messages of a thread are not cut into pages
			if whole := want[api.ThreadMessages](w, 200, http.MethodGet, "/v1/threads/"+list.Data[0].ThreadID+"/messages", nil); len(whole.Data) != 101 {
				t.Errorf("%d messages of the thread", len(whole.Data))
			}
		}
	}
	for query, n := range map[string]int{"": 50, "?limit=101": 100} {
		if list := want[api.EventList](w, 200, http.MethodGet, "/v1/events"+query, nil); len(list.Data) != n || list.Next == nil {
			t.Errorf("%q: %d events", query, len(list.Data))
		}
	}
}

func TestEmptyListsAreEmptyArrays(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/v1/inboxes", "/v1/quarantine", "/v1/events"} {
		if got := w.do(http.MethodGet, path, w.token, nil); !strings.Contains(string(got.body), `"data":[]`) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if got := w.do(http.MethodGet, "/v1/policy", w.token, nil); !strings.Contains(string(got.body), `"rules":[]`) {
		t.Errorf("policy: %s", got.body)
	}
}

func TestMessageHasEveryFieldOfTheContract(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	when := time.Date(2026, 2, 24, 10, 5, 0, 12e6, time.UTC)
	filed := w.mail(inbox, letter("a@sender.example", "Hi", "Date: Tue, 24 Feb 2026 10:04:59 +0000\r\n"), when, admitted())
	got := w.do(http.MethodGet, "/v1/messages/"+filed.Message, w.token, nil)
	var m map[string]any
	if err := json.Unmarshal(got.body, &m); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"id": filed.Message, "threadId": filed.Thread, "inboxId": inbox.ID, "direction": "inbound", "status": "received",
		"fromAddr": "Alice Ärmel <alice@sender.example>", "toAddr": inbox.Address, "headerTo": inbox.Address, "deliveryRole": "to",
		"subject": "Hi", "bodyHtml": "", "createdAt": "2026-02-24T10:05:00.012Z", "rfcMessageId": "<a@sender.example>",
		"rawUrl": "http://public.example/v1/messages/" + filed.Message + "/raw", "partial": false,
	} {
		if m[field] != want {
			t.Errorf("%s is %v, want %v", field, m[field], want)
		}
	}
	for _, field := range []string{"cc", "attachments", "references", "defects"} {
		if list, ok := m[field].([]any); !ok || len(list) != 0 {
			t.Errorf("%s is %v, want an empty array", field, m[field])
		}
	}
	if !strings.Contains(m["bodyText"].(string), "Hello from Hi.") {
		t.Errorf("bodyText is %q", m["bodyText"])
	}
}

func TestThreadIsListedReadAndMarkedInBothSpellings(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	when := time.Date(2026, 2, 24, 10, 0, 0, 0, time.UTC)
	first := w.mail(inbox, letter("a@x", "Order"), when, admitted())
	w.mail(inbox, letter("b@x", "Re: Order", "In-Reply-To: <a@x>\r\n"), when.Add(time.Minute), admitted())
	other := w.mail(inbox, letter("c@x", "Else"), when.Add(2*time.Minute), admitted())

	threads := want[api.List[api.Thread]](w, 200, http.MethodGet, "/v1/inboxes/"+inbox.ID+"/threads", nil)
	if threads.Total != 2 || threads.Data[0].ID != other.Thread || threads.Data[1].MessageCount != 2 || threads.Data[1].IsRead {
		t.Fatalf("threads: %+v", threads)
	}
	whole := want[api.ThreadMessages](w, 200, http.MethodGet, "/v1/threads/"+first.Thread+"/messages", nil)
	if len(whole.Data) != 2 || whole.Data[0].ID != first.Message || whole.ThreadID != first.Thread || whole.InboxID != inbox.ID || whole.IsRead {
		t.Fatalf("thread: %+v", whole)
	}
	for i, body := range []string{`{"is_read":true}`, `{"isRead":false}`, `{"isRead":true,"folder":"ignored"}`} {
		if ok := want[api.OK](w, 200, http.MethodPatch, "/v1/threads/"+first.Thread, body); !ok.OK {
			t.Errorf("%s was not answered with ok", body)
		}
		read := i != 1
		for _, query := range []string{"is_read", "isRead"} {
			got := want[api.List[api.Thread]](w, 200, http.MethodGet, "/v1/inboxes/"+inbox.ID+"/threads?"+query+"=true", nil)
			if (got.Total == 1) != read {
				t.Errorf("after %s %s=true finds %d", body, query, got.Total)
			}
		}
	}
	w.fails(400, openmail.CodeBadRequest, "is_read", http.MethodPatch, "/v1/threads/"+first.Thread, w.token, `{}`)
	w.fails(400, openmail.CodeBadRequest, "is_read", http.MethodGet, "/v1/inboxes/"+inbox.ID+"/threads?is_read=maybe", w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodPatch, "/v1/threads/thr_none", w.token, `{"is_read":true}`)
}

func TestMessagesAreFilteredByDirectionAndDeleted(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	when := time.Date(2026, 2, 24, 10, 0, 0, 0, time.UTC)
	first := w.mail(inbox, letter("a@x", "One"), when, admitted())
	second := w.mail(inbox, letter("b@x", "Two"), when.Add(time.Minute), admitted())
	path := "/v1/inboxes/" + inbox.ID + "/messages"

	if got := want[api.List[api.Message]](w, 200, http.MethodGet, path+"?direction=inbound", nil); got.Total != 2 || got.Data[0].ID != second.Message {
		t.Errorf("inbound: %+v", got)
	}
	if got := want[api.List[api.Message]](w, 200, http.MethodGet, path+"?direction=outbound", nil); got.Total != 0 {
		t.Errorf("outbound: %+v", got)
	}
	w.fails(400, openmail.CodeBadRequest, "direction", http.MethodGet, path+"?direction=sideways", w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/inboxes/inb_none/messages", w.token, nil)

	want[any](w, 204, http.MethodDelete, "/v1/messages/"+first.Message, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/messages/"+first.Message, w.token, nil)
	want[any](w, 204, http.MethodDelete, "/v1/threads/"+second.Thread, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/threads/"+second.Thread+"/messages", w.token, nil)
	if got := want[api.List[api.Message]](w, 200, http.MethodGet, path, nil); got.Total != 0 {
		t.Errorf("after both are gone: %+v", got)
	}
}

func TestRawMessageIsTheBytesThatWereReceived(t *testing.T) {
	w := newWorld(t)
	raw := "From: a@b.example\nSubject: \xff bare newline\r\n\r\nbody\x00\r\n"
	filed := w.mail(w.inbox("jane"), raw, time.Now(), admitted())
	got := w.do(http.MethodGet, "/v1/messages/"+filed.Message+"/raw", w.token, nil)
	if got.status != 200 || string(got.body) != raw || got.header.Get("Content-Type") != "message/rfc822" {
		t.Errorf("%d %q as %s", got.status, got.body, got.header.Get("Content-Type"))
	}
	wantHarmless(t, got.header)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/messages/msg_none/raw", w.token, nil)
}

func wantHarmless(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox",
		"Content-Disposition": "attachment", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
	} {
		if !strings.Contains(h.Get(name), want) {
			t.Errorf("%s is %q, want %s in it", name, h.Get(name), want)
		}
	}
}

func TestMeTellsHowFarTheKeyReaches(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	if got := string(w.do(http.MethodGet, "/v1/me", w.token, nil).body); !strings.Contains(got, `"apiKeyScope":"account"`) || !strings.Contains(got, `"mcpScopes":null`) {
		t.Error(got)
	}
	key := w.inboxKey(inbox.ID)
	if got := string(w.do(http.MethodGet, "/v1/me", key.Token, nil).body); !strings.Contains(got, `"apiKeyScope":{"podId":"`+inbox.PodID+`","inboxId":"`+inbox.ID+`"}`) {
		t.Error(got)
	}
	if got := string(w.do(http.MethodGet, "/v1/me", w.podKey(inbox.PodID).Token, nil).body); !strings.Contains(got, `"apiKeyScope":{"podId":"`+inbox.PodID+`","inboxId":null}`) {
		t.Error(got)
	}
}

func TestListsLeaveOutTheOldestBodiesWhenTheyAreTooLargeTogether(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	large := "Content-Type: text/html\r\n\r\n" + strings.Repeat("<p>0123456789</p>\r\n", 360_000)
	var filed []intake.Filed
	for i, more := range []string{large, large, "", large} {
		raw := "From: a@b.example\r\nMessage-ID: <" + strconv.Itoa(i) + "@x>\r\nReferences: <0@x>\r\nSubject: s\r\n" + more + "\r\n"
		filed = append(filed, w.mail(inbox, raw, time.Now().Add(time.Duration(i-9)*time.Minute), admitted()))
	}
	list := want[api.List[api.Message]](w, 200, http.MethodGet, "/v1/inboxes/"+inbox.ID+"/messages", nil)
	thread := want[api.ThreadMessages](w, 200, http.MethodGet, "/v1/threads/"+filed[3].Thread+"/messages", nil)
	slices.Reverse(thread.Data)
	for name, messages := range map[string][]api.Message{"inbox": list.Data, "thread": thread.Data} {
		if len(messages) != 4 || list.Total != 4 {
			t.Fatalf("%s: %d messages of %d", name, len(messages), list.Total)
		}
		if messages[0].BodyOmitted || len(messages[0].BodyHTML) < 6<<20 || messages[1].BodyOmitted {
			t.Errorf("%s: the newest bodies are not whole", name)
		}
		if oldest := messages[3]; !oldest.BodyOmitted || oldest.BodyHTML != "" || oldest.BodyText != "" || oldest.Subject != "s" {
			t.Errorf("%s: the oldest has a body of %d bytes", name, len(oldest.BodyHTML))
		}
	}
	if alone := want[api.Message](w, 200, http.MethodGet, "/v1/messages/"+filed[0].Message, nil); alone.BodyOmitted || len(alone.BodyHTML) < 6<<20 {
		t.Errorf("alone it has %d bytes", len(alone.BodyHTML))
	}
}
