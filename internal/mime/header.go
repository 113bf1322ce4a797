package mime

import (
	"bytes"
	"strings"

	"openmail"
)

// fieldKind is a header field that we care for.
type fieldKind uint8

const (
	fieldOther fieldKind = iota
	fieldFrom
	fieldTo
	fieldCC
	fieldReplyTo
	fieldSubject
	fieldMessageID
	fieldInReplyTo
	fieldReferences
	fieldDate
	fieldContentType
	fieldEncoding
	fieldDisposition
	fieldContentID
	// Those that tell what kind of mail it is. Some stand more than once in
	// good mails.
	fieldAutoSubmitted
	fieldPrecedence
	fieldListID
	fieldListPost
	fieldListUnsubscribe
	fieldSuppress
	numFields
)

// fieldNames has the names of the fields that we care for.
var fieldNames = [numFields]string{
	"", "from", "to", "cc", "reply-to", "subject", "message-id", "in-reply-to", "references",
	"date", "content-type", "content-transfer-encoding", "content-disposition", "content-id",
	"auto-submitted", "precedence", "list-id", "list-post", "list-unsubscribe", "x-auto-response-suppress",
}

// kindOf recognises a field by its name, in any case.
func kindOf(name []byte) fieldKind {
	for k := fieldFrom; k < numFields; k++ {
		if s := fieldNames[k]; len(s) == len(name) && s[0] == name[0]|0x20 && strings.EqualFold(s, string(name)) {
			return k
		}
	}
	return fieldOther
}

// field is one field of a header block; its value is still folded.
type field struct {
	kind  fieldKind
	value []byte
}

// header is a header block: the fields that we care for, in their order.
type header struct{ fields []field }

// first is the value of the first field of a kind, unfolded; nil when absent.
func (h *header) first(k fieldKind) []byte {
	for i := range h.fields {
		if h.fields[i].kind == k {
			return unfold(h.fields[i].value)
		}
	}
	return nil
}

// unfold joins the lines of a field's value (RFC 5322 section 2.2.3).
func unfold(v []byte) []byte {
	v = bytes.TrimSpace(v)
	if bytes.IndexByte(v, '\n') < 0 {
		return v
	}
	flat := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\n' && c != '\r' {
			flat = append(flat, c)
		}
	}
	return flat
}

// skipPreface steps over what may stand before a mail: blank lines, and the
// "From " line of an mbox file.
func (r *reader) skipPreface() int {
	pos := 0
	for pos < len(r.raw) && pos < 64 && (r.raw[pos] == '\r' || r.raw[pos] == '\n') {
		pos++
	}
	if line, next := r.line(pos); bytes.HasPrefix(line, []byte("From ")) {
		return next
	} else if !fieldLine(line) {
		return 0 // no header follows: the blank line ends an empty one
	}
	return pos
}

// line is the line at pos without its end, and where the next one starts.
func (r *reader) line(pos int) (line []byte, next int) {
	rest := r.raw[pos:]
	i := bytes.IndexByte(rest, '\n')
	if i < 0 {
		r.visited += int64(len(rest))
		return rest, len(r.raw)
	}
	r.visited += int64(i + 1)
	return bytes.TrimSuffix(rest[:i], []byte("\r")), pos + i + 1
}

// fieldLine reports whether a line starts a header field: a name of printable
// characters, then a colon.
func fieldLine(line []byte) bool { return fieldName(line) > 0 }

// fieldName is the length of the name that line starts with, 0 for none. A
// name of more than 100 bytes is none: that keeps the look ahead short.
func fieldName(line []byte) int {
	for i, c := range line[:min(len(line), 100)] {
		switch {
		case c == ':':
			return i
		case c == ' ' || c == '\t':
			if rest := bytes.TrimLeft(line[i:min(len(line), 100)], " \t"); len(rest) > 0 && rest[0] == ':' {
				return i
			}
			return 0
		case c < '!' || c > '~':
			return 0
		}
	}
	return 0
}

