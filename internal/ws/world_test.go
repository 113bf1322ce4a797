package ws

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/dispatch"
)

func TestMain(m *testing.M) {
	if idleServer() {
		return
	}
	goleak.VerifyTestMain(m)
}

// world is everything that the door borders on.
type world struct {
	*dispatch.Listeners
	server *Server
	logs   lines

	mu       sync.Mutex
	changed  chan struct{} // closed at each change
	keys     map[string]openmail.Key
	revoked  []string
	inboxes  map[string]openmail.Inbox
	events   []openmail.Event // of all accounts, in order
	receipts []dispatch.Receipt
	lost     []dispatch.Receipt
	left     []openmail.Position // from where on those that left had not been pushed everything
	overdue  []openmail.Event    // what Offers has
	broken   error               // what the log answers with
	hear     []func(string)
	deaf     bool              // no bell is heard
	asked    openmail.Scope    // what the log was last read with
	next     openmail.Position // of a benchmark's log
}

func newWorld() *world {
	w := &world{
		Listeners: dispatch.NewListeners(), changed: make(chan struct{}),
		keys: map[string]openmail.Key{
			"om_a":  {ID: "key_a", Account: "acc_a"},
			"om_a1": {ID: "key_a1", Account: "acc_a", Inbox: "inb_a1"},
			"om_b":  {ID: "key_b", Account: "acc_b"},
			"om_p":  {ID: "key_p", Account: "acc_a", Pod: "pod_p"},
			"om_q":  {ID: "key_q", Account: "acc_a", Pod: "pod_q"},
		},
		inboxes: map[string]openmail.Inbox{},
	}
	for _, in := range []string{"inb_a1", "inb_a2", "inb_b1"} {
		w.inboxes[in] = openmail.Inbox{ID: in, Account: "acc_" + in[4:5]}
	}
	return w
}

// config is a Server's, with the limits given.
func (w *world) config(l Limits) Config {
	return Config{
		Keys: w, Revocations: w, Events: w, Inboxes: w, Deliveries: w, Bell: w,
		Log: slog.New(slog.NewJSONHandler(&w.logs, nil)), Limits: l,
	}
}

// start runs a server until the test ends, and returns its URL.
func (w *world) start(t testing.TB, change ...func(*Config)) string {
	cfg := w.config(DefaultLimits())
	for _, f := range change {
		f(&cfg)
	}
	w.server = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	web := httptest.NewServer(w.server)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
		web.Close()
	})
	return "ws" + strings.TrimPrefix(web.URL, "http")
}

func (w *world) note() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits until cond holds. cond is called with mu held, at each change.
func (w *world) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		ok, changed := cond(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatal("waited in vain until ", what)
		}
	}
}

// add appends an event to the log and rings, and returns its id.
func (w *world) add(inbox string) string {
	account := "acc_" + inbox[4:5]
	w.mu.Lock()
	p := openmail.Position(1)
	for _, e := range w.events {
		if e.Account == account {
			p++
		}
	}
	e := event(inbox, p)
	e.Delivery.Attempts, e.Pod = 1, w.inboxes[inbox].Pod
	w.events = append(w.events, e)
	hear := w.hear
	if w.deaf {
		hear = nil
	}
	w.mu.Unlock()
	for _, f := range hear {
		f(account)
	}
	return e.ID
}

func event(inbox string, p openmail.Position) openmail.Event {
	e := openmail.Event{
		ID: fmt.Sprintf("evt_%s%03d", inbox[4:5], p), Account: "acc_" + inbox[4:5], Position: p,
		Type: openmail.MessageReceived, Inbox: inbox, Thread: "thr_1", Message: "msg_1",
		OccurredAt: time.Date(2026, 2, 24, 10, 5, 0, 0, time.UTC),
	}
	e.Payload = api.Links{PublicURL: "https://example.com"}.Received(e, openmail.Message{ID: "msg_1", BodyText: "hello"})
	return e
}

func (w *world) Authenticate(_ context.Context, token string) (openmail.Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k, ok := w.keys[token]; ok {
		return k, nil
	}
	return openmail.Key{}, openmail.Errorf(openmail.CodeUnauthorized, "no such key")
}

func (w *world) RevokedSince(_ context.Context, scope openmail.Scope, _ time.Time) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !scope.IsOperator() {
		return nil, fmt.Errorf("asked with the scope %v", scope)
	}
	return w.revoked, nil
}

func (w *world) Head(_ context.Context, scope openmail.Scope) (p openmail.Position, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if scope.Covers(e.Account, e.Pod, e.Inbox) {
			p = max(p, e.Position)
		}
	}
	return p, w.broken
}

func (w *world) Find(_ context.Context, scope openmail.Scope, id string) (openmail.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.ID == id && scope.Covers(e.Account, e.Pod, e.Inbox) {
			return e.Position, w.broken
		}
	}
	return 0, openmail.Errorf(openmail.CodeNotFound, "no such event")
}

func (w *world) After(_ context.Context, scope openmail.Scope, after openmail.Position, limit int) ([]openmail.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = scope
	var page []openmail.Event
	for _, e := range w.events {
		if len(page) < limit && e.Position > after && scope.Covers(e.Account, e.Pod, e.Inbox) {
			page = append(page, e)
		}
	}
	return page, w.broken
}

