package outgoing

import (
	"bytes"
	"io"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"openmail"
	"openmail/internal/mime"
)

func TestWhatIsHTMLIsFoundOut(t *testing.T) {
	for body, want := range map[string]bool{
		"a < b and c > d":                     false,
		"write to <user@host>":                false,
		"<user@host.com> or <b@c.de>":         false,
		"if a<b then c":                       false,
		"x <3 y":                              false,
		"Vec<String> and <T>":                 false,
		"an unclosed <b> only":                false,
		"</p> only":                           false,
		"<unknown>x</unknown>":                false,
		"plain":                               false,
		"<!-- a comment -->":                  false,
		"<!DOCTYPE html>":                     true,
		"<html>":                              true,
		"Hi <b>there</b>":                     true,
		"<p class=x>Hello</p>":                true,
		"line<br>line":                        true,
		"line<BR/>line":                       true,
		"<img src=x>":                         true,
		"<a href=\"https://x.test\">link</a>": true,
		"<ul><li>x</ul>":                      true,
	} {
		if got := isHTML(body); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
}

func TestAddressesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]string{
		"a@b.test":                       "a@b.test",
		" A.b+c@B.Test ":                 "A.b+c@b.test",
		"<a@b.test>":                     "a@b.test",
		"Ann <a@b.test>":                 "Ann <a@b.test>",
		"Ann Lee, Inc. <a@b.test>":       `"Ann Lee, Inc." <a@b.test>`,
		`"Lee, \"Ann\"" <a@b.test>`:      `"Lee, \"Ann\"" <a@b.test>`,
		`"a@b.test" <a@b.test>`:          `"a@b.test" <a@b.test>`,
		"Ärmel <a@bücher.example>":       "Ärmel <a@xn--bcher-kva.example>",
		"a@openmail.localhost":           "a@openmail.localhost",
		"a@b.test>":                      "",
		"a@b.test c@d.test":              "",
		"a@b@c.test":                     "",
		"@b.test":                        "",
		"a@":                             "",
		"a":                              "",
		".a@b.test":                      "",
		"a..b@b.test":                    "",
		`"a b"@b.test`:                   "",
		"a@b..test":                      "",
		"a@-b.test":                      "",
		"a@b_c.test":                     "",
		strings.Repeat("a", 65) + "@b.c": "",
		"a@b.test\x00":                   "",
		"x@y.test <a@b.test>":            "",
		"a%b@c.test":                     "a%b@c.test",
		"Jürgen <jürgen@b.test>":         "Jürgen <jürgen@b.test>",
		"用户@例子.example":                  "用户@xn--fsqu00a.example",
		"a\u202eb@b.test":                "",
		"a\u00a0b@b.test":                "",
		"a\xffb@b.test":                  "",
		strings.Repeat("ü", 33) + "@b.c": "",
	} {
		a, err := parseAddress("to", text)
		if (err == nil) != (want != "") || err == nil && a.String() != want {
			t.Errorf("%q: %q, %v", text, a.String(), err)
		}
	}
}

// A stranger's From has whatever domain he likes, and so has a client's cc.
func TestADomainThatCannotBeOneCostsNothing(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		b.WriteRune(rune(0x4e00 + i%20_000))
	}
	start := time.Now()
	if addr, ok := canonical("a@" + b.String()); ok || time.Since(start) > time.Second {
		t.Errorf("%.20s, %v after %v", addr, ok, time.Since(start))
	}
}

