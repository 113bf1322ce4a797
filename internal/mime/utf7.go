package mime

import (
	"strings"
	"unicode/utf16"
)

// fromUTF7 decodes UTF-7 (RFC 2152). What is not of it stays as it is.
func fromUTF7(b []byte) string {
	var out strings.Builder
	out.Grow(len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '+' {
			out.WriteByte(b[i])
			continue
		}
		if i+1 < len(b) && b[i+1] == '-' {
			out.WriteByte('+')
			i++
			continue
		}
		n := shifted(&out, b[i+1:])
		i += n
		if n == 0 {
			out.WriteByte('+')
		} else if i+1 < len(b) && b[i+1] == '-' {
			i++
		}
	}
	return out.String()
}

// shifted decodes the base64 of UTF-16 that b starts with and returns how long
// it was.
func shifted(out *strings.Builder, b []byte) (n int) {
	var units []uint16
	var acc uint32
	bits := 0
	for n < len(b) && base64Value(b[n]) < 64 {
		acc = acc<<6 | uint32(base64Value(b[n]))
		if bits += 6; bits >= 16 {
			bits -= 16
			units = append(units, uint16(acc>>bits))
		}
		n++
	}
	out.WriteString(string(utf16.Decode(units)))
	return n
}
