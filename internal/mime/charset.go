package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"openmail"
)

// toUTF8 decodes b from a charset. The result is valid UTF-8 without NUL. The
// fault is "" when all went well.
func toUTF8(b []byte, name string) (s string, fault openmail.Defect) {
	name = charsetName(name)
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
		return fromUTF8(b, name)
	case "utf-7", "unicode-1-1-utf-7", "csunicode11utf7":
		return clean(fromUTF7(b))
	}
	enc := encodingOf(name)
	if enc == nil {
		s, _ = guess(b)
		return s, defectUnknownCharset
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		s, _ = guess(b)
		return s, defectInvalidChars
	}
	return clean(string(out))
}

// fromUTF8 reads what is said to be UTF-8, or ASCII, or nothing at all.
// Undeclared bytes that are not UTF-8 are read as windows-1252; damage in
// declared UTF-8 is replaced character by character.
func fromUTF8(b []byte, name string) (string, openmail.Defect) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if utf8.Valid(b) {
		return clean(string(b))
	}
	if strings.HasPrefix(name, "utf") {
		s, _ := clean(string(b))
		return s, defectInvalidChars
	}
	s, _ := guess(b)
	return s, defectGuessedCharset
}

// clean removes NUL and a byte order mark and replaces what is not UTF-8.
func clean(s string) (string, openmail.Defect) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	if strings.IndexByte(s, 0) >= 0 {
		return strings.ReplaceAll(s, "\x00", ""), defectInvalidChars
	}
	return s, ""
}

// guess reads bytes of an unknown charset: as UTF-8 if they are, else as
// windows-1252, which every byte sequence is.
func guess(b []byte) (s string, guessed bool) {
	if utf8.Valid(b) {
		s, _ = clean(string(b))
		return s, false
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil { // it maps every byte
		out = b
	}
	s, _ = clean(string(out))
	return s, true
}

// charsetName is a charset's name in lower case, without what senders put
// around it.
func charsetName(name string) string {
	return strings.ToLower(strings.Trim(name, " \t\"';=:<>()"))
}

// encodingOf finds a charset by the names that mail uses, as browsers read
// them (iso-8859-1 is windows-1252, gb2312 is gbk), else by IANA's register.
// It is nil for a charset that nobody knows.
func encodingOf(name string) encoding.Encoding {
	switch name {
	case "utf-16", "utf16", "ucs-2", "iso-10646-ucs-2": // RFC 2781 section 4.3
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "utf-32":
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM)
	case "iso-8859-1-windows-3.1-latin-1", "8859-1", "iso8859_1", "ansi", "cp-1252", "windows1252", "latin-1":
		name = "windows-1252"
	case "cp932", "ms932", "windows-932", "sjis", "x-ms-cp932":
		name = "shift_jis"
	case "cp936", "ms936", "windows-936":
		name = "gbk"
	case "cp949", "ms949", "windows-949", "x-windows-949", "uhc":
		name = "euc-kr"
	case "cp950", "windows-950":
		name = "big5"
	}
	if enc, err := htmlindex.Get(name); err == nil && enc != encoding.Replacement {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(name); err == nil {
		return enc
	}
	return nil
}

// htmlToUTF8 is toUTF8 for HTML, which may name its charset itself.
func htmlToUTF8(b []byte, name string) (string, openmail.Defect) {
	if charsetName(name) != "" || utf8.Valid(b) {
		return toUTF8(b, name)
	}
	enc, found, _ := charset.DetermineEncoding(b, "")
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil || found == "windows-1252" { // the default there, too
		return toUTF8(b, "")
	}
	return clean(string(out))
}

func isASCII[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cutString is s cut to n bytes at most, between characters.
func cutString(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
