package openmail_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tests of this file hold the repository to its own rules: the drawing, the
// shape of the code, and what the documents say of it.

const module = "openmail"

// place is a package's place in the drawing.
type place struct {
	row     int // 1 is the top
	planned bool
	may     []string // what it may import of its own row
}

// drawing reads the drawing of docs/architecture.md: package names follow ● or
// ○, rows end with a rule.
func drawing(t *testing.T) map[string]place {
	t.Helper()
	text := readFile(t, "docs/architecture.md")
	_, text, found := strings.Cut(text, "```drawing\n")
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatal("docs/architecture.md has no drawing")
	}
	places := map[string]place{}
	name := regexp.MustCompile(`([●○]) (\S+)(?: → (\S+))?`)
	row := 1
	for line := range strings.Lines(text) {
		if strings.Contains(line, "────") {
			row++
			continue
		}
		for _, m := range name.FindAllStringSubmatch(line, -1) {
			p := place{row: row, planned: m[1] == "○"}
			if m[3] != "" {
				p.may = []string{m[3]}
			}
			if _, twice := places[m[2]]; twice {
				t.Errorf("%s is drawn twice", m[2])
			}
			places[m[2]] = p
		}
	}
	return places
}

// drawn is a package's name in the drawing; "" for one that is not ours.
func drawn(importPath string) string {
	if importPath == module {
		return module
	}
	name, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	if strings.HasPrefix(name, "bench/") {
		return "bench"
	}
	return strings.TrimPrefix(name, "internal/")
}

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath, Dir               string
	Imports, TestImports, GoFiles []string
	TestGoFiles, XTestGoFiles     []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,TestImports,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(out); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHouseImportsFollowTheDrawing(t *testing.T) {
	places := drawing(t)
	there := map[string]bool{}
	for _, p := range packages(t) {
		name := drawn(p.ImportPath)
		there[name] = true
		at, ok := places[name]
		if !ok {
			t.Errorf("%s is not in the drawing", p.ImportPath)
			continue
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports) {
			below := drawn(imported)
			if below == "" || below == name || slices.Contains(at.may, below) {
				continue
			}
			if to := places[below]; to.row <= at.row {
				t.Errorf("%s (row %d) imports %s (row %d)", name, at.row, below, to.row)
			}
		}
	}
	for name, p := range places {
		if p.planned == there[name] && name != "bench" {
			t.Errorf("%s: the drawing says planned=%v, and the package is there=%v", name, p.planned, there[name])
		}
	}
}

// function is one function of the product.
type function struct {
	name  string
	lines int
}

// shape is what is counted of the code of a package.
type shape struct {
	functions []function
	variables []string
	lines     int
}

// add counts one file.
func (s *shape) add(t *testing.T, file string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	line := func(p token.Pos) int { return fset.Position(p).Line }
	s.lines += line(f.FileEnd)
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			s.functions = append(s.functions, function{file + ": " + d.Name.Name, line(d.End()) - line(d.Pos()) + 1})
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				s.variables = append(s.variables, names(d)...)
			}
		}
	}
}

