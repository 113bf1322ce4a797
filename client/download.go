package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"openmail"
	"openmail/api"
)

// maxRedirects is how often a download may be sent elsewhere.
const maxRedirects = 3

// Download is a body that comes as it is read. It fails when no byte comes for
// as long as the client's timeout. It must be closed.
type Download struct {
	ContentType string
	Size        int64 // in bytes; -1 when the server did not say

	body    io.ReadCloser
	cancel  context.CancelCauseFunc
	ctx     context.Context
	stalled *time.Timer
	timeout time.Duration
}

// Read reads the next bytes.
func (d *Download) Read(p []byte) (int, error) {
	d.stalled.Reset(d.timeout)
	n, err := d.body.Read(p)
	d.stalled.Stop()
	if err != nil && err != io.EOF {
		if cause := context.Cause(d.ctx); cause != nil {
			err = cause
		}
		return n, fmt.Errorf("download: %w", err)
	}
	return n, err
}

// Close ends the download, whether it is complete or not.
func (d *Download) Close() error {
	d.stalled.Stop()
	d.cancel(nil)
	return d.body.Close()
}

// RawMessage is a message's bytes as they came in.
func (c *Client) RawMessage(ctx context.Context, id string) (*Download, error) {
	return c.download(ctx, request{method: http.MethodGet, path: "/v1/messages/{}/raw", ids: []string{id}})
}

// Attachment is the bytes of one file of a message. The server may answer with
// them or say where they are: the key is not sent there.
func (c *Client) Attachment(ctx context.Context, message, filename string) (*Download, error) {
	return c.download(ctx, request{method: http.MethodGet, path: "/v1/attachments/{}/{}", ids: []string{message, filename}})
}

// AttachmentText is the text in one file of a message. Where there is none the
// error is openmail.CodeExtractionFailed and says why.
func (c *Client) AttachmentText(ctx context.Context, message, filename string) (api.AttachmentText, error) {
	return fetch[api.AttachmentText](ctx, c, request{method: http.MethodGet, path: "/v1/attachments/{}/{}/text", ids: []string{message, filename}})
}

func (c *Client) download(ctx context.Context, r request) (*Download, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &Download{cancel: cancel, ctx: ctx, timeout: c.timeout}
	d.stalled = time.AfterFunc(c.timeout, func() {
		cancel(openmail.Errorf(openmail.CodeUnavailable, "the server sent nothing for %v", c.timeout))
	})
	resp, err := c.follow(ctx, r)
	d.stalled.Stop() // until somebody reads
	if err != nil {
		cancel(nil)
		return nil, err
	}
	d.body, d.Size, d.ContentType = resp.Body, resp.ContentLength, resp.Header.Get("Content-Type")
	return d, nil
}

// follow makes a call and goes where its answers lead.
func (c *Client) follow(ctx context.Context, r request) (*http.Response, error) {
	r.mayMove = true
	resp, err := c.send(ctx, r)
	for range maxRedirects {
		if err != nil || resp.StatusCode < http.StatusMultipleChoices {
			return resp, err
		}
		resp.Body.Close()
		resp, err = c.next(ctx, resp)
	}
	if err != nil || resp.StatusCode < http.StatusMultipleChoices {
		return resp, err
	}
	resp.Body.Close()
	return nil, openmail.Errorf(openmail.CodeInternal, "the download is redirected more than %d times", maxRedirects)
}

// next fetches what a redirect names, without the key: the address is signed,
// and need not be the server's own.
func (c *Client) next(ctx context.Context, from *http.Response) (*http.Response, error) {
	to, err := from.Location()
	if err != nil {
		return nil, fmt.Errorf("follow the download: %w", err)
	}
	if !mayFollow(from.Request.URL, to) {
		return nil, openmail.Errorf(openmail.CodeInternal, "the download is redirected to %s, which is not as safe as %s", to.Scheme, from.Request.URL.Scheme)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("follow the download: %w", withoutQuery(err))
	}
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, withoutQuery(err)
	}
	if resp.StatusCode < http.StatusMultipleChoices || isRedirect(resp) {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

// mayFollow allows HTTPS from anywhere, and HTTP only from HTTP.
func mayFollow(from, to *url.URL) bool {
	return to.Scheme == "https" || to.Scheme == "http" && from.Scheme == "http"
}
