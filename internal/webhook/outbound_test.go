package webhook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestNothingElseReachesOut holds the code base to one outbound HTTP client:
// whatever would bypass its guard is found by name. The client, the commands and
// the programs that measure are exempt, since they speak to the user's own
// server, and from there.
func TestNothingElseReachesOut(t *testing.T) {
	exempt := []string{"client", "cmd", "bench", filepath.Join("internal", "cli"), filepath.Join("internal", "webhook")}
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (slices.Contains(exempt, rel) || skipped(d.Name())):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		files++
		for _, use := range outbound(t, path) {
			t.Errorf("%s: %s reaches out past the guard of internal/webhook", rel, use)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files were read: is this the repository?", files)
	}
}

// skipped reports whether a folder holds no Go code of the server.
func skipped(name string) bool {
	return name == "testdata" || name == "node_modules" || name == "vendor" || len(name) > 2 && name[0] == '.'
}

// banned names what sends without a guard, by import path.
func banned(path, name string) bool {
	switch path {
	case "net/http":
		return slices.Contains([]string{"Get", "Head", "Post", "PostForm", "DefaultClient", "DefaultTransport"}, name)
	case "net":
		return slices.Contains([]string{"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP"}, name)
	}
	return false
}

// outbound lists the banned names that a file uses.
func outbound(t *testing.T, path string) (uses []string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string]string{} // by the name they have in the file
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		name := imported[strings.LastIndex(imported, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && banned(imports[pkg.Name], sel.Sel.Name) {
				uses = append(uses, fset.Position(n.Pos()).String()+" "+pkg.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return uses
}

func TestOutboundFindsABypassUnderAnyName(t *testing.T) {
	got := outbound(t, filepath.Join("testdata", "bypass.go"))
	if len(got) != 3 {
		t.Errorf("found %q, want 3", got)
	}
}
