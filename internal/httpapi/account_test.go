package httpapi_test

import (
	"net/http"
	"testing"

	"openmail"
	"openmail/api"
)

func TestReceiptDeadlineIsSetWithinItsBoundsAndLeftToTheServer(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/account"
	if a := want[api.Account](w, 200, http.MethodGet, path, nil); a.ReceiptDeadlineSeconds != nil || a.ID == "" || a.CreatedAt.IsZero() {
		t.Fatalf("at first: %+v", a)
	}
	for _, seconds := range []int{3, 120} {
		a := want[api.Account](w, 200, http.MethodPatch, path, api.AccountUpdate{ReceiptDeadlineSeconds: api.Optional[int]{Set: true, Value: &seconds}})
		if a.ReceiptDeadlineSeconds == nil || *a.ReceiptDeadlineSeconds != seconds {
			t.Errorf("set to %d: %+v", seconds, a)
		}
	}
	for _, value := range []string{"0", "2", "121", "-5", "3.5", `"10"`, "1e300"} {
		w.fails(400, openmail.CodeBadRequest, "receiptDeadlineSeconds", http.MethodPatch, path, w.token, `{"receiptDeadlineSeconds":`+value+`}`)
	}
	w.fails(400, openmail.CodeBadRequest, "name", http.MethodPatch, path, w.token, `{"name":"x"}`)
	if a := want[api.Account](w, 200, http.MethodPatch, path, `{}`); *a.ReceiptDeadlineSeconds != 120 {
		t.Errorf("an empty change: %+v", a)
	}
	if a := want[api.Account](w, 200, http.MethodPatch, path, `{"receiptDeadlineSeconds":null}`); a.ReceiptDeadlineSeconds != nil {
		t.Errorf("left to the server: %+v", a)
	}
	key := w.inboxKey(w.inbox("jane").ID).Token
	w.fails(403, openmail.CodeForbidden, "", http.MethodGet, path, key, nil)
	w.fails(403, openmail.CodeForbidden, "", http.MethodPatch, path, key, `{}`)
	w.fails(403, openmail.CodeForbidden, "", http.MethodPatch, path, key, `{"receiptDeadlineSeconds":5}`)
}
