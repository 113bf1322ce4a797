package mime

import (
	"strings"

	"openmail"
)

// addresses reads all address fields of a kind (RFC 5322 section 3.4), the
// first field's addresses first. Groups are flattened; what holds no address
// is left out and noted.
func (r *reader) addresses(h *header, k fieldKind) []openmail.Address {
	var list []openmail.Address
	for i := range h.fields {
		if h.fields[i].kind != k {
			continue
		}
		p := addressParser{r: r, s: r.headerString(unfold(h.fields[i].value)), list: list}
		p.parse()
		list = p.list
	}
	return list
}

// addressParser reads an address list leniently. It goes through s once:
// whatever is opened and never closed is found out once and then taken
// literally.
type addressParser struct {
	r    *reader
	s    string
	pos  int
	list []openmail.Address

	phrase  strings.Builder // outside of brackets, quotes removed
	comment string          // the last one
	angle   string          // what stood in <>
	bracket bool            // there was a <>
	bare    bool            // phrase holds an unquoted @

	noQuote, noComment bool // no closing one follows
	full               bool
}

func (p *addressParser) parse() {
	for p.pos < len(p.s) && !p.full {
		c := p.s[p.pos]
		p.pos++
		p.r.visited++
		switch c {
		case '"':
			p.quoted()
		case '(':
			p.commented()
		case '<':
			p.angled()
		case ',':
			p.comma()
		case ';':
			p.finish()
		case ':':
			p.colon()
		default:
			p.bare = p.bare || c == '@'
			p.phrase.WriteByte(c)
		}
	}
	p.finish()
}

// quoted reads a quoted string whose opening quote was just read.
func (p *addressParser) quoted() {
	if p.noQuote {
		return
	}
	var text strings.Builder
	for i := p.pos; i < len(p.s); i++ {
		p.r.visited++
		switch c := p.s[i]; {
		case c == '\\' && i+1 < len(p.s):
			i++
			text.WriteByte(p.s[i])
		case c == '"':
			if i+1 < len(p.s) && p.s[i+1] == '@' {
				p.quotedLocal(i + 1)
				return
			}
			p.phrase.WriteString(text.String())
			p.pos = i + 1
			return
		default:
			text.WriteByte(c)
		}
	}
	p.noQuote = true
}

// quotedLocal reads an address without brackets whose local part is a quoted
// string, which keeps its quotes; it ends before the @ at the index at.
func (p *addressParser) quotedLocal(at int) {
	end := len(p.s)
	if i := strings.IndexAny(p.s[at:], ",; \t<>()\""); i >= 0 {
		end = at + i
	}
	p.r.visited += int64(end - at)
	p.angle, p.bracket = p.s[p.pos-1:end], true
	p.pos = end
}

// commented reads a comment, which may hold comments, whose opening
// parenthesis was just read.
func (p *addressParser) commented() {
	if p.noComment {
		p.phrase.WriteByte('(')
		return
	}
	depth := 1
	for i := p.pos; i < len(p.s); i++ {
		p.r.visited++
		switch p.s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			p.comment = p.s[p.pos:i]
			p.pos = i + 1
			p.phrase.WriteByte(' ')
			return
		}
	}
	p.noComment = true
	p.phrase.WriteByte('(')
}

// angled reads an address in brackets whose opening one was just read. Without
// a closing one before the next address it ends at a comma or at white space.
func (p *addressParser) angled() {
	rest := p.s[p.pos:]
	stop := "<>,"
	if strings.HasPrefix(rest, "@") || strings.HasPrefix(rest, `"`) {
		stop = "<>" // a route and a quoted local part may have commas
	}
	end, skip := strings.IndexAny(rest, stop), 1
	if end < 0 || rest[end] != '>' {
		p.r.defect(defectInvalidAddress)
		if end = strings.IndexAny(rest, ",; \t"); end < 0 {
			end = len(rest)
		}
		skip = 0
	}
	p.r.visited += int64(end)
	if !p.bracket || !validAddr(p.angle) {
		p.angle = stripRoute(rest[:end])
	}
	p.bracket = true
	p.pos += end + skip
}

