package intake_test

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkAccept takes a small mail from its envelope to the disk.
func BenchmarkAccept(b *testing.B) {
	w := newWorld(b)
	env := w.envelope(w.inbox(w.scope.Account, "jane").Address)
	for n := 0; b.Loop(); n++ {
		mail := strings.Replace(text, "<1@", fmt.Sprintf("<%d@", n), 1)
		if _, err := w.Accept(b.Context(), env, strings.NewReader(mail)); err != nil {
			b.Fatal(err)
		}
	}
}
