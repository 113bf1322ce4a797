package extract

import (
	"encoding/xml"
	"path"
	"strconv"
	"strings"
	"time"
)

// maxGap bounds how many empty cells between two are written.
const maxGap = 64

// xlsx reads the sheets that are shown, in their order: a heading, then rows
// with a tab between cells. A formula is the value that was computed last.
func (a *archive) xlsx(b *builder) error {
	w := workbook{a: a, b: b}
	for _, read := range []func() error{w.readProperties, w.readTargets, w.readStrings, w.readStyles} {
		if err := read(); err != nil {
			return err
		}
	}
	for _, s := range w.sheets {
		b.line()
		b.add("--- " + s.name + " ---\n")
		if err := a.each(w.targets[s.id], (&sheet{workbook: &w, b: b}).token); err != nil {
			return err
		}
		if b.full() {
			return nil
		}
	}
	return nil
}

// workbook is what the sheets refer to.
type workbook struct {
	a       *archive
	b       *builder
	sheets  []sheetName
	targets map[string]string // the entry of a sheet, by its relationship's id
	strings []string
	dates   []bool // by cell style: whether its numbers are dates
	from    time.Time
}

type sheetName struct{ name, id string }

const maxSheets = 1000

func (w *workbook) readProperties() error {
	w.from = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	return w.a.each("xl/workbook.xml", func(t xml.Token) bool {
		e, _ := t.(xml.StartElement)
		switch e.Name.Local {
		case "workbookPr":
			if v := attr(e, "date1904"); v == "1" || v == "true" {
				w.from = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
			}
		case "sheet":
			if state := attr(e, "state"); state == "" || state == "visible" {
				w.sheets = append(w.sheets, sheetName{attr(e, "name"), attr(e, "id")})
			}
		}
		return len(w.sheets) < maxSheets
	})
}

func (w *workbook) readTargets() error {
	w.targets = map[string]string{}
	return w.a.each("xl/_rels/workbook.xml.rels", func(t xml.Token) bool {
		if e, _ := t.(xml.StartElement); e.Name.Local == "Relationship" {
			target := attr(e, "Target")
			if !strings.HasPrefix(target, "/") {
				target = "xl/" + target
			}
			w.targets[attr(e, "Id")] = strings.TrimPrefix(path.Clean(target), "/")
		}
		return len(w.targets) < maxEntries
	})
}

// readStrings reads the table of strings, each with its runs put together and
// without what is only read aloud (rPh).
func (w *workbook) readStrings() error {
	const part = "xl/sharedStrings.xml"
	if w.a.entries[part] == nil {
		return nil
	}
	var s strings.Builder
	text, aloud := false, false
	return w.a.each(part, func(t xml.Token) bool {
		switch t := t.(type) {
		case xml.StartElement:
			text = t.Name.Local == "t"
			aloud = aloud || t.Name.Local == "rPh"
		case xml.EndElement:
			text = false
			switch t.Name.Local {
			case "rPh":
				aloud = false
			case "si":
				w.strings = append(w.strings, s.String())
				s.Reset()
			}
		case xml.CharData:
			if text && !aloud {
				s.Write(t)
			}
		}
		return true
	})
}

// readStyles finds out which cell styles show numbers as dates.
func (w *workbook) readStyles() error {
	const part = "xl/styles.xml"
	if w.a.entries[part] == nil {
		return nil
	}
	formats, cells := map[string]bool{}, false
	return w.a.each(part, func(t xml.Token) bool {
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "numFmt":
				formats[attr(t, "numFmtId")] = isDate(attr(t, "formatCode"))
			case "cellXfs":
				cells = true
			case "xf":
				if id := attr(t, "numFmtId"); cells {
					n, _ := strconv.Atoi(id) // no number is no date
					w.dates = append(w.dates, formats[id] || 14 <= n && n <= 22 || 45 <= n && n <= 47)
				}
			}
		case xml.EndElement:
			cells = cells && t.Name.Local != "cellXfs"
		}
		return true
	})
}

// isDate reports whether a number format shows a date or a time: it has one of
// their letters outside of quotes and brackets.
func isDate(format string) bool {
	quoted, bracket := false, false
	for i := 0; i < len(format); i++ {
		switch c := format[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '[' || c == ']':
			bracket = c == '['
		case !quoted && !bracket && strings.IndexByte("ymdhsYMDHS", c) >= 0:
			return true
		}
	}
	return false
}

// sheet is the state of reading one sheet.
type sheet struct {
	*workbook
	b        *builder
	text     bool
	kind     string // of the cell at hand
	style    int
	value    strings.Builder
	column   int // of the cell at hand, from 0
	written  int // columns of the row so far
	rowShown bool
}

func (s *sheet) token(t xml.Token) bool {
	switch t := t.(type) {
	case xml.StartElement:
		s.start(t)
	case xml.EndElement:
		s.end(t)
	case xml.CharData:
		if s.text {
			s.value.Write(t)
		}
	}
	return !s.b.full()
}

func (s *sheet) start(e xml.StartElement) {
	switch e.Name.Local {
	case "row":
		s.column, s.written = -1, 0
		hidden := attr(e, "hidden")
		s.rowShown = hidden != "1" && hidden != "true"
	case "c":
		s.column++
		if at, ok := columnOf(attr(e, "r")); ok {
			s.column = at
		}
		s.kind = attr(e, "t")
		s.style, _ = strconv.Atoi(attr(e, "s")) // without one it is the first
		s.value.Reset()
	case "v", "t":
		s.text = true
	}
}

func (s *sheet) end(e xml.EndElement) {
	switch e.Name.Local {
	case "v", "t":
		s.text = false
	case "c":
		if text := s.shown(s.value.String()); text != "" && s.rowShown {
			s.b.add(strings.Repeat("\t", min(max(s.column-s.written, 0), maxGap)) + text)
			s.written = max(s.column, s.written)
		}
	case "row":
		s.b.line()
	}
}

// shown is a cell's value as it reads.
func (s *sheet) shown(v string) string {
	switch s.kind {
	case "s":
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n >= len(s.strings) {
			return ""
		}
		v = s.strings[n]
	case "b":
		return map[string]string{"0": "FALSE", "1": "TRUE"}[v]
	case "", "n":
		return s.number(v)
	}
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(v)
}

func (s *sheet) number(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return v
	}
	if s.style < 0 || s.style >= len(s.dates) || !s.dates[s.style] || f < 0 || f > 3e6 {
		return strconv.FormatFloat(f, 'g', 15, 64)
	}
	return s.moment(f)
}

// moment is a number of days as a date, a time of day, or both.
func (s *sheet) moment(days float64) string {
	whole := int(days)
	at := s.from.AddDate(0, 0, whole).Add(time.Duration((days-float64(whole))*86400+0.5) * time.Second)
	switch {
	case whole == 0:
		return at.Format("15:04:05")
	case at.Equal(at.Truncate(24 * time.Hour)):
		return at.Format(time.DateOnly)
	}
	return at.Format(time.DateTime)
}

// columnOf is the column of a cell such as "AB12", from 0.
func columnOf(ref string) (column int, ok bool) {
	n := 0
	for n < len(ref) && n < 3 && 'A' <= ref[n] && ref[n] <= 'Z' {
		column = column*26 + int(ref[n]-'A') + 1
		n++
	}
	return column - 1, n > 0
}
