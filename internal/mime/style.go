package mime

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// color is a color that is known, or not.
type color struct {
	r, g, b      uint8
	known, clear bool // clear: fully transparent
}

// near reports whether two colors cannot be told apart by the eye.
func (a color) near(b color) bool {
	return a.known && b.known && diff(a.r, b.r)+diff(a.g, b.g)+diff(a.b, b.b) <= 30
}

func diff(a, b uint8) int { return int(max(a, b)) - int(min(a, b)) }

// look is how an element's text is shown, as far as it is inherited.
type look struct {
	gone      bool // nothing within can be shown
	invisible bool // visibility: hidden
	tiny      bool // a font too small to be seen
	fg, bg    color
}

func (l look) hidden() bool {
	return l.gone || l.invisible || l.tiny || l.fg.clear || l.fg.near(l.bg)
}

// within is the look of an element in one that looks like l.
func (l look) within(tag atom.Atom, s style, a attributes) look {
	if a.bgcolor != "" {
		l.bg = parseColor(a.bgcolor)
	}
	if a.color != "" && (tag == atom.Font || tag == atom.Body) {
		l.fg = parseColor(a.color)
	}
	if s.bgSet {
		l.bg = s.bg
	}
	if s.fgSet {
		l.fg = s.fg
	}
	if s.visibilitySet {
		l.invisible = s.invisible
	}
	if s.fontSet {
		l.tiny = s.tiny
	}
	l.gone = l.gone || unseen(tag) || s.gone() || a.hidden && !s.displaySet
	return l
}

// style is what an element's declarations say about being seen.
type style struct {
	displaySet, none         bool
	visibilitySet, invisible bool
	fontSet, tiny            bool
	fgSet, bgSet             bool
	fg, bg                   color
	transparent              bool    // opacity
	flat                     [4]bool // width, max-width, height, max-height: none
	clipped                  bool    // overflow is cut
	positioned, offscreen    bool
	indented                 bool // text-indent moves it off the screen
	cutAway                  bool // clip, clip-path, transform
}

// gone reports whether nothing in the element can be shown.
func (s style) gone() bool {
	return s.none || s.transparent || s.indented || s.cutAway || s.flat != [4]bool{} && s.clipped ||
		s.positioned && s.offscreen
}

// declare reads declarations, property: value, separated by semicolons (CSS
// 2.1 section 4.1.8); important chooses which of them.
func (s *style) declare(css string, important bool) {
	for css != "" {
		var d string
		d, css, _ = strings.Cut(css, ";")
		property, value, ok := strings.Cut(d, ":")
		if !ok {
			continue
		}
		value, marked := cutImportant(strings.ToLower(strings.TrimSpace(value)))
		if marked == important {
			s.set(strings.ToLower(strings.TrimSpace(property)), value)
		}
	}
}

func cutImportant(value string) (rest string, important bool) {
	i := strings.LastIndexByte(value, '!')
	if i < 0 || strings.TrimSpace(value[i+1:]) != "important" {
		return value, false
	}
	return strings.TrimSpace(value[:i]), true
}

// set reads one declaration.
func (s *style) set(property, value string) {
	switch property {
	case "display":
		s.displaySet, s.none = true, value == "none"
	case "visibility":
		s.visibilitySet, s.invisible = value != "inherit", value == "hidden" || value == "collapse"
	case "opacity":
		n, unit, ok := number(value)
		s.transparent = ok && (n <= 0.05 || unit == "%" && n <= 5)
	case "filter":
		s.transparent = s.transparent || strings.HasPrefix(value, "opacity(0")
	case "font-size":
		s.font(value)
	case "font":
		s.fontShorthand(value)
	case "color", "-webkit-text-fill-color":
		s.textColor(value)
	case "background", "background-color":
		s.background(value)
	default:
		s.box(property, value)
	}
}

