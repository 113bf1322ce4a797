package mime

import (
	"bytes"
	"strings"
)

// entity is what the header of a mail or of a part says of its body.
type entity struct {
	kind        string // type/subtype in lower case
	charset     string
	boundary    string
	name        string // of a file, as sent, decoded; "" when there is none
	root        string // multipart/related: the Content-ID of its root
	report      string // multipart/report: its report-type, in lower case
	disposition string // in lower case; "" when absent
	encoding    string // in lower case; "" when absent
	id          string // Content-ID without brackets
}

// part is a node of the tree of parts.
type part struct {
	entity
	start, end  int  // of its body, in raw
	parent      int  // -1 for the mail itself
	first, last int  // child, 0 for none: the root is nobody's child
	next        int  // sibling, 0 for none
	container   bool // a multipart whose children are parts
	shown       bool // its text is in Text or HTML, or another form of it is
}

// level is a multipart that is open.
type level struct {
	part     int
	boundary []byte
}

// delimiterLine is a line that separates parts (RFC 2046 section 5.1.1).
type delimiterLine struct {
	level       int // of reader.open
	closing     bool
	start, next int // of the line, and of the one after it
}

// entity reads the fields that describe a body. The default type is fallback.
func (r *reader) entity(h *header, fallback string) entity {
	e := entity{kind: fallback}
	kind, ps := r.structured(h.first(fieldContentType))
	if kind != "" {
		e.kind = r.mediaType(kind)
		e.charset = r.param(ps, "charset")
		e.boundary = r.param(ps, "boundary")
		e.root = strings.Trim(r.param(ps, "start"), "<> ")
		if e.kind == "multipart/report" {
			e.report = strings.ToLower(r.param(ps, "report-type"))
		}
	}
	if v := h.first(fieldDisposition); v != nil {
		var dps params
		e.disposition, dps = r.structured(v)
		e.name = r.param(dps, "filename")
		if e.name == "" {
			e.name = r.param(dps, "name")
		}
	}
	if e.name == "" {
		e.name = r.param(ps, "name")
	}
	if v := h.first(fieldEncoding); v != nil {
		e.encoding = r.transferEncoding(v)
	}
	if v := h.first(fieldContentID); v != nil {
		e.id = cutString(strings.Trim(r.oneLine(r.headerString(v)), "<> "), maxID)
	}
	return e
}

// mediaType makes type/subtype of what stands for it.
func (r *reader) mediaType(s string) string {
	s = strings.Trim(s, "\"' ")
	major, minor, ok := strings.Cut(s, "/")
	if ok && major != "" && minor != "" && len(s) <= 127 && !strings.ContainsFunc(s, notInType) {
		return s
	}
	r.defect(defectInvalidType)
	switch major {
	case "text":
		return "text/plain"
	case "multipart":
		return "multipart/mixed"
	}
	if s == "html" {
		return "text/html"
	}
	return "application/octet-stream"
}

func notInType(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),:;<=>?@[\]`, c)
}

// transferEncoding recognises a Content-Transfer-Encoding. Of an unknown one
// the bytes are kept as they are.
func (r *reader) transferEncoding(v []byte) string {
	s := strings.ToLower(r.headerString(v))
	if i := strings.IndexAny(s, " \t;("); i >= 0 {
		s = s[:i]
	}
	switch s = strings.Trim(s, `"'`); s {
	case "", "7bit", "8bit", "binary", encodingBase64, encodingQuoted:
		return s
	case "quotedprintable", "quoted_printable", "qp":
		return encodingQuoted
	case "x-base64", "base-64", "b64":
		return encodingBase64
	case "uuencode", "x-uuencode", "x-uue", "uue":
		return encodingUU
	case "7-bit", "8-bit", "us-ascii", "utf-8", "none":
		return "8bit"
	}
	r.defect(defectUnknownEncoding)
	return "binary"
}

// structure finds the parts of a mail whose body starts at pos. It looks at
// every line once: a stack holds the multiparts around it, and a delimiter
// closes all that are open within its own.
func (r *reader) structure(root entity, pos int) {
	leaf := r.add(root, -1, pos)
	for {
		d, ok := r.nextDelimiter(pos)
		end := len(r.raw)
		if ok {
			end = r.beforeLine(d.start, pos)
		}
		if leaf >= 0 {
			r.parts[leaf].end = end
		}
		if !ok {
			r.closeTo(0, end)
			return
		}
		r.closeTo(d.level+1, end)
		pos, leaf = d.next, -1
		if d.closing {
			r.open = r.open[:d.level]
			continue
		}
		if len(r.parts) >= maxParts {
			r.cut(defectTooManyParts)
			r.open = r.open[:0]
			return
		}
		leaf, pos = r.child(r.open[d.level].part, pos)
	}
}

