package smtpout

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"openmail/internal/outgoing"
)

// What is taken of one reply.
const (
	maxLine  = 4096 // bytes; RFC 5321 section 4.5.3.1.5 has 512
	maxLines = 100
)

// maxText is how much of a reply is kept, in bytes.
const maxText = 1 << 10

// reply is an SMTP reply (RFC 5321 section 4.2).
type reply struct {
	code  int
	lines []string // without the code
}

func (r reply) done() bool    { return r.code/100 == 2 }
func (r reply) more() bool    { return r.code/100 == 3 }
func (r reply) later() bool   { return r.code/100 == 4 }
func (r reply) refused() bool { return r.code/100 == 5 }

// parseLine splits a line of a reply. more is true when another follows.
func parseLine(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, "", false, false
	}
	switch {
	case len(line) == 3:
		return code, "", false, true
	case line[3] == '-', line[3] == ' ':
		return code, line[4:], line[3] == '-', true
	}
	return 0, "", false, false
}

// stage is where in a conversation a reply came.
type stage string

const (
	stageGreeting stage = "greeting"
	stageHello    stage = "EHLO"
	stageMail     stage = "MAIL"
	stageRcpt     stage = "RCPT"
	stageData     stage = "DATA"
	stageEnd      stage = "end of data"
)

// answer is what the reply means for those it is about.
func (r reply) answer(at stage) outgoing.Answer {
	a := outgoing.Answer{Code: r.code, Enhanced: r.enhanced(at), Text: r.text()}
	switch {
	case r.done():
		a.Fate = outgoing.FateAccepted
	case r.later():
		a.Fate = outgoing.FateDeferred
	case r.refused():
		a.Fate = outgoing.FateRefused
	default:
		return r.outOfPlace()
	}
	return a
}

// outOfPlace is the answer of a server that says what nobody asked.
func (r reply) outOfPlace() outgoing.Answer {
	return *deferred(statusProtocol, "the server's reply is out of place: "+strconv.Itoa(r.code))
}

// enhanced is the status code of RFC 3463 that the reply begins with (RFC 2034),
// or one that fits when it has none, or one of another class than the reply's.
func (r reply) enhanced(at stage) string {
	if len(r.lines) > 0 {
		if code, _ := cutEnhanced(r.lines[0]); code != "" && int(code[0]-'0') == r.code/100 {
			return code
		}
	}
	return enhancedFor(r.code, at)
}

// cutEnhanced splits a leading status code of RFC 3463 section 2 from a line.
func cutEnhanced(line string) (code, rest string) {
	code, rest, _ = strings.Cut(line, " ")
	parts := strings.Split(code, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return "", line
	}
	for _, p := range parts[1:] {
		if len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", line
		}
	}
	return code, rest
}

// enhancedFor makes up a status code for a reply that has none: where the
// conversation was, and what the basic code says (RFC 5321 section 4.2.3). It
// never says that there is no such recipient: 550 may as well mean that we are on
// a block list, and an address that is said not to exist is not written to again.
func enhancedFor(code int, at stage) string {
	class := strconv.Itoa(code / 100)
	switch code {
	case 421:
		return "4.3.2" // the system is not accepting messages
	case 452, 552:
		if at == stageRcpt {
			return class + ".2.2" // the mailbox is full
		}
		return class + ".3.4" // too big for the system
	case 450, 550:
		return class + subjectOf(at)
	case 500, 501, 502, 503, 504, 555:
		return "5.5.4" // invalid arguments
	case 521:
		return "5.3.2"
	case 556:
		return statusNullMX // RFC 7505 section 4.2
	case 454, 530, 534, 535, 538:
		return class + ".7.0" // security
	case 553:
		if at == stageMail {
			return "5.1.8" // the sender's address
		}
		return "5.1.0" // the recipient's address
	}
	return class + ".0.0"
}

// subjectOf is the rest of the status code for 450 and 550, which mean what the
// command was about.
func subjectOf(at stage) string {
	switch at {
	case stageRcpt:
		return ".2.0" // the mailbox
	case stageGreeting, stageHello, stageMail, stageData, stageEnd:
		return ".7.1" // not authorised
	}
	return ".0.0"
}

// text is the reply for people, without its codes.
func (r reply) text() string {
	lines := make([]string, 0, len(r.lines))
	for _, l := range r.lines {
		_, l = cutEnhanced(l)
		lines = append(lines, strings.TrimSpace(l))
	}
	return plain(strings.Join(lines, " "))
}

// plain is s as outgoing.Answer wants its text.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
