package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"openmail"
	"openmail/api"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// Client asks the server that runs in a data folder.
type Client struct{ data string }

// Dial returns a Client for the server of a data folder, which is looked for
// when it is asked.
func Dial(data string) *Client { return &Client{data} }

// Suspend stops an inbox, a pod or an account from sending.
func (c *Client) Suspend(ctx context.Context, kind, id, reason string) (out api.SuspensionChange, err error) {
	asked := api.SuspensionChange{Suspension: api.Suspension{Kind: kind, ID: id, Reason: reason}}
	return out, c.ask(ctx, http.MethodPost, "/suspend", asked, &out)
}

// Reactivate lets it send again.
func (c *Client) Reactivate(ctx context.Context, kind, id string) (out api.SuspensionChange, err error) {
	asked := api.SuspensionChange{Suspension: api.Suspension{Kind: kind, ID: id}}
	return out, c.ask(ctx, http.MethodPost, "/reactivate", asked, &out)
}

// Suspended lists who may not send, newest first, at most MaxListed of them.
func (c *Client) Suspended(ctx context.Context) (out api.Rows[api.Suspension], err error) {
	return out, c.ask(ctx, http.MethodGet, "/suspended", nil, &out)
}

// ask makes one request over a connection of its own.
func (c *Client) ask(ctx context.Context, method, route string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://server"+route, bytes.NewReader(body))
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path(c.data))
	if err != nil {
		return c.unreachable(err)
	}
	defer conn.Close()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return read(res, out)
}

// unreachable says in words why there is nobody.
func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server runs in the data folder %s: run this where the server runs, with its OPENMAIL_DATA", c.data)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the data folder %s is another user's: run this as the user that the server runs as", c.data)
	}
	return err
}

func read(res *http.Response, out any) error {
	answer := json.NewDecoder(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode == http.StatusOK {
		return answer.Decode(out)
	}
	var e api.Error
	if err := answer.Decode(&e); err != nil {
		return fmt.Errorf("the server answered %s", res.Status)
	}
	return &openmail.Error{Code: openmail.Code(e.Code), Message: e.Message, Field: e.Field}
}