// child reads the header of a part at pos and adds it. The leaf is -1 when the
// part is a multipart.
func (r *reader) child(parent, pos int) (leaf, body int) {
	var buf [6]field
	h := header{fields: buf[:0]}
	body = r.header(&h, pos)
	fallback := "text/plain"
	if r.parts[parent].kind == "multipart/digest" {
		fallback = "message/rfc822"
	}
	return r.add(r.entity(&h, fallback), parent, body), body
}

// add puts a part into the tree, and opens it when it is a multipart.
func (r *reader) add(e entity, parent, body int) (leaf int) {
	n := len(r.parts)
	r.parts = append(r.parts, part{entity: e, start: body, end: len(r.raw), parent: parent})
	if parent >= 0 {
		r.adopt(parent, n)
	}
	if !strings.HasPrefix(e.kind, "multipart/") {
		return n
	}
	if len(r.open) >= maxDepth {
		r.cut(defectTooDeep)
		return n
	}
	boundary := r.boundary(e.boundary, body)
	if boundary == "" {
		r.parts[n].kind = "text/plain"
		return n
	}
	r.parts[n].container = true
	r.open = append(r.open, level{n, []byte(boundary)})
	return -1
}

// adopt makes n the last child of parent.
func (r *reader) adopt(parent, n int) {
	p := &r.parts[parent]
	if p.first == 0 {
		p.first = n
	} else {
		r.parts[p.last].next = n
	}
	p.last = n
}

// boundary is the boundary of a multipart whose body starts at pos. When its
// header names none, the first line is taken that starts with "--" and has a
// header field after it.
func (r *reader) boundary(named string, pos int) string {
	named = strings.TrimRight(named, " \t")
	if named != "" && len(named) <= maxBoundary {
		return named
	}
	r.defect(defectMissingBoundary)
	window := r.raw[pos:min(len(r.raw), pos+guessWindow)]
	r.visited += int64(len(window))
	for len(window) > 0 {
		line, rest, _ := bytes.Cut(window, []byte("\n"))
		line = bytes.TrimRight(line, " \t\r")
		if len(line) > 2 && len(line) <= maxBoundary && bytes.HasPrefix(line, []byte("--")) && fieldLine(rest) {
			return string(line[2:])
		}
		window = rest
	}
	return ""
}

// closeTo closes the multiparts from level n on: end is where they end, and
// nothing closed them in the mail. One in which no part was found is text.
func (r *reader) closeTo(n, end int) {
	for len(r.open) > n {
		last := r.open[len(r.open)-1]
		r.open = r.open[:len(r.open)-1]
		p := &r.parts[last.part]
		p.end = end
		if p.first == 0 {
			r.defect(defectBoundaryNotFound)
			p.kind, p.charset, p.container = "text/plain", "", false
			continue
		}
		r.defect(defectUnclosedMultipart)
	}
}

// nextDelimiter finds the next delimiter line of an open multipart from pos
// on, which is the start of a line.
func (r *reader) nextDelimiter(pos int) (d delimiterLine, ok bool) {
	if len(r.open) == 0 {
		return d, false
	}
	for at := pos; at < len(r.raw); {
		if bytes.HasPrefix(r.raw[at:], []byte("--")) {
			line, next := r.line(at)
			if d, ok = r.delimiter(line); ok {
				d.start, d.next = at, next
				return d, true
			}
			at = next
			continue
		}
		i := bytes.Index(r.raw[at:], []byte("\n--"))
		if i < 0 {
			r.visited += int64(len(r.raw) - at)
			break
		}
		r.visited += int64(i)
		at += i + 1
	}
	return d, false
}

// delimiter reports whether a line is a delimiter, of the innermost multipart
// that it can be of. A boundary may be the start of another: the whole line
// counts.
func (r *reader) delimiter(line []byte) (d delimiterLine, ok bool) {
	if !bytes.HasPrefix(line, []byte("--")) {
		return d, false
	}
	line = bytes.TrimRight(line[2:], " \t\r")
	for i := len(r.open) - 1; i >= 0; i-- {
		rest, found := bytes.CutPrefix(line, r.open[i].boundary)
		if found && (len(rest) == 0 || string(rest) == "--") {
			return delimiterLine{level: i, closing: len(rest) > 0}, true
		}
	}
	return d, false
}

// beforeLine is the end of what stands before the line at pos: the line break
// belongs to the delimiter (RFC 2046 section 5.1.1).
func (r *reader) beforeLine(pos, start int) int {
	if pos > start && r.raw[pos-1] == '\n' {
		pos--
	}
	if pos > start && r.raw[pos-1] == '\r' {
		pos--
	}
	return pos
}
