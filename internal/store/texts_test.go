package store_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"openmail"
)

func readable(name string, method openmail.Extraction, text string) openmail.Attachment {
	return openmail.Attachment{Filename: name, ContentType: "application/pdf", SizeBytes: 1, Extracted: openmail.Extracted{Method: method, Text: text}}
}

// files are what a message and its event say of its files.
func (h *house) files(message string) []openmail.Attachment {
	h.t.Helper()
	m, err := h.Message(h.t.Context(), h.scope, message)
	h.check(err)
	return m.Attachments
}

func TestTheTextsOfFilesStandWithTheirMessageAndItsEvent(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		files := []openmail.Attachment{readable("b.pdf", "pdf", "grüße from b"), readable("c.zip", "unsupported", ""), readable("d.pdf", "pdf", ""), readable("e.pdf", "pdf", "from e")}
		f := h.filing(mail{files: files})
		filed, err := h.File(t.Context(), f)
		h.check(err)
		want := fmt.Sprint(f.Copies[0].Message.Attachments)
		if got := fmt.Sprint(h.files(filed[0].Message)); got != want {
			t.Errorf("the message has %s, want %s", got, want)
		}
		list, _, err := h.Messages(t.Context(), h.scope, h.inbox.ID, "", openmail.Page{Limit: 10})
		h.check(err)
		if got := fmt.Sprint(list[0].Attachments); got != want || list[0].BodyOmitted {
			t.Errorf("the list has %s, want %s", got, want)
		}
		log, err := h.After(t.Context(), h.scope, 0, 10)
		h.check(err)
		for _, payload := range [][]byte{h.event(filed[0].Event).Payload, log[0].Payload} {
			for _, s := range []string{`"parsedText":"grüße from b","extractionMethod":"pdf"}`, `"extractionMethod":"unsupported"}`, `"parsedText":"","extractionMethod":"pdf"}`, `"parsedText":"from e"`} {
				if !bytes.Contains(payload, []byte(s)) {
					t.Errorf("the event has no %s: %s", s, payload)
				}
			}
		}
	})
}

func TestAListOfMessagesCountsTheTextsOfFiles(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		text := strings.Repeat("x", openmail.MaxExtractedText)
		var files []openmail.Attachment
		for n := range 20 {
			files = append(files, readable(fmt.Sprint(n), "text", text))
		}
		for range 18 {
			h.file(mail{files: files})
		}
		list, _, err := h.Messages(t.Context(), h.scope, h.inbox.ID, "", openmail.Page{Limit: 100})
		h.check(err)
		size := 0
		for _, m := range list {
			for _, a := range m.Attachments[1:] {
				size += len(a.Extracted.Text)
				if a.Extracted.Method != "text" || m.BodyOmitted != (a.Extracted.Text == "") {
					t.Fatalf("%s has a file %s with %d bytes of text, and bodies omitted: %v", m.ID, a.Extracted.Method, len(a.Extracted.Text), m.BodyOmitted)
				}
			}
		}
		if size > 16<<20 || size < 15<<20 || list[0].BodyOmitted || !list[17].BodyOmitted {
			t.Errorf("a list has %d bytes of texts", size)
		}
	})
}

func TestATextThatIsReadLaterIsKeptOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		filed := h.file(mail{files: []openmail.Attachment{readable("late.pdf", "timeout", ""), readable("never.zip", "unsupported", "")}})
		keep := func(scope openmail.Scope, name string, e openmail.Extracted) error {
			return h.KeepText(t.Context(), scope, filed.Message, name, e)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { h.check(keep(h.scope, "late.pdf", openmail.Extracted{Method: "pdf", Text: "late text"})) })
		}
		all.Wait()
		h.check(keep(h.scope, "late.pdf", openmail.Extracted{Method: "pdf", Text: "another"}))
		h.check(keep(h.scope, "never.zip", openmail.Extracted{Method: "text", Text: "another"}))
		h.check(keep(h.scope, "nothing.pdf", openmail.Extracted{Method: "pdf", Text: "nowhere"}))
		files := h.files(filed.Message)
		if files[1].Extracted != (openmail.Extracted{Method: "pdf", Text: "late text"}) || files[2].Extracted.Method != "unsupported" || files[2].Extracted.Text != "" {
			t.Errorf("the message has %+v", files)
		}
		if payload := h.event(filed.Event).Payload; !bytes.Contains(payload, []byte(`"parsedText":"late text"`)) {
			t.Errorf("a replay has %s", payload)
		}
		for _, scope := range []openmail.Scope{{}, {Account: "acc_other"}, {Account: h.account, Inbox: "inb_other"}} {
			if err := keep(scope, "late.pdf", openmail.Extracted{Method: "pdf"}); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("in the scope %+v: %v", scope, err)
			}
		}
	})
}

func TestAMessageKeepsABoundedAmountOfText(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		var files []openmail.Attachment
		for n := range 30 {
			files = append(files, readable(fmt.Sprint(n), "timeout", ""))
		}
		filed := h.file(mail{files: files})
		for n := range 30 {
			h.check(h.KeepText(t.Context(), h.scope, filed.Message, fmt.Sprint(n), openmail.Extracted{Method: "text", Text: strings.Repeat("ü", openmail.MaxExtractedText)}))
		}
		size := 0
		for _, f := range h.files(filed.Message) {
			size += len(f.Extracted.Text)
		}
		if size > openmail.MaxExtractedMail || size < openmail.MaxExtractedMail*9/10 {
			t.Errorf("%d bytes are kept", size)
		}
	})
}

func TestTheTextsOfFilesGoWithTheirMessage(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		files := []openmail.Attachment{readable("b.pdf", "pdf", "text")}
		one, two, three := h.file(mail{files: files}), h.file(mail{files: files}), h.file(mail{files: files})
		h.check(h.DeleteMessage(t.Context(), h.scope, one.Message))
		h.check(h.TrashThread(t.Context(), h.scope, two.Thread, time.Now()))
		_, err := h.Sweep(t.Context(), time.Now().Add(31*24*time.Hour))
		h.check(err)
		if n := h.texts(); n != 1 {
			t.Errorf("%d texts are left, want that of %s", n, three.Message)
		}
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now()))
		if n := h.texts(); n != 0 {
			t.Errorf("%d texts are left of an inbox that is gone", n)
		}
	})
}

func TestFiledTellsWhatAnInboxHas(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		f := h.filing(mail{})
		m := f.Copies[0].Message
		ask := func(scope openmail.Scope) bool {
			known, err := h.Filed(t.Context(), scope, m, f.Digest)
			h.check(err)
			return known
		}
		if ask(h.scope) {
			t.Error("it is known before it came")
		}
		_, err := h.File(t.Context(), f)
		h.check(err)
		if !ask(h.scope) || ask(openmail.Scope{Account: "acc_other"}) {
			t.Error("after it came it is known to its account, and to no other")
		}
	})
}

// texts is how many texts there are.
func (h *house) texts() (n int) {
	h.t.Helper()
	driver, source := "sqlite", filepath.Join(h.at.dir, "openmail.db")
	if h.at.database != "" {
		driver, source = "pgx", h.at.database
	}
	db, err := sql.Open(driver, source)
	h.check(err)
	defer db.Close()
	h.check(db.QueryRow("select count(*) from attachment_text").Scan(&n))
	return n
}
