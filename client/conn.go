package client

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"openmail"
)

const (
	maxFrame      = 16 << 20         // bytes of one message of the stream
	heartbeat     = 20 * time.Second // between signs of life that we give
	renewal       = time.Minute      // between subscriptions to everything, see session.renew
	silence       = 60 * time.Second // without any frame, after which the server counts as gone
	writeDeadline = 10 * time.Second
	closeDeadline = time.Second
)

// CloseError says that the server closed the event stream.
type CloseError struct {
	Code   int // RFC 6455 section 7.4; 4001, 4003, 4008 and 4029 are OpenMail's
	Reason string
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the server closed the stream with %d", e.Code)
	}
	return fmt.Sprintf("the server closed the stream with %d, %s", e.Code, e.Reason)
}

// conn is one connection of the event stream. One goroutine reads from it;
// another gives signs of life, so that a server sees a slow reader and not a
// dead one. A ping is answered when it is read: after the events before it were
// handled, so that the server may take the pong for a receipt.
type conn struct {
	rwc     io.ReadWriteCloser
	frames  *wsutil.Reader
	silence *time.Timer

	mu   sync.Mutex // guards writing
	once sync.Once
	done chan struct{}
	wait sync.WaitGroup
}

// dial opens the event stream. The connection ends with ctx.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	resp, err := c.upgrade(ctx)
	if err != nil {
		return nil, err
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		resp.Body.Close()
		return nil, errors.New("open the event stream: the transport cannot switch protocols")
	}
	return newConn(ctx, rwc), nil
}

func newConn(ctx context.Context, rwc io.ReadWriteCloser) *conn {
	k := &conn{rwc: rwc, done: make(chan struct{})}
	k.frames = &wsutil.Reader{
		Source: bufio.NewReader(rwc), State: ws.StateClientSide,
		CheckUTF8: true, MaxFrameSize: maxFrame, MaxMessageSize: maxFrame,
		OnIntermediate: k.control,
	}
	k.silence = time.AfterFunc(silence, func() { k.rwc.Close() })
	k.silence.Stop()
	k.wait.Go(func() { k.live(ctx) })
	return k
}

// upgrade makes the opening handshake of RFC 6455 section 4.1 with the client's
// own transport, so that proxies and certificates are those of every call.
func (c *Client) upgrade(ctx context.Context) (*http.Response, error) {
	// This context bounds the handshake only: the transport gives a connection
	// away when it switches protocols.
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.String()+"/v1/ws", nil)
	if err != nil {
		return nil, fmt.Errorf("open the event stream: %w", err)
	}
	key := websocketKey()
	c.setHeader(req.Header)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("open the event stream: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		return nil, readError(resp)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != acceptOf(key) {
		resp.Body.Close()
		return nil, openmail.Errorf(openmail.CodeBadRequest, "the server at %s has no event stream: it answered %s", c.base, resp.Status)
	}
	return resp, nil
}

func websocketKey() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// acceptOf is the proof that the server speaks WebSocket (RFC 6455 section
// 4.2.2 step 5.4); SHA-1 protects nothing there.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// live gives signs of life until the connection ends. A pong that nobody asked
// for tells the server that we live though a handler is slow; a ping has the
// server answer, whose silence would otherwise be taken for its end.
func (k *conn) live(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-k.done:
			return
		case <-ctx.Done():
			k.shut(ws.StatusNormalClosure)
			return
		case <-tick.C:
			if k.write(ws.NewPongFrame(nil), ws.NewPingFrame(nil)) != nil {
				k.rwc.Close()
				return
			}
		}
	}
}

// repeat sends a text message each d until the connection ends.
func (k *conn) repeat(d time.Duration, payload []byte) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-k.done:
			return
		case <-tick.C:
			if k.writeText(payload) != nil {
				k.rwc.Close()
				return
			}
		}
	}
}

// read is the next text message. Control frames before it are answered.
func (k *conn) read() ([]byte, error) {
	k.silence.Reset(silence)
	defer k.silence.Stop()
	for {
		header, err := k.frames.NextFrame()
		if err != nil {
			return nil, k.readError(err)
		}
		k.silence.Reset(silence)
		if header.OpCode.IsControl() {
			if err := k.control(header, k.frames); err != nil {
				return nil, err
			}
			continue
		}
		payload, err := io.ReadAll(k.frames)
		if err != nil {
			return nil, k.readError(err)
		}
		if header.OpCode == ws.OpText {
			return payload, nil
		}
	}
}

func (k *conn) readError(err error) error {
	if errors.Is(err, wsutil.ErrFrameTooLarge) || errors.Is(err, wsutil.ErrMessageTooLarge) {
		k.shut(ws.StatusMessageTooBig)
		return openmail.Errorf(openmail.CodeTooLarge, "an event is larger than %d MiB", maxFrame>>20)
	}
	return fmt.Errorf("read the event stream: %w", err)
}

// control answers a ping, and turns a close into an error.
func (k *conn) control(header ws.Header, body io.Reader) error {
	payload, err := io.ReadAll(body)
	if err != nil {
		return k.readError(err)
	}
	switch header.OpCode {
	case ws.OpPing:
		return k.write(ws.NewPongFrame(payload))
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		k.shut(ws.StatusNormalClosure)
		return &CloseError{Code: int(code), Reason: reason}
	}
	return nil
}

// settle waits a moment for the ping that follows what was handled, and answers
// it: that is the receipt. Anything else that comes first was not handled, and
// the answer would confirm it.
func (k *conn) settle() {
	deadline := time.AfterFunc(closeDeadline, func() { k.rwc.Close() })
	defer deadline.Stop()
	for {
		header, err := k.frames.NextFrame()
		if err != nil || !header.OpCode.IsControl() {
			return
		}
		if k.control(header, k.frames) != nil || header.OpCode == ws.OpPing {
			return
		}
	}
}

// writeText sends one text message.
func (k *conn) writeText(payload []byte) error { return k.write(ws.NewTextFrame(payload)) }

// write sends frames in one piece. A peer that does not take them ends the
// connection.
func (k *conn) write(frames ...ws.Frame) error {
	var out []byte
	for _, f := range frames {
		b, err := ws.CompileFrame(ws.MaskFrame(f))
		if err != nil {
			return fmt.Errorf("write to the event stream: %w", err)
		}
		out = append(out, b...)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	deadline := time.AfterFunc(writeDeadline, func() { k.rwc.Close() })
	defer deadline.Stop()
	if _, err := k.rwc.Write(out); err != nil {
		return fmt.Errorf("write to the event stream: %w", err)
	}
	return nil
}

// shut says goodbye, once, and closes. Errors mean that nobody listens any more.
func (k *conn) shut(code ws.StatusCode) {
	k.once.Do(func() {
		deadline := time.AfterFunc(closeDeadline, func() { k.rwc.Close() })
		defer deadline.Stop()
		k.write(ws.NewCloseFrame(ws.NewCloseFrameBody(code, "")))
		k.rwc.Close()
	})
}

// close ends the connection and everything that belongs to it.
func (k *conn) close() {
	k.silence.Stop()
	k.shut(ws.StatusNormalClosure)
	close(k.done)
	k.wait.Wait()
}
