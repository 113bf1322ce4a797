package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWhatMayGoOverThePlainPortWhenThereIsHTTPS(t *testing.T) {
	const here, there = "127.0.0.1:5000", "192.0.2.7:5000"
	type header = map[string]string
	for name, c := range map[string]struct {
		method, url, from string
		header            header
		want              passage
	}{
		"a page":                    {"GET", "/openapi.json", there, nil, redirected},
		"its head":                  {"HEAD", "/openapi.json", there, nil, redirected},
		"a key in the header":       {"GET", "/v1/me", there, header{"Authorization": "Bearer om_x"}, refused},
		"a key in the query":        {"GET", "/v1/me?token=om_x", there, nil, refused},
		"a signature in the query":  {"GET", "/v1/attachments/att_1/content?signature=x", there, nil, refused},
		"a change":                  {"POST", "/v1/inboxes", there, nil, refused},
		"a WebSocket":               {"GET", "/v1/ws", there, header{"Upgrade": "websocket"}, refused},
		"health":                    {"GET", "/health", there, nil, served},
		"ready":                     {"HEAD", "/ready", there, nil, served},
		"metrics":                   {"GET", "/metrics", there, nil, served},
		"a change of health":        {"POST", "/health", there, nil, refused},
		"this machine":              {"POST", "/v1/inboxes", here, header{"Authorization": "Bearer om_x"}, served},
		"this machine by IPv6":      {"GET", "/v1/ws", "[::1]:5000", header{"Upgrade": "websocket"}, served},
		"this machine, mapped":      {"GET", "/v1/me", "[::ffff:127.0.0.1]:5000", header{"Authorization": "Bearer om_x"}, served},
		"this machine by its own":   {"POST", "/v1/inboxes", "192.0.2.1:5000", nil, served},
		"a proxy here":              {"POST", "/v1/inboxes", here, header{"X-Forwarded-For": "192.0.2.7"}, refused},
		"a proxy here, for a page":  {"GET", "/openapi.json", here, header{"Forwarded": "for=192.0.2.7"}, redirected},
		"a proxy here with TLS":     {"POST", "/v1/inboxes", here, header{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}, served},
		"a stranger who says so":    {"POST", "/v1/inboxes", there, header{"X-Forwarded-Proto": "https"}, refused},
		"an address that is no one": {"POST", "/v1/inboxes", "@", nil, refused},
	} {
		r := httptest.NewRequest(c.method, c.url, nil)
		r.RemoteAddr = c.from
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 80}))
		if got := passageOf(r); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		r.TLS = &tls.ConnectionState{}
		if passageOf(r) != served {
			t.Errorf("%s: not served by HTTPS", name)
		}
	}
}
