package outgoing

import (
	"html"
	"strings"
	"time"

	htmltoken "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"openmail/internal/mime"
)

// isHTML reports whether a body was meant as HTML: it has a doctype or an html
// element, an element without content such as <br>, or one of the elements of
// mail with both of its tags. "a < b" and "<user@host>" are text.
func isHTML(body string) bool {
	open := map[atom.Atom]bool{}
	z := htmltoken.NewTokenizer(strings.NewReader(body))
	for {
		switch z.Next() {
		case htmltoken.ErrorToken:
			return false
		case htmltoken.DoctypeToken:
			return true
		case htmltoken.StartTagToken, htmltoken.SelfClosingTagToken:
			name, _ := z.TagName()
			switch tag := atom.Lookup(name); tag {
			case atom.Html, atom.Br, atom.Hr, atom.Img:
				return true
			default:
				open[tag] = paired(tag)
			}
		case htmltoken.EndTagToken:
			name, _ := z.TagName()
			if open[atom.Lookup(name)] {
				return true
			}
		}
	}
}

// paired reports whether an element is one that mail is written with.
func paired(tag atom.Atom) bool {
	switch tag {
	case atom.Head, atom.Body, atom.Style, atom.P, atom.Div, atom.Span, atom.A, atom.B, atom.I, atom.U, atom.S, atom.Em, atom.Strong,
		atom.Small, atom.Big, atom.Sub, atom.Sup, atom.Font, atom.Center, atom.Code, atom.Pre, atom.Blockquote,
		atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Li, atom.Dl, atom.Dt, atom.Dd,
		atom.Table, atom.Thead, atom.Tbody, atom.Tr, atom.Td, atom.Th, atom.Section, atom.Article, atom.Header, atom.Footer:
		return true
	}
	return false
}

// bodies is the text and the HTML of a letter; html is "" when it has none.
func (l letter) bodies() (text, html string) {
	switch {
	case l.BodyHTML != "":
		return l.Body, l.BodyHTML
	case isHTML(l.Body):
		text, _ = mime.TextFromHTML(l.Body)
		return text, l.Body
	}
	return l.Body, ""
}

// maxQuote bounds a quote, in bytes: each reply quotes the one before it with
// all that it quotes.
const maxQuote = 256 << 10

// quote is what a reply repeats of the message that it answers.
type quote struct {
	at   time.Time
	from string
	text string
}

func (q quote) head() string {
	return "On " + q.at.UTC().Format("Mon, 2 Jan 2006 at 15:04 UTC") + ", " + oneLine(q.from) + " wrote:"
}

// lines are the quoted lines.
func (q quote) lines() []string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(q.text)
	if len(text) > maxQuote {
		text = strings.ToValidUTF8(text[:maxQuote], "") + "\n[…]"
	}
	return strings.Split(strings.TrimRight(text, "\n "), "\n")
}

// below puts the quote below a text.
func (q quote) below(text string) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(text, "\r\n"))
	b.WriteString("\n\n" + q.head() + "\n")
	for _, line := range q.lines() {
		b.WriteString(">")
		if line != "" && line[0] != '>' {
			b.WriteString(" ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// belowHTML puts the quote below HTML. What is quoted is the text of the other
// message, never its HTML: a stranger's tags could close the blockquote and go
// on in our name.
func (q quote) belowHTML(doc string) string {
	lines := q.lines()
	for i, line := range lines {
		lines[i] = html.EscapeString(line)
	}
	block := "<div><br>" + html.EscapeString(q.head()) + "<br>\n<blockquote style=\"margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex\">\n" +
		strings.Join(lines, "<br>\n") + "\n</blockquote></div>\n"
	at := endOfBody(doc)
	return doc[:at] + "\n" + block + doc[at:]
}

// endOfBody is where the body of an HTML document ends.
func endOfBody(doc string) int {
	const tag = "</body"
	for i := len(doc) - len(tag); i >= 0; i-- {
		if doc[i] == '<' && strings.EqualFold(doc[i:i+len(tag)], tag) {
			return i
		}
	}
	return len(doc)
}

// oneLine is a text that a stranger wrote, fit to stand in a line of ours.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}
