package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Get fetches a document by https, as a post is made: through the guard, with a
// certificate that is valid for the host, within the time of a post, and without
// following a redirect. Everything but 200 is an error, and so is a document of
// more than limit bytes.
func (s *Sender) Get(ctx context.Context, rawURL string, limit int64) (mediaType string, body []byte, err error) {
	t, err := parseTarget(rawURL)
	if err != nil {
		return "", nil, err
	}
	if t.url.Scheme != "https" {
		return "", nil, fmt.Errorf("get %s: only https proves who answers", t.url.Host)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req := (&http.Request{
		Method: http.MethodGet, URL: t.url, Host: t.url.Host, Header: http.Header{"User-Agent": s.userAgent}, Close: true,
	}).WithContext(ctx)
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		return "", nil, fmt.Errorf("get %s: %s: %w", t.url.Host, s.words(err), err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("get %s: status %d", t.url.Host, res.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err == nil {
		// A server that hears that we hang up may end its answer, as if that
		// had been all.
		err = ctx.Err()
	}
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("get %s: %w", t.url.Host, err)
	case int64(len(body)) > limit:
		return "", nil, fmt.Errorf("get %s: more than %d bytes", t.url.Host, limit)
	}
	return res.Header.Get("Content-Type"), body, nil
}
