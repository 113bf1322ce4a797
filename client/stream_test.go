package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// stream is a server of the event stream: a log of events, REST over it, and a
// WebSocket that does what the contract says, or what a test wants it to do.
type stream struct {
	cut     int               // events after which a connection is cut; 0: never
	cap     int               // events after which a replay is truncated with an error; 0: never
	refuse  string            // the error frame that answers a subscription that is refused
	closing []ws.StatusCode   // of the first connections, before anything is said; 0: none
	noLog   bool              // there is no /v1/events
	onEmpty func(conn int)    // called before each subscription is looked at
	onPong  func(body string) // called for each pong of the client
	onAck   func(id string)   // called for each ack
	fence   bool              // a ping that names the event follows each
	mute    bool              // pings are not answered

	mu         sync.Mutex
	changed    *sync.Cond
	log        []entry
	conns      int
	subscribes []subscribeFrame
	wait       sync.WaitGroup
}

type entry struct {
	id, inbox, kind string
	at              time.Time
}

type subscribeFrame struct {
	Type        string   `json:"type"`
	InboxIDs    []string `json:"inbox_ids"`
	EventTypes  []string `json:"event_types"`
	LastEventID string   `json:"last_event_id"`
	Ack         bool     `json:"ack"`
	Group       string   `json:"group"`
	EventID     string   `json:"event_id"`
}

func newStream(n int) *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	for range n {
		s.add("inb_1", "message.received")
	}
	return s
}

// add writes an event to the log, and wakes the sockets.
func (s *stream) add(inbox, kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.log) + 1
	e := entry{fmt.Sprintf("evt_%d", n), inbox, kind, time.Date(2026, 2, 24, 10, 0, n, 0, time.UTC)}
	s.log = append(s.log, e)
	s.changed.Broadcast()
	return e.id
}

func (e entry) payload() string {
	at := e.at.Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf(`{"event":%q,"event_id":%q,"occurred_at":%q,"delivered_at":%q,"attempt":1,"inbox_id":%q,"thread_id":"thr_1","message":{"id":"msg_%s","subject":"a <b> & c"}}`,
		e.kind, e.id, at, at, e.inbox, e.id)
}

func (e entry) record() string {
	return fmt.Sprintf(`{"id":%q,"type":%q,"inboxId":%q,"occurredAt":%q`, e.id, e.kind, e.inbox, e.at.Format(time.RFC3339))
}

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/v1/ws":
		s.wait.Add(1)
		defer s.wait.Done()
		s.serveSocket(w, r)
	case s.noLog:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"not_found","message":"no such route"}`)
	case r.URL.Path == "/v1/events":
		s.serveList(w, r)
	default:
		e := s.log[s.find(r.URL.Path[len("/v1/events/"):])]
		io.WriteString(w, e.record()+`,"payload":`+e.payload()+`}`)
	}
}

// serveList pages newest first, ten at once at most.
func (s *stream) serveList(w io.Writer, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	before := len(s.log)
	if c := r.FormValue("cursor"); c != "" {
		before, _ = strconv.Atoi(c)
	}
	from := max(0, before-min(limit, 10))
	next := "null"
	if from > 0 {
		next = strconv.Quote(strconv.Itoa(from))
	}
	var rows []json.RawMessage
	for _, e := range slices.Backward(s.log[from:before]) {
		rows = append(rows, json.RawMessage(e.record()+"}"))
	}
	data, _ := json.Marshal(append([]json.RawMessage{}, rows...))
	fmt.Fprintf(w, `{"data":%s,"next":%s}`, data, next)
}

func (s *stream) find(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.IndexFunc(s.log, func(e entry) bool { return e.id == id })
}

func (s *stream) serveSocket(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	s.mu.Lock()
	s.conns++
	n := s.conns
	s.mu.Unlock()
	if n <= len(s.closing) && s.closing[n-1] != 0 {
		closeWith(conn, s.closing[n-1])
		return
	}
	s.talk(conn, n)
}

// closeWith says goodbye and waits for the answer.
func closeWith(conn net.Conn, code ws.StatusCode) {
	ws.WriteFrame(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(code, "as the test wants")))
	io.Copy(io.Discard, conn)
}

func (s *stream) talk(conn net.Conn, n int) {
	for {
		messages, err := wsutil.ReadClientMessage(conn, nil)
		if err != nil {
			return
		}
		for _, m := range messages {
			switch m.OpCode {
			case ws.OpClose:
				return
			case ws.OpPing:
				if s.mute {
					continue
				}
				wsutil.WriteServerMessage(conn, ws.OpPong, m.Payload)
			case ws.OpPong:
				if s.onPong != nil {
					s.onPong(string(m.Payload))
				}
			case ws.OpText:
				s.told(conn, n, m.Payload)
			}
		}
	}
}

func (s *stream) told(conn net.Conn, n int, raw []byte) {
	var f subscribeFrame
	json.Unmarshal(raw, &f)
	switch f.Type {
	case "ping":
		say(conn, `{"type":"pong"}`)
		return
	case "ack":
		s.onAck(f.EventID)
		return
	}
	if s.onEmpty != nil {
		s.onEmpty(n)
	}
	s.mu.Lock()
	s.subscribes = append(s.subscribes, f)
	from := len(s.log)
	s.mu.Unlock()
	if s.refuse != "" {
		say(conn, fmt.Sprintf(`{"type":"error","message":%q}`, s.refuse))
		return
	}
	if f.LastEventID != "" {
		if at := s.find(f.LastEventID); at >= 0 {
			from = at + 1
		} else {
			say(conn, `{"type":"error","message":"last_event_id is not known"}`)
		}
	}
	ids, _ := json.Marshal(append([]string{}, f.InboxIDs...))
	say(conn, fmt.Sprintf(`{"type":"subscribed","inbox_ids":%s,"event_types":[]}`, ids))
	s.wait.Go(func() { s.push(conn, from, f.InboxIDs) })
}

func say(conn net.Conn, text string) error {
	return wsutil.WriteServerMessage(conn, ws.OpText, []byte(text))
}

// push sends the log from one entry on, and what is added, until the connection
// is cut or the log is closed by an empty id.
func (s *stream) push(conn net.Conn, from int, inboxes []string) {
	for sent := 0; ; from++ {
		s.mu.Lock()
		for from >= len(s.log) {
			s.changed.Wait()
		}
		if s.cap > 0 && sent == s.cap {
			sent, from = 0, max(from, len(s.log)-1)
			say(conn, `{"type":"error","message":"the replay is truncated: resume from the last event"}`)
		}
		e := s.log[from]
		s.mu.Unlock()
		if e.id == "" {
			return
		}
		if len(inboxes) > 0 && !slices.Contains(inboxes, e.inbox) {
			continue
		}
		if say(conn, e.payload()) != nil {
			return
		}
		if s.fence && wsutil.WriteServerMessage(conn, ws.OpPing, []byte(e.id)) != nil {
			return
		}
		if sent++; sent == s.cut {
			conn.Close()
			return
		}
	}
}

// stop ends what push waits for, and waits for every connection.
func (s *stream) stop() {
	s.mu.Lock()
	s.log = append(s.log, entry{})
	s.changed.Broadcast()
	s.mu.Unlock()
	s.wait.Wait()
}
