package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// agent is a WebSocket client that answers pings, and can be made to do it badly.
type agent struct {
	tcp *net.TCPConn
	rw  io.ReadWriter // tcp, buffered on the way in
}

// subscription is what an agent asks for first.
type subscription struct {
	Type        string   `json:"type"`
	InboxIDs    []string `json:"inbox_ids,omitempty"`
	LastEventID string   `json:"last_event_id,omitempty"`
}

// dialAgent opens a socket and subscribes. prepare is done to the connection
// before the handshake; nil: nothing.
func dialAgent(ctx context.Context, addr, key string, sub subscription, prepare func(*net.TCPConn) error) (*agent, error) {
	a := &agent{}
	d := ws.Dialer{
		Timeout: 10 * time.Second,
		Header:  ws.HandshakeHeaderHTTP(http.Header{"Authorization": {"Bearer " + key}}),
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			a.tcp = conn.(*net.TCPConn)
			if prepare != nil {
				err = prepare(a.tcp)
			}
			return conn, err
		},
	}
	_, early, _, err := d.Dial(ctx, "ws://"+addr+"/v1/ws")
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	if early == nil {
		early = bufio.NewReaderSize(a.tcp, 4096)
	} else {
		early = bufio.NewReaderSize(io.MultiReader(io.LimitReader(early, int64(early.Buffered())), a.tcp), 4096)
	}
	a.rw = struct {
		io.Reader
		io.Writer
	}{early, a.tcp}
	sub.Type = "subscribe"
	text, _ := json.Marshal(sub) // strings always marshal
	if err := wsutil.WriteClientText(a.tcp, text); err != nil {
		return nil, errors.Join(err, a.tcp.Close())
	}
	return a, nil
}

// frame is what the proofs look at in a frame of the server.
type frame struct {
	Type    string `json:"type"`
	EventID string `json:"event_id"`

	text []byte // of an event
}

// eventID finds the id of an event in a frame, without reading all of it: the client shares the machine with the server.
func eventID(text []byte) (id string, ok bool) {
	const before, marker = `{"event":"`, `"event_id":"`
	head := text[:min(len(text), 200)]
	i := bytes.Index(head, []byte(marker))
	if !bytes.HasPrefix(text, []byte(before)) || i < 0 {
		return "", false
	}
	value, _, ok := bytes.Cut(head[i+len(marker):], []byte(`"`))
	return string(value), ok
}

// messageID is the id of an event's message.
func (f frame) messageID() string {
	var e struct {
		Message struct {
			ID string `json:"id"`
		} `json:"message"`
	}
	_ = json.Unmarshal(f.text, &e) // "" is no message's
	return e.Message.ID
}

// errComplaint says what the server complained of.
var errComplaint = errors.New("the server complains")

// read waits for the next event, and for `subscribed`, of which frame.Type tells.
func (a *agent) read() (frame, error) {
	for {
		var f frame
		text, err := wsutil.ReadServerText(a.rw)
		if err != nil {
			return f, err
		}
		if id, ok := eventID(text); ok {
			return frame{EventID: id, text: text}, nil
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return f, fmt.Errorf("read a frame: %w", err)
		}
		switch {
		case f.Type == "subscribed":
			return f, nil
		case f.Type == "error":
			return f, fmt.Errorf("%w: %s", errComplaint, text)
		}
	}
}

// join reads until the server has confirmed the subscription.
func (a *agent) join() error {
	f, err := a.read()
	if err == nil && f.Type != "subscribed" {
		err = fmt.Errorf("an event came before the subscription was confirmed: %s", f.EventID)
	}
	return err
}

// die ends the connection as a crash does: with a reset, and without a goodbye.
func (a *agent) die() {
	_ = a.tcp.SetLinger(0)
	closeAll(a.tcp)
}
