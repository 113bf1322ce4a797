package smtpout

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxAddress is RFC 5321 section 4.5.3.1.3, with room for a domain that an
// international name makes longer.
const maxAddress = 512

// path is an address as MAIL and RCPT take it, its domain in ASCII (RFC 5890).
// ok is false for one that cannot be said in a command: that is told from
// spelling alone, so that no address can end a command or begin another.
func path(address string) (_ string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || len(address) > maxAddress || !utf8.ValidString(address) {
		return "", false
	}
	local, domain := address[:at], address[at+1:]
	if !isDotString(local) && !isQuoted(local) {
		return "", false
	}
	if !isASCII(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", false
		}
		domain = ascii
	}
	return local + "@" + domain, isLiteral(domain) || isHostName(domain)
}

// isDotString is RFC 5321 section 4.1.2 and RFC 6531 section 3.3, except that
// dots may stand anywhere: some providers have such addresses.
func isDotString(local string) bool {
	return strings.IndexFunc(local, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return false
		case r >= 0xA0:
			return false
		}
		return !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r)
	}) < 0
}

// isQuoted accepts a Quoted-string of RFC 5321 section 4.1.2.
func isQuoted(local string) bool {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return false
	}
	escaped := false
	for _, r := range local[1 : len(local)-1] {
		switch {
		case r < ' ' || r >= 0x7f && r < 0xA0, r == '"' && !escaped:
			return false
		}
		escaped = r == '\\' && !escaped
	}
	return !escaped
}

// isLiteral accepts an address in brackets (RFC 5321 section 4.1.3).
func isLiteral(domain string) bool {
	_, ok := literal(domain)
	return ok
}

func isHostName(domain string) bool {
	if domain == "" || len(domain) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.ToLower(domain), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// needs is what a server must be able to do for a mail to be offered to it.
type needs struct {
	size int
	utf8 bool // SMTPUTF8 (RFC 6531): the header or the sender's address has more than ASCII
	bit8 bool // 8BITMIME (RFC 6152)
}

func needsOf(from string, mail []byte) needs {
	header, _, _ := bytes.Cut(mail, []byte("\r\n\r\n"))
	return needs{size: len(mail), utf8: !isASCII(header) || !isASCII(from), bit8: !isASCII(mail)}
}

// isClean reports whether the mail may be sent: lines end in CRLF, and neither
// byte stands alone (RFC 5321 section 2.3.8), since servers disagree on what such
// a byte means, down to where a mail ends. It holds no NUL.
func isClean(mail []byte) bool {
	if bytes.IndexByte(mail, 0) >= 0 {
		return false
	}
	crlf := bytes.Count(mail, []byte("\r\n"))
	return crlf == bytes.Count(mail, []byte("\r")) && crlf == bytes.Count(mail, []byte("\n"))
}
