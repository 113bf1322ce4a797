package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"openmail"
	"openmail/api"
)

func TestEveryAccountHasOneDefaultPod(t *testing.T) {
	w := newWorld(t)
	pods := want[api.List[api.Pod]](w, 200, http.MethodGet, "/v1/pods", nil)
	if pods.Total != 1 || !pods.Data[0].IsDefault || pods.Data[0].ClientID != nil || *pods.Data[0].Name != "Default" {
		t.Fatalf("pods: %+v", pods)
	}
	id := pods.Data[0].ID
	if inbox := w.inbox("jane"); inbox.PodID != id {
		t.Errorf("an inbox without a pod is in %s", inbox.PodID)
	}
	w.fails(409, openmail.CodeDefaultPod, "", http.MethodDelete, "/v1/pods/"+id, w.token, nil)
	acme := w.pod("acme")
	if pods = want[api.List[api.Pod]](w, 200, http.MethodGet, "/v1/pods", nil); pods.Total != 2 || pods.Data[0].ID != id || pods.Data[1].ID != acme.ID {
		t.Errorf("the default pod does not come first: %+v", pods)
	}
	if pods = want[api.List[api.Pod]](w, 200, http.MethodGet, "/v1/pods?limit=1&offset=1", nil); pods.Total != 2 || len(pods.Data) != 1 {
		t.Errorf("a page: %+v", pods)
	}
}

func TestAClientIDStandsForThePodsID(t *testing.T) {
	w := newWorld(t)
	odd := "Kunde 7/ä%2f?.."
	p := w.pod(odd)
	path := "/v1/pods/" + url.PathEscape(odd)
	if got := want[api.Pod](w, 200, http.MethodGet, path, nil); got.ID != p.ID {
		t.Errorf("by clientId: %+v", got)
	}
	inbox := w.inboxIn(odd, "jane")
	w.inbox("joe")
	for _, name := range []string{p.ID, odd} {
		if got := want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes?podId="+url.QueryEscape(name), nil); got.Total != 1 || got.Data[0].ID != inbox.ID || got.Data[0].PodID != p.ID {
			t.Errorf("inboxes of %s: %+v", name, got)
		}
	}
	want[api.APIKey](w, 201, http.MethodPost, path+"/api-keys", nil)
	w.fails(409, openmail.CodePodNotEmpty, "", http.MethodDelete, path, w.token, nil)
	want[any](w, 204, http.MethodDelete, "/v1/inboxes/"+inbox.ID, nil)
	want[any](w, 204, http.MethodDelete, path, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, path, w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/pods/"+p.ID, w.token, nil)
	w.pod(odd) // the name is free again
}

func TestAPathTakesTheLongestClientID(t *testing.T) {
	w := newWorld(t)
	longest := strings.Repeat("ö", 255)
	p := w.pod(longest)
	if got := want[api.Pod](w, 200, http.MethodGet, "/v1/pods/"+url.PathEscape(longest), nil); got.ID != p.ID {
		t.Errorf("found %+v", got)
	}
	if got := want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes?podId="+url.QueryEscape(longest), nil); got.Total != 0 {
		t.Errorf("%d inboxes", got.Total)
	}
	w.fails(400, openmail.CodeBadRequest, "id", http.MethodGet, "/v1/pods/"+url.PathEscape(longest+"ö"), w.token, nil)
}

func TestAnIDWinsOverAClientIDOfTheSameText(t *testing.T) {
	w := newWorld(t)
	first := w.pod("first")
	w.pod(first.ID)
	if got := want[api.Pod](w, 200, http.MethodGet, "/v1/pods/"+first.ID, nil); got.ID != first.ID {
		t.Errorf("found %+v", got)
	}
}

func TestAClientIDIsUniqueInItsAccountOnly(t *testing.T) {
	w := newWorld(t)
	w.pod("acme")
	w.fails(409, openmail.CodeClientIDTaken, "clientId", http.MethodPost, "/v1/pods", w.token, `{"clientId":"acme"}`)
	other := w.pod("other")
	w.fails(409, openmail.CodeClientIDTaken, "clientId", http.MethodPatch, "/v1/pods/"+other.ID, w.token, `{"clientId":"acme"}`)
	wantAs[api.Pod](w, w.otherToken, 201, http.MethodPost, "/v1/pods", `{"clientId":"acme"}`)
	for range 2 { // any number of pods have none
		want[api.Pod](w, 201, http.MethodPost, "/v1/pods", nil)
	}
}

