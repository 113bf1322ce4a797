package mime

import (
	"bytes"
	"strings"

	"openmail"
)

// classify tells from the header what kind of mail it is, and whether a program
// may answer it (RFC 3834 section 2).
func (r *reader) classify(h *header, report string) {
	c := category(h, report)
	r.out.Category = c
	r.out.AutoReplyable = c == openmail.CategoryPersonal && !h.says(fieldSuppress, func(w string) bool { return w != "none" }) &&
		len(r.out.From) > 0 && !unanswered(r.out.From[0].Addr)
}

// category takes the report-type of a mail that is a report (RFC 6522 section 3).
func category(h *header, report string) openmail.Category {
	switch {
	case report == "delivery-status":
		return openmail.CategoryBounce
	case h.first(fieldListUnsubscribe) != nil && h.first(fieldListPost) == nil: // a list that one can write to is for talking
		return openmail.CategoryMarketing
	case report != "",
		h.says(fieldAutoSubmitted, func(w string) bool { return w != "no" }),
		h.says(fieldPrecedence, func(w string) bool { return w == "bulk" || w == "junk" || w == "list" }),
		h.first(fieldListID) != nil || h.first(fieldListPost) != nil:
		return openmail.CategoryAutomated
	}
	return openmail.CategoryPersonal
}

// says reports whether what holds of a word that one of a kind's fields has, of
// those that a comma divides; in lower case, without comments and quotes. What a
// semicolon or a blank divides from the word is not part of it.
func (h *header) says(k fieldKind, what func(word string) bool) bool {
	for i := range h.fields {
		if h.fields[i].kind != k {
			continue
		}
		for item := range bytes.SplitSeq(uncommented(unfold(h.fields[i].value)), []byte(",")) {
			word := bytes.Trim(item, " \t\"")
			if end := bytes.IndexAny(word, "; \t\""); end >= 0 {
				word = word[:end]
			}
			if len(word) > 0 && what(strings.ToLower(string(word[:min(len(word), 20)]))) {
				return true
			}
		}
	}
	return false
}

// uncommented is a value without its comments (RFC 5322 section 3.2.2), each a
// blank.
func uncommented(v []byte) []byte {
	if bytes.IndexByte(v, '(') < 0 {
		return v
	}
	out, depth := make([]byte, 0, len(v)), 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\' && depth > 0:
			i++ // a quoted-pair
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				out = append(out, ' ')
			}
		case depth == 0:
			out = append(out, c)
		}
	}
	return out
}

// unanswered reports whether nobody reads what is written to an address, by how
// such are called, with a number or a tag as without: a program, or whoever keeps
// a list.
func unanswered(addr string) bool {
	local, _, _ := strings.Cut(strings.ToLower(addr), "@")
	local, _, _ = strings.Cut(local, "+")
	name := strings.TrimRight(local, "0123456789-_.")
	switch strings.NewReplacer("-", "", "_", "", ".", "").Replace(name) {
	case "mailerdaemon", "postmaster", "noreply", "donotreply":
		return true
	}
	return strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner")
}
