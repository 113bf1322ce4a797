package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"openmail"
	"openmail/api"
)

func TestADomainIsBroughtVerifiedUsedAndDeleted(t *testing.T) {
	w := newWorld(t)
	acme := w.pod("acme")
	d := want[api.Domain](w, 201, http.MethodPost, "/v1/domains", `{"domain":"Acme.example"}`)
	if d.Domain != "acme.example" || d.Status != "pending" || d.Reason != nil || d.PodID != nil || len(d.Records) != 6 || !strings.HasPrefix(d.ID, openmail.PrefixDomain) {
		t.Fatalf("%+v", d)
	}
	mx := d.Records[1]
	if mx.Type != "MX" || mx.Name != "acme.example" || mx.Value != "mx."+domain || mx.Priority == nil || *mx.Priority != 10 || d.Records[0].Priority != nil {
		t.Errorf("%+v", d.Records)
	}
	path := "/v1/domains/" + d.ID
	w.fails(400, openmail.CodeInvalidDomain, "domain", http.MethodPost, "/v1/inboxes", w.token, `{"domain":"acme.example"}`)
	w.names.publish(d.Records)
	if got := want[api.Domain](w, 200, http.MethodPost, path+"/verify", nil); got.Status != "verified" || got.VerifiedAt.IsZero() {
		t.Fatalf("%+v", got)
	}
	in := want[api.Inbox](w, 201, http.MethodPost, "/v1/inboxes", `{"domain":"ACME.example","mailboxName":"jane","podId":"acme"}`)
	if in.Address != "jane@acme.example" {
		t.Errorf("%+v", in)
	}
	w.fails(400, openmail.CodeInvalidDomain, "domain", http.MethodPost, "/v1/inboxes", w.otherToken, `{"domain":"acme.example"}`)
	w.fails(409, openmail.CodeDomainTaken, "domain", http.MethodPost, "/v1/domains", w.otherToken, `{"domain":"acme.example"}`)
	w.fails(409, openmail.CodeDomainExists, "domain", http.MethodPost, "/v1/domains", w.token, `{"domain":"acme.example"}`)
	w.fails(422, openmail.CodeDomainHasInboxes, "", http.MethodDelete, path, w.token, nil)
	w.fails(422, openmail.CodeDomainHasInboxes, "", http.MethodPatch, path, w.token, `{"podId":"`+w.pod("other").ID+`"}`)
	if got := want[api.Domain](w, 200, http.MethodPatch, path, `{"podId":"acme"}`); got.PodID == nil || *got.PodID != acme.ID {
		t.Errorf("bound: %+v", got)
	}
	w.fails(400, openmail.CodeInvalidDomain, "domain", http.MethodPost, "/v1/inboxes", w.token, `{"domain":"acme.example","podId":"other"}`)
	want[api.Inbox](w, 201, http.MethodPost, "/v1/inboxes", `{"domain":"acme.example","podId":"acme","mailboxName":"joe"}`)
	if got := want[api.Domain](w, 200, http.MethodPatch, path, `{"podId":null}`); got.PodID != nil {
		t.Errorf("bound to none: %+v", got)
	}
	list := want[api.List[api.Domain]](w, 200, http.MethodGet, "/v1/domains", nil)
	if list.Total != 1 || list.Data[0].ID != d.ID || list.Data[0].Records != nil {
		t.Errorf("listed: %+v", list)
	}
	for _, in := range want[api.List[api.Inbox]](w, 200, http.MethodGet, "/v1/inboxes", nil).Data {
		want[any](w, 204, http.MethodDelete, "/v1/inboxes/"+in.ID, nil)
	}
	want[any](w, 204, http.MethodDelete, path, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, path, w.token, nil)
}

func TestAPodsKeyUsesTheDomainsOfItsPodAndOfTheAccount(t *testing.T) {
	w := newWorld(t)
	pod := w.pod("acme")
	key := w.podKey(pod.ID).Token
	own := wantAs[api.Domain](w, key, 201, http.MethodPost, "/v1/domains", `{"domain":"own.example"}`)
	wide := want[api.Domain](w, 201, http.MethodPost, "/v1/domains", `{"domain":"wide.example"}`)
	if own.PodID == nil || *own.PodID != pod.ID {
		t.Errorf("its own: %+v", own)
	}
	w.names.publish(append(own.Records, wide.Records...))
	for _, d := range []api.Domain{own, wide} {
		want[api.Domain](w, 200, http.MethodPost, "/v1/domains/"+d.ID+"/verify", nil)
		wantAs[api.Inbox](w, key, 201, http.MethodPost, "/v1/inboxes", `{"domain":"`+d.Domain+`"}`)
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/domains/"+wide.ID, key, nil)
	w.fails(409, openmail.CodePodNotEmpty, "", http.MethodDelete, "/v1/pods/acme", w.token, nil)
}

func TestAPodWithADomainStays(t *testing.T) {
	w := newWorld(t)
	w.pod("acme")
	d := w.domain("acme.example", "acme")
	w.fails(409, openmail.CodePodHasDomains, "", http.MethodDelete, "/v1/pods/acme", w.token, nil)
	want[any](w, 204, http.MethodDelete, "/v1/domains/"+d.ID, nil)
	want[any](w, 204, http.MethodDelete, "/v1/pods/acme", nil)
}

func TestAnAccountAddsSoManyDomainsInADay(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		want[api.Domain](w, 201, http.MethodPost, "/v1/domains", api.DomainCreate{Domain: "n" + strings.Repeat("x", i) + ".example"})
	}
	w.fails(429, openmail.CodeRateLimit, "", http.MethodPost, "/v1/domains", w.token, `{"domain":"more.example"}`)
	w.fails(422, openmail.CodeDomainBlocked, "domain", http.MethodPost, "/v1/domains", w.token, `{"domain":"co.uk"}`)
	w.fails(400, openmail.CodeInvalidDomain, "domain", http.MethodPost, "/v1/domains", w.token, `{"domain":"a b"}`)
	w.fails(400, openmail.CodeBadRequest, "nonsense", http.MethodPost, "/v1/domains", w.token, `{"domain":"more.example","nonsense":1}`)
}

func TestADomainBelongsToWhoeverProvesItFirst(t *testing.T) {
	w := newWorld(t)
	mine := want[api.Domain](w, 201, http.MethodPost, "/v1/domains", `{"domain":"acme.example"}`)
	theirs := wantAs[api.Domain](w, w.otherToken, 201, http.MethodPost, "/v1/domains", `{"domain":"acme.example"}`)
	w.names.publish(append(mine.Records, theirs.Records[0])) // with the proofs of both
	wantAs[api.Domain](w, w.otherToken, 200, http.MethodPost, "/v1/domains/"+theirs.ID+"/verify", nil)
	w.fails(409, openmail.CodeDomainTaken, "domain", http.MethodPost, "/v1/domains/"+mine.ID+"/verify", w.token, nil)
	w.fails(400, openmail.CodeInvalidPod, "podId", http.MethodPatch, "/v1/domains/"+mine.ID, w.token, `{"podId":"pod_none"}`)
}
