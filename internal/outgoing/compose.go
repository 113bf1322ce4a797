package outgoing

import (
	"bytes"
	"encoding/base64"
	"fmt"
	stdmime "mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"openmail"
)

// draft is a mail that is about to be written.
type draft struct {
	from, to   openmail.Address
	cc         []openmail.Address
	replyTo    []openmail.Address
	subject    string
	messageID  string
	inReplyTo  string
	references []string
	at         time.Time
	text, html string // html: "" when there is none
	files      []File
}

// compose writes a mail: lines of 998 bytes at most that end with CRLF, 7-bit
// throughout (RFC 5322, RFC 2045).
func (d draft) compose() ([]byte, error) {
	var b bytes.Buffer
	body := d.body()
	h := body.header
	if len(d.files) > 0 {
		h = typed("multipart/mixed", nil)
	}
	d.head(&h)
	w, err := message.CreateWriter(&b, h)
	if err != nil {
		return nil, err
	}
	if len(d.files) == 0 {
		err = body.write(w)
	} else {
		err = writeParts(w, append([]part{body}, each(d.files, filePart)...))
	}
	if err != nil {
		return nil, fmt.Errorf("write the mail: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// head puts the fields of the mail's own header on top of h. Each Add goes
// above those before it.
func (d draft) head(h *message.Header) {
	add := func(name, value string) {
		if value != "" {
			h.Add(name, value)
		}
	}
	add("References", strings.Join(d.references, " "))
	add("In-Reply-To", d.inReplyTo)
	add("Subject", words(d.subject))
	add("Reply-To", addressList(d.replyTo))
	add("Cc", addressList(d.cc))
	add("To", addressList([]openmail.Address{d.to}))
	add("From", addressList([]openmail.Address{d.from}))
	add("Message-Id", d.messageID)
	add("Date", d.at.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// part is one part of a mail, with its parts where it is a multipart.
type part struct {
	header message.Header
	data   []byte
	parts  []part
}

func (p part) write(w *message.Writer) error {
	if p.parts != nil {
		return writeParts(w, p.parts)
	}
	_, err := w.Write(p.data)
	return err
}

func writeParts(w *message.Writer, parts []part) error {
	for _, p := range parts {
		pw, err := w.CreatePart(p.header)
		if err != nil {
			return err
		}
		if err := p.write(pw); err != nil {
			return err
		}
		if err := pw.Close(); err != nil {
			return err
		}
	}
	return nil
}

// body is the text alone, or the text and the HTML as alternatives.
func (d draft) body() part {
	text := textPart("text/plain", d.text)
	if d.html == "" {
		return text
	}
	return part{header: typed("multipart/alternative", nil), parts: []part{text, textPart("text/html", d.html)}}
}

func typed(contentType string, params map[string]string) (h message.Header) {
	h.SetContentType(contentType, params)
	return h
}

func textPart(contentType, text string) part {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	text = strings.ReplaceAll(text, "\n", "\r\n")
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	h := typed(contentType, map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", transferEncoding(text))
	return part{header: h, data: []byte(text)}
}

// maxPlainLine is how long a line may be without an encoding that breaks it.
const maxPlainLine = 78

// transferEncoding is the plainest that text survives in (RFC 2045 section 6).
func transferEncoding(text string) string {
	plain, special := true, 0
	for line := range strings.SplitSeq(text, "\r\n") {
		// Some relays put a > before From at the start of a line, and take
		// away blanks at its end: a signature would not hold.
		plain = plain && len(line) <= maxPlainLine && !strings.HasPrefix(line, "From ") && !strings.HasSuffix(line, " ") && !strings.HasSuffix(line, "\t")
		for i := range len(line) {
			if c := line[i]; c != '\t' && (c < ' ' || c > '~') {
				special++
			}
		}
	}
	switch {
	case plain && special == 0:
		return "7bit"
	case special*6 > len(text): // quoted-printable makes three of one, base64 four of three
		return "base64"
	}
	return "quoted-printable"
}

func filePart(f File) part {
	h := typed(f.ContentType, nil)
	h.Set("Content-Transfer-Encoding", "base64")
	h.Set("Content-Disposition", stdmime.FormatMediaType("attachment", map[string]string{"filename": f.Filename}))
	return part{header: h, data: f.Data}
}

// mediaType is type/subtype of what a client calls a file, in lower case;
// application/octet-stream for what is none. A mail within a mail must not be
// encoded (RFC 2046 section 5.2.1), so it goes as a file of bytes.
func mediaType(contentType string) string {
	kind, _, err := stdmime.ParseMediaType(contentType)
	class, rest, ok := strings.Cut(kind, "/")
	if err != nil || !ok || rest == "" || len(kind) > 127 || class == "multipart" || class == "message" {
		return "application/octet-stream"
	}
	return kind
}

// addressList is addresses as a header holds them.
func addressList(list []openmail.Address) string {
	shown := make([]string, len(list))
	for i, a := range list {
		switch {
		case a.Name != "" && needsEncoding(a.Name):
			shown[i] = words(a.Name) + " <" + a.Addr + ">"
		case a.Name == "" && strings.Contains(a.Addr, "'"): // which some readers take for quotes around it
			shown[i] = "<" + a.Addr + ">"
		default:
			shown[i] = a.String()
		}
	}
	return strings.Join(shown, ", ")
}

// words is a text as a header holds it: as it is, or in encoded words (RFC 2047
// section 2), each of 75 characters at most.
func words(text string) string {
	if !needsEncoding(text) {
		return text
	}
	var out []string
	for len(text) > 0 {
		n := 0
		for n < len(text) {
			_, size := utf8.DecodeRuneInString(text[n:])
			if n+size > 45 {
				break
			}
			n += size
		}
		out = append(out, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return strings.Join(out, " ")
}

// needsEncoding reports whether a text would not come back the same from a
// header: it is not ASCII, looks encoded, has blanks that folding would change,
// or a word that cannot be folded.
func needsEncoding(text string) bool {
	if strings.Contains(text, "=?") || strings.Contains(text, "  ") || text != strings.TrimSpace(text) {
		return true
	}
	word := 0
	for _, r := range text {
		word++
		if r == ' ' {
			word = 0
		}
		if r < ' ' || r > '~' || word > 60 {
			return true
		}
	}
	return false
}

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
