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
	r.out.AutoReplyable = c == openmail.CategoryPersonal && h.word(fieldSuppress) == "" &&
		len(r.out.From) > 0 && !unanswered(r.out.From[0].Addr)
}

// category takes the report-type of a mail that is a report (RFC 6522 section 3).
func category(h *header, report string) openmail.Category {
	auto, precedence := h.word(fieldAutoSubmitted), h.word(fieldPrecedence)
	switch {
	case report == "delivery-status":
		return openmail.CategoryBounce
	case h.first(fieldListUnsubscribe) != nil && h.first(fieldListPost) == nil: // a list that one can write to is for talking
		return openmail.CategoryMarketing
	case report != "", auto != "" && auto != "no",
		precedence == "bulk" || precedence == "junk" || precedence == "list",
		h.first(fieldListID) != nil || h.first(fieldListPost) != nil:
		return openmail.CategoryAutomated
	}
	return openmail.CategoryPersonal
}

// word is what the first field of a kind begins with, in lower case.
func (h *header) word(k fieldKind) string {
	v := h.first(k)
	if i := bytes.IndexAny(v, ";,( \t"); i >= 0 {
		v = v[:i]
	}
	return strings.ToLower(string(v[:min(len(v), 20)]))
}

// unanswered reports whether nobody reads what is written to an address, by how
// such are called: a program, or whoever keeps a list.
func unanswered(addr string) bool {
	local, _, _ := strings.Cut(strings.ToLower(addr), "@")
	switch strings.NewReplacer("-", "", "_", "", ".", "").Replace(local) {
	case "mailerdaemon", "postmaster", "noreply", "donotreply":
		return true
	}
	return strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner")
}
