package client

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"openmail"
)

// Ping opens an event stream, asks for a sign of life over it and closes it
// again. It tells how long the answer took, the opening not counted. Nothing is
// subscribed to, so no event is taken from anybody.
func (c *Client) Ping(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.close()
	begin := time.Now()
	if err := conn.writeText([]byte(`{"type":"ping"}`)); err != nil {
		return 0, err
	}
	for {
		raw, err := conn.read()
		if err != nil {
			return 0, pingError(ctx, err)
		}
		var frame struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &frame); err != nil {
			return 0, fmt.Errorf("read the event stream: %w", err)
		}
		if frame.Type == "pong" {
			return time.Since(begin), nil
		}
	}
}

func pingError(ctx context.Context, err error) error {
	if final := finalError(err); final != nil {
		return final
	}
	if ctx.Err() != nil {
		return openmail.Errorf(openmail.CodeUnavailable, "the event stream opens, but a ping is not answered")
	}
	return err
}
