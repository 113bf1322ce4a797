package mime

import (
	"bytes"
	"io"
	"strings"

	"openmail"
)

// segment is a stretch of a mail's body: its plain text, its HTML, or both
// when the mail has it in two forms.
type segment struct{ text, html string }

// content fills in what the parts hold.
func (r *reader) content() {
	segments := r.segments(0)
	r.out.HTML = joinHTML(segments)
	r.out.Text = strings.TrimRight(r.joinText(segments), "\n")
	r.files()
}

// segments is the body that a part holds.
func (r *reader) segments(i int) []segment {
	p := &r.parts[i]
	switch {
	case !p.container:
		return r.leaf(i)
	case p.kind == "multipart/alternative":
		return r.alternative(i)
	}
	root := r.relatedRoot(i)
	var all []segment
	for c := p.first; c != 0; c = r.parts[c].next {
		if root == 0 || c == root || r.parts[c].id == "" {
			all = append(all, r.segments(c)...)
		}
	}
	return all
}

// relatedRoot is the child of a multipart/related that the others belong to
// (RFC 2387 section 3.2), 0 for every other part.
func (r *reader) relatedRoot(i int) int {
	p := &r.parts[i]
	if p.kind != "multipart/related" {
		return 0
	}
	for c := p.first; c != 0 && p.root != ""; c = r.parts[c].next {
		if r.parts[c].id == p.root {
			return c
		}
	}
	return p.first
}

// leaf is the text of a part that is shown as text; a file has none here.
func (r *reader) leaf(i int) []segment {
	p := &r.parts[i]
	if p.disposition == "attachment" || p.name != "" && p.parent >= 0 {
		return nil
	}
	switch p.kind {
	case "text/plain":
		p.shown = true
		return []segment{{text: r.plain(p)}}
	case "text/html":
		p.shown = true
		return []segment{{html: r.html(p)}}
	}
	return nil
}

// alternative is one stretch in several forms: the first that has text gives
// the text, the last that has HTML the HTML (RFC 2046 section 5.1.4).
func (r *reader) alternative(i int) []segment {
	var s segment
	for c := r.parts[i].first; c != 0; c = r.parts[c].next {
		if p := &r.parts[c]; p.kind == "text/x-amp-html" || p.kind == "text/watch-html" {
			p.shown = true // a form of the same for other devices
			continue
		}
		form := r.segments(c)
		if s.text == "" && hasText(form) {
			s.text = r.joinText(form)
		}
		if html := joinHTML(form); html != "" {
			s.html = html
		}
	}
	return []segment{s}
}

func hasText(list []segment) bool {
	for _, s := range list {
		if strings.TrimSpace(s.text) != "" {
			return true
		}
	}
	return false
}

func joinHTML(list []segment) string {
	if len(list) == 1 {
		return list[0].html
	}
	var all []string
	for _, s := range list {
		if s.html != "" {
			all = append(all, s.html)
		}
	}
	return strings.Join(all, "\n")
}

// joinText is the text of segments; it is made from the HTML where there is no
// other.
func (r *reader) joinText(list []segment) string {
	var all []string
	for _, s := range list {
		text := s.text
		if strings.TrimSpace(text) == "" && s.html != "" {
			text = r.textFromHTML(s.html)
		}
		if len(list) == 1 {
			return text
		}
		if text != "" {
			all = append(all, strings.TrimRight(text, "\n"))
		}
	}
	return strings.Join(all, "\n\n")
}

// textFromHTML is TextFromHTML within what is left of the text.
func (r *reader) textFromHTML(doc string) string {
	r.visited += int64(len(doc))
	text, hidden := TextFromHTML(doc)
	r.out.HiddenText = r.out.HiddenText || hidden
	return r.limit(text, &r.textLeft)
}

// limit cuts s to what is left, and takes it off.
func (r *reader) limit(s string, left *int) string {
	if len(s) > *left {
		r.cut(defectTextTooLarge)
		s = cutString(s, *left)
	}
	*left -= len(s)
	return s
}

