package app

import "testing"

func TestMailLeavesUnlessItsDomainIsThisMachines(t *testing.T) {
	for _, c := range []struct {
		domain, relay string
		leaves        bool
	}{
		{"openmail.localhost", "", false},
		{"localhost", "", false},
		{"mail.example", "", true},
		{"localhost.example", "", true},
		{"mail.example", "none", false},
		{"openmail.localhost", "smtp://127.0.0.1:25", true},
		{"mail.example", "smtps://mail.example", true},
	} {
		a := &App{config: Config{Domain: c.domain, Relay: c.relay}}
		if got := a.leaves(); got != c.leaves {
			t.Errorf("%s with relay %q: %v", c.domain, c.relay, got)
		}
	}
}
