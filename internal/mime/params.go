package mime

import (
	"strconv"
	"strings"
)

// param is a parameter of a structured field, its name in lower case.
type param struct{ name, value string }

// params are the parameters of Content-Type or Content-Disposition.
type params []param

// maxParams is how many parameters of a field are read.
const maxParams = 200

// param is the value of a parameter, its parts put together (RFC 2231), decoded;
// "" when absent. The extended form wins, as RFC 6266 section 4.3 asks of its
// readers.
func (r *reader) param(ps params, name string) string {
	if s, ok := r.extended(ps, name); ok {
		return s
	}
	for _, p := range ps {
		if p.name == name {
			return r.words(p.value)
		}
	}
	return ""
}

// extended reads name*, or name*0, name*1, …, each percent-encoded when its
// name ends in "*".
func (r *reader) extended(ps params, name string) (string, bool) {
	parts := parts2231(ps, name)
	if len(parts) == 0 {
		return "", false
	}
	var raw []byte
	charset, text := "", ""
	for i, p := range parts {
		if text = p.value; p.encoded {
			if i == 0 {
				charset, text = cutCharset(text)
			}
			text = percentDecode(text)
		}
		raw = append(raw, text...)
	}
	s, fault := toUTF8(raw, charset)
	if fault != "" {
		r.defect(fault)
	}
	return r.words(s), true
}

// part2231 is one part of a divided parameter.
type part2231 struct {
	value          string
	encoded, found bool
}

// parts2231 finds the parts of a parameter, in order, up to the first that is
// missing; the undivided form is one part. Some senders count from one.
func parts2231(ps params, name string) []part2231 {
	var slots []part2231
	for _, p := range ps {
		if len(p.name) <= len(name) || p.name[len(name)] != '*' || !strings.HasPrefix(p.name, name) {
			continue
		}
		number, encoded := strings.CutSuffix(p.name[len(name)+1:], "*")
		if number == "" {
			return []part2231{{p.value, true, true}}
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= maxParams {
			continue
		}
		for len(slots) <= n {
			slots = append(slots, part2231{})
		}
		if !slots[n].found {
			slots[n] = part2231{p.value, encoded, true}
		}
	}
	if len(slots) > 1 && !slots[0].found {
		slots = slots[1:]
	}
	for i := range slots {
		if !slots[i].found {
			return slots[:i]
		}
	}
	return slots
}

// cutCharset cuts charset'language' off an extended value.
func cutCharset(s string) (charset, rest string) {
	charset, after, ok := strings.Cut(s, "'")
	if !ok {
		return "", s
	}
	if _, text, ok := strings.Cut(after, "'"); ok {
		return charset, text
	}
	return "", s
}

func percentDecode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// structured takes the value of Content-Type or Content-Disposition apart:
// its first word in lower case, and its parameters.
func (r *reader) structured(v []byte) (value string, ps params) {
	if len(v) == 0 {
		return "", nil
	}
	s := r.headerString(v)
	i := strings.IndexAny(s, "; \t(")
	if i < 0 {
		return strings.ToLower(s), nil
	}
	value, s = strings.ToLower(s[:i]), s[i:]
	for s != "" && len(ps) < maxParams {
		var p param
		p, s = cutParam(s)
		if p.name != "" {
			ps = append(ps, p)
		}
	}
	return value, ps
}

// cutParam cuts one parameter off s. Semicolons between them may be missing.
func cutParam(s string) (p param, rest string) {
	s = strings.TrimLeft(s, "; \t")
	i := strings.IndexAny(s, "=; \t")
	if i < 0 {
		return p, ""
	}
	name := s[:i]
	s = strings.TrimLeft(s[i:], " \t")
	if !strings.HasPrefix(s, "=") {
		return p, s
	}
	p.name = strings.ToLower(strings.Trim(name, "\"'"))
	s = strings.TrimLeft(s[1:], " \t")
	if strings.HasPrefix(s, `"`) {
		p.value, rest = cutQuoted(s[1:])
		return p, rest
	}
	p.value, rest = cutToken(s, strings.HasPrefix(p.name, "filename") || strings.HasPrefix(p.name, "name"))
	return p, rest
}

// cutQuoted cuts a quoted string whose opening quote is gone. A backslash
// quotes only what needs it: Windows paths are sent as they are.
func cutQuoted(s string) (value, rest string) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			out.WriteByte(s[i])
		case c == '"':
			return out.String(), s[i+1:]
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), ""
}

// cutToken cuts an unquoted value. Names of files are sent with blanks.
func cutToken(s string, blanks bool) (value, rest string) {
	stop := "; \t"
	if blanks {
		stop = ";"
	}
	i := strings.IndexAny(s, stop)
	if i < 0 {
		i = len(s)
	}
	return strings.TrimSpace(s[:i]), s[i:]
}
