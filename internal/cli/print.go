package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"openmail/api"
)

// printer writes what people or programs read.
type printer struct {
	to    io.Writer
	color bool
	json  bool
}

func (c *cli) printer() printer {
	return printer{to: c.Stdout, json: c.json, color: isTerminal(c.Stdout) && c.Getenv("NO_COLOR") == "" && c.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show prints v: as JSON where that was asked for, else as human does.
func show[T any](p printer, v T, human func(T) error) error {
	if p.json {
		return p.encode(v)
	}
	return human(v)
}

func (p printer) encode(v any) error {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(v); err != nil {
		return err
	}
	_, err := p.to.Write(harmlessJSON(b.Bytes()))
	return err
}

// harmlessJSON is the same JSON with DEL and the C1 control characters escaped,
// which JSON allows in strings (RFC 8259 section 7) and a terminal obeys.
func harmlessJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == 0x7f:
			out = append(out, `\u007f`...)
		case b[i] == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0: // UTF-8 of U+0080 to U+009F
			i++
			out = fmt.Appendf(out, `\u%04x`, b[i])
		default:
			out = append(out, b[i])
		}
	}
	return out
}

// done tells that a change was made that has no answer of its own.
func (p printer) done(format string, args ...any) error {
	if p.json {
		return p.encode(api.OK{OK: true})
	}
	return p.line(format, args...)
}

func (p printer) line(format string, args ...any) error {
	_, err := fmt.Fprintln(p.to, oneLine(fmt.Sprintf(format, args...)))
	return err
}

// Colours, as SGR parameters.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p printer) paint(sgr, text string) string {
	if !p.color || sgr == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// table is rows of cells under a head. Cells are what strangers wrote: they are
// made harmless before they are printed.
type table struct {
	head []string
	rows [][]string
	mark func(row int) string // SGR of a row; nil: none
}

// maxCell bounds a cell, in characters.
const maxCell = 60

func (p printer) table(t table) error {
	var text strings.Builder
	width := t.widths()
	p.row(&text, width, t.head, dim)
	for i, row := range t.rows {
		mark := ""
		if t.mark != nil {
			mark = t.mark(i)
		}
		p.row(&text, width, row, mark)
	}
	_, err := io.WriteString(p.to, text.String())
	return err
}

func (t table) widths() []int {
	width := make([]int, len(t.head))
	for i, cell := range t.head {
		width[i] = utf8.RuneCountInString(cell)
	}
	for _, row := range t.rows {
		for i, cell := range row {
			row[i] = cut(oneLine(cell), maxCell)
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	return width
}

func (p printer) row(out *strings.Builder, width []int, cells []string, mark string) {
	var line strings.Builder
	for i, cell := range cells {
		line.WriteString(cell)
		if i < len(cells)-1 {
			line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
		}
	}
	out.WriteString(p.paint(mark, strings.TrimRight(line.String(), " ")) + "\n")
}

// more says how much of a list is not on its page.
func (p printer) more(shown, offset, total int) error {
	if offset+shown >= total {
		return nil
	}
	return p.line("%d to %d of %d: --offset %d for the next", offset+1, offset+shown, total, offset+shown)
}

// pairs prints names and values below each other.
func (p printer) pairs(list ...string) error {
	width := 0
	for i := 0; i < len(list); i += 2 {
		width = max(width, len(list[i]))
	}
	for i := 0; i < len(list); i += 2 {
		name := list[i] + strings.Repeat(" ", width-len(list[i])+2)
		if _, err := fmt.Fprintln(p.to, p.paint(dim, name)+oneLine(list[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// text prints a body, with its lines.
func (p printer) text(body string) error {
	_, err := fmt.Fprintln(p.to, harmless(strings.TrimRight(body, "\r\n"), true))
	return err
}

// oneLine is s without what a terminal would take for a command, in one line.
func oneLine(s string) string { return harmless(s, false) }

// harmless replaces control characters, and characters that change the order in
// which others are shown. A line's end may stay.
func harmless(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines, r == '\t' && lines:
			return r
		case r == '\r' && lines:
			return -1
		case r == '\n', r == '\r', r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return utf8.RuneError
		}
		return r
	}, s)
}

func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// when is a time as people read it, to the second and in UTC, so that it can be
// compared with the server's log.
func when(t api.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func orDash(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// teller is a transport that tells what it does, without keys and queries.
type teller struct {
	to   io.Writer
	next http.RoundTripper
}

func (t teller) RoundTrip(r *http.Request) (*http.Response, error) {
	begin := time.Now()
	resp, err := t.next.RoundTrip(r)
	took := time.Since(begin).Round(time.Millisecond)
	if err != nil {
		fmt.Fprintf(t.to, "%s %s: no answer, %v\n", r.Method, r.URL.Path, took)
		return nil, err
	}
	fmt.Fprintf(t.to, "%s %s: %d, %v, %s\n", r.Method, r.URL.Path, resp.StatusCode, took, oneLine(resp.Header.Get("X-Request-Id")))
	return resp, nil
}

// CloseIdleConnections passes on what http.Client asks for.
func (t teller) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
