package mime

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
)

// maxIndent bounds how far lists and quotations are indented.
const maxIndent = 10

// textWriter lays text out in lines.
type textWriter struct {
	b       strings.Builder
	breaks  int    // line breaks due before the next text
	space   bool   // a blank is due before the next text
	cell    bool   // the next text starts a table cell
	marker  string // of a list item, due before the next text
	lists   []int  // the open lists: the last number, -1 where none are shown
	quotes  int    // open quotations
	pre     int    // open elements that keep white space
	rowText bool   // the row at hand has text on this line
}

// text writes s. White space becomes one blank, except in pre.
func (w *textWriter) text(s string) {
	if w.pre > 0 {
		w.preformatted(s)
		return
	}
	for len(s) > 0 {
		i := wordEnd(s)
		if word := withoutInvisible(s[:i]); word != "" {
			w.word(word)
		}
		if i == len(s) {
			return
		}
		w.space = true
		_, size := utf8.DecodeRuneInString(s[i:])
		s = s[i+size:]
	}
}

// wordEnd is where the first word of s ends.
func wordEnd(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			if n := strings.IndexFunc(s[i:], isBlank); n >= 0 {
				return i + n
			}
			return len(s)
		}
		if c == ' ' || '\t' <= c && c <= '\r' {
			return i
		}
	}
	return len(s)
}

func (w *textWriter) preformatted(s string) {
	for i, line := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
		if i > 0 {
			w.breaks++
		}
		if line = withoutInvisible(line); line != "" {
			w.word(line)
		}
	}
}

// word writes what is due, then s.
func (w *textWriter) word(s string) {
	switch {
	case w.b.Len() == 0:
		w.lead(0)
	case w.breaks > 0:
		w.lead(w.breaks)
	case w.cell && w.rowText:
		w.b.WriteString(" | ")
	case w.space:
		w.b.WriteByte(' ')
	}
	w.breaks, w.space, w.cell, w.rowText = 0, false, false, true
	w.b.WriteString(s)
}

// lead starts a line after breaks line breaks.
func (w *textWriter) lead(breaks int) {
	for range min(breaks, 2) {
		w.b.WriteByte('\n')
	}
	for range min(w.quotes, maxIndent) {
		w.b.WriteString("> ")
	}
	for range min(len(w.lists)-1, maxIndent) {
		w.b.WriteString("  ")
	}
	w.b.WriteString(w.marker)
	w.marker = ""
}

// breakLines asks for n line breaks before the next text.
func (w *textWriter) breakLines(n int) {
	if n > 0 {
		w.breaks = max(w.breaks, n)
		w.space, w.rowText = false, false
	}
}

// open lays out a start tag.
func (w *textWriter) open(tag atom.Atom) {
	w.breakLines(w.breaksAround(tag))
	switch tag {
	case atom.Br:
		w.breaks = min(w.breaks+1, 2)
		w.space = false
	case atom.Hr:
		w.word("---")
		w.breakLines(2)
	case atom.Td, atom.Th:
		w.cell = true
	case atom.Pre, atom.Textarea:
		w.pre++
	case atom.Blockquote:
		w.quotes++
	case atom.Ul:
		w.lists = append(w.lists, -1)
	case atom.Ol:
		w.lists = append(w.lists, 0)
	case atom.Li:
		w.item()
	}
}

func (w *textWriter) item() {
	w.marker = "- "
	if n := len(w.lists); n > 0 && w.lists[n-1] >= 0 {
		w.lists[n-1]++
		w.marker = strconv.Itoa(w.lists[n-1]) + ". "
	}
}

// close lays out an end tag.
func (w *textWriter) close(tag atom.Atom) {
	switch tag {
	case atom.Pre, atom.Textarea:
		w.pre = max(w.pre-1, 0)
	case atom.Blockquote:
		w.quotes = max(w.quotes-1, 0)
	case atom.Ul, atom.Ol:
		w.lists = w.lists[:max(len(w.lists)-1, 0)]
	case atom.Li:
		w.marker = ""
	}
	w.breakLines(w.breaksAround(tag))
}

// breaksAround is blockBreaks, with lists close to the items they are in.
func (w *textWriter) breaksAround(tag atom.Atom) int {
	if (tag == atom.Ul || tag == atom.Ol) && len(w.lists) > 0 {
		return 1
	}
	return blockBreaks(tag)
}

