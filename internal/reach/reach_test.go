package reach_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"openmail/internal/reach"
)

// What is refused whatever the port is tested in the package webhook, over URLs
// and through every spelling.

func guard(t *testing.T, c reach.Config) *reach.Guard {
	t.Helper()
	g, err := reach.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPortsAreThoseOfWhoeverReachesOut(t *testing.T) {
	one, two := reach.Ports{First: 25, Last: 25}, reach.Ports{First: 443, Last: 443}
	g := guard(t, reach.Config{Who: "mail", Ports: []reach.Ports{one}, Allow: []string{"10.0.0.1"}})
	for to, want := range map[string]string{
		"8.8.8.8:25":                  "",
		"[2606:4700:4700::1111]:25":   "",
		"10.0.0.1:25":                 "",
		"10.0.0.1:26":                 "", // what is opened is open on any port
		"8.8.8.8:443":                 "the port is not one that mail may reach: 25 is",
		"[64:ff9b::8.8.8.8]:25":       "the address is not one that mail may reach",
		"10.0.0.2:25":                 "the address is not one that mail may reach",
		"[2606:4700:4700::1111]:8025": "the port is not one that mail may reach: 25 is",
	} {
		checkWords(t, g.Permit(netip.MustParseAddrPort(to)), want)
	}
	g = guard(t, reach.Config{Who: "mail", Ports: []reach.Ports{one, two, {First: 465, Last: 587}}})
	checkWords(t, g.Permit(netip.MustParseAddrPort("8.8.8.8:26")), "the port is not one that mail may reach: 25, 443 and 465 to 587 are")
}

func checkWords(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if r, ok := errors.AsType[reach.Refusal](err); ok {
		got = string(r)
	}
	if got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestADialerWithoutAGuardReachesWhatTheOperatorSet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := reach.Dialer{}.Dial(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	strict := reach.Dialer{Guard: guard(t, reach.Config{Who: "mail", Ports: []reach.Ports{{First: 1, Last: 65535}}})}
	if _, err := strict.Dial(t.Context(), "tcp", ln.Addr().String()); err == nil {
		t.Error("the guard permitted loopback")
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:smtp", "127.0.0.1:99999"} {
		if _, err := strict.Dial(t.Context(), "tcp", addr); err == nil {
			t.Errorf("%s was dialled", addr)
		}
	}
}
