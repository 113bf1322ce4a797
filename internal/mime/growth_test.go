package mime

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestReadLooksAtEachByteFewTimes counts the bytes that Read looks at: for each
// way to make a parser work in vain, no more than a fixed multiple of the size,
// however large the mail grows.
func TestReadLooksAtEachByteFewTimes(t *testing.T) {
	const most = 12
	for name, mail := range bombs() {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 16, 256} {
				raw := mail(n)
				r := reader{raw: raw}
				r.read()
				if limit := int64(most*len(raw) + 4*guessWindow); r.visited > limit {
					t.Errorf("%d bytes: looked at %d, %d each", len(raw), r.visited, r.visited/int64(len(raw)))
				}
			}
		})
	}
}

// bombs are mails of about n KiB that invite work out of proportion.
func bombs() map[string]func(n int) []byte {
	field := func(name, start, unit string) func(int) []byte {
		return func(n int) []byte {
			return []byte(name + ": " + start + strings.Repeat(unit, n*1024/len(unit)) + "\r\n\r\nbody\r\n")
		}
	}
	body := func(head, unit string) func(int) []byte {
		return func(n int) []byte {
			return []byte(head + "\r\n\r\n" + strings.Repeat(unit, n*1024/len(unit)))
		}
	}
	html := "Content-Type: text/html"
	mixed := "Content-Type: multipart/mixed; boundary=b"
	return map[string]func(int) []byte{
		"encoded words that never end": field("Subject", "", "=?u?q?a "),
		"encoded words in one":         field("Subject", "", "=?utf-8?q?"),
		"encoded words that end at last": func(n int) []byte {
			return []byte("Subject: " + strings.Repeat("=?u?q?a ", n*128) + "?=\r\n\r\n")
		},
		"comments that never end":     field("From", "", "("),
		"comments within a comment":   field("From", "", "(a)(("),
		"quotes that never end":       field("From", "", "\"\\"),
		"brackets that never close":   field("To", "", "<a@b,"),
		"routes that never end":       field("To", "", "<@a,"),
		"names without addresses":     field("To", "", "name,"),
		"groups":                      field("To", "", "a:"),
		"ids that never close":        field("References", "", "<a@b"),
		"folded lines":                field("Subject", "", "\r\n a"),
		"parameters":                  field("Content-Type", "text/plain", "; a=b"),
		"parameters in parts":         field("Content-Type", "text/plain", "; name*1*=b"),
		"many fields":                 body("From: a@b", "To: c@d\r\n"),
		"junk lines":                  func(n int) []byte { return bytes.Repeat([]byte("junk\r\nA: b\r\n"), n*1024/12) },
		"header without an end":       func(n int) []byte { return bytes.Repeat([]byte("X-A: b\r\n"), n*2*1024/8) },
		"lines that look like limits": body(mixed, "--bx\r\n"),
		"parts":                       body(mixed, "--b\r\n\r\n"),
		"parts without a boundary":    body(mixed, "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
		"begin lines":                 body("Subject: x", "begin 644 a\r\n"),
		"cid references":              body(html, "cid:"),
		"deep elements":               body(html, "<div>"),
		"links":                       body(html, "<a href=http://x>y"),
		"quoted blanks":               body("Content-Transfer-Encoding: quoted-printable", "= "),
		"nested multiparts": func(n int) []byte {
			var b bytes.Buffer
			for i := range n * 40 { // 10,240 at most
				fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
			}
			return b.Bytes()
		},
		"nested multiparts that end": func(n int) []byte {
			var b bytes.Buffer
			for i := range n * 20 {
				fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
			}
			for i := n*20 - 1; i >= 0; i-- {
				fmt.Fprintf(&b, "\r\n--b%d--\r\n", i)
			}
			return b.Bytes()
		},
	}
}

// TestHTMLClosesEachElementOnce counts the bytes read and the elements closed.
func TestHTMLClosesEachElementOnce(t *testing.T) {
	for _, unit := range []string{
		"<div>", "<p>", "<p><b hidden>x</p>", "</p>", "<td>", "<table>", "<table></div>", "<a href=x:y>z", "<li>", "<ul>",
		"<ul><li>x", "<font style='font-size:0'><p>", "<b></i>", "<style>", "<i style=display:none></td>", "<x-y></x-z>",
	} {
		for _, n := range []int{1 << 10, 1 << 14, 1 << 18} {
			doc := strings.Repeat(unit, n/len(unit))
			if c := convert(doc); c.visited > 3*int64(len(doc)) {
				t.Errorf("%q, %d bytes: %d steps", unit, len(doc), c.visited)
			}
		}
	}
}

func TestReadKeepsItsLimits(t *testing.T) {
	large := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 130_000) // 13 MB
	for name, raw := range map[string]string{
		"nested_too_deep":        string(bombs()["nested multiparts"](256)),
		"too_many_parts":         string(bombs()["parts"](64)),
		"header_too_large":       "From: a@b.c\r\n" + strings.Repeat("X-A: bcdefghij\r\n", 20_000) + "\r\nbody",
		"too_many_header_fields": strings.Repeat("To: a@b.c\r\n", 600) + "\r\nbody",
		"too_many_addresses":     "To: " + strings.Repeat("a@b.c,", 2000) + "\r\n\r\nbody",
		"text_too_large":         "From: a@b.c\r\n\r\n" + large,
	} {
		c := Read([]byte(raw))
		found := false
		for _, d := range c.Defects {
			found = found || string(d) == name
		}
		if !found || !c.Partial {
			t.Errorf("%s: defects %v, partial %v", name, c.Defects, c.Partial)
		}
		if len(c.Text) > maxText || len(c.Attachments) > maxParts || len(c.To) > maxAddresses {
			t.Errorf("%s: %d bytes of text, %d attachments, %d recipients", name, len(c.Text), len(c.Attachments), len(c.To))
		}
	}
	html := Read([]byte("Content-Type: text/html\r\n\r\n" + large))
	if !html.Partial || len(html.HTML) > maxHTML || len(html.Text) > maxText {
		t.Errorf("partial %v, %d bytes of HTML, %d of text", html.Partial, len(html.HTML), len(html.Text))
	}
}