func (w *world) Undelivered(ctx context.Context, scope openmail.Scope, after, upTo openmail.Position, limit int) ([]openmail.Event, error) {
	page, err := w.After(ctx, scope, after, len(w.events))
	page = slices.DeleteFunc(page, func(e openmail.Event) bool {
		return e.Position > upTo || e.Delivery.State == openmail.StateDelivered
	})
	return page[:min(len(page), limit)], err
}

func (w *world) Inbox(_ context.Context, scope openmail.Scope, id string) (openmail.Inbox, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in, ok := w.inboxes[id]; ok && scope.Covers(in.Account, in.Pod, in.ID) {
		return in, nil
	}
	return openmail.Inbox{}, openmail.Errorf(openmail.CodeNotFound, "no such inbox")
}

func (w *world) InboxIDs(_ context.Context, scope openmail.Scope, limit int) (ids []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, in := range w.inboxes {
		if scope.Covers(in.Account, in.Pod, in.ID) && len(ids) < limit {
			ids = append(ids, in.ID)
		}
	}
	slices.Sort(ids)
	return ids, w.broken
}

func (w *world) Join(account string, l dispatch.Listener) {
	w.Listeners.Join(account, l)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note()
}

func (w *world) Leave(account string, l dispatch.Listener, lost []dispatch.Receipt, from openmail.Position) {
	w.Listeners.Leave(account, l)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = append(w.lost, lost...)
	w.left = append(w.left, from)
	w.note()
}

// Return offers again at once what the dispatcher would have written first.
func (w *world) Return(group dispatch.Listener, lost []dispatch.Receipt) {
	w.mu.Lock()
	var again []openmail.Event
	for _, r := range lost {
		for _, e := range w.events {
			if e.Account == r.Account && e.Position == r.Position {
				e.Delivery.Attempts = r.Attempt + 1
				again = append(again, e)
			}
		}
	}
	w.lost = append(w.lost, lost...)
	w.note()
	w.mu.Unlock()
	for _, e := range again {
		group.Offer(e)
	}
}

func (w *world) Confirm(receipts []dispatch.Receipt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.receipts = append(w.receipts, receipts...)
	w.note()
}

func (w *world) Offers(_ context.Context, scope openmail.Scope, upTo openmail.Position, l dispatch.Listener) ([]openmail.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var offers []openmail.Event
	for _, e := range w.overdue {
		if scope.Covers(e.Account, e.Pod, e.Inbox) && e.Position <= upTo && l.Wants(e.Inbox, e.Type) {
			offers = append(offers, e)
		}
	}
	return offers, nil
}

func (w *world) Hear(f func(string)) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hear = append(w.hear, f)
	w.note()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hear = nil
	}
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// client is a client built on gorilla/websocket.
type client struct {
	t testing.TB
	*websocket.Conn
}

// dial connects with a key in the Authorization header.
func dial(t testing.TB, url, key string) *client {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(url, http.Header{"Authorization": {"Bearer " + key}})
	if err != nil {
		t.Fatal("dial:", err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c}
}

func (c *client) say(message string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		c.t.Fatal("write:", err)
	}
}

// next is the next message.
func (c *client) next() string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, m, err := c.ReadMessage()
	if err != nil {
		c.t.Fatal("read:", err)
	}
	return string(m)
}

// expect reads a message, which must be that one.
func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.next(); got != want {
		c.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// expectError reads an error message, which must hold the text.
func (c *client) expectError(text string) {
	c.t.Helper()
	var m struct{ Type, Message string }
	got := c.next()
	if err := json.Unmarshal([]byte(got), &m); err != nil || m.Type != "error" || !strings.Contains(m.Message, text) {
		c.t.Fatalf("got %s, want an error with %q", got, text)
	}
}

// received is an event as a client sees it.
type received struct {
	Event       string `json:"event"`
	ID          string `json:"event_id"`
	Inbox       string `json:"inbox_id"`
	Attempt     int    `json:"attempt"`
	DeliveredAt string `json:"delivered_at"`
}

// event reads a message, which must be an event.
func (c *client) event() received {
	c.t.Helper()
	var e received
	got := c.next()
	if err := json.Unmarshal([]byte(got), &e); err != nil || e.Event == "" || e.DeliveredAt == "" {
		c.t.Fatalf("got %s, want an event", got)
	}
	return e
}

// expectEvents reads events with these ids, in this order.
func (c *client) expectEvents(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		if e := c.event(); e.ID != id {
			c.t.Fatalf("got event %s, want %s", e.ID, id)
		}
	}
}

// quiet makes sure that nothing else waits to be read: what the server had to
// say stands before its answer to a ping.
func (c *client) quiet() {
	c.t.Helper()
	c.say(`{"type":"ping"}`)
	c.expect(`{"type":"pong"}`)
}

// expectClose reads until the close frame, which must have that code.
func (c *client) expectClose(code int) string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, m, err := c.ReadMessage()
	var closed *websocket.CloseError
	if e, ok := err.(*websocket.CloseError); ok {
		closed = e
	}
	if closed == nil || closed.Code != code {
		c.t.Fatalf("got %s, %v, want close %d", m, err, code)
	}
	return closed.Text
}

const all = `{"type":"subscribed","inbox_ids":[],"event_types":[]}`

// subscribe subscribes to everything.
func (c *client) subscribe() {
	c.t.Helper()
	c.say(`{"type":"subscribe"}`)
	c.expect(all)
}
