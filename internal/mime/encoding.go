package mime

import (
	"bytes"
	"io"
)

// The transfer encodings (RFC 2045 section 6), in lower case. Every other name
// means that the bytes stand for themselves.
const (
	encodingBase64 = "base64"
	encodingQuoted = "quoted-printable"
	encodingUU     = "x-uuencode"
)

// decoder reads src decoded. It skips what does not belong to the encoding.
func decoder(name string, src []byte) io.Reader {
	switch name {
	case encodingBase64:
		return &base64Reader{src: src}
	case encodingQuoted:
		return &quotedReader{src: src}
	case encodingUU:
		return &uuReader{src: src}
	}
	return bytes.NewReader(src)
}

// decodedSize is how many bytes decoder will read. It keeps none of them, and
// tells whether src was wholly of the encoding.
func decodedSize(name string, src []byte) (size int64, clean bool) {
	switch name {
	case encodingBase64:
		return base64Size(src)
	case encodingQuoted:
		q := quotedReader{src: src}
		return drain(&q), !q.invalid
	case encodingUU:
		return drain(&uuReader{src: src}), true
	}
	return int64(len(src)), true
}

func drain(r io.Reader) (size int64) {
	var buf [2048]byte
	for {
		n, err := r.Read(buf[:])
		if size += int64(n); err != nil {
			return size
		}
	}
}

// Values of base64Value for bytes that are no digit.
const (
	base64Pad   = 64
	base64Space = 65
	base64Junk  = 66
)

// base64Values maps a byte to its value in base64.
var base64Values = func() (t [256]uint8) {
	for i := range t {
		t[i] = base64Junk
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = uint8(i)
	}
	t['='] = base64Pad
	for _, c := range []byte(" \t\r\n") {
		t[c] = base64Space
	}
	return t
}()

func base64Value(c byte) uint8 { return base64Values[c] }

// base64Size counts what base64Reader will read.
func base64Size(src []byte) (size int64, clean bool) {
	var digits int64 // since the last padding
	var junk uint8
	for _, c := range src {
		v := base64Values[c]
		if v < base64Pad {
			digits++
			continue
		}
		junk = max(junk, v)
		if v == base64Pad {
			size += digits * 3 / 4
			digits = 0
		}
	}
	return size + digits*3/4, junk < base64Junk
}

// appendBase64 decodes the base64 of an encoded word.
func appendBase64(dst []byte, s string) (out []byte, clean bool) {
	src := []byte(s)
	size, clean := base64Size(src)
	d := base64Reader{src: src}
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	n, _ := io.ReadFull(&d, dst[start:]) // fails at the end of src only
	return dst[:start+n], clean
}

// base64Reader decodes base64 (RFC 2045 section 6.8). It skips bytes that are
// no digits; padding ends a group and more may follow, as when texts that were
// encoded one by one are put together.
type base64Reader struct {
	src  []byte
	out  [3]byte
	have []byte // of out, not yet read
}