// box reads the declarations of size and place.
func (s *style) box(property, value string) {
	switch property {
	case "width":
		s.flat[0] = flat(value)
	case "max-width":
		s.flat[1] = flat(value)
	case "height":
		s.flat[2] = flat(value)
	case "max-height":
		s.flat[3] = flat(value)
	case "overflow", "overflow-x", "overflow-y":
		s.clipped = value == "hidden" || value == "clip"
	case "position":
		s.positioned = value == "absolute" || value == "fixed" || value == "relative"
	case "left", "top", "right", "bottom", "margin-left", "margin-top", "inset":
		s.offscreen = s.offscreen || farAway(value)
		s.cutAway = s.cutAway || strings.HasPrefix(property, "margin") && farAway(value)
	case "text-indent":
		s.indented = farAway(value)
	case "clip", "clip-path":
		s.cutAway = s.cutAway || cutsAway(value)
	case "transform", "scale":
		s.cutAway = s.cutAway || strings.HasPrefix(value, "scale(0)") || strings.HasPrefix(value, "scale(0,") || value == "0"
	}
}

// font reads a font size: of a pixel or less nothing can be read.
func (s *style) font(value string) {
	n, unit, ok := number(value)
	if !ok {
		if value != "inherit" && value != "larger" && value != "smaller" {
			s.fontSet, s.tiny = true, false
		}
		return
	}
	switch unit {
	case "em", "%":
		if unit == "em" {
			n *= 100
		}
		if n <= 10 {
			s.fontSet, s.tiny = true, true
		}
	case "rem":
		s.fontSet, s.tiny = true, n <= 0.1
	default:
		s.fontSet, s.tiny = true, n <= 1
	}
}

// fontShorthand finds the size in the font property: its first length.
func (s *style) fontShorthand(value string) {
	for _, w := range strings.Fields(value) {
		w, _, _ = strings.Cut(w, "/")
		if n, unit, ok := number(w); ok && (unit != "" || n == 0) {
			s.font(w)
			return
		}
	}
}

func (s *style) textColor(value string) {
	if value != "inherit" && value != "currentcolor" {
		s.fgSet, s.fg = true, parseColor(value)
	}
}

// background reads a background: behind a picture or a gradient the color is
// unknown.
func (s *style) background(value string) {
	if strings.Contains(value, "url(") || strings.Contains(value, "gradient(") {
		s.bgSet, s.bg = true, color{}
		return
	}
	if c := parseColor(value); c.known && !c.clear {
		s.bgSet, s.bg = true, c
		return
	}
	for _, w := range strings.Fields(value) {
		if c := parseColor(w); c.known && !c.clear {
			s.bgSet, s.bg = true, c
			return
		}
	}
}

// flat reports whether a size is none.
func flat(value string) bool {
	n, unit, ok := number(value)
	return ok && (n == 0 || n > 0 && n <= 1 && unit == "px")
}

// farAway reports whether a length leads off the screen.
func farAway(value string) bool {
	n, unit, ok := number(value)
	if !ok {
		return false
	}
	switch unit {
	case "em", "rem":
		return n <= -40
	case "%", "vw", "vh":
		return n <= -100
	}
	return n <= -500
}

// cutsAway reports whether a clip leaves nothing.
func cutsAway(value string) bool {
	switch strings.ReplaceAll(strings.ReplaceAll(value, " ", ""), "px", "") {
	case "rect(0,0,0,0)", "rect(0000)", "rect(1,1,1,1)", "rect(1111)", "inset(50%)", "inset(100%)", "circle(0)", "circle(0%)":
		return true
	}
	return false
}

// number reads a number and its unit.
func number(value string) (n float64, unit string, ok bool) {
	i := 0
	for i < len(value) && i < 32 && (value[i] >= '0' && value[i] <= '9' || value[i] == '.' || value[i] == '-' || value[i] == '+') {
		i++
	}
	n, err := strconv.ParseFloat(value[:i], 64)
	return n, value[i:], err == nil
}

