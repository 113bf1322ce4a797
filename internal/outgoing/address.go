package outgoing

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"openmail"
)

// Lengths of an address in bytes (RFC 5321 section 4.5.3.1).
const (
	maxLocal = 64
	maxAddr  = 254
	// maxDomain is what is made ASCII at all: that takes time by the square
	// of what there is, and no character of such a name is less than one.
	maxDomain = 4 * maxAddr
)

// parseAddress reads one address as a person or a program writes it: bare, in
// brackets, or in brackets behind a name. Its domain becomes lower case and
// ASCII. Nothing that it returns can end a line of a header.
func parseAddress(field, text string) (openmail.Address, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		return openmail.Address{}, bad(field, "%s has no control characters or line breaks.", field)
	}
	text = strings.TrimSpace(text)
	name, addr := "", text
	if inside, ok := strings.CutSuffix(text, ">"); ok {
		before, after, ok := cutLast(inside, "<")
		if !ok {
			return openmail.Address{}, notAddress(field)
		}
		name, addr = strings.TrimSpace(before), strings.TrimSpace(after)
	}
	name, ok := unquote(name)
	if !ok || utf8.RuneCountInString(name) > maxName {
		return openmail.Address{}, notAddress(field)
	}
	addr, ok = canonical(addr)
	if !ok {
		return openmail.Address{}, notAddress(field)
	}
	return openmail.Address{Name: name, Addr: addr}, nil
}

func notAddress(field string) error {
	return bad(field, "%s is not one address such as jane@example.com or Jane <jane@example.com>.", field)
}

// unquote takes the quotes from a name. A name without quotes that holds what
// separates addresses is more than a name.
func unquote(name string) (string, bool) {
	inside, ok := strings.CutPrefix(name, `"`)
	if !ok {
		return name, !strings.ContainsAny(name, `<>@;"`)
	}
	inside, ok = strings.CutSuffix(inside, `"`)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(inside); i++ {
		switch inside[i] {
		case '\\':
			if i++; i == len(inside) {
				return "", false
			}
		case '"':
			return "", false
		}
		b.WriteByte(inside[i])
	}
	return b.String(), true
}

// canonical is an address that can stand in an envelope: a dot-atom before the
// @, which may have more than ASCII (RFC 6531 section 3.3), and a domain name in
// ASCII behind it.
func canonical(addr string) (string, bool) {
	local, domain, ok := cutLast(addr, "@")
	if !ok || !dotAtom(local) || len(domain) > maxDomain {
		return "", false
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !hostname(domain) || len(local)+1+len(domain) > maxAddr {
		return "", false
	}
	return local + "@" + strings.ToLower(domain), true
}

// dotAtom reports whether s is one (RFC 5322 section 3.2.3, RFC 6532 section
// 3.2).
func dotAtom(s string) bool {
	if s == "" || len(s) > maxLocal {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !atext(r) }) {
			return false
		}
	}
	return true
}

// atext reports whether r may stand in an atom. Of what is not ASCII that is
// what can be seen: neither blanks nor what turns the direction of writing.
func atext(r rune) bool {
	if r >= 0xa0 {
		return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.IsSpace(r)
	}
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// hostname reports whether s is a domain name in ASCII, and no address of a
// network in digits.
func hostname(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notInLabel) {
			return false
		}
	}
	return strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r < '0' || r > '9' })
}

func notInLabel(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
}

// control reports whether r must not stand in a header.
func control(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// same reports whether two addresses are one mailbox's for all that we know:
// case does not count.
func same(a, b string) bool { return strings.EqualFold(a, b) }