func TestDecideIsATable(t *testing.T) {
	began := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		fate     Fate
		enhanced string
		attempts int
		after    time.Duration // since began
		want     Next
		wait     time.Duration // until Due
	}{
		"accepted":            {FateAccepted, "2.0.0", 1, 0, Next{State: openmail.StatusSent}, 0},
		"no such mailbox":     {FateRefused, "5.1.1", 1, 0, Next{State: openmail.StatusFailed, Suppress: true}, 0},
		"null MX":             {FateRefused, "5.1.10", 1, 0, Next{State: openmail.StatusFailed, Suppress: true}, 0},
		"disabled":            {FateRefused, "5.2.1", 1, 0, Next{State: openmail.StatusFailed, Suppress: true}, 0},
		"full":                {FateRefused, "5.2.2", 1, 0, Next{State: openmail.StatusFailed}, 0},
		"policy":              {FateRefused, "5.7.1", 1, 0, Next{State: openmail.StatusFailed}, 0},
		"unknown":             {FateRefused, "5.0.0", 1, 0, Next{State: openmail.StatusFailed}, 0},
		"first deferral":      {FateDeferred, "4.2.0", 1, 0, Next{State: openmail.StatusPending}, time.Minute},
		"second":              {FateDeferred, "4.2.0", 2, time.Minute, Next{State: openmail.StatusPending}, 5 * time.Minute},
		"third":               {FateDeferred, "4.2.0", 3, time.Hour, Next{State: openmail.StatusPending}, 15 * time.Minute},
		"fourth":              {FateDeferred, "4.2.0", 4, time.Hour, Next{State: openmail.StatusPending}, time.Hour},
		"fifth":               {FateDeferred, "4.2.0", 5, time.Hour, Next{State: openmail.StatusPending}, 2 * time.Hour},
		"a late one":          {FateDeferred, "4.2.0", 40, time.Hour, Next{State: openmail.StatusPending}, 8 * time.Hour},
		"the last but one":    {FateDeferred, "4.2.0", 40, 5*24*time.Hour - time.Hour, Next{State: openmail.StatusPending}, time.Hour},
		"the last":            {FateDeferred, "4.2.0", 41, 5 * 24 * time.Hour, Next{State: openmail.StatusFailed}, 0},
		"no way out":          {fateHeld, "", 1, 0, Next{State: openmail.StatusPending, Uncounted: true}, 0},
		"an answer of no one": {Fate(""), "", 1, 0, Next{State: openmail.StatusPending}, time.Minute},
	} {
		at := began.Add(c.after)
		want := c.want
		if c.wait > 0 || want.State == openmail.StatusFailed {
			want.Due = at.Add(c.wait)
		}
		if got := decide(Answer{Fate: c.fate, Enhanced: c.enhanced}, c.attempts, began, at); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestAllPatienceIsAboutTwentyAttempts(t *testing.T) {
	began := time.Now()
	at, n := began, 1
	for ; ; n++ {
		next := decide(Answer{Fate: FateDeferred, Enhanced: "4.0.0"}, n, began, at)
		if next.State == openmail.StatusFailed {
			break
		}
		at = next.Due
	}
	if at.Sub(began) != patience || n < 15 || n > 30 {
		t.Errorf("given up after %d attempts in %v", n, at.Sub(began))
	}
}

func TestReferencesOfAStrangerFitIntoAHeader(t *testing.T) {
	c := Conversation{Last: openmail.Message{RFCMessageID: "<last@x>"}}
	c.IDs = append(c.IDs, "<first@x>", "<a b@x>", "<ä@x>", "no brackets", "<"+strings.Repeat("x", 600)+"@x>", "<a>\r\nX: <y>")
	for range 200 {
		c.IDs = append(c.IDs, "<middle@x>")
	}
	in, refs := c.references()
	if in != "<last@x>" || len(refs) != maxReferences || refs[0] != "<first@x>" || refs[len(refs)-1] != "<last@x>" {
		t.Errorf("%s, %d of %v", in, len(refs), refs)
	}
	for _, bad := range []string{"<a b@x>", "<ä@x>", "no brackets", "<a>\r\nX: <y>"} {
		if slices.Contains(refs, bad) {
			t.Errorf("%q is cited", bad)
		}
	}
}

func TestTheSubjectOfAReplyHasOneRe(t *testing.T) {
	for subject, want := range map[string]string{
		"Order": "Re: Order", "Re: Order": "Re: Order", "RE:Order": "RE:Order", "": "Re:", "a\r\nBcc: x@y": "Re: a Bcc: x@y",
		strings.Repeat("ä", 2000): "Re: " + strings.Repeat("ä", 994),
	} {
		if got := (Conversation{Thread: openmail.Thread{Subject: subject}}).subject(); got != want {
			t.Errorf("%q became %q", subject, got)
		}
	}
}

// FuzzNothingThatIsSentAddsAHeader writes a mail of whatever passes the checks
// and reads it back: it has the fields that it was given, with their values.
func FuzzNothingThatIsSentAddsAHeader(f *testing.F) {
	f.Add("A <a@b.test>", "c@d.test", "Hello", "body", "<p>x</p>", "a.txt", "text/plain", "Ann\r\nBcc: x@y")
	f.Add("a@b.test", "", "=?utf-8?q?x?=  y", "From here\n.\n..\r\n\r", "", "\"x\\\".pdf", "a/b; c=\"\r\n\"", "Ä ")
	f.Add(`"a\"b" <a@b.test>`, "", strings.Repeat("long ", 190), "\u2028\u0085", "", strings.Repeat("ü", 300), "", strings.Repeat("w", 150))
	f.Add("'@a", "", "X", "'", "0", "0\u0300", "", "0")
	f.Fuzz(func(t *testing.T, to, cc, subject, body, html, file, kind, display string) {
		l, err := check(Request{To: to, CC: []string{cc}, Subject: subject, Body: body, BodyHTML: html, Attachments: []File{{Filename: file, ContentType: kind, Data: []byte(body)}}})
		if err != nil {
			l, err = check(Request{To: to, Subject: subject, Body: body, BodyHTML: html, Attachments: []File{{Filename: file, ContentType: kind}}})
		}
		if err != nil {
			return
		}
		d := addressed{letter: l, cc: l.cc, inbox: openmail.Inbox{Address: "jane@x.test", DisplayName: display}, now: time.Unix(1e9, 0)}
		raw, err := d.draft("<1@x.test>").compose()
		if err != nil {
			t.Fatal(err)
		}
		readBack(t, raw, l)
	})
}

func readBack(t *testing.T, raw []byte, l letter) {
	t.Helper()
	for _, line := range bytes.Split(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") || bytes.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Fatalf("a line is %q", line)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	want := []string{"Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	if len(l.cc) > 0 {
		want = append(want, "Cc")
	}
	var names []string
	for name, values := range m.Header {
		for range values {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Fatalf("fields %v, want %v: %q", names, want, raw)
	}
	c := mime.Read(raw)
	if len(c.To) != 1 || c.To[0].Addr != l.to.Addr || len(c.From) != 1 || c.From[0].Addr != "jane@x.test" || len(c.CC) != len(l.cc) || len(c.Attachments) != 1 {
		t.Fatalf("read as %+v: %q", c, raw)
	}
	if plain := strings.Join(strings.Fields(l.Subject), " "); utf8.ValidString(l.Subject) && strings.Join(strings.Fields(c.Subject), " ") != plain {
		t.Fatalf("the subject %q was read as %q", l.Subject, c.Subject)
	}
	data, err := io.ReadAll(mime.Open(raw, c.Attachments[0]))
	if err != nil || !bytes.Equal(data, l.files[0].Data) {
		t.Fatalf("the file was read as %q, %v", data, err)
	}
}
