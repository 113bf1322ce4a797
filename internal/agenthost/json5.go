package agenthost

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth is how deep values may stand in each other.
const maxDepth = 200

// syntaxError is what is not JSON5, and where.
type syntaxError struct {
	at   int // a byte
	text string
}

func (e *syntaxError) Error() string { return e.text }

// scanner finds where the parts of a JSON5 text begin and end
// (https://spec.json5.org). What a number or a word means it leaves open.
type scanner struct {
	text string
	at   int
}

func (s *scanner) fail(format string, args ...any) error {
	return &syntaxError{s.at, fmt.Sprintf(format, args...)}
}

// peek is the next byte; 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// unexpected is the error of what stands here instead of something else.
func (s *scanner) unexpected(want string) error {
	if s.at >= len(s.text) {
		return s.fail("it ends where %s should be", want)
	}
	r, _ := utf8.DecodeRuneInString(s.text[s.at:])
	return s.fail("%q where %s should be", r, want)
}

// between takes what stands between two parts: spaces and comments.
func (s *scanner) between() (string, error) {
	begin := s.at
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(r), r == '\ufeff':
			s.at += size
		case strings.HasPrefix(rest, "//"):
			if size = strings.IndexAny(rest, "\n\r\u2028\u2029"); size < 0 {
				size = len(rest)
			}
			s.at += size
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return "", s.fail("a comment has no end")
			}
			s.at += 2 + end + 2
		default:
			return s.text[begin:s.at], nil
		}
	}
	return s.text[begin:], nil
}

// value takes a value, as it is spelled.
func (s *scanner) value(depth int) (string, error) {
	begin := s.at
	var err error
	switch s.peek() {
	case '{', '[':
		_, err = s.container(depth)
	case '"', '\'':
		err = s.quoted()
	default:
		err = s.word("a value")
	}
	return s.text[begin:s.at], err
}

func (s *scanner) quoted() error {
	quote := s.peek()
	for i := s.at + 1; i < len(s.text); i++ {
		switch s.text[i] {
		case quote:
			s.at = i + 1
			return nil
		case '\\':
			i++
		}
	}
	return s.fail("a string has no end")
}

// word takes a name or a value without quotes.
func (s *scanner) word(want string) error {
	end := strings.IndexFunc(s.text[s.at:], func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("$_\\+-.", r)
	})
	if end < 0 {
		end = len(s.text) - s.at
	}
	if end == 0 {
		return s.unexpected(want)
	}
	s.at += end
	return nil
}

// container takes an object or a list.
func (s *scanner) container(depth int) (*container, error) {
	if depth == maxDepth {
		return nil, s.fail("it is nested too deeply")
	}
	c := &container{open: s.peek()}
	s.at++
	for {
		lead, err := s.between()
		if err != nil {
			return nil, err
		}
		if s.peek() == c.close() {
			s.at++
			c.tail = lead
			return c, nil
		}
		if n := len(c.members); n > 0 && !c.members[n-1].comma {
			return nil, s.unexpected("a comma")
		}
		m := member{lead: lead}
		if err := s.member(&m, c.open == '{', depth); err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
	}
}

// member takes a member and the comma behind it.
func (s *scanner) member(m *member, named bool, depth int) (err error) {
	if named {
		if err := s.name(m); err != nil {
			return err
		}
	}
	if m.value, err = s.value(depth + 1); err != nil {
		return err
	}
	end := s.at
	if m.trail, err = s.between(); err != nil {
		return err
	}
	if m.comma = s.peek() == ','; m.comma {
		s.at++
	} else {
		m.trail, s.at = "", end // it is the end's
	}
	return nil
}

// name takes a member's name and the colon behind it.
func (s *scanner) name(m *member) error {
	begin := s.at
	if c := s.peek(); c == '"' || c == '\'' {
		if err := s.quoted(); err != nil {
			return err
		}
	} else if err := s.word("a name"); err != nil {
		return err
	}
	m.name = unquote(s.text[begin:s.at])
	if _, err := s.between(); err != nil {
		return err
	}
	if s.peek() != ':' {
		return s.unexpected("a colon")
	}
	s.at++
	if _, err := s.between(); err != nil {
		return err
	}
	m.head = s.text[begin:s.at]
	return nil
}

// unquote is what a string says; a word says itself.
func unquote(spelled string) string {
	if spelled == "" || spelled[0] != '"' && spelled[0] != '\'' {
		return spelled
	}
	var plain string
	if json.Unmarshal([]byte(spelled), &plain) == nil {
		return plain
	}
	if json.Unmarshal([]byte(asJSON(spelled[1:len(spelled)-1])), &plain) != nil {
		return spelled
	}
	return plain
}

// asJSON spells what stands between the quotes of a JSON5 string as JSON does.
func asJSON(inner string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c == '"' {
			b.WriteByte('\\')
		}
		if c != '\\' || i+1 == len(inner) {
			b.WriteByte(c)
			continue
		}
		i++
		switch c = inner[i]; {
		case strings.IndexByte(`bfnrtu"\/`, c) >= 0:
			b.WriteString(`\` + string(c))
		case c == 'x':
			b.WriteString(`\u00`)
		case c == 'v':
			b.WriteString(`\u000b`)
		case c == '0':
			b.WriteString(`\u0000`)
		case c == '\n': // the string goes on in the next line
		case c == '\r':
			if i+1 < len(inner) && inner[i+1] == '\n' {
				i++
			}
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// errNoObject is the error of a value that is something else.
var errNoObject = errors.New("is not a JSON object")

// parse reads an object, '{', or a list, '[', that is all there is.
func parse(text string, open byte) (*container, error) {
	s := scanner{text: text}
	if s.peek() != open {
		return nil, errNoObject
	}
	c, err := s.container(0)
	if err == nil && s.at < len(text) {
		return nil, s.unexpected("the end")
	}
	return c, err
}
