package extract_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"openmail"
	"openmail/internal/extract"
)

// none are the tools of a machine without any.
var none extract.Tools

func TestTextIsReadOutOfEveryKindOfDocument(t *testing.T) {
	tools := extract.FindTools()
	for _, c := range []struct {
		name, contentType string
		data              []byte
		method            openmail.Extraction
		text              string
	}{
		{"a.pdf", "application/pdf", pdf("Invoice 4711", "Total: 12 EUR"), "pdf", "Invoice 4711\nTotal: 12 EUR"},
		{"a.docx", "", docx(t, paragraph("Grüße")+paragraph("second &amp; last")), "office", "Grüße\nsecond & last"},
		{"a.docx", "", docx(t, `<w:tbl><w:tr><w:tc>`+paragraph("a")+`</w:tc><w:tc>`+paragraph("b")+`</w:tc></w:tr></w:tbl>`+paragraph("after")), "office", "a \tb \t\nafter"},
		{"a.docx", "", docx(t, `<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>seen</w:t><w:br/><w:t>too</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>`), "office", "seen\ntoo"},
		{"a.xlsx", "", xlsx(t), "office", "--- Umsätze ---\nCustomer\t\tNote\nMüller\t2024-01-05\t0.3\tTRUE\t2024-01-05 12:00:00\n#DIV/0!"},
		{"a.pptx", "", pptx(t), "office", "--- Slide 1 ---\nthe second\n--- Slide 2 ---\n(hidden)\n--- Slide 3 ---\nthe tenth\na note"},
		{"a.odt", "", odt(t), "office", "Bericht\nOne\ttwo   three\nleft \tright"},
		{"a.csv", "text/csv", []byte("a,b\r\n1,2\r\n"), "csv", "a,b\n1,2"},
		{"a.tsv", "", []byte("a\tb\n"), "csv", "a\tb"},
		{"a.csv", "text/plain", []byte("a;b"), "csv", "a;b"},
		{"a.txt", "text/plain", []byte("\xef\xbb\xbfGr\u00fc\u00dfe"), "text", "Grüße"},
		{"a.txt", "text/plain", []byte("Gr\xfc\xdfe \x80"), "text", "Grüße €"},
		{"a.txt", "text/plain", []byte("\xff\xfeh\x00i\x00"), "text", "hi"},
		{"a.md", "", []byte("# Title"), "text", "# Title"},
		{"a.json", "application/json", []byte(`{"a":1}`), "text", `{"a":1}`},
		{"a.yaml", "", []byte("a: 1\n"), "text", "a: 1"},
		{"a.log", "application/octet-stream", []byte("started\n"), "text", "started"},
		{"a.xml", "text/xml", []byte(`<?xml version="1.0"?><a>1</a>`), "text", `<?xml version="1.0"?><a>1</a>`},
		{"a.html", "text/html", []byte(`<p>Seen<span style="display:none">hidden</span></p><script>x</script>`), "text", "Seen"},
		{"empty.txt", "text/plain", nil, "text", ""},
		{"a.png", "image/png", picture(t, "INVOICE TOTAL"), "ocr", "INVOICE TOTAL"},
		// The bytes go before what the sender says.
		{"a.txt", "text/plain", pdf("not a text"), "pdf", "not a text"},
		{"a.pdf", "application/pdf", docx(t, paragraph("not a PDF")), "office", "not a PDF"},
		{"a.txt", "text/plain", []byte("<!DOCTYPE html><p hidden>no</p>yes"), "text", "yes"},
		// What is not supported.
		{"a.zip", "application/zip", archive(t, part{"a.txt", "x"}), "unsupported", ""},
		{"a.mp4", "video/mp4", []byte("\x00\x00\x00\x18ftypmp42"), "unsupported", ""},
		{"a.doc", "application/msword", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "unsupported", ""},
		{"a.txt", "text/plain", []byte("a\x00b"), "unsupported", ""},
		{"a.rtf", "text/rtf", []byte(`{\rtf1 x}`), "unsupported", ""},
		{"a.bin", "application/octet-stream", []byte("text of no type"), "unsupported", ""},
		// What is damaged.
		{"a.pdf", "application/pdf", []byte("%PDF-1.4\nnothing"), "pdf_error", ""},
		{"a.docx", "", []byte("PK\x03\x04nothing"), "office_error", ""},
		{"a.png", "image/png", []byte("\x89PNG\r\n\x1a\nnothing"), "ocr_error", ""},
		{"a.txt", "text/plain", make([]byte, 10<<20+1), "unsupported", ""},
		{"a.txt", "text/plain", []byte(strings.Repeat("x", 10<<20+1)), "skipped_too_large", ""},
		{"a.txt", "text/plain", []byte(strings.Repeat("x", 10<<20)), "text", strings.Repeat("x", 50_000)},
	} {
		got := tools.Text(context.Background(), c.name, c.contentType, c.data)
		if got.Method != c.method || got.Text != c.text {
			t.Errorf("%s %s: %s %q, want %s %q", c.name, c.contentType, got.Method, got.Text, c.method, c.text)
		}
	}
}

func TestWithoutToolsPDFIsStillReadAndPicturesAreNotSupported(t *testing.T) {
	if got := none.Text(context.Background(), "a.pdf", "", pdf("Invoice 4711", "Total")); got.Method != "pdf" || !strings.Contains(got.Text, "Invoice 4711") || !strings.Contains(got.Text, "Total") {
		t.Errorf("%+v", got)
	}
	if got := none.Text(context.Background(), "a.png", "", picture(t, "TOTAL")); got.Method != "unsupported" {
		t.Errorf("%+v", got)
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	for what, data := range map[string][]byte{
		"text": []byte(strings.Repeat("ü", 60_000)), "csv line": []byte(strings.Repeat("🦊,", 60_000)),
		"docx": docx(t, paragraph(strings.Repeat("ü", 60_000))),
		"many": docx(t, strings.Repeat(paragraph("🦊"), 60_000)),
	} {
		got := none.Text(context.Background(), "a.csv", "text/csv", data)
		if n := utf8.RuneCountInString(got.Text); n > 50_000 || n < 49_999 || !utf8.ValidString(got.Text) {
			t.Errorf("%s: %s, %d characters", what, got.Method, n)
		}
	}
}

func TestTextHasNoNULAndNothingSmuggled(t *testing.T) {
	smuggled := "a" + string([]rune{0xe0049, 0xe0067, 0xe006e}) + "b"
	got := none.Text(context.Background(), "a.txt", "text/plain", []byte(smuggled+strings.Repeat("x", 2000)+"\x00y"))
	if !strings.HasPrefix(got.Text, "abx") || !strings.HasSuffix(got.Text, "xy") {
		t.Errorf("%q", got.Text[:20])
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range [][]byte{pdf("x"), docx(f, paragraph("x")), xlsx(f), pptx(f), odt(f), []byte("a,b"), []byte("<html>"), pageCycle(), picture(f, "A")} {
		f.Add("a.csv", seed)
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if strings.Contains(string(data[:min(len(data), 1024)]), "%PDF-") {
			return // a library's, which may hang: the child process is for that
		}
		got := none.Text(context.Background(), name, "", data)
		if got.Method.HasText() && (!utf8.ValidString(got.Text) || strings.ContainsRune(got.Text, 0) || utf8.RuneCountInString(got.Text) > openmail.MaxExtractedText) ||
			!got.Method.HasText() && got.Text != "" || got.Method == "" {
			t.Errorf("%+v", got)
		}
	})
}
