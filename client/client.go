// Package client speaks to an OpenMail server: the REST interface as methods,
// and the event stream as an iterator that reconnects and resumes by itself.
//
// Every failure that the server explained is an [*Error] around an
// *openmail.Error, so openmail.CodeOf tells what it means; every other error is
// of the network or of the context.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"openmail"
)

// DefaultBaseURL is where a server listens unless it was told otherwise.
const DefaultBaseURL = "http://127.0.0.1:8025"

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 20 // bytes of a JSON answer
	maxError       = 64 << 10 // bytes of an answer that is not 2xx
)

// Options says which server a Client speaks to, and how. The zero Options is a
// local server without a key.
type Options struct {
	// BaseURL is http or https, a host, and a path where a proxy adds one;
	// without /v1. "" is DefaultBaseURL.
	BaseURL string
	// APIKey is sent as the bearer token. Without one only Health works.
	APIKey string
	// Timeout bounds each call whose answer is JSON, and each wait for the
	// next bytes of a download; 0 is 30 s.
	Timeout time.Duration
	// Transport makes the connections, of REST and of the event stream. nil
	// is one of the client's own, which honours HTTP_PROXY and HTTPS_PROXY.
	Transport http.RoundTripper
	// UserAgent names the program; "" is openmail-go.
	UserAgent string
}

// Client is a connection to one server with one key. It may be used by several
// goroutines at once.
type Client struct {
	base    *url.URL
	key     string
	agent   string
	timeout time.Duration
	http    *http.Client
}

// New makes a Client. It does not connect: the error is about the options.
func New(o Options) (*Client, error) {
	base, err := parseBase(cmp.Or(o.BaseURL, DefaultBaseURL))
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(o.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, openmail.Errorf(openmail.CodeUnauthorized, "the API key holds a space or a character that no key has")
	}
	return &Client{
		base:    base,
		key:     o.APIKey,
		agent:   cmp.Or(o.UserAgent, "openmail-go"),
		timeout: cmp.Or(o.Timeout, defaultTimeout),
		http:    &http.Client{Transport: transport(o.Transport), CheckRedirect: refuseRedirect},
	}, nil
}

func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, openmail.Errorf(openmail.CodeBadRequest, "the base URL must look like %s", DefaultBaseURL)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, openmail.Errorf(openmail.CodeBadRequest, "the base URL must not hold a user, a query or a fragment")
	}
	return u, nil
}

func transport(given http.RoundTripper) http.RoundTripper {
	if given != nil {
		return given
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = defaultTimeout
	return t
}

// refuseRedirect keeps the key from following a Location: only a download may
// be redirected, and it goes there without the key.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// BaseURL is where the client's server answers, without a slash at its end.
func (c *Client) BaseURL() string { return c.base.String() }

// Close lets go of connections that are kept for the next call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call. Each {} in path stands for one of ids, escaped.
type request struct {
	method string
	path   string
	ids    []string
	query  url.Values
	body   any // nil: none
	header http.Header
	// mayMove admits an answer that says where the body is.
	mayMove bool
}

// fetch makes a call and decodes its answer.
func fetch[T any](ctx context.Context, c *Client, r request) (T, error) {
	var answer T
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	return answer, decode(resp, &answer)
}

// exec makes a call whose answer says nothing beyond its success.
func (c *Client) exec(ctx context.Context, r request) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	// Read to its end, so that the connection can be used again.
	io.Copy(io.Discard, io.LimitReader(resp.Body, maxError))
	resp.Body.Close()
	return nil
}

func decode(resp *http.Response, answer any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case len(body) > maxAnswer:
		return openmail.Errorf(openmail.CodeTooLarge, "the answer is larger than %d MiB: ask for a smaller page", maxAnswer>>20)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("the answer is not what OpenMail says: %w", err)
	}
	return nil
}

// send makes a call. The answer is 2xx, or 3xx where r.mayMove says so, and its
// body is the caller's to close.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, withoutQuery(err)
	}
	if resp.StatusCode < http.StatusMultipleChoices || r.mayMove && isRedirect(resp) {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

func isRedirect(resp *http.Response) bool {
	return resp.StatusCode/100 == 3 && resp.Header.Get("Location") != ""
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	path, err := fill(r.path, r.ids)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	where := c.base.String() + path
	if len(r.query) > 0 {
		where += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, where, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	c.setHeader(req.Header)
	for name, values := range r.header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *Client) setHeader(h http.Header) {
	h.Set("User-Agent", c.agent)
	if c.key != "" {
		h.Set("Authorization", "Bearer "+c.key)
	}
}

// fill puts ids into a path. An id that is not a path segment of its own would
// reach something else than it names, so it is refused.
func fill(path string, ids []string) (string, error) {
	for _, id := range ids {
		if id == "" || id == "." || id == ".." {
			return "", openmail.Errorf(openmail.CodeBadRequest, "%q is not an id", id)
		}
		path = strings.Replace(path, "{}", url.PathEscape(id), 1)
	}
	return path, nil
}

// withoutQuery takes the query out of the URL that an error of net/http names:
// the address of a download is signed there.
func withoutQuery(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		e.URL, _, _ = strings.Cut(e.URL, "?")
	}
	return err
}