func TestAPodIsChangedFieldByField(t *testing.T) {
	w := newWorld(t)
	w.pod("acme")
	steps := []struct{ body, clientID, name string }{
		{`{"name":"Acme Inc."}`, "acme", "Acme Inc."},
		{`{}`, "acme", "Acme Inc."},
		{`{"clientId":"acme2"}`, "acme2", "Acme Inc."},
		{`{"name":null}`, "acme2", ""},
	}
	name := "acme"
	for _, s := range steps {
		p := want[api.Pod](w, 200, http.MethodPatch, "/v1/pods/"+name, s.body)
		if orEmpty(p.ClientID) != s.clientID || orEmpty(p.Name) != s.name {
			t.Errorf("%s: %+v", s.body, p)
		}
		name = s.clientID
	}
	p := want[api.Pod](w, 200, http.MethodPatch, "/v1/pods/acme2", `{"clientId":null}`)
	if p.ClientID != nil {
		t.Errorf("%+v", p)
	}
	for _, c := range []struct{ body, field string }{
		{`{"nonsense":1}`, "nonsense"},
		{`{"isDefault":true}`, "isDefault"},
		{`{"clientId":"` + strings.Repeat("x", 256) + `"}`, "clientId"},
		{`{"name":"a\nb"}`, "name"},
		{`{"name":7}`, "name"},
		{`{"clientId":".."}`, "clientId"},
	} {
		w.fails(400, openmail.CodeBadRequest, c.field, http.MethodPatch, "/v1/pods/"+p.ID, w.token, c.body)
		w.fails(400, openmail.CodeBadRequest, c.field, http.MethodPost, "/v1/pods", w.token, c.body)
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodPatch, "/v1/pods/none", w.token, `{}`)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestAPodsKeyMakesNoAddressOfTheOperators(t *testing.T) {
	w := newWorld(t)
	key := w.podKey(w.pod("acme").ID)
	for _, name := range []string{"postmaster", "hostmaster", "webmaster", "admin", "administrator", "abuse"} {
		w.fails(403, openmail.CodeForbidden, "mailboxName", http.MethodPost, "/v1/inboxes", key.Token, api.InboxCreate{MailboxName: name})
	}
	wantAs[api.Inbox](w, key.Token, 201, http.MethodPost, "/v1/inboxes", api.InboxCreate{MailboxName: "postmaster-7"})
	w.inbox("postmaster") // the account's key may, and a customer's own domain is theirs:
	bought := w.domain("acme.example", "acme")
	w.names.publish(bought.Records)
	want[api.Domain](w, 200, http.MethodPost, "/v1/domains/"+bought.ID+"/verify", nil)
	wantAs[api.Inbox](w, key.Token, 201, http.MethodPost, "/v1/inboxes", api.InboxCreate{MailboxName: "postmaster", Domain: "acme.example"})
}

func TestAPodHasTwentyKeysWhichEndWithIt(t *testing.T) {
	w := newWorld(t)
	w.pod("acme")
	const path = "/v1/pods/acme/api-keys"
	gone := want[api.APIKey](w, 201, http.MethodPost, path, `{"name":"agent"}`)
	var last api.APIKey
	for range maxKeys - 1 {
		last = want[api.APIKey](w, 201, http.MethodPost, path, `{"name":"agent"}`)
	}
	w.fails(422, openmail.CodeKeyLimit, "", http.MethodPost, path, w.token, nil)
	listed := want[api.Rows[api.APIKey]](w, 200, http.MethodGet, path, nil)
	if len(listed.Data) != maxKeys || listed.Data[0].Token != "" || listed.Data[0].InboxID != nil || orEmpty(listed.Data[0].PodID) != orEmpty(last.PodID) {
		t.Errorf("%d keys, the first %+v", len(listed.Data), listed.Data[0])
	}
	want[any](w, 204, http.MethodDelete, path+"/"+gone.ID, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, path+"/"+gone.ID, w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodDelete, "/v1/api-keys/"+last.ID, w.token, nil)
	wantAs[api.Me](w, last.Token, 200, http.MethodGet, "/v1/me", nil)
	want[any](w, 204, http.MethodDelete, "/v1/pods/acme", nil)
	w.fails(401, openmail.CodeUnauthorized, "", http.MethodGet, "/v1/me", last.Token, nil)
}

func TestAPodKeyMakesInboxesAndTheirKeysInItsPod(t *testing.T) {
	w := newWorld(t)
	acme, other := w.pod("acme"), w.pod("other")
	key := w.podKey("acme").Token
	for _, body := range []string{`{}`, `{"podId":"acme"}`, `{"podId":"` + acme.ID + `"}`, `{"podId":null}`} {
		if in := wantAs[api.Inbox](w, key, 201, http.MethodPost, "/v1/inboxes", body); in.PodID != acme.ID {
			t.Errorf("%s: an inbox in %s", body, in.PodID)
		}
	}
	for _, pod := range []string{"other", other.ID, "none"} {
		e := w.fails(403, openmail.CodeForbidden, "", http.MethodPost, "/v1/inboxes", key, `{"podId":"`+pod+`"}`)
		if !strings.Contains(e.Message, acme.ID) {
			t.Errorf("the boundary is not named: %s", e.Message)
		}
	}
	mine := wantAs[api.List[api.Inbox]](w, key, 200, http.MethodGet, "/v1/inboxes", nil)
	if w.inboxIn("other", "theirs"); mine.Total != 4 {
		t.Errorf("%d inboxes", mine.Total)
	}
	inboxKey := wantAs[api.APIKey](w, key, 201, http.MethodPost, "/v1/inboxes/"+mine.Data[0].ID+"/api-keys", nil)
	if orEmpty(inboxKey.PodID) != acme.ID || orEmpty(inboxKey.InboxID) != mine.Data[0].ID {
		t.Errorf("key %+v", inboxKey)
	}
	if pods := wantAs[api.List[api.Pod]](w, inboxKey.Token, 200, http.MethodGet, "/v1/pods", nil); pods.Total != 1 || pods.Data[0].ID != acme.ID {
		t.Errorf("an inbox key sees %+v", pods)
	}
	renamed := wantAs[api.Inbox](w, key, 200, http.MethodPatch, "/v1/inboxes/"+mine.Data[0].ID, `{"displayName":"Jane"}`)
	if orEmpty(renamed.DisplayName) != "Jane" {
		t.Errorf("%+v", renamed)
	}
}
