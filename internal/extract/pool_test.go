package extract_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/extract"
)

// log is a log that may be read while it is written.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newPool(t testing.TB, tools extract.Tools, change ...func(*extract.Config)) (*extract.Pool, *log) {
	t.Helper()
	l := &log{}
	c := extract.Config{Program: os.Getenv("OPENMAIL_TEST_PROGRAM"), Tools: tools, Logger: slog.New(slog.NewTextHandler(l, nil))}
	for _, f := range change {
		f(&c)
	}
	return extract.NewPool(c), l
}

func file(name string, data []byte) extract.File {
	return extract.File{Filename: name, Size: int64(len(data)), Open: func() io.Reader { return bytes.NewReader(data) }}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// children are the processes that this one has, by what they run.
func children(t testing.TB) (names []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	check(t, err)
	for _, stat := range all {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		if s := string(b); strings.Contains(s, "(openmail)") || strings.Contains(s, "(pdftotext)") || strings.Contains(s, "(tesseract)") {
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
			if bytes.Contains(cmdline, []byte(extract.Command)) || !strings.Contains(s, "(openmail)") {
				names = append(names, s)
			}
		}
	}
	return names
}

func TestAPoolReadsTheFilesOfAMailInAChild(t *testing.T) {
	p, l := newPool(t, extract.FindTools())
	raw := []byte("x: y\r\n\r\n" + base64.StdEncoding.EncodeToString(pdf("In the mail")) + "\r\nplain,text\r\n")
	at := int64(bytes.Index(raw, []byte("plain")))
	files := p.Mail(within(t, 20*time.Second), "acc_1", raw, []openmail.Attachment{
		{Filename: "a.pdf", ContentType: "application/pdf", SizeBytes: int64(len(pdf("In the mail"))), Offset: 8, Length: at - 10, Encoding: "base64"},
		{Filename: "b.csv", ContentType: "text/csv", SizeBytes: 10, Offset: at, Length: 10},
		{Filename: "c.mp4", ContentType: "video/mp4", SizeBytes: 0},
	})
	for i, want := range []openmail.Extracted{{Method: "pdf", Text: "In the mail"}, {Method: "csv", Text: "plain,text"}, {Method: "unsupported"}} {
		if files[i].Extracted != want {
			t.Errorf("%s: %+v, want %+v", files[i].Filename, files[i].Extracted, want)
		}
	}
	if files[0].Filename != "a.pdf" || files[0].Offset != 8 {
		t.Errorf("the attachment changed: %+v", files[0])
	}
	if got := p.Read(within(t, 20*time.Second), "acc_1", file("a.png", picture(t, "INVOICE TOTAL")), 0); got.Method != "ocr" || got.Text != "INVOICE TOTAL" {
		t.Errorf("%+v\n%s", got, l)
	}
	if runtime.GOOS == "linux" && p.Confined() != extract.NoNetwork|extract.NoFiles {
		t.Errorf("the child is confined to %b", p.Confined())
	}
	if left := children(t); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
}

func TestWhatNeedsNoChildStartsNone(t *testing.T) {
	p, _ := newPool(t, none, func(c *extract.Config) { c.Program = "/nowhere" })
	for name, data := range map[string][]byte{"a.zip": []byte("MZ\x00\x00"), "a.txt": []byte("a\x00"), "a.bin": []byte("x")} {
		if got := p.Read(t.Context(), "acc_1", file(name, data), 0); got.Method != openmail.ExtractionUnsupported {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := p.Read(t.Context(), "acc_1", file("a.txt", make([]byte, openmail.MaxExtracted+1)), 0); got.Method != openmail.ExtractionUnsupported {
		t.Errorf("%+v", got)
	}
	if got := p.Read(t.Context(), "acc_1", file("a.txt", bytes.Repeat([]byte("x"), openmail.MaxExtracted+1)), 0); got.Method != openmail.ExtractionTooLarge {
		t.Errorf("%+v", got)
	}
	if got := p.Mail(t.Context(), "acc_1", nil, nil); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := p.Read(t.Context(), "acc_1", file("a.txt", []byte("x")), 0); got.Method != openmail.ExtractionFailed {
		t.Errorf("without a program: %+v", got)
	}
}

func TestAMailHasABoundedAmountOfText(t *testing.T) {
	p, _ := newPool(t, none)
	raw := []byte(strings.Repeat("ü", 50_000))
	var files []openmail.Attachment
	for range 40 {
		files = append(files, openmail.Attachment{Filename: "a.txt", ContentType: "text/plain", SizeBytes: int64(len(raw)), Length: int64(len(raw))})
	}
	counts, size := map[openmail.Extraction]int{}, 0
	for _, f := range p.Mail(within(t, time.Minute), "acc_1", raw, files) {
		counts[f.Extracted.Method]++
		size += len(f.Extracted.Text)
	}
	if counts["text"] != 10 || counts["skipped_too_many"] != 30 || size > openmail.MaxExtractedMail {
		t.Errorf("%v, %d bytes", counts, size)
	}
}