// parseColor reads a color; names beyond the basic ones are unknown.
func parseColor(s string) color {
	s = strings.ToLower(strings.TrimSpace(s))
	if hex, ok := strings.CutPrefix(s, "#"); ok {
		return hexColor(hex)
	}
	if strings.HasPrefix(s, "rgb") {
		return rgbColor(s)
	}
	switch s {
	case "white", "#white":
		return color{r: 255, g: 255, b: 255, known: true}
	case "black", "windowtext":
		return color{known: true}
	case "whitesmoke":
		return color{r: 245, g: 245, b: 245, known: true}
	case "snow", "ghostwhite", "ivory", "floralwhite", "mintcream", "azure":
		return color{r: 250, g: 250, b: 250, known: true}
	case "transparent":
		return color{known: true, clear: true}
	case "red":
		return color{r: 255, known: true}
	case "blue":
		return color{b: 255, known: true}
	case "yellow":
		return color{r: 255, g: 255, known: true}
	case "lime":
		return color{g: 255, known: true}
	case "green":
		return color{g: 128, known: true}
	case "gray", "grey":
		return color{r: 128, g: 128, b: 128, known: true}
	}
	if len(s) == 6 {
		return hexColor(s) // bgcolor="ffffff"
	}
	return color{}
}

func hexColor(s string) color {
	v, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return color{}
	}
	switch len(s) {
	case 3:
		return color{uint8(v>>8) & 15 * 17, uint8(v>>4) & 15 * 17, uint8(v) & 15 * 17, true, false}
	case 4:
		return color{uint8(v>>12) & 15 * 17, uint8(v>>8) & 15 * 17, uint8(v>>4) & 15 * 17, true, v&15 == 0}
	case 6:
		return color{uint8(v >> 16), uint8(v >> 8), uint8(v), true, false}
	case 8:
		return color{uint8(v >> 24), uint8(v >> 16), uint8(v >> 8), true, v&255 <= 12}
	}
	return color{}
}

// rgbColor reads rgb(…) and rgba(…), with commas or blanks.
func rgbColor(s string) color {
	_, list, _ := strings.Cut(s, "(")
	words := strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(" ,/)", c) })
	if len(words) < 3 {
		return color{}
	}
	var v [3]uint8
	for i, w := range words[:3] {
		n, unit, ok := number(w)
		if !ok {
			return color{}
		}
		if unit == "%" {
			n *= 2.55
		}
		v[i] = uint8(max(0, min(255, n)))
	}
	c := color{r: v[0], g: v[1], b: v[2], known: true}
	if len(words) > 3 {
		n, unit, ok := number(words[3])
		c.clear = ok && (n <= 0.05 || unit == "%" && n <= 5)
	}
	return c
}

// maxRules is how many rules of style sheets are read.
const maxRules = 2000

// sheet holds the rules of a document's style sheets whose selector is one
// plain compound: tag, .class, #id, tag.class, tag#id. The declarations are
// joined by selector.
type sheet struct {
	rules map[string]string
	count int
}

// readSheets reads the style elements of a document, wherever they stand: a
// sheet at the end of a document applies to its start.
func readSheets(doc string) *sheet {
	s := &sheet{rules: map[string]string{}}
	z := html.NewTokenizer(strings.NewReader(doc))
	inStyle := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			return s
		case html.StartTagToken:
			name, _ := z.TagName()
			inStyle = atom.Lookup(name) == atom.Style
		case html.TextToken:
			if inStyle {
				s.read(plainCSS(string(z.Raw())))
			}
			inStyle = false
		}
	}
}

// plainCSS removes the comments of a style sheet and resolves its escapes, so
// that neither hides a word.
func plainCSS(css string) string {
	for _, mark := range []string{"<!--", "-->"} {
		css = strings.ReplaceAll(css, mark, "")
	}
	if strings.Contains(css, "/*") {
		var out strings.Builder
		for css != "" {
			text, after, _ := strings.Cut(css, "/*")
			out.WriteString(text)
			_, css, _ = strings.Cut(after, "*/")
		}
		css = out.String()
	}
	if strings.IndexByte(css, '\\') < 0 {
		return css
	}
	return unescapeCSS(css)
}

