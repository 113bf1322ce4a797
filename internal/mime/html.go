package mime

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxStack is how many open elements are told apart; within more, elements
// only count.
const maxStack = 512

// TextFromHTML is the text of an HTML document as a person would see it:
// paragraphs and lists on lines of their own, a table by rows, a link with its
// address behind it. What the document hides by its attributes, its inline
// styles and the plain selectors of its style sheets is cut first, and hidden
// reports whether text was. Scripts, style sheets, comments and the title are
// no text and do not count. The text is of 5 MiB at most.
//
// It works on tokens, not on a tree: time grows with the size alone, however
// deep elements are nested.
func TextFromHTML(doc string) (text string, hidden bool) {
	c := convert(doc)
	return cutString(strings.TrimRight(c.out.b.String(), " \n"), maxText), c.hidden
}

func convert(doc string) *converter {
	c := &converter{z: html.NewTokenizer(strings.NewReader(doc)), last: map[atom.Atom]int{}}
	if containsFold(doc, "<style") {
		c.sheet = readSheets(doc)
	}
	c.base = look{fg: color{known: true}, bg: color{r: 255, g: 255, b: 255, known: true}}
	for c.out.b.Len() <= maxText && c.token() {
		c.visited += int64(len(c.z.Raw()))
	}
	return c
}

// converter reads tokens and keeps the elements that are open.
type converter struct {
	z      *html.Tokenizer
	sheet  *sheet
	base   look
	stack  []element
	last   map[atom.Atom]int // index + 1 in stack of the innermost of each kind
	beyond int               // elements open beyond maxStack
	skip   bool              // what comes next is a script, a style sheet or a title
	out    textWriter
	hidden bool

	visited int64 // bytes read and elements closed: what the growth tests measure
}

// element is an open element.
type element struct {
	tag      atom.Atom
	look     look
	previous int // index + 1 of the next outer one of its kind
	link     string
	from     int // where the link's text starts in the output
}

// token handles the next token. It is false at the end.
func (c *converter) token() bool {
	switch c.z.Next() {
	case html.ErrorToken:
		return false
	case html.TextToken:
		if !c.skip {
			c.text(c.z.Text())
		}
		c.skip = false
	case html.StartTagToken, html.SelfClosingTagToken:
		c.start()
	case html.EndTagToken:
		c.skip = false
		name, _ := c.z.TagName()
		c.end(tagOf(name))
	}
	return true
}

func (c *converter) look() look {
	if len(c.stack) == 0 {
		return c.base
	}
	return c.stack[len(c.stack)-1].look
}

// text writes visible text and notes hidden text.
func (c *converter) text(b []byte) {
	s, smuggled := withoutSmuggled(string(b))
	c.hidden = c.hidden || smuggled
	if c.look().hidden() {
		c.hidden = c.hidden || visible(s)
		return
	}
	c.out.text(s)
}

// start handles a start tag.
func (c *converter) start() {
	name, more := c.z.TagName()
	tag := tagOf(name)
	attrs := c.attributes(more)
	switch tag {
	case atom.Script, atom.Style, atom.Title:
		c.skip = true
		return
	case atom.Noscript:
		c.z.NextIsNotRawText()
	}
	c.imply(tag)
	l := c.look().within(tag, c.sheet.styleOf(string(name), attrs), attrs)
	if !l.gone && (tag != atom.Hr || !l.hidden()) {
		c.out.open(tag)
	}
	if !void(tag) {
		c.push(element{tag: tag, look: l, link: attrs.href, from: c.out.b.Len()})
	}
}

// imply closes the elements that a start tag closes by itself: a paragraph
// before a block, an item before an item, a cell before a cell.
func (c *converter) imply(tag atom.Atom) {
	if c.beyond > 0 {
		return
	}
	list, table := max(c.last[atom.Ul], c.last[atom.Ol]), c.last[atom.Table]
	switch tag {
	case atom.Li:
		c.closeWithin(list, atom.Li)
	case atom.Dt, atom.Dd:
		c.closeWithin(c.last[atom.Dl], atom.Dt, atom.Dd)
	case atom.Td, atom.Th:
		c.closeWithin(table, atom.Td, atom.Th)
	case atom.Tr:
		c.closeWithin(table, atom.Tr)
	case atom.A, atom.Option:
		c.end(tag)
	}
	if blockBreaks(tag) > 0 {
		c.closeWithin(c.scope(atom.P), atom.P)
	}
}

// closeWithin closes the innermost of some kinds that stands within the
// element at index outer - 1.
func (c *converter) closeWithin(outer int, tags ...atom.Atom) {
	for _, tag := range tags {
		if c.last[tag] > outer {
			c.closeAt(c.last[tag])
		}
	}
}

