package mime_test

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"openmail"
	"openmail/internal/mime"
)

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := mime.Read(raw)
		if again := mime.Read(raw); !reflect.DeepEqual(c, again) {
			t.Errorf("read twice: %+v, then %+v", c, again)
		}
		checkStrings(t, c)
		checkLimits(t, c)
		checkAttachments(t, raw, c.Attachments)
	})
}

func checkStrings(t *testing.T, c openmail.Content) {
	t.Helper()
	lines := []string{c.Subject, c.MessageID}
	lines = append(append(lines, c.InReplyTo...), c.References...)
	for _, list := range [][]openmail.Address{c.From, c.To, c.CC, c.ReplyTo} {
		for _, a := range list {
			if at := strings.LastIndexByte(a.Addr, '@'); at < 1 || at == len(a.Addr)-1 {
				t.Errorf("address %q", a.Addr)
			}
			lines = append(lines, a.Name, a.Addr)
		}
	}
	for _, a := range c.Attachments {
		lines = append(lines, a.ContentID, a.ContentType, a.Encoding)
	}
	for _, s := range lines {
		if strings.ContainsAny(s, "\r\n") {
			t.Errorf("more than one line: %q", s)
		}
	}
	for _, s := range append(lines, c.Text, c.HTML) {
		if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			t.Errorf("not valid UTF-8 without NUL: %q", s)
		}
	}
	for _, id := range append(append(c.InReplyTo, c.References...), c.MessageID) {
		if id != "" && (len(id) < 3 || id[0] != '<' || id[len(id)-1] != '>') {
			t.Errorf("message id %q", id)
		}
	}
}

func checkLimits(t *testing.T, c openmail.Content) {
	t.Helper()
	for name, over := range map[string]bool{
		"text":        len(c.Text) > 5<<20,
		"html":        len(c.HTML) > 10<<20,
		"attachments": len(c.Attachments) > 1000,
		"defects":     len(c.Defects) > 100,
		"references":  len(c.References) > 100,
		"from":        len(c.From) > 1000,
		"to":          len(c.To) > 1000,
	} {
		if over {
			t.Errorf("more %s than allowed", name)
		}
	}
}

func checkAttachments(t *testing.T, raw []byte, list []openmail.Attachment) {
	t.Helper()
	seen := map[string]bool{}
	for _, a := range list {
		checkFilename(t, a.Filename)
		if key := strings.ToLower(a.Filename); seen[key] {
			t.Errorf("two files are named %q", a.Filename)
		} else {
			seen[key] = true
		}
		data, err := io.ReadAll(mime.Open(raw, a))
		if err != nil || int64(len(data)) != a.SizeBytes {
			t.Errorf("Open(%q) read %d bytes, error %v; want %d", a.Filename, len(data), err, a.SizeBytes)
		}
		slow, err := io.ReadAll(iotest.OneByteReader(mime.Open(raw, a)))
		if err != nil || string(slow) != string(data) {
			t.Errorf("Open(%q) read byte by byte differs: %q and %q", a.Filename, slow, data)
		}
	}
}

func checkFilename(t *testing.T, name string) {
	t.Helper()
	if name == "" || name == "." || name == ".." || len(name) > 200 || !utf8.ValidString(name) ||
		strings.ContainsAny(name, "/\\:*?\"<>|\x00\r\n\t\u202e\u200b") || strings.TrimSpace(name) != name {
		t.Errorf("file name %q is not safe", name)
	}
}

func FuzzTextFromHTML(f *testing.F) {
	for _, seed := range []string{
		"<p>a<b>b</p>c", "<style>.x{display:none}</style><i class=x>h</i>", "<table><tr><td>1<td>2</table>",
		"<ul><li>a<ol><li>b</ul>", "<a href='http://x/'>y</a>", "<font hidden><p></font>", "<pre>\n a\n</pre>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		doc = strings.ToValidUTF8(doc, "")
		text, _ := mime.TextFromHTML(doc)
		if !utf8.ValidString(text) {
			t.Errorf("not UTF-8: %q", text)
		}
		if inside, hidden := mime.TextFromHTML("<div style='display:none'><p>secret"); inside != "" || !hidden {
			t.Errorf("hidden text shows: %q", inside)
		}
	})
}
