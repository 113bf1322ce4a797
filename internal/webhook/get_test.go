package webhook_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openmail/internal/webhook"
)

// library serves documents by https, and makes a sender that trusts it.
func library(t *testing.T, c webhook.Config) (*webhook.Sender, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/doc", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.ContentLength > 0 || r.Header.Get("User-Agent") != "OpenMail" {
			t.Errorf("request %+v", r)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "0123456789")
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/doc", http.StatusFound) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(srv.Certificate())
	return newSender(t, c), srv.URL
}

func TestGetFetchesADocumentWithinBounds(t *testing.T) {
	s, url := library(t, webhook.Config{Allow: loopback, Timeout: 2 * time.Second})
	kind, body, err := s.Get(t.Context(), url+"/doc", 10)
	if err != nil || kind != "text/plain; charset=utf-8" || string(body) != "0123456789" {
		t.Errorf("got %q %q %v", kind, body, err)
	}
	for path, limit := range map[string]int64{"/doc": 9, "/moved": 10, "/endless": 64 << 10, "/absent": 1 << 20, "/slow": 10} {
		if _, body, err := s.Get(t.Context(), url+path, limit); err == nil || body != nil {
			t.Errorf("%s: %q %v", path, body, err)
		}
	}
}

func TestGetReachesOnlyWhereAPostMay(t *testing.T) {
	s, url := library(t, webhook.Config{})
	for _, u := range []string{url + "/doc", "https://10.0.0.1/", "https://169.254.169.254/latest", "http://8.8.8.8/", "file:///etc/passwd", ""} {
		if _, _, err := s.Get(t.Context(), u, 10); err == nil {
			t.Errorf("%q was fetched", u)
		}
	}
}

func TestGetTrustsNoUnknownCertificate(t *testing.T) {
	_, url := library(t, webhook.Config{})
	s := newSender(t, webhook.Config{Allow: loopback})
	if _, _, err := s.Get(t.Context(), url+"/doc", 10); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("error %v", err)
	}
}