// plain is the text of a text/plain part, with "\n" at the ends of its lines,
// without files that stand in it uuencoded and without invisible characters
// that carry text.
func (r *reader) plain(p *part) string {
	var b []byte
	if rest, found := r.inlineFiles(p); found {
		b = rest
	} else {
		b = r.decoded(p, r.textLeft)
	}
	s, fault := toUTF8(b, p.charset)
	r.textFault(fault)
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	s, smuggled := withoutSmuggled(s)
	r.out.HiddenText = r.out.HiddenText || smuggled
	return r.limit(s, &r.textLeft)
}

// html is the document of a text/html part.
func (r *reader) html(p *part) string {
	s, fault := htmlToUTF8(r.decoded(p, r.htmlLeft), p.charset)
	r.textFault(fault)
	return r.limit(s, &r.htmlLeft)
}

func (r *reader) textFault(fault openmail.Defect) {
	if fault != "" {
		r.defect(fault)
	}
}

// decoded is a part's body, decoded, of limit bytes at most; a longer one ends
// with a line.
func (r *reader) decoded(p *part, limit int) []byte {
	b := r.raw[p.start:p.end]
	r.visited += int64(len(b))
	if opaque(p.encoding) {
		b = r.decode(p.encoding, b, limit)
	}
	if len(b) > limit {
		r.cut(defectTextTooLarge)
		b = b[:limit]
		b = b[:bytes.LastIndexByte(b, '\n')+1]
	}
	return b
}

// decode is src decoded, or its first limit + 1 bytes.
func (r *reader) decode(encoding string, src []byte, limit int) []byte {
	if encoding == encodingQuoted { // it never grows: one pass will do
		d := quotedReader{src: src}
		b := make([]byte, min(len(src), limit+1))
		n, _ := io.ReadFull(&d, b) // fails at the end of src only
		if d.invalid {
			r.defect(defectInvalidQuoted)
		}
		return b[:n]
	}
	b := make([]byte, min(r.size(encoding, src), int64(limit)+1))
	n, _ := io.ReadFull(decoder(encoding, src), b) // size says how much there is
	return b[:n]
}

// opaque reports whether an encoding changes the bytes.
func opaque(encoding string) bool {
	return encoding == encodingBase64 || encoding == encodingQuoted || encoding == encodingUU
}

// size is decodedSize, and notes what does not belong to the encoding.
func (r *reader) size(encoding string, src []byte) int64 {
	r.visited += int64(len(src))
	size, clean := decodedSize(encoding, src)
	switch {
	case clean:
	case encoding == encodingBase64:
		r.defect(defectInvalidBase64)
	default:
		r.defect(defectInvalidQuoted)
	}
	return size
}

// files lists every part whose text is not shown.
func (r *reader) files() {
	var cids map[string]bool
	for i := range r.parts {
		p := &r.parts[i]
		if p.container || p.shown {
			continue
		}
		if p.id != "" && cids == nil {
			cids = references(r.out.HTML)
			r.visited += int64(len(r.out.HTML))
		}
		src := r.raw[p.start:p.end]
		r.attach(openmail.Attachment{
			Filename:    r.fileName(p),
			ContentType: p.kind,
			ContentID:   p.id,
			Inline:      p.disposition == "inline" || p.id != "" && cids[p.id],
			SizeBytes:   r.size(p.encoding, src),
			Offset:      int64(p.start),
			Length:      int64(len(src)),
			Encoding:    p.encoding,
		})
	}
}

// attach adds a file; as many are kept as a mail may have parts.
func (r *reader) attach(a openmail.Attachment) {
	if len(r.out.Attachments) >= maxParts {
		r.cut(defectTooManyParts)
		return
	}
	a.Filename = r.names.unique(a.Filename)
	r.out.Attachments = append(r.out.Attachments, a)
}

