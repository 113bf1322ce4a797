package openmail_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// statement is one that the contract makes, and what shows that it holds.
type statement struct {
	text   string
	shown  []string // Markdown links
	reason string   // why nothing shows it; "" when something does
}

// chapter is a section of the contract.
type chapter struct {
	title      string
	statements []statement
}

// TestHouseGeneratedContract holds docs/reference/contract.txt against the tests
// that it names, and the page against it.
func TestHouseGeneratedContract(t *testing.T) {
	chapters := readContract(t, readFile(t, "docs/reference/contract.txt"))
	var open [][]string
	var all int
	var body strings.Builder
	for _, c := range chapters {
		var rows [][]string
		for _, s := range c.statements {
			all++
			if s.reason != "" {
				open = append(open, []string{c.title, cell(s.text), s.reason})
			}
			rows = append(rows, []string{cell(s.text), strings.Join(s.shown, ", ")})
		}
		fmt.Fprintf(&body, "\n## %s\n\n%s", c.title, table([]string{"Statement", "Shown by"}, rows))
	}
	lead := fmt.Sprintf("%d statements of the contract, %d of them with tests that show them.", all, all-len(open))
	if len(open) == 0 {
		lead += " None is open.\n"
	} else {
		lead += " These are open:\n\n" + table([]string{"Section", "Statement", "Why"}, open)
	}
	compare(t, "docs/reference/contract.md", "# The contract, and what shows it\n\n"+notice+
		"What a client may rely on, section by section of the contract, and the tests that show it. The source is\n"+
		"[contract.txt](contract.txt); a test that is named there and does not exist fails the build. The tests run with `make test`, the\n"+
		"proofs with `make prove-…` ([proofs](../proofs.md)).\n\n"+lead+body.String())
}

// cell is text that may stand in a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// readContract reads sections (# title), statements at the margin, and under
// each, indented, tests (folder and name), e2e and a script of e2e/, bench and a
// proof, or open: and a reason.
func readContract(t *testing.T, text string) (chapters []chapter) {
	t.Helper()
	known := map[string]string{}
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		last := len(chapters) - 1
		switch {
		case line == "":
		case strings.HasPrefix(line, "# "):
			chapters = append(chapters, chapter{title: line[2:]})
		case !strings.HasPrefix(line, " "):
			chapters[last].statements = append(chapters[last].statements, statement{text: line})
		default:
			c := chapters[last].statements
			s := &c[len(c)-1]
			if reason, ok := strings.CutPrefix(strings.TrimSpace(line), "open: "); ok {
				s.reason = reason
				s.shown = append(s.shown, "**open**")
				continue
			}
			link, err := shownBy(strings.Fields(line), known)
			if err != nil {
				t.Errorf("docs/reference/contract.txt, line %d: %v", n+1, err)
			}
			s.shown = append(s.shown, link)
		}
	}
	for _, c := range chapters {
		for _, s := range c.statements {
			if len(s.shown) == 0 || s.reason != "" && len(s.shown) > 1 {
				t.Errorf("%q: it is either shown by something, or open", s.text)
			}
		}
	}
	return chapters
}

// shownBy is a link to a test that exists.
func shownBy(words []string, known map[string]string) (link string, err error) {
	if len(words) != 2 {
		return "", fmt.Errorf("%q is not a folder and a name", strings.Join(words, " "))
	}
	where, name := words[0], words[1]
	var file string
	switch where {
	case "e2e":
		file = "e2e/test-" + name + ".sh"
		_, err = os.Stat(file)
	case "bench":
		file = "bench/" + name + ".sh"
		_, err = os.Stat(file)
	default:
		file, err = fileOfTest(where, name, known)
	}
	return fmt.Sprintf("[%s](../../%s)", name, file), err
}

// isTest reports whether go test runs a function.
func isTest(f *ast.FuncDecl) bool {
	params := f.Type.Params.List
	return (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) && len(params) == 1 && len(params[0].Names) == 1
}

// fileOfTest finds a test; known has those of the folders that were read.
func fileOfTest(folder, name string, known map[string]string) (string, error) {
	if known[folder] == "" {
		known[folder] = "read"
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			return "", err
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return "", err
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && isTest(f) {
					known[folder+" "+f.Name.Name] = filepath.ToSlash(file)
				}
			}
		}
	}
	if file := known[folder+" "+name]; file != "" {
		return file, nil
	}
	return "", fmt.Errorf("there is no %s in %s", name, folder)
}