// stripRoute removes the source route of RFC 5322 section 4.4, and "mailto:".
func stripRoute(addr string) string {
	addr = strings.TrimSpace(addr)
	if strings.HasPrefix(addr, "@") {
		if i := strings.IndexByte(addr, ':'); i >= 0 {
			addr = addr[i+1:]
		}
	}
	if len(addr) > 7 && strings.EqualFold(addr[:7], "mailto:") {
		addr = addr[7:]
	}
	return strings.TrimSpace(addr)
}

// comma ends an address. A comma after a name without an address belongs to
// the name: Doe, John <john@example.com>.
func (p *addressParser) comma() {
	if p.bracket || p.bare || !p.nameFollows() {
		p.finish()
		return
	}
	p.phrase.WriteByte(',')
}

// nameFollows reports whether a bracket comes before the next comma.
func (p *addressParser) nameFollows() bool {
	rest := p.s[p.pos:]
	i := strings.IndexAny(rest, ",;<@\"")
	if i < 0 {
		i = len(rest)
	}
	p.r.visited += int64(i)
	return p.phrase.Len() > 0 && i < len(rest) && rest[i] == '<'
}

// colon ends a group's name (RFC 5322 section 3.4), or the scheme of a mailto.
func (p *addressParser) colon() {
	if p.bracket || p.bare {
		p.phrase.WriteByte(':')
		return
	}
	p.reset()
}

func (p *addressParser) reset() {
	p.phrase.Reset()
	p.comment, p.angle, p.bracket, p.bare = "", "", false, false
}

// finish adds the address that was read, if one was.
func (p *addressParser) finish() {
	a, ok := p.address()
	switch {
	case ok && len(p.list) >= maxAddresses:
		p.full = true
		p.r.cut(defectTooManyAddrs)
	case ok:
		p.list = append(p.list, a)
	case p.bracket && p.angle != "", strings.TrimSpace(p.phrase.String()) != "":
		p.r.defect(defectInvalidAddress)
	}
	p.reset()
}

func (p *addressParser) address() (openmail.Address, bool) {
	name, addr := strings.TrimSpace(p.phrase.String()), p.angle
	if !p.bracket {
		name, addr = splitBare(name)
	}
	if !validAddr(addr) {
		return openmail.Address{}, false
	}
	if name == "" {
		name = p.comment
	}
	name = p.r.words(name)
	if strings.IndexByte(name, ' ') >= 0 || !isASCII(name) {
		name = strings.Join(strings.Fields(name), " ")
	}
	return openmail.Address{Name: cutString(strings.TrimSpace(withoutControls(name)), 1000), Addr: addr}, true
}

// splitBare takes an address without brackets from the words of a phrase; the
// other words are a name.
func splitBare(phrase string) (name, addr string) {
	if strings.IndexByte(phrase, ' ') < 0 && strings.IndexByte(phrase, '\t') < 0 {
		return "", strings.Trim(phrase, "<>()'")
	}
	var others []string
	for _, w := range strings.Fields(phrase) {
		if addr == "" && strings.IndexByte(w, '@') > 0 {
			addr = strings.Trim(w, "<>()'")
			continue
		}
		others = append(others, w)
	}
	return strings.Join(others, " "), addr
}

// validAddr reports whether s may pass as local-part@domain. It has no
// blanks outside of a quoted local part, no controls and no brackets.
func validAddr(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 500 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if len(local) > 2 && local[0] == '"' && local[len(local)-1] == '"' {
		local = strings.ReplaceAll(local[1:len(local)-1], " ", "")
	}
	return !strings.ContainsFunc(local, notInAddr) && !strings.ContainsFunc(domain, notInDomain)
}

func notInAddr(c rune) bool {
	return c <= ' ' || c >= 0x7f && c <= 0xa0 || c == '<' || c == '>' || c == '\u2028' || c == '\u2029' || c == '\ufffd'
}

func notInDomain(c rune) bool {
	return notInAddr(c) || strings.ContainsRune(`@",;()\`, c)
}
