package extract_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"openmail/internal/extract"
)

// A child that a file has taken over may answer anything.
func TestWhatAChildSaysIsNotBelieved(t *testing.T) {
	for what, says := range map[string]string{
		"nothing at all": "exit 0", "no answer": `printf '\003'`, "a length that is no length": `printf '\003\003csv\377\377\377\377'; cat`,
		"another kind": `printf '\003\003pdf\000\000\000\001x'; cat`, "NUL": `printf '\003\003csv\000\000\000\001\000'; cat`,
		"no UTF-8": `printf '\003\003csv\000\000\000\001\377'; cat`, "a text with a reason": `printf '\003\013unsupported\000\000\000\001x'; cat`,
		"a reason of its own": `printf '\003\004csvs\000\000\000\000'; cat`, "half": `printf '\003\003csv\000\000\000\011x'`,
		"too much": `printf '\003\003csv\000\003\015\104'; head -c 200004 /dev/zero | tr '\000' 'x'; cat`,
	} {
		program := filepath.Join(t.TempDir(), "child")
		check(t, os.WriteFile(program, []byte("#!/bin/sh\n"+says+"\n"), 0o755))
		check(t, os.Chmod(filepath.Dir(program), 0o755))
		check(t, os.Chmod(filepath.Dir(filepath.Dir(program)), 0o755))
		p, l := newPool(t, none, func(c *extract.Config) { c.Program = program })
		got := p.Read(within(t, 2*time.Second), "acc_1", file("a.csv", []byte("a,b")), 0)
		if got.Text != "" || got.Method.HasText() || got.Method == "" {
			t.Errorf("%s: %+v\n%s", what, got, l)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	p, _ := newPool(b, none)
	for b.Loop() {
		if got := p.Read(within(b, time.Minute), "acc_1", file("a.csv", []byte("a,b")), 0); got.Text != "a,b" {
			b.Fatalf("%+v", got)
		}
	}
}
