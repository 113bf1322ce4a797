package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"openmail"
	"openmail/api"
)

func TestASuspensionIsSeenWhereItConcernsAndRefusesSends(t *testing.T) {
	w := newWorld(t)
	inbox := w.inbox("jane")
	mail := api.SendRequest{To: "joe@" + domain, Subject: "Hello", Body: "Hi."}
	for _, c := range []struct {
		kind openmail.SuspendedKind
		id   string
		code openmail.Code
	}{
		{openmail.SuspendedPod, inbox.PodID, openmail.CodeSuspended},
		{openmail.SuspendedInbox, inbox.ID, openmail.CodeSuspended},
		{openmail.SuspendedAccount, w.account, openmail.CodeBanned},
	} {
		s := openmail.Suspension{Kind: c.kind, ID: c.id, Reason: openmail.SuspendedAbuse, Since: time.Now()}
		_, err := w.db.Suspend(t.Context(), openmail.Operator(), s, "evt_"+string(c.kind))
		if err != nil {
			t.Fatal(err)
		}
		w.fails(403, c.code, "", http.MethodPost, "/v1/inboxes/"+inbox.ID+"/send", w.token, mail)
		got := want[api.Inbox](w, 200, http.MethodGet, "/v1/inboxes/"+inbox.ID, nil)
		if got.Suspension == nil || got.Suspension.Kind != string(c.kind) || got.Suspension.ID != c.id || got.Suspension.Reason != "abuse" || got.Suspension.Since.IsZero() {
			t.Errorf("%s: the inbox has %+v", c.kind, got.Suspension)
		}
	}
	if got := want[api.Pod](w, 200, http.MethodGet, "/v1/pods/"+inbox.PodID, nil); got.Suspension == nil || got.Suspension.Kind != "account" {
		t.Errorf("the pod has %+v", got.Suspension)
	}
	whole := want[api.Event](w, 200, http.MethodGet, "/v1/events/evt_pod", nil)
	if whole.PodID != inbox.PodID || whole.InboxID != nil || whole.ThreadID != nil || whole.MessageID != nil || whole.State != "failed" || len(whole.Payload) == 0 {
		t.Errorf("the pod's event is %+v", whole)
	}
	want[api.Redelivered](w, 202, http.MethodPost, "/v1/events/evt_inbox/redeliver", nil)
}
