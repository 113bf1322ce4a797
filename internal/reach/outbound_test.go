package reach_test

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

// TestNothingElseReachesOut holds the code base to one dialler and one outbound
// HTTP client: whatever would bypass the guard is found by name. The client, the
// commands and the programs that measure are exempt, since they speak to the
// user's own server, and from there; so is what speaks to the socket in its data
// folder.
func TestNothingElseReachesOut(t *testing.T) {
	exempt := []string{"client", "cmd", "bench", filepath.Join("internal", "cli")}
	socket := filepath.Join("internal", "admin", "client.go")
	allowed := map[string]string{ // by folder
		filepath.Join("internal", "reach"):   "net.Dialer",
		filepath.Join("internal", "webhook"): "http.Transport", // dials by reach
	}
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
		case d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") || rel == socket:
			return nil
		}
		files++
		for _, use := range outbound(t, path) {
			if allowed[filepath.Dir(rel)] != use.name {
				t.Errorf("%s: %s reaches out past the guard of internal/reach", use.at, use.name)
			}
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

// banned names what connects without a guard, by import path.
func banned(path, name string) bool {
	return slices.Contains(map[string][]string{
		"net":           {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
		"net/http":      {"Get", "Head", "Post", "PostForm", "Client", "DefaultClient", "Transport", "DefaultTransport"},
		"net/smtp":      {"Dial", "SendMail"},
		"net/textproto": {"Dial"},
		"net/rpc":       {"Dial", "DialHTTP", "DialHTTPPath"},
		"crypto/tls":    {"Dial", "DialWithDialer", "Dialer"},
		"github.com/miekg/dns": {
			"Client", "Dial", "DialTimeout", "DialWithTLS", "DialTimeoutWithTLS", "Exchange", "ExchangeContext", "Transfer",
		},
	}[path], name)
}

// use is a banned name in a file.
type use struct{ at, name string }

// outbound lists the banned names that a file uses.
func outbound(t *testing.T, path string) (uses []use) {
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
		name := base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && banned(imports[pkg.Name], sel.Sel.Name) {
				uses = append(uses, use{fset.Position(n.Pos()).String(), base(imports[pkg.Name]) + "." + sel.Sel.Name})
			}
		}
		return true
	})
	return uses
}

func base(importPath string) string { return importPath[strings.LastIndex(importPath, "/")+1:] }

func TestOutboundFindsABypassUnderAnyName(t *testing.T) {
	got := outbound(t, filepath.Join("testdata", "bypass.go"))
	if len(got) != 5 {
		t.Errorf("found %v, want 5", got)
	}
}