// unescapeCSS resolves the escapes of CSS 2.1 section 4.1.3.
func unescapeCSS(css string) string {
	var out strings.Builder
	for i := 0; i < len(css); i++ {
		if css[i] != '\\' {
			out.WriteByte(css[i])
			continue
		}
		n := 0
		for n < 6 && i+1+n < len(css) && isHex(css[i+1+n]) {
			n++
		}
		if n == 0 {
			continue
		}
		v, err := strconv.ParseInt(css[i+1:i+1+n], 16, 32)
		if err == nil {
			out.WriteRune(rune(v))
		}
		i += n
		if i+1 < len(css) && css[i+1] == ' ' {
			i++
		}
	}
	return out.String()
}

// read adds the rules of one style sheet. Rules within @media and its like
// hold for some screens only and are left out.
func (s *sheet) read(css string) {
	for s.count < maxRules {
		selectors, rest, ok := strings.Cut(css, "{")
		if !ok {
			return
		}
		if i := strings.LastIndexByte(selectors, ';'); i >= 0 {
			selectors = selectors[i+1:] // after @import and its like
		}
		if strings.HasPrefix(strings.TrimSpace(selectors), "@") {
			css = skipBlock(rest)
			continue
		}
		var body string
		body, css, _ = strings.Cut(rest, "}")
		s.add(selectors, body)
	}
}

// add adds a rule for each of its selectors.
func (s *sheet) add(selectors, body string) {
	if !concerns(body) {
		return
	}
	for selector := range strings.SplitSeq(selectors, ",") {
		selector = strings.ToLower(strings.TrimSpace(selector))
		declarations := body
		if i := strings.LastIndexAny(selector, " >+~\t\r\n"); i >= 0 {
			selector, declarations = selector[i+1:], backgroundOf(body)
		}
		if s.count >= maxRules || selector == "" || declarations == "" || strings.ContainsAny(selector, ":[*") {
			continue
		}
		s.count++
		if old := s.rules[selector]; len(old)+len(declarations) < 4096 {
			s.rules[selector] = old + ";" + declarations
		}
	}
}

// backgroundOf is the declaration of a background among others. It is all
// that is taken from a rule whose selector may or may not apply: what looks
// like white on white may well be white on something.
func backgroundOf(body string) string {
	for d := range strings.SplitSeq(body, ";") {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(d)), "background") {
			return d
		}
	}
	return ""
}

// concerns reports whether declarations can say anything about being seen.
func concerns(body string) bool { return strings.IndexByte(body, ':') > 0 && len(body) < 4096 }

// skipBlock is what follows the block whose opening brace is gone.
func skipBlock(css string) string {
	depth := 1
	for i := 0; i < len(css); i++ {
		switch css[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return css[i+1:]
			}
		}
	}
	return ""
}

// styleOf is the style of an element: by its tag, its classes, its id, its
// style attribute, in this order, and what is marked important after that. A
// nil sheet has no rules.
func (s *sheet) styleOf(tag string, a attributes) style {
	var out style
	inline := a.style
	if strings.ContainsAny(inline, `\/`) {
		inline = plainCSS(inline)
	}
	if s == nil || len(s.rules) == 0 {
		if inline != "" {
			out.declare(inline, false)
			out.declare(inline, true)
		}
		return out
	}
	css := s.matching(tag, a)
	for _, important := range []bool{false, true} {
		for _, c := range css {
			out.declare(c, important)
		}
		out.declare(inline, important)
	}
	return out
}

// matching are the rules for an element, the weakest first. Of its classes the
// first sixteen count.
func (s *sheet) matching(tag string, a attributes) (css []string) {
	try := func(selector string) {
		if c := s.rules[selector]; c != "" {
			css = append(css, c)
		}
	}
	try(tag)
	classes := strings.Fields(strings.ToLower(a.class[:min(len(a.class), 1000)]))
	for _, c := range classes[:min(len(classes), 16)] {
		try("." + c)
		try(tag + "." + c)
	}
	if id := strings.ToLower(a.id); id != "" && len(id) < 200 {
		try("#" + id)
		try(tag + "#" + id)
	}
	return css
}