// push opens an element.
func (c *converter) push(e element) {
	if len(c.stack) >= maxStack {
		c.beyond++
		if e.look.hidden() { // better too little than hidden text
			c.stack[len(c.stack)-1].look.gone = true
		}
		return
	}
	e.previous = c.last[e.tag]
	c.stack = append(c.stack, e)
	c.last[e.tag] = len(c.stack)
}

// end handles an end tag. It closes nothing that stands outside of its scope,
// and nothing of the body ends before the document does.
func (c *converter) end(tag atom.Atom) {
	switch {
	case tag == atom.Body || tag == atom.Html || void(tag):
	case c.beyond > 0:
		c.beyond--
	case c.last[tag] > 0 && c.last[tag] >= c.scope(tag):
		c.closeAt(c.last[tag])
	}
}

// scope is the index + 1 of the innermost element that an end tag does not
// reach beyond: the table, or the cell of one (HTML, 13.2.4.2).
func (c *converter) scope(tag atom.Atom) int {
	table := c.last[atom.Table]
	switch tag {
	case atom.Table, atom.Tbody, atom.Thead, atom.Tfoot, atom.Tr, atom.Td, atom.Th, atom.Caption:
		return table
	}
	return max(table, c.last[atom.Td], c.last[atom.Th], c.last[atom.Caption])
}

// closeAt closes the element at index at - 1 and all within it. An element of
// formatting that was not closed itself goes on behind (HTML, 13.2.4.3): text
// stays hidden that it hides.
func (c *converter) closeAt(at int) {
	var reopen *element
	for len(c.stack) >= at {
		e := c.pop()
		if len(c.stack) >= at && formatting(e.tag) && e.look.hidden() && !c.look().hidden() {
			reopen = &e
		}
	}
	if reopen != nil {
		c.push(*reopen)
	}
}

func (c *converter) pop() element {
	e := c.stack[len(c.stack)-1]
	c.visited++
	c.stack = c.stack[:len(c.stack)-1]
	if c.last[e.tag] = e.previous; e.previous == 0 {
		delete(c.last, e.tag)
	}
	if !e.look.gone {
		if e.link != "" {
			c.out.link(e.link, e.from)
		}
		c.out.close(e.tag)
	}
	return e
}

// formatting reports whether an element is one of formatting (HTML, 13.2.4.2).
func formatting(tag atom.Atom) bool {
	switch tag {
	case atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small,
		atom.Strike, atom.Strong, atom.Tt, atom.U:
		return true
	}
	return false
}

// tagOf tells elements apart by their names. Unknown ones get a number that no
// known one has.
func tagOf(name []byte) atom.Atom {
	if a := atom.Lookup(name); a != 0 {
		return a
	}
	h := uint32(2166136261) // FNV-1a
	for _, b := range name {
		h = (h ^ uint32(b)) * 16777619
	}
	return atom.Atom(h | 1<<31)
}

// attributes are the attributes of a start tag that we care for.
type attributes struct {
	class, id, style, href string
	bgcolor, color         string
	hidden                 bool
}

func (c *converter) attributes(more bool) (a attributes) {
	var key, value []byte
	for more {
		key, value, more = c.z.TagAttr()
		switch string(key) {
		case "style":
			a.style = first(a.style, value)
		case "class":
			a.class = first(a.class, value)
		case "id":
			a.id = first(a.id, value)
		case "href":
			a.href = first(a.href, value)
		case "bgcolor":
			a.bgcolor = first(a.bgcolor, value)
		case "color", "text":
			a.color = first(a.color, value)
		case "hidden":
			a.hidden = true
		}
	}
	return a
}

// first keeps the first of equal attributes, as browsers do.
func first(old string, value []byte) string {
	if old != "" {
		return old
	}
	return string(value)
}

// void reports whether an element has no end tag.
func void(tag atom.Atom) bool {
	switch tag {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link,
		atom.Meta, atom.Param, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

// unseen reports whether an element's content is never shown in a mail.
func unseen(tag atom.Atom) bool {
	switch tag {
	case atom.Template, atom.Noembed, atom.Noframes, atom.Iframe, atom.Canvas, atom.Audio, atom.Video,
		atom.Object, atom.Datalist, atom.Dialog:
		return true
	}
	return false
}

func containsFold(s, lower string) bool {
	for {
		i := strings.IndexByte(s, lower[0])
		if i < 0 || len(s)-i < len(lower) {
			return false
		}
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
		s = s[i+1:]
	}
}
