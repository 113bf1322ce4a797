package webhook_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"openmail"
	"openmail/internal/webhook"
)

// BenchmarkPost is a signed post to a receiver on this machine that keeps the
// connection, beside net/http alone with the same body.
func BenchmarkPost(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer srv.Close()
	p := testPost(srv.URL)

	b.Run("signed", func(b *testing.B) {
		s := newSender(b, webhook.Config{Allow: loopback})
		b.ReportAllocs()
		for b.Loop() {
			if a, _ := s.Post(b.Context(), p, time.Now()); a.Outcome != openmail.OutcomeDelivered {
				b.Fatal(a.Error)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		client := srv.Client()
		b.ReportAllocs()
		for b.Loop() {
			res, err := client.Post(srv.URL, "application/json", bytes.NewReader(p.Event.Payload))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
}