// link writes a link's address after its text, which starts at from, unless
// the text says the same or there is none.
func (w *textWriter) link(href string, from int) {
	href = strings.TrimSpace(href)
	text := w.b.String()[min(from, w.b.Len()):]
	text = strings.TrimSpace(text[:min(len(text), 4096)])
	scheme, rest, ok := strings.Cut(href, ":")
	if !ok || text == "" || len(href) > 2000 || strings.ContainsFunc(href, isBlank) {
		return
	}
	switch strings.ToLower(scheme) {
	case "http", "https", "ftp":
		if strings.Trim(rest, "/") == strings.Trim(text, "/") {
			return
		}
	case "mailto", "tel":
		href = rest
	default:
		return
	}
	if strings.Contains(text, strings.TrimSuffix(href, "/")) {
		return
	}
	w.b.WriteString(" (" + withoutInvisible(withoutControls(href)) + ")")
}

// blockBreaks is how many line breaks stand before and after an element.
func blockBreaks(tag atom.Atom) int {
	switch tag {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Ul, atom.Ol,
		atom.Dl, atom.Pre, atom.Hr:
		return 2
	case atom.Div, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Nav, atom.Main, atom.Aside,
		atom.Table, atom.Tr, atom.Caption, atom.Li, atom.Dt, atom.Dd, atom.Center, atom.Form, atom.Address,
		atom.Figure, atom.Figcaption, atom.Fieldset, atom.Body, atom.Summary, atom.Details:
		return 1
	}
	return 0
}

// isBlank reports whether a character is white space, or shown as nothing but
// a gap.
func isBlank(c rune) bool { return unicode.IsSpace(c) || c == '\u2800' || c == '\u3164' }

// visible reports whether s has a character that would be seen.
func visible(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return !isBlank(c) && !invisible(c) && !joiner(c) }) >= 0
}

// invisible reports whether a character has no width or steers the direction
// of text: what is used to hide, to pad and to deceive.
func invisible(c rune) bool {
	switch {
	case c == 0xad, c == 0x34f, c == 0x61c, c == 0x115f, c == 0x1160, c == 0x17b4, c == 0x17b5, c == 0x180e,
		c == 0x200b, c == 0x200e, c == 0x200f, 0x202a <= c && c <= 0x202e, 0x2060 <= c && c <= 0x206f,
		c == 0xfeff, c == 0xffa0, 0xe0000 <= c && c <= 0xe0fff:
		return true
	}
	return false
}

// joiner reports whether a character has no width of its own but shapes its
// neighbours, as in emoji and in Persian.
func joiner(c rune) bool { return c == 0x200c || c == 0x200d || 0xfe00 <= c && c <= 0xfe0f }

// withoutInvisible removes invisible characters, and joiners that join nothing.
func withoutInvisible(s string) string {
	if isASCII(s) {
		return s
	}
	s = strings.Map(func(c rune) rune {
		if invisible(c) && !tagCharacter(c) {
			return -1
		}
		return c
	}, s)
	if !visible(s) {
		return ""
	}
	return s
}

// tagCharacter reports whether a character is one of those that repeat others
// invisibly: tags and the supplementary variation selectors. What is left of
// them after withoutSmuggled is a flag or a variant.
func tagCharacter(c rune) bool { return 0xe0000 <= c && c <= 0xe0fff }

// withoutSmuggled removes text that is written in invisible characters: tag
// characters that belong to no flag (Unicode Technical Standard 51, section
// 1.4.9) and runs of variation selectors. It reports whether there were any.
func withoutSmuggled(s string) (clean string, smuggled bool) {
	if !strings.Contains(s, "\xf3\xa0") {
		return s, false
	}
	var out strings.Builder
	out.Grow(len(s))
	previous, allowed := rune(-1), 0
	for _, c := range s {
		switch {
		case c == 0x1f3f4:
			allowed = 6 // a region's five letters and digits, and the end
		case !tagCharacter(c):
			allowed = 0
		case c >= 0xe0100 && !tagCharacter(previous) && previous > ' ':
			// one selector after a character chooses its variant
		case allowed > 0:
			allowed--
		default:
			smuggled = true
			previous = c
			continue
		}
		out.WriteRune(c)
		previous = c
	}
	return out.String(), smuggled
}
