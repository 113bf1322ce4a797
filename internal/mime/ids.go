package mime

import (
	"strings"
)

// ids reads the fields of message ids (RFC 5322 section 3.6.4).
func (r *reader) ids(h *header) {
	if v := h.first(fieldMessageID); v != nil {
		if own := r.messageIDs(v); len(own) > 0 {
			r.out.MessageID = own[0]
		} else {
			r.defect(defectInvalidMessageID)
		}
	}
	r.out.InReplyTo = r.cappedIDs(h.first(fieldInReplyTo))
	r.out.References = r.cappedIDs(h.first(fieldReferences))
}

// cappedIDs keeps the first id, the thread's root, and the newest ones.
func (r *reader) cappedIDs(v []byte) []string {
	list := r.messageIDs(v)
	if len(list) <= maxReferences {
		return list
	}
	r.out.Partial = true
	kept := make([]string, 0, maxReferences)
	kept = append(kept, list[0])
	return append(kept, list[len(list)-maxReferences+1:]...)
}

// messageIDs finds the ids in v, in brackets. Words around them are skipped;
// where there are no brackets at all, the words with an @ are taken as ids.
func (r *reader) messageIDs(v []byte) []string {
	if len(v) == 0 {
		return nil
	}
	s := r.headerString(v)
	var list []string
	for rest := s; ; {
		_, after, found := strings.Cut(rest, "<")
		if !found {
			break
		}
		inside, after, found := strings.Cut(after, ">")
		if !found {
			break
		}
		if i := strings.LastIndexByte(inside, '<'); i >= 0 {
			inside = inside[i+1:]
		}
		if id, ok := messageID(inside); ok {
			list = append(list, id)
		}
		rest = after
	}
	if list == nil {
		list = bareIDs(s)
	}
	return list
}

func bareIDs(s string) (list []string) {
	for _, w := range strings.Fields(s) {
		w = strings.Trim(w, "<>,;\"'")
		if at := strings.IndexByte(w, '@'); at > 0 && at < len(w)-1 {
			if id, ok := messageID(w); ok {
				list = append(list, id)
			}
		}
	}
	return list
}

// messageID puts brackets around an id. White space within it comes from
// folding and is removed.
func messageID(inside string) (id string, ok bool) {
	if strings.ContainsAny(inside, " \t") {
		inside = strings.Join(strings.Fields(inside), "")
	}
	if inside == "" || inside == "@" || len(inside) > maxID || strings.ContainsFunc(inside, notInAddr) {
		return "", false
	}
	return "<" + inside + ">", true
}
