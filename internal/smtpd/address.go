package smtpd

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths in bytes (RFC 5321 section 4.5.3.1).
const (
	maxLocal   = 64
	maxDomain  = 255
	maxMailbox = 254 // a path of 256 without its brackets
	maxLabel   = 63  // RFC 1035 section 2.3.4
)

// addressFault is what is wrong with an address.
type addressFault string

func (f addressFault) Error() string { return string(f) }

const (
	errSyntax   = addressFault("not a mailbox (RFC 5321 section 4.1.2)")
	errNonASCII = addressFault("not ASCII, without SMTPUTF8")
	errRelaying = addressFault("asks us to relay")
)

// addressReply is the reply to a fault; syntax is the one for errSyntax.
func addressReply(fault error, syntax string) string {
	switch fault {
	case errNonASCII:
		return replyNonASCII
	case errRelaying:
		return "550 5.7.1 We do not relay"
	default:
		return syntax
	}
}

// cutPath takes the path off the argument of MAIL or RCPT, without its
// brackets. Spaces behind the colon are common, and do no harm.
func cutPath(arg, keyword string) (path, rest string, ok bool) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", false
	}
	arg = strings.TrimLeft(arg[len(keyword):], " ")
	end := pathEnd(arg)
	if end < 0 {
		return "", "", false
	}
	rest = arg[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", "", false
	}
	return arg[1:end], strings.Trim(rest, " "), true
}

// pathEnd is where the bracket is that closes the one s starts with; -1 if
// there is none. A bracket in quotes closes nothing.
func pathEnd(s string) int {
	if s == "" || s[0] != '<' {
		return -1
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// parseReversePath reads the sender; "" is the null reverse-path.
func parseReversePath(path string, utf8 bool) (string, error) {
	if path == "" {
		return "", nil
	}
	return path, checkMailbox(path, utf8)
}

// parseForwardPath reads a recipient. Postmaster needs no domain (RFC 5321
// section 4.1.1.3). A second address within the local part is an old way to ask
// for relaying.
func parseForwardPath(path, hostname string, utf8 bool) (string, error) {
	if strings.EqualFold(path, "postmaster") {
		return path + "@" + hostname, nil
	}
	if err := checkMailbox(path, utf8); err != nil {
		return "", err
	}
	if local := path[:strings.LastIndexByte(path, '@')]; strings.ContainsAny(local, "@%!") {
		return "", errRelaying
	}
	return path, nil
}

// checkMailbox checks s against Mailbox of RFC 5321 section 4.1.2, extended by
// RFC 6531 section 3.3 when utf8 is set.
func checkMailbox(s string, utf8 bool) error {
	if !utf8 && !isASCII(s) {
		return errNonASCII
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > maxLocal || len(s) > maxMailbox {
		return errSyntax
	}
	local, domain := s[:at], s[at+1:]
	if !validText(s) || !validLocal(local) || !validDomain(domain) && !validLiteral(domain) {
		return errSyntax
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// validText reports whether s is UTF-8 without control characters and without
// spaces other than U+0020, which quotes may hold.
func validText(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) || r != ' ' && unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// validLocal checks a Dot-string or a Quoted-string.
func validLocal(s string) bool {
	if s[0] == '"' {
		return validQuoted(s)
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsAny(atom, " \"(),:;<>@[\\]") {
			return false
		}
	}
	return true
}

func validQuoted(s string) bool {
	if len(s) < 3 || s[len(s)-1] != '"' {
		return false
	}
	inner := s[1 : len(s)-1]
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return false
		case '\\':
			if i++; i == len(inner) {
				return false
			}
		}
	}
	return true
}

func validDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

// validLabel checks a label: letters, digits and inner hyphens, of any script.
func validLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			return false
		}
	}
	return true
}

// validLiteral checks an address literal: [192.0.2.1] or [IPv6:2001:db8::1].
func validLiteral(s string) bool {
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' {
		return false
	}
	s = s[1 : len(s)-1]
	tag := "IPv6:"
	six := len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag)
	if six {
		s = s[len(tag):]
	}
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() == six && addr.Zone() == ""
}

// validHelo takes any visible ASCII: what clients say there is often not a
// name, and is no reason to refuse mail (RFC 5321 section 4.1.4).
func validHelo(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= maxDomain
}

// mailParams are the parameters of MAIL that we know.
type mailParams struct {
	size int64 // 0: not announced
	utf8 bool
}

// parseMailParams reads them; refused is the reply when they cannot be obeyed.
func parseMailParams(s string) (params mailParams, refused string) {
	seen := map[string]bool{}
	for field := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(field, "=")
		key = strings.ToUpper(key)
		if seen[key] {
			return params, "501 5.5.4 A parameter is there twice"
		}
		seen[key] = true
		if refused = params.set(key, value); refused != "" {
			return params, refused
		}
	}
	return params, ""
}

func (p *mailParams) set(key, value string) (refused string) {
	ok := false
	switch key {
	case "SIZE":
		p.size, ok = parseSize(value)
	case "BODY":
		ok = strings.EqualFold(value, "7BIT") || strings.EqualFold(value, "8BITMIME")
	case "SMTPUTF8":
		p.utf8, ok = true, value == ""
	default:
		return "555 5.5.4 Unknown parameter"
	}
	if !ok {
		return "501 5.5.4 Bad value of " + key
	}
	return ""
}
