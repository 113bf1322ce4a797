package extract

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// office reads a document by what its archive holds: DOCX, XLSX, PPTX (ISO/IEC
// 29500) or ODT (ISO/IEC 26300) with its sisters ODS and ODP. Any other archive
// is not supported.
func office(data []byte) (string, error) {
	a, err := openArchive(data)
	if err != nil {
		return "", err
	}
	var b builder
	switch {
	case a.entries["word/document.xml"] != nil:
		err = a.docx(&b)
	case a.entries["xl/workbook.xml"] != nil:
		err = a.xlsx(&b)
	case a.entries["ppt/presentation.xml"] != nil:
		err = a.pptx(&b)
	case a.entries["content.xml"] != nil:
		err = a.odf(&b)
	default:
		return "", errUnsupported
	}
	return b.String(), err
}

// docx reads the body, then footnotes and endnotes.
func (a *archive) docx(b *builder) error {
	for _, part := range []string{"word/document.xml", "word/footnotes.xml", "word/endnotes.xml"} {
		if a.entries[part] == nil {
			continue
		}
		if err := a.each(part, (&docx{b: b}).token); err != nil {
			return err
		}
		b.line()
	}
	return nil
}

// docx is the state of reading WordprocessingML.
type docx struct {
	b      *builder
	text   bool // within w:t
	hidden bool // within a run that is not shown
	cells  int  // open table cells
	skip   int  // open elements of a form that is given twice
}

func (d *docx) token(t xml.Token) bool {
	switch t := t.(type) {
	case xml.StartElement:
		d.start(t)
	case xml.EndElement:
		d.end(t)
	case xml.CharData:
		if d.text && !d.hidden && d.skip == 0 {
			d.b.add(string(t))
		}
	}
	return !d.b.full()
}

func (d *docx) start(e xml.StartElement) {
	switch e.Name.Local {
	case "Fallback":
		d.skip++
	case "r":
		d.hidden = false
	case "vanish", "webHidden":
		if v := attr(e, "val"); v != "0" && v != "false" {
			d.hidden = true
		}
	case "t":
		d.text = true
	case "tab":
		d.mark("\t")
	case "br", "cr":
		d.mark("\n")
	case "tc":
		d.cells++
	}
}

func (d *docx) end(e xml.EndElement) {
	switch e.Name.Local {
	case "Fallback":
		d.skip = max(d.skip-1, 0)
	case "r":
		d.hidden = false
	case "t":
		d.text = false
	case "p":
		if d.cells > 0 {
			d.b.add(" ")
		} else {
			d.b.add("\n")
		}
	case "tc":
		d.cells = max(d.cells-1, 0)
		d.b.add("\t")
	case "tr":
		d.b.add("\n")
	}
}

func (d *docx) mark(s string) {
	if d.skip == 0 && !d.hidden {
		d.b.add(s)
	}
}

// numbered are the entries prefix + n + ".xml" in the order of n.
func (a *archive) numbered(prefix string) []string {
	byNumber := map[int]string{}
	for name := range a.entries {
		rest, ok := strings.CutPrefix(name, prefix)
		if digits, isXML := strings.CutSuffix(rest, ".xml"); ok && isXML {
			if n, err := strconv.Atoi(digits); err == nil {
				byNumber[n] = name
			}
		}
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		names = append(names, byNumber[n])
	}
	return names
}

// pptx reads the slides that are shown, each with a heading, then the notes.
func (a *archive) pptx(b *builder) error {
	for i, name := range a.numbered("ppt/slides/slide") {
		b.add(fmt.Sprintf("--- Slide %d ---\n", i+1))
		if err := a.each(name, (&slide{b: b}).token); err != nil {
			return err
		}
	}
	for _, name := range a.numbered("ppt/notesSlides/notesSlide") {
		b.line()
		if err := a.each(name, (&slide{b: b}).token); err != nil {
			return err
		}
	}
	return nil
}

// slide is the state of reading PresentationML.
type slide struct {
	b    *builder
	text bool
}

func (s *slide) token(t xml.Token) bool {
	switch t := t.(type) {
	case xml.StartElement:
		switch t.Name.Local {
		case "sld":
			if show := attr(t, "show"); show == "0" || show == "false" {
				s.b.add("(hidden)\n")
				return false
			}
		case "t":
			s.text = true
		case "br":
			s.b.add("\n")
		}
	case xml.EndElement:
		switch t.Name.Local {
		case "t":
			s.text = false
		case "p":
			s.b.line()
		}
	case xml.CharData:
		if s.text {
			s.b.add(string(t))
		}
	}
	return !s.b.full()
}

// odf reads an OpenDocument text, table or presentation.
func (a *archive) odf(b *builder) error { return a.each("content.xml", (&odf{b: b}).token) }

// odf is the state of reading OpenDocument.
type odf struct {
	b      *builder
	within int // open paragraphs and headings
	cells  int
	skip   int // open elements of what was deleted
}

func (o *odf) token(t xml.Token) bool {
	switch t := t.(type) {
	case xml.StartElement:
		o.start(t)
	case xml.EndElement:
		o.end(t)
	case xml.CharData:
		if o.within > 0 {
			o.mark(string(t))
		}
	}
	return !o.b.full()
}

func (o *odf) start(e xml.StartElement) {
	switch e.Name.Local {
	case "tracked-changes":
		o.skip++
	case "p", "h":
		o.within++
	case "tab":
		o.mark("\t")
	case "line-break":
		o.mark("\n")
	case "s":
		n, _ := strconv.Atoi(attr(e, "c")) // without a count it is one
		o.mark(strings.Repeat(" ", min(max(n, 1), 100)))
	case "table-cell":
		o.cells++
	}
}

func (o *odf) end(e xml.EndElement) {
	switch e.Name.Local {
	case "tracked-changes":
		o.skip = max(o.skip-1, 0)
	case "p", "h":
		o.within = max(o.within-1, 0)
		if o.cells > 0 {
			o.mark(" ")
		} else {
			o.mark("\n")
		}
	case "table-cell":
		o.cells = max(o.cells-1, 0)
		o.mark("\t")
	case "table-row":
		o.mark("\n")
	}
}

func (o *odf) mark(s string) {
	if o.skip == 0 {
		o.b.add(s)
	}
}
