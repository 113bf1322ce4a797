package mime

import (
	"strings"
)

// words decodes the encoded words of s (RFC 2047). Words that are malformed
// stay as they are.
func (r *reader) words(s string) string {
	r.visited += int64(len(s))
	if !strings.Contains(s, "=?") {
		return s
	}
	d := wordDecoder{}
	out := d.decode(s)
	r.visited += d.visited
	if d.invalid {
		r.defect(defectInvalidWord)
	}
	if d.unknown {
		r.defect(defectUnknownCharset)
	}
	return out
}

// wordDecoder decodes encoded words. The bytes of adjacent words of one
// charset are joined before they are decoded: senders split characters.
type wordDecoder struct {
	out     strings.Builder
	charset string
	pending []byte // decoded bytes in charset
	run     bool   // the last thing read was an encoded word

	invalid, unknown bool
	visited          int64
}

// word is one encoded word, taken apart.
type word struct {
	charset, text string
	base64        bool
}

func (d *wordDecoder) decode(s string) string {
	for {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, n, ok := cutWord(s[i:])
		d.visited += int64(i + n)
		if !ok {
			d.invalid = true
			d.literal(s[:i+n])
			s = s[i+n:]
			continue
		}
		if gap := s[:i]; !d.run || strings.TrimLeft(gap, " \t") != "" {
			d.literal(gap)
		}
		d.add(w)
		s = s[i+n:]
	}
	d.literal(s)
	d.flush()
	return d.out.String()
}

// cutWord takes the encoded word apart that s starts with and returns its
// length. When there is none, n bytes of s, at least two, hold none: that is
// what keeps the search linear.
func cutWord(s string) (w word, n int, ok bool) {
	p := 2 + strings.IndexByte(s[2:min(len(s), 82)], '?')
	if p < 3 || len(s) < p+3 || s[p+2] != '?' || strings.ContainsAny(s[2:p], " \t\"<>") {
		return word{}, 2, false
	}
	end := strings.Index(s[p+3:], "?=")
	if end < 0 {
		return word{}, len(s), false // and none can end further on
	}
	w.text = s[p+3 : p+3+end]
	if j := strings.LastIndex(w.text, "=?"); j >= 0 {
		return word{}, p + 3 + j, false // the end belongs to a later word
	}
	w.charset, _, _ = strings.Cut(s[2:p], "*") // RFC 2231 section 5: a language
	switch s[p+1] {
	case 'B', 'b':
		w.base64 = true
	case 'Q', 'q':
	default:
		return word{}, p + 3 + end + 2, false
	}
	return w, p + 3 + end + 2, true
}

func (d *wordDecoder) literal(s string) {
	if s != "" {
		d.flush()
		d.out.WriteString(s)
		d.run = false
	}
}

func (d *wordDecoder) add(w word) {
	if !strings.EqualFold(w.charset, d.charset) {
		d.flush()
		d.charset = w.charset
	}
	d.run = true
	if w.base64 {
		var clean bool
		if d.pending, clean = appendBase64(d.pending, w.text); !clean {
			d.invalid = true
		}
		return
	}
	d.pending = appendQ(d.pending, w.text)
}

func (d *wordDecoder) flush() {
	if len(d.pending) == 0 {
		return
	}
	s, fault := toUTF8(d.pending, d.charset)
	d.unknown = d.unknown || fault == defectUnknownCharset
	d.out.WriteString(s)
	d.pending = d.pending[:0]
}

// appendQ decodes the Q encoding (RFC 2047 section 4.2).
func appendQ(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// unhex is the value of a digit for which isHex holds.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