// header reads the header block at pos into h and returns where the body
// starts. The block ends at a blank line, at a delimiter of an open multipart,
// and where two lines in a row cannot be fields.
func (r *reader) header(h *header, pos int) (body int) {
	start := pos
	for pos < len(r.raw) {
		line, next := r.line(pos)
		if len(line) == 0 {
			return next
		}
		if pos-start > maxHeader {
			r.cut(defectHeaderTooLarge)
			return r.blankLine(pos)
		}
		n := fieldName(line)
		if n == 0 {
			if r.bodyStarts(line, next) {
				r.defect(defectMissingBlank)
				return pos
			}
			if len(bytes.TrimSpace(line)) > 0 {
				r.defect(defectJunkHeader)
			}
			pos = next
			continue
		}
		end := r.continued(next)
		r.keep(h, line[:n], r.raw[pos+bytes.IndexByte(line, ':')+1:end])
		pos = end
	}
	return len(r.raw)
}

// continued is where the field ends whose first line ended before pos: after
// the lines that start with white space.
func (r *reader) continued(pos int) int {
	for pos < len(r.raw) && (r.raw[pos] == ' ' || r.raw[pos] == '\t') {
		_, pos = r.line(pos)
	}
	return pos
}

// bodyStarts decides what a line is that is no field: the start of a body that
// lacks its blank line, or junk among the fields.
func (r *reader) bodyStarts(line []byte, next int) bool {
	if bytes.HasPrefix(line, []byte("--")) {
		return true
	}
	if next >= len(r.raw) {
		return true
	}
	after, _ := r.line(next)
	return len(after) > 0 && !fieldLine(after)
}

// blankLine is where the body starts after a header that is too large.
func (r *reader) blankLine(pos int) int {
	for pos < len(r.raw) {
		line, next := r.line(pos)
		if len(line) == 0 {
			return next
		}
		if _, ok := r.delimiter(line); ok {
			return pos
		}
		pos = next
	}
	return pos
}

// keep adds a field to h when it is one that we care for.
func (r *reader) keep(h *header, name, value []byte) {
	k := kindOf(name)
	if k == fieldOther {
		return
	}
	if len(h.fields) >= maxFields {
		r.cut(defectTooManyFields)
		return
	}
	h.fields = append(h.fields, field{k, value})
}

// head reads the fields of the mail's own header into the content.
func (r *reader) head(h *header) {
	r.duplicates(h)
	r.out.From = r.addresses(h, fieldFrom)
	r.out.To = r.addresses(h, fieldTo)
	r.out.CC = r.addresses(h, fieldCC)
	r.out.ReplyTo = r.addresses(h, fieldReplyTo)
	r.out.Subject = r.unstructured(h.first(fieldSubject))
	r.ids(h)
	r.date(h)
	if len(r.out.From) == 0 {
		r.defect(defectMissingFrom)
	}
}

// duplicates lists the fields that stand more than once.
func (r *reader) duplicates(h *header) {
	if len(h.fields) < 2 {
		return
	}
	var seen [numFields]int
	for i := range h.fields {
		k := h.fields[i].kind
		if seen[k]++; seen[k] == 2 && k < fieldAutoSubmitted {
			r.defect(openmail.Defect("duplicate_" + strings.ReplaceAll(fieldNames[k], "-", "_")))
		}
	}
}

// date reads the Date field; in its absence the mail has no date.
func (r *reader) date(h *header) {
	v := h.first(fieldDate)
	if len(v) == 0 {
		r.defect(defectMissingDate)
		return
	}
	r.visited += int64(len(v))
	t, ok := parseDate(string(v[:min(len(v), 200)]))
	if !ok {
		r.defect(defectInvalidDate)
		return
	}
	r.out.Date = t
}

// unstructured decodes a field of free text (RFC 5322 section 3.2.5) into one
// line.
func (r *reader) unstructured(v []byte) string {
	return r.oneLine(r.words(r.headerString(v)))
}

// headerString is a value as UTF-8: raw 8-bit bytes are read as UTF-8 (RFC
// 6532) where they are, else as windows-1252.
func (r *reader) headerString(v []byte) string {
	r.visited += int64(len(v))
	if isASCII(v) {
		return string(v)
	}
	s, guessed := guess(v)
	if guessed {
		r.defect(defectGuessedCharset)
	}
	return s
}

// oneLine makes a header's text safe to show and to put into another header:
// control characters become spaces, and it is no longer than maxLine.
func (r *reader) oneLine(s string) string {
	if len(s) > maxLine {
		r.cut(defectTextTooLarge)
		s = cutString(s, maxLine)
	}
	return strings.TrimSpace(withoutControls(s))
}

func withoutControls(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(func(c rune) rune {
				if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
					return ' '
				}
				return c
			}, s)
		}
	}
	return s
}
