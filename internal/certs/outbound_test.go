package certs_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The HTTP client of ACME is certmagic's: it cannot be made to dial through the
// guard of the webhooks, so it is held here, to the host that the operator names
// (TestOtherHostsThanTheDirectorysAreNotReached). No other package may have it.
func TestNoOtherPackageSpeaksACME(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "openmail/...").Output()
	check(t, err)
	found := 0
	for line := range strings.Lines(string(out)) {
		name, imports, _ := strings.Cut(line, " ")
		for _, library := range []string{"caddyserver/certmagic", "mholt/acmez"} {
			if !strings.Contains(imports, library) {
				continue
			}
			found++
			if name != "openmail/internal/certs" {
				t.Errorf("%s imports %s", name, library)
			}
		}
		if strings.Contains(imports, "letsencrypt/pebble") {
			t.Errorf("%s has the CA of the tests", name)
		}
	}
	if found < 2 {
		t.Errorf("found %d imports of the libraries: are these their names?", found)
	}
}