// names lists the variables of a declaration that have a name.
func names(d *ast.GenDecl) (names []string) {
	for _, spec := range d.Specs {
		for _, name := range spec.(*ast.ValueSpec).Names {
			if name.Name != "_" {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// product counts all code that is not a test.
func product(t *testing.T) shape {
	t.Helper()
	var s shape
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			s.add(t, filepath.Join(p.Dir, f))
		}
	}
	return s
}

func TestHouseFunctionsAreShort(t *testing.T) {
	s := product(t)
	long, longer := 0, 0
	sizes := make([]int, len(s.functions))
	for i, f := range s.functions {
		sizes[i] = f.lines
		switch {
		case f.lines > 100:
			t.Errorf("%s has %d lines", f.name, f.lines)
		case f.lines > 60:
			longer++
		case f.lines > 40:
			long++
		}
		if strings.HasSuffix(f.name, ": init") {
			t.Errorf("%s: nothing happens on import", f.name)
		}
	}
	slices.Sort(sizes)
	if median := sizes[len(sizes)/2]; median > 10 {
		t.Errorf("the median function has %d lines", median)
	}
	if all := len(sizes); (long+longer)*10 > all || longer*25 > all {
		t.Errorf("of %d functions, %d have more than 40 lines and %d more than 60", all, long+longer, longer)
	}
}

func TestHousePackageVariablesAreRare(t *testing.T) {
	s := product(t)
	if len(s.variables)*1000 > 2*s.lines {
		t.Errorf("%d package variables in %d lines: %v", len(s.variables), s.lines, s.variables)
	}
}

// A test that skips itself is one that nobody runs.
func TestHouseNoTestSkipsItself(t *testing.T) {
	skips := regexp.MustCompile(`\bt\.Skip(f|Now)?\(`)
	for _, p := range packages(t) {
		for _, f := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			if m := skips.FindString(readFile(t, filepath.Join(p.Dir, f))); m != "" && f != "house_test.go" {
				t.Errorf("%s/%s has %s", p.ImportPath, f, m)
			}
		}
	}
}

// documents lists the Markdown files of the repository.
func documents(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "openmail-data"):
			return fs.SkipDir
		case strings.HasSuffix(name, ".md"):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestHouseDocumentsNameOnlyWhatExists(t *testing.T) {
	top := topLevel(t)
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	code := regexp.MustCompile("`([^`\\s]+)`")
	for _, doc := range documents(t) {
		text := prose(readFile(t, doc))
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], ":") && !exists(path.Join(path.Dir(filepath.ToSlash(doc)), m[1])) {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			if isPath(top, m[1]) && !exists(m[1]) {
				t.Errorf("%s names %s, which is not there", doc, m[1])
			}
		}
	}
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			file := filepath.Join(p.Dir, f)
			for _, doc := range regexp.MustCompile(`\bdocs/[\w./-]+\.md\b`).FindAllString(readFile(t, file), -1) {
				if !exists(doc) {
					t.Errorf("%s/%s names %s, which is not there", p.ImportPath, f, doc)
				}
			}
		}
	}
}

func TestHouseDocumentsNameNoLines(t *testing.T) {
	line := regexp.MustCompile(`\.(go|sh|sql):\d+|\.go#L\d+`)
	for _, doc := range documents(t) {
		if m := line.FindString(prose(readFile(t, doc))); m != "" {
			t.Errorf("%s names the line %s: lines move", doc, m)
		}
	}
}

// prose is a document without its blocks of code.
func prose(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
			continue
		}
		if !inside {
			b.WriteString(line)
		}
	}
	return b.String()
}

// topLevel lists what stands at the top of the repository.
func topLevel(t *testing.T) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	top := map[string]bool{}
	for _, e := range entries {
		top[e.Name()] = true
	}
	delete(top, "bin") // is built
	return top
}

// isPath reports whether a word of a document looks like a path of this
// repository.
func isPath(top map[string]bool, word string) bool {
	first, _, deep := strings.Cut(word, "/")
	if strings.ContainsAny(word, "*<>$…{}=?") {
		return false
	}
	return deep && top[first] || strings.HasSuffix(word, "_test.go")
}

func exists(name string) bool {
	_, err := os.Stat(filepath.FromSlash(name))
	return err == nil
}

// modernc.org/libc is generated together with modernc.org/sqlite and fits it
// only at the very version that it was generated for.
func TestHouseLibcIsTheOneThatSQLiteWasMadeFor(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := required(t, readFile(t, strings.TrimSpace(string(out))), "modernc.org/libc")
	if got := required(t, readFile(t, "go.mod"), "modernc.org/libc"); got != want {
		t.Errorf("go.mod requires modernc.org/libc %s, sqlite was made for %s", got, want)
	}
}

// required is the version of a module that a go.mod requires.
func required(t *testing.T, gomod, name string) string {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(gomod)); lines.Scan(); {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(f) >= 2 && f[0] == name {
			return f[1]
		}
	}
	t.Fatalf("no requirement of %s", name)
	return ""
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
