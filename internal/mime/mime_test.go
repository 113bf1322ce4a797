package mime_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/internal/mime"
)

var update = flag.Bool("update", false, "write the golden files")

func TestReadFindsWhatEachMailSays(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 60 {
		t.Fatalf("found %d mails, error %v; want at least 60", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := show(raw, mime.Read(raw))
			golden := strings.TrimSuffix(file, ".eml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// show is a readable form of a mail's content, with empty fields left out.
func show(raw []byte, c openmail.Content) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	for _, list := range []struct {
		name      string
		addresses []openmail.Address
	}{{"From", c.From}, {"To", c.To}, {"Cc", c.CC}, {"Reply-To", c.ReplyTo}} {
		for _, a := range list.addresses {
			line(list.name, fmt.Sprintf("%q <%s>", a.Name, a.Addr))
		}
	}
	line("Subject", c.Subject)
	if !c.Date.IsZero() {
		line("Date", c.Date.Format(time.RFC3339))
	}
	line("Message-ID", c.MessageID)
	line("In-Reply-To", strings.Join(c.InReplyTo, " "))
	line("References", strings.Join(c.References, " "))
	for _, d := range c.Defects {
		line("Defect", string(d))
	}
	if c.Partial {
		line("Partial", "true")
	}
	if c.HiddenText {
		line("HiddenText", "true")
	}
	for _, a := range c.Attachments {
		showAttachment(&b, raw, a)
	}
	section(&b, "text", c.Text)
	section(&b, "html", c.HTML)
	return b.String()
}

func showAttachment(b *strings.Builder, raw []byte, a openmail.Attachment) {
	data, err := io.ReadAll(mime.Open(raw, a))
	fmt.Fprintf(b, "Attachment: %q %s %d bytes", a.Filename, a.ContentType, a.SizeBytes)
	if a.ContentID != "" {
		fmt.Fprintf(b, " id=%s", a.ContentID)
	}
	if a.Inline {
		b.WriteString(" inline")
	}
	if err != nil || int64(len(data)) != a.SizeBytes {
		fmt.Fprintf(b, " OPENED %d bytes, error %v", len(data), err)
	}
	fmt.Fprintf(b, " %q\n", data[:min(len(data), 40)])
}

func section(b *strings.Builder, name, s string) {
	if len(s) > 4000 {
		s = s[:2000] + fmt.Sprintf("… %d bytes …", len(s))
	}
	if s != "" {
		fmt.Fprintf(b, "--- %s\n%s\n", name, s)
	}
}

func TestOpenReadsNothingOutsideOfTheMail(t *testing.T) {
	raw := []byte("0123456789")
	for _, a := range []openmail.Attachment{
		{Offset: -1, Length: 2},
		{Offset: 2, Length: -1},
		{Offset: 8, Length: 3},
		{Offset: 11},
		{Offset: 1 << 62, Length: 1 << 62},
	} {
		if data, err := io.ReadAll(mime.Open(raw, a)); err != nil || len(data) > 0 {
			t.Errorf("Open(%d, %d) read %q, error %v", a.Offset, a.Length, data, err)
		}
	}
	data, err := io.ReadAll(mime.Open(raw, openmail.Attachment{Offset: 8, Length: 2}))
	if err != nil || string(data) != "89" {
		t.Errorf("read %q, error %v; want 89", data, err)
	}
}

func BenchmarkReadPlain(b *testing.B) { benchmark(b, plainMail()) }

func BenchmarkReadHTMLOnly(b *testing.B) {
	benchmark(b, bytes.Replace(plainMail(), []byte("text/plain"), []byte("text/html"), 1))
}

func BenchmarkReadAlternative(b *testing.B) {
	body := strings.Repeat("A line of text with an accent: caf=C3=A9, and so on.\r\n", 15)
	benchmark(b, []byte(plainHead+"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"000000000000a1b2c3\"\r\n\r\n"+
		"--000000000000a1b2c3\r\nContent-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"+body+
		"--000000000000a1b2c3\r\nContent-Type: text/html; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<div>"+body+
		"</div>--000000000000a1b2c3--\r\n"))
}

func BenchmarkReadAttachment(b *testing.B) {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	benchmark(b, []byte(plainHead+"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xyz\r\n\r\n"+
		"--xyz\r\n\r\nHello\r\n--xyz\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"+
		strings.Repeat(line, 1300)+"--xyz--\r\n"))
}

const plainHead = "Received: from a.example (a.example [192.0.2.1])\r\n\tby mx.example with ESMTPS id 4XyZ12\r\n" +
	"\tfor <agent@mx.example>; Mon, 23 Nov 2026 10:00:00 +0000\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from:to:subject;\r\n" +
	"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n" +
	"From: =?utf-8?q?Andr=C3=A9?= Example <andre@example.com>\r\nTo: Agent <agent@mx.example>\r\n" +
	"Subject: Your order of last week\r\nMessage-ID: <CAF123.456@mail.example.com>\r\n" +
	"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n"

func plainMail() []byte {
	return []byte(plainHead + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
		strings.Repeat("This is a line of text that says nothing in particular.\r\n", 22))
}

func benchmark(b *testing.B, raw []byte) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		mime.Read(raw)
	}
}
