// Package mime reads what the bytes of a mail say.
//
// It works on the bytes with offsets, once from front to back, and cannot
// fail: what is wrong with a mail is listed as defects, and everything that a
// sender controls is bounded, so that the time it takes grows in proportion
// to the size of the mail.
//
// The standards are RFC 5322 (the format), RFC 2045 and 2046 (bodies), RFC
// 2047 (encoded words), RFC 2183 (Content-Disposition), RFC 2231 (parameters),
// RFC 2387 (multipart/related), RFC 2392 (cid URLs) and RFC 6532 (UTF-8 in
// headers). Where mail in the wild departs from them, the wild is read.
package mime

import (
	"io"

	"openmail"
)

// The limits of one mail. What lies beyond stands in the raw bytes only, and
// Content.Partial says so.
const (
	maxDepth      = 20        // multiparts within each other
	maxParts      = 1000      // of one mail, all levels together
	maxHeader     = 256 << 10 // bytes of one header block that are interpreted
	maxFields     = 500       // fields of one header block that we care for
	maxBoundary   = 256       // bytes; RFC 2046 section 5.1.1 says 70
	maxAddresses  = 1000      // of one address field
	maxReferences = 100       // the first and the newest are kept
	maxID         = 998       // bytes of a message id: one line
	maxLine       = 10_000    // bytes of a subject or a name
	maxText       = 5 << 20   // bytes of Content.Text
	maxHTML       = 10 << 20  // bytes of Content.HTML
	maxDefects    = 100       // of one mail
	maxFilename   = 200       // bytes
	guessWindow   = 16 << 10  // bytes in which a missing boundary is looked for
)

// Read finds what a mail's bytes say. It cannot fail: what is wrong is listed
// in Defects, and Partial is set where a limit cut something.
func Read(raw []byte) openmail.Content {
	r := reader{raw: raw}
	r.read()
	return r.out
}

// Open returns the decoded bytes of an attachment that Read found in raw:
// SizeBytes of them. It reads nothing when a does not belong to raw. The
// reader returns no error but io.EOF.
func Open(raw []byte, a openmail.Attachment) io.Reader {
	size := int64(len(raw))
	if a.Offset < 0 || a.Length < 0 || a.Offset > size || a.Length > size-a.Offset {
		return decoder("", nil)
	}
	return decoder(a.Encoding, raw[a.Offset:a.Offset+a.Length])
}

// reader is the state of one Read.
type reader struct {
	raw   []byte
	parts []part  // parents before their children
	open  []level // the multiparts around the place being read, outermost first
	names names
	out   openmail.Content

	textLeft, htmlLeft int   // bytes of text and HTML that may still be kept
	visited            int64 // bytes looked at: what the growth tests measure
}

func (r *reader) read() {
	r.textLeft, r.htmlLeft = maxText, maxHTML
	var buf [16]field
	h := header{fields: buf[:0]}
	body := r.header(&h, r.skipPreface())
	r.head(&h)
	e := r.entity(&h, "text/plain")
	r.classify(&h, e.report)
	r.structure(e, body)
	r.content()
}

// defect notes one kind of fault, once.
func (r *reader) defect(d openmail.Defect) {
	for _, known := range r.out.Defects {
		if known == d {
			return
		}
	}
	if len(r.out.Defects) < maxDefects {
		r.out.Defects = append(r.out.Defects, d)
	}
}

// cut notes a fault that made us leave something out.
func (r *reader) cut(d openmail.Defect) {
	r.defect(d)
	r.out.Partial = true
}
