package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// DecodeText is the text of a file of which nobody says the charset: UTF-8, or
// UTF-16 where a byte order mark says so, or else windows-1252. The result is
// valid UTF-8 without NUL, its lines end with "\n", and text that is smuggled
// in invisible characters is cut.
func DecodeText(b []byte) string {
	name := ""
	if bytes.HasPrefix(b, []byte{0xfe, 0xff}) || bytes.HasPrefix(b, []byte{0xff, 0xfe}) {
		name = "utf-16"
	}
	s, _ := toUTF8(b, name)
	return tidy(s)
}

// DecodeHTML is the text that a person would see of an HTML file.
func DecodeHTML(b []byte) string {
	if bytes.HasPrefix(b, []byte{0xfe, 0xff}) || bytes.HasPrefix(b, []byte{0xff, 0xfe}) {
		s, _ := toUTF8(b, "utf-16")
		b = []byte(s)
	}
	s, _ := htmlToUTF8(b, "")
	s, _ = TextFromHTML(s)
	return s
}

// CleanText is s as valid UTF-8 without NUL, with "\n" at the ends of its
// lines and without smuggled text.
func CleanText(s string) string {
	s, _ = clean(s)
	return tidy(s)
}

func tidy(s string) string {
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	s, _ = withoutSmuggled(s)
	return s
}

// CutRunes is s cut to n characters at most.
func CutRunes(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
