package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"openmail"
	"openmail/api"
)

func TestTheTextOfAnAttachmentIsReadOnceAndKept(t *testing.T) {
	w := newWorld(t)
	m := w.filed(map[string]string{"a b.txt": "text/plain", "c.zip": "application/zip"})
	path := "/v1/attachments/" + m.ID + "/a%20b.txt/text"
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.reader.before = func() { once.Do(func() { close(entered) }); <-leave }
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			got := want[api.AttachmentText](w, 200, http.MethodGet, path, nil)
			if got != (api.AttachmentText{InboxID: m.InboxID, Filename: "a b.txt", ContentType: "text/plain", ExtractionMethod: "text", Text: script}) {
				t.Errorf("%+v", got)
			}
		})
	}
	<-entered
	close(leave)
	all.Wait()
	if w.reader.calls != 1 {
		t.Errorf("it was read %d times", w.reader.calls)
	}
	again := want[api.Message](w, 200, http.MethodGet, "/v1/messages/"+m.ID, nil)
	if a := again.Attachments[0]; a.ParsedText == nil || *a.ParsedText != script || a.ExtractionMethod != "text" {
		t.Errorf("the message has %+v", a)
	}
	if m.Attachments[0].ParsedText != nil || m.Attachments[0].ExtractionMethod != "" {
		t.Errorf("before it had %+v", m.Attachments[0])
	}
}

func TestAReasonIsKeptOnlyWhereItIsFinal(t *testing.T) {
	w := newWorld(t)
	m := w.filed(map[string]string{"a.txt": "text/plain"})
	path := "/v1/attachments/" + m.ID + "/a.txt/text"
	for _, c := range []struct {
		says  openmail.Extraction
		calls int
	}{{openmail.ExtractionTimeout, 1}, {openmail.ExtractionFailed, 2}, {openmail.ExtractionUnsupported, 3}, {"", 3}} {
		w.reader.says = c.says
		e := w.fails(422, openmail.CodeExtractionFailed, "", http.MethodGet, path, w.token, nil)
		if said := c.says; said != "" && !strings.HasSuffix(e.Message, "("+string(said)+")") {
			t.Errorf("%s is told as %q", c.says, e.Message)
		}
		if w.reader.calls != c.calls {
			t.Errorf("after %q it was read %d times, want %d", c.says, w.reader.calls, c.calls)
		}
	}
}

func TestTheTextOfAnAttachmentIsForWhoMaySeeIt(t *testing.T) {
	w := newWorld(t)
	m := w.filed(map[string]string{"a.txt": "text/plain"})
	path := "/v1/attachments/" + m.ID
	other := w.inbox("joe")
	for what, c := range map[string][2]string{
		"another account": {path + "/a.txt/text", w.otherToken}, "another inbox": {path + "/a.txt/text", w.inboxKey(other.ID).Token},
		"no such file": {path + "/b.txt/text", w.token}, "a path": {path + "/..%2F..%2Ffile-key/text", w.token}, "no such message": {"/v1/attachments/msg_x/a.txt/text", w.token},
	} {
		t.Log(what)
		w.fails(404, openmail.CodeNotFound, "", http.MethodGet, c[0], c[1], nil)
	}
	if w.reader.calls != 0 {
		t.Error("it was read for them")
	}
}