// fileName is a safe name for a part: the sender's, for a mail its subject, or
// one by its type.
func (r *reader) fileName(p *part) string {
	name := p.name
	if name == "" && (p.kind == "message/rfc822" || p.kind == "message/global") {
		if subject := r.nestedSubject(p); subject != "" {
			// A subject is no path: its slashes separate nothing.
			name = shorten(strings.NewReplacer("/", "_", `\`, "_").Replace(subject)+".eml", "")
		}
	}
	return SafeFilename(name, p.kind)
}

// nestedSubject is the subject of a mail within the mail.
func (r *reader) nestedSubject(p *part) string {
	src := r.raw[p.start:p.end]
	if opaque(p.encoding) {
		b := make([]byte, guessWindow)
		n, _ := io.ReadFull(decoder(p.encoding, src), b) // shorter is well
		src = b[:n]
	}
	nested := reader{raw: src[:min(len(src), maxHeader)]}
	var h header
	nested.header(&h, nested.skipPreface())
	subject := nested.unstructured(h.first(fieldSubject))
	r.visited += nested.visited
	return subject
}

// references are the Content-IDs that a document refers to (RFC 2392).
func references(doc string) map[string]bool {
	ids := map[string]bool{}
	for {
		i := strings.Index(doc, "cid:")
		if i < 0 {
			return ids
		}
		doc = doc[i+4:]
		end := strings.IndexAny(doc[:min(len(doc), maxID)], "\"'<> \t\r\n)&")
		if end < 0 {
			end = min(len(doc), maxID) // too long for an id
		} else {
			ids[percentDecode(doc[:end])] = true
		}
		doc = doc[end:]
	}
}

// inlineFiles takes the uuencoded files out of a plain text that is not itself
// encoded. It returns the text around them, and whether there were any.
func (r *reader) inlineFiles(p *part) (rest []byte, found bool) {
	if opaque(p.encoding) {
		return nil, false
	}
	r.visited += int64(p.end - p.start)
	at := p.start
	for {
		begin := uuBegin(r.raw[at:p.end])
		if begin < 0 {
			break
		}
		end := uuEnd(r.raw[at+begin : p.end])
		if end < 0 {
			break
		}
		r.attachUU(at+begin, at+begin+end)
		rest, found = append(rest, r.raw[at:at+begin]...), true
		at += begin + end
	}
	if !found {
		return nil, false
	}
	return append(rest, r.raw[at:p.end]...), true
}

// attachUU adds a uuencoded file, from its begin line to its end line.
func (r *reader) attachUU(start, end int) {
	file := r.raw[start:end]
	line, _, _ := bytes.Cut(file[len("begin "):], []byte("\n"))
	name := bytes.TrimSpace(line[uuMode(line):])
	r.attach(openmail.Attachment{
		Filename:    SafeFilename(r.headerString(name), "application/octet-stream"),
		ContentType: "application/octet-stream",
		SizeBytes:   r.size(encodingUU, file),
		Offset:      int64(start),
		Length:      int64(len(file)),
		Encoding:    encodingUU,
	})
}

// uuEnd is where the file ends that b starts with, after its end line; -1 when
// the first line after begin is not of a file, or there is no end.
func uuEnd(b []byte) int {
	_, body, _ := bytes.Cut(b, []byte("\n"))
	first, _, _ := bytes.Cut(body, []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	if len(first) < 2 {
		return -1
	}
	size := int(first[0]-' ') & 63
	if want := (size + 2) / 3 * 4; len(first)-1 < want-3 || len(first)-1 > want+2 {
		return -1
	}
	i := bytes.Index(body, []byte("\nend"))
	if i < 0 {
		return -1
	}
	at := len(b) - len(body) + i + len("\nend")
	_, rest, _ := bytes.Cut(b[at:], []byte("\n"))
	return len(b) - len(rest)
}
