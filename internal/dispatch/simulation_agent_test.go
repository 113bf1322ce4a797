package dispatch_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"

	"openmail"
)

// agent is a client of the event stream, and whoever runs it: it connects again
// when its connection ends, and goes on after the last event that it has.
type agent struct {
	sim     *sim
	name    string
	account *account
	inbox   *openmail.Inbox // nil: all of the account
	ack     bool
	group   string

	conn  *connection
	dials int
	last  string // id of the newest event that it has
	since int    // how many mails had been sent when it began without one
	begun bool   // it has been subscribed without a gap from then on
	had   map[string]int
	past  []*connection
}

// connection is one of an agent's.
type connection struct {
	h          *handshake
	open       bool // the handshake is done
	subscribed bool
	resumed    string            // the event that it went on after
	head       openmail.Position // of the log when it was subscribed, or later
	got        []push
	owed       [][]byte // payloads of pings that were not answered yet
	unacked    int      // of got, how many were not acked
}

// push is one event as it came.
type push struct {
	id      string
	attempt int
}

func (a *agent) String() string { return a.name }

// wants reports whether an inbox's events are for the agent.
func (a *agent) wants(inbox string) bool { return a.inbox == nil || a.inbox.ID == inbox }

// connect begins a connection.
func (a *agent) connect() {
	p := a.sim.process
	a.dials++
	w := newWire(a.sim.kernel)
	closing := &call{name: "close ", detail: fmt.Sprint(a.name, " ", a.dials), do: func() { w.change(func() { w.noticed = true }) }}
	w.onClose = func() { p.wait(closing) }
	a.conn = &connection{h: &handshake{wire: w, header: http.Header{}}, resumed: a.last}
	p.dial(a.conn.h, a.account.id)
}

// gone notes that the connection is no more.
func (a *agent) gone(why string) {
	a.sim.note("%s: %s", a, why)
	a.past = append(a.past, a.conn)
	a.conn = nil
}

// cut is the end of the server's process as the agent sees it.
func (a *agent) cut() {
	if a.conn != nil {
		a.conn.h.wire.change(func() { a.conn.h.wire.over = true })
		a.gone("cut off")
	}
}

// reset ends the connection without a word.
func (a *agent) reset() { a.cut() }

// leave ends it as RFC 6455 section 7 wants it.
func (a *agent) leave() {
	w := a.conn.h.wire
	w.change(func() {
		w.in = append(w.in, masked(opClose, []byte{0x03, 0xe8})...)
		w.ended = true
	})
	a.gone("leaves")
}

// vanish leaves a connection behind of which nothing is heard any more; halfway
// through a frame where half says so.
func (a *agent) vanish(half bool) {
	w := a.conn.h.wire
	w.change(func() {
		if half {
			w.in = append(w.in, masked(opText, []byte(`{"type":"ping"}`))[:9]...)
		}
		w.black = true
		w.out = nil
	})
	a.gone("vanishes")
}

// say sends a frame.
func (a *agent) say(op byte, payload []byte) {
	w := a.conn.h.wire
	w.change(func() { w.in = append(w.in, masked(op, payload)...) })
}

// waiting reports whether there is something to read or to answer.
func (a *agent) waiting() bool { return a.conn != nil && (a.readable() || a.answerable()) }

func (a *agent) readable() bool {
	w := a.conn.h.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out) > 0 || w.closed || a.conn.h.refused()
}

func (a *agent) answerable() bool {
	return len(a.conn.owed) > 0 || a.ack && a.conn.unacked > 0
}

// read takes in at most n frames.
func (a *agent) read(n int) {
	c := a.conn
	w := c.h.wire
	if c.h.refused() {
		a.gone("refused")
		return
	}
	for ; n > 0 && a.conn != nil; n-- {
		w.mu.Lock()
		out, closed := w.out, w.closed
		w.mu.Unlock()
		used := 0
		switch {
		case len(out) == 0 && closed:
			a.gone("is closed on")
			return
		case !c.open:
			end := bytes.Index(out, []byte("\r\n\r\n"))
			if end < 0 {
				return
			}
			used = end + 4
			c.open = true
			a.subscribe()
		default:
			op, payload, size := cutFrame(out)
			if used = size; size == 0 {
				return
			}
			a.frame(op, payload)
		}
		w.mu.Lock()
		w.out = w.out[used:]
		w.mu.Unlock()
	}
}

func (a *agent) subscribe() {
	m := map[string]any{"type": "subscribe"}
	if a.inbox != nil {
		m["inbox_ids"] = []string{a.inbox.ID}
	}
	if a.ack {
		m["ack"] = true
	}
	if a.group != "" {
		m["group"] = a.group
	}
	if a.last != "" {
		m["last_event_id"] = a.last
	}
	b, err := json.Marshal(m)
	check(a.sim.t, err)
	a.say(opText, b)
}

func (a *agent) frame(op byte, payload []byte) {
	switch op {
	case opPing:
		a.conn.owed = append(a.conn.owed, bytes.Clone(payload))
	case opClose:
		a.say(opClose, payload)
		a.gone(fmt.Sprintf("is told to go: %d", binary.BigEndian.Uint16(payload)))
	case opText:
		var m struct {
			Type    string `json:"type"`
			Message any    `json:"message"` // of an error: text; of an event: what came in
			Event   string `json:"event"`
			ID      string `json:"event_id"`
			Attempt int    `json:"attempt"`
		}
		check(a.sim.t, json.Unmarshal(payload, &m))
		switch {
		case m.ID != "":
			a.got(push{m.ID, m.Attempt})
		case m.Type == "subscribed":
			a.subscribed()
		case m.Type == "error":
			a.sim.fail("%s is told %v", a, m.Message)
		}
	}
}

func (a *agent) subscribed() {
	c := a.conn
	c.subscribed, c.head = true, a.sim.head(a.account)
	if c.resumed == "" {
		a.begun, a.since = true, len(a.sim.mails)
	}
	a.sim.note("%s is subscribed, the log is at %d", a, c.head)
}

func (a *agent) got(p push) {
	c := a.conn
	a.sim.note("%s gets %s#%d", a, a.sim.eventName(p.id), p.attempt)
	a.sim.Pushes++
	c.got = append(c.got, p)
	c.unacked++
	a.had[p.id]++
	a.last = p.id
}

// answer sends what it owes: a receipt of all that it has read.
func (a *agent) answer() {
	c := a.conn
	for _, payload := range c.owed {
		if n := int(binary.BigEndian.Uint64(payload)); !a.ack && n > 0 {
			a.confirm(min(n, len(c.got)))
		}
		a.say(opPong, payload)
	}
	c.owed = nil
	if a.ack && c.unacked > 0 {
		b, err := json.Marshal(map[string]string{"type": "ack", "event_id": c.got[len(c.got)-1].id})
		check(a.sim.t, err)
		a.say(opText, b)
		a.confirm(len(c.got))
		c.unacked = 0
	}
}

// confirm notes that the agent has confirmed the first n of the connection.
func (a *agent) confirm(n int) {
	for _, p := range a.conn.got[:n] {
		a.sim.confirmed[p.id] = true
	}
}
