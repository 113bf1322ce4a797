package intake_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/internal/intake"
)

const withFile = "From: ann@sender.test\r\nMessage-ID: <file@sender.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n" +
	"--cut\r\n\r\nSee the file.\r\n--cut\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\na,b\r\n--cut--\r\n"

// slow reads every file as "read", when it is told to or when its time is up.
type slow struct {
	calls    int
	account  string
	ready    chan struct{}
	deadline time.Duration
}

func (s *slow) Mail(ctx context.Context, account string, raw []byte, files []openmail.Attachment) []openmail.Attachment {
	s.calls++
	s.account = account
	if d, ok := ctx.Deadline(); ok {
		s.deadline = time.Until(d)
	}
	e := openmail.Extracted{Method: openmail.ExtractionCSV, Text: "read"}
	select {
	case <-s.ready:
	case <-ctx.Done():
		e = openmail.Extracted{Method: openmail.ExtractionTimeout}
	}
	files = slices.Clone(files)
	for i := range files {
		files[i].Extracted = e
	}
	return files
}

// reading has the world's intake read attachments.
func (w *world) reading(within time.Duration) *slow {
	s := &slow{ready: make(chan struct{})}
	c := w.Config
	c.Reader, c.Known, c.ReadTime = s, w.db, within
	w.Intake = intake.New(c)
	return s
}

func (w *world) newest(inbox openmail.Inbox) openmail.Message {
	w.t.Helper()
	all, _, err := w.db.Messages(w.t.Context(), w.scope, inbox.ID, "", openmail.Page{Limit: 1})
	check(w.t, err)
	if len(all) == 0 {
		w.t.Fatal("there is no message")
	}
	return all[0]
}

func TestTheTextOfAttachmentsIsThereBeforeTheEvent(t *testing.T) {
	w := newWorld(t)
	jane, joe := w.inbox(w.scope.Account, "jane"), w.inbox(w.scope.Account, "joe")
	s := w.reading(time.Minute)
	close(s.ready)
	_, err := w.Accept(t.Context(), w.envelope(jane.Address, joe.Address), strings.NewReader(withFile))
	check(t, err)
	for _, in := range []openmail.Inbox{jane, joe} {
		if got := w.newest(in).Attachments[0].Extracted; got.Text != "read" || got.Method != "csv" {
			t.Errorf("%s has %+v", in.Address, got)
		}
	}
	log, err := w.db.After(t.Context(), w.scope, 0, 10)
	check(t, err)
	for _, e := range log {
		if !strings.Contains(string(e.Payload), `"parsedText":"read","extractionMethod":"csv"`) {
			t.Errorf("the event is %s", e.Payload)
		}
	}
	if s.calls != 1 || s.account != w.scope.Account || s.deadline > time.Minute || s.deadline < 30*time.Second {
		t.Errorf("%d calls for %s within %v", s.calls, s.account, s.deadline)
	}
	if strings.Contains(w.log.String(), "read\"") {
		t.Errorf("the text is logged: %s", w.log)
	}
}

func TestAMailDoesNotWaitForItsAttachmentsForLong(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	w.reading(time.Millisecond)
	_, err := w.Accept(t.Context(), w.envelope(jane.Address), strings.NewReader(withFile))
	check(t, err)
	if got := w.newest(jane).Attachments[0].Extracted; got.Method != "timeout" || got.Text != "" {
		t.Errorf("%+v", got)
	}
}

func TestNothingIsStoredWhenTheSenderGoesWhileAttachmentsAreRead(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	w.reading(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Accept(ctx, w.envelope(jane.Address), strings.NewReader(withFile)); err == nil {
		t.Error("it was accepted")
	}
	if _, total, err := w.db.Messages(t.Context(), w.scope, jane.ID, "", openmail.Page{Limit: 1}); total != 0 || err != nil {
		t.Errorf("%d messages, %v", total, err)
	}
}

func TestNoAttachmentIsReadForNothing(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	s := w.reading(time.Minute)
	close(s.ready)
	accept := func(mail string) {
		t.Helper()
		_, err := w.Accept(t.Context(), w.envelope(jane.Address), strings.NewReader(mail))
		check(t, err)
	}
	accept(text)
	if s.calls != 0 {
		t.Error("a mail without files was read")
	}
	accept(withFile)
	accept(withFile)
	if s.calls != 1 {
		t.Errorf("a mail that came twice was read %d times", s.calls)
	}
	w.policy(w.scope, openmail.ModeNone, rules("block", "sender.test")...)
	accept(strings.Replace(withFile, "<file@", "<other@", 1))
	if s.calls != 1 {
		t.Error("a mail that was turned away was read")
	}
	held, _, err := w.db.Quarantined(t.Context(), w.scope, openmail.Page{Limit: 1})
	check(t, err)
	_, err = w.Release(t.Context(), w.scope, held[0].ID)
	check(t, err)
	if got := w.newest(jane).Attachments[0].Extracted; s.calls != 2 || got.Text != "read" {
		t.Errorf("after its release: %d calls, %+v", s.calls, got)
	}
}