func (d *base64Reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for n < len(p) {
		if len(d.have) == 0 {
			if n+3 <= len(p) && d.whole(p[n:]) {
				n += 3
				continue
			}
			if !d.group() {
				break
			}
		}
		c := copy(p[n:], d.have)
		d.have = d.have[c:]
		n += c
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// whole decodes the next four bytes into p when all are digits.
func (d *base64Reader) whole(p []byte) bool {
	if len(d.src) < 4 {
		return false
	}
	a, b, c, e := base64Values[d.src[0]], base64Values[d.src[1]], base64Values[d.src[2]], base64Values[d.src[3]]
	if (a|b|c|e)&^63 != 0 {
		return false
	}
	p[0], p[1], p[2] = a<<2|b>>4, b<<4|c>>2, c<<6|e
	d.src = d.src[4:]
	return true
}

// group decodes the next group into have. It is false at the end.
func (d *base64Reader) group() bool {
	var acc uint32
	digits := 0
	for i, c := range d.src {
		v := base64Values[c]
		if v < base64Pad {
			acc = acc<<6 | uint32(v)
			digits++
		}
		if digits == 4 || v == base64Pad && digits > 1 {
			d.src = d.src[i+1:]
			d.emit(acc, digits)
			return true
		}
		if v == base64Pad {
			acc, digits = 0, 0
		}
	}
	d.src = nil
	d.emit(acc, digits)
	return len(d.have) > 0
}

func (d *base64Reader) emit(acc uint32, digits int) {
	acc <<= 6 * (4 - digits)
	d.out = [3]byte{byte(acc >> 16), byte(acc >> 8), byte(acc)}
	d.have = d.out[:digits*3/4]
}

// quotedReader decodes quoted-printable (RFC 2045 section 6.7). White space at
// the end of a line is dropped, as that section asks; an "=" that starts
// nothing stands for itself.
type quotedReader struct {
	src     []byte
	literal int  // bytes of src that are known to stand for themselves
	invalid bool // an "=" started nothing
}

func (d *quotedReader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n += d.plain(p[n:])
		if n == len(p) || len(d.src) == 0 {
			break
		}
		c := d.src[0]
		switch {
		case d.literal > 0:
			d.literal--
		case c == ' ' || c == '\t':
			if d.skipTrailing(0) {
				continue
			}
		case c == '=':
			var ok bool
			if c, ok = d.escape(); !ok {
				continue
			}
			p[n] = c
			n++
			continue
		}
		p[n] = c
		n++
		d.src = d.src[1:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// plain copies what stands for itself at first sight.
func (d *quotedReader) plain(p []byte) int {
	if d.literal > 0 {
		return 0
	}
	src, i := d.src, 0
	for i < len(p) && i < len(src) {
		c := src[i]
		if c == '=' || (c == ' ' || c == '\t') && (i+1 == len(src) || src[i+1] <= ' ') {
			break
		}
		i++
	}
	copy(p, src[:i])
	d.src = src[i:]
	return i
}

// skipTrailing drops the first from bytes of src and the white space after
// them when a line ends there. When it does not, the white space is marked as
// literal, so that nobody looks at it twice.
func (d *quotedReader) skipTrailing(from int) bool {
	end := from
	for end < len(d.src) && (d.src[end] == ' ' || d.src[end] == '\t') {
		end++
	}
	rest := d.src[end:]
	if len(rest) == 0 || rest[0] == '\n' || rest[0] == '\r' && len(rest) > 1 && rest[1] == '\n' {
		d.src = rest
		return true
	}
	d.literal = end - from
	if from == 0 {
		d.literal-- // the byte at hand is taken by the caller
	}
	return false
}

// escape reads what an "=" starts. It is false when that is nothing, a soft
// line break.
func (d *quotedReader) escape() (c byte, ok bool) {
	s := d.src
	if len(s) > 2 && isHex(s[1]) && isHex(s[2]) {
		d.src = s[3:]
		return unhex(s[1])<<4 | unhex(s[2]), true
	}
	if d.skipTrailing(1) {
		d.src = bytes.TrimPrefix(d.src, []byte("\r"))
		d.src = bytes.TrimPrefix(d.src, []byte("\n"))
		return 0, false
	}
	d.invalid = true
	d.src = s[1:]
	return '=', true
}

// uuReader decodes one uuencoded file: from its begin line, if there is one,
// to its end line.
type uuReader struct {
	src     []byte
	started bool
	out     [48]byte
	have    []byte // of out, not yet read
}

func (d *uuReader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(d.have) == 0 {
		if !d.line() {
			return 0, io.EOF
		}
	}
	n = copy(p, d.have)
	d.have = d.have[n:]
	return n, nil
}

// line decodes the next line into have. It is false at the end of the file.
func (d *uuReader) line() bool {
	if !d.started {
		d.started = true
		if i := uuBegin(d.src); i >= 0 {
			d.src = d.src[i:]
			_, d.src, _ = bytes.Cut(d.src, []byte("\n"))
		}
	}
	line, rest, _ := bytes.Cut(d.src, []byte("\n"))
	d.src = rest
	line = bytes.TrimRight(line, "\r")
	if len(line) == 0 {
		return len(rest) > 0
	}
	size := min(int(line[0]-' ')&63, len(d.out))
	if size == 0 || string(line) == "end" {
		return false
	}
	d.have = uuLine(d.out[:0], line[1:], size)
	return true
}

// uuLine decodes size bytes of a line, or as many as it has.
func uuLine(dst, line []byte, size int) []byte {
	for len(line) > 1 && len(dst) < size {
		var v [4]byte
		for i := range min(4, len(line)) {
			v[i] = (line[i] - ' ') & 63
		}
		group := [3]byte{v[0]<<2 | v[1]>>4, v[1]<<4 | v[2]>>2, v[2]<<6 | v[3]}
		dst = append(dst, group[:min(3, size-len(dst))]...)
		line = line[min(4, len(line)):]
	}
	return dst
}

// uuBegin is where the first begin line of b starts: "begin", a mode of three
// or four octal digits, a name. It is -1 when there is none.
func uuBegin(b []byte) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte("begin "))
		if i < 0 {
			return -1
		}
		at := from + i
		if (at == 0 || b[at-1] == '\n') && uuMode(b[at+6:]) > 0 {
			return at
		}
		from = at + 6
	}
}

// uuMode is the length of the mode and the blank after it that b starts with,
// 0 when there is none.
func uuMode(b []byte) int {
	n := 0
	for n < len(b) && n < 4 && '0' <= b[n] && b[n] <= '7' {
		n++
	}
	if n < 3 || n+1 >= len(b) || b[n] != ' ' || b[n+1] == '\r' || b[n+1] == '\n' {
		return 0
	}
	return n + 1
}
