package certs

import (
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestTheRestGrowsWithEveryProcessThatGotNothing(t *testing.T) {
	for tries, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: 15 * time.Second, 2: 30 * time.Second, 6: 8 * time.Minute, 7: 10 * time.Minute, 1e6: 10 * time.Minute,
	} {
		if got := restFor(tries); got != want {
			t.Errorf("after %d: %v, want %v", tries, got, want)
		}
	}
}

func TestWhichHostsACMEMayReach(t *testing.T) {
	t.Setenv("NO_PROXY", "*")
	const production, staging = "acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"
	for directory, want := range map[string]map[string]bool{
		"":                             {production: true, staging: true, "ca.example": false, production + ":8443": false},
		"https://ca.example/dir":       {production: false, staging: false, "ca.example": true},
		"https://ca.example:14000/dir": {"ca.example": false, "ca.example:14000": true, "127.0.0.1": false},
	} {
		m, err := newManager(Config{Dir: t.TempDir(), Hostname: "mx.ours.example", Logger: slog.New(slog.DiscardHandler), ACME: &ACME{
			Names: []string{"mx.ours.example"}, Directory: directory, HTTP: &net.TCPAddr{IP: net.IPv6unspecified, Port: 80},
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.close()
		for host, may := range want {
			for _, scheme := range []string{"https", "http"} {
				r, err := http.NewRequest(http.MethodGet, scheme+"://"+host+"/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = m.issuer.HTTPProxy(r)
				if got := err == nil; got != (may && scheme == "https") {
					t.Errorf("directory %q: %s is reached: %v", directory, r.URL, got)
				}
			}
		}
		if m.issuer.ListenHost != "::" || m.issuer.AltHTTPPort != 80 || !m.issuer.DisableTLSALPNChallenge {
			t.Errorf("certmagic would listen at %q %d", m.issuer.ListenHost, m.issuer.AltHTTPPort)
		}
	}
}
