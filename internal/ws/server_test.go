package ws

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/gorilla/websocket"

	"openmail"
)

func TestAKeyThatDoesNotDoIsToldAfterTheHandshake(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	for _, query := range []string{"", "?token=om_wrong", "?ticket=om_a", "?token="} {
		c, _, err := websocket.DefaultDialer.Dial(url+query, nil)
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		bad := &client{t, c}
		bad.expectError("unauthorized")
		bad.expectClose(4001)
		c.Close()
	}
	if n := w.server.Metrics().Refused; n != 4 {
		t.Errorf("refused %d, want 4", n)
	}
}

func TestAKeyMayStandInTheQuery(t *testing.T) {
	w := newWorld()
	c, _, err := websocket.DefaultDialer.Dial(w.start(t)+"/v1/ws?token=om_a", http.Header{"Origin": {"https://anywhere.example"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(&client{t, c}).subscribe()
}

func TestATicketOpensOneSocket(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	ticket, expires := w.server.Ticket(w.keys["om_a1"])
	if left := time.Until(expires); left < 55*time.Second || left > 60*time.Second {
		t.Errorf("it expires in %v, want 60 s", left)
	}
	c, _, err := websocket.DefaultDialer.Dial(url+"?ticket="+ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first := &client{t, c}
	first.say(`{"type":"subscribe"}`)
	first.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":[]}`)

	again, _, err := websocket.DefaultDialer.Dial(url+"?ticket="+ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	(&client{t, again}).expectError("unauthorized")
}

func TestTicketsExpireAndGiveWay(t *testing.T) {
	book, now := newTickets(), time.Now()
	key := openmail.Key{ID: "key_a", Account: "acc_a"}
	late, _ := book.issue(key, now)
	if _, ok := book.redeem(late, now.Add(ticketLife)); ok {
		t.Error("an expired ticket was taken")
	}
	oldest, _ := book.issue(key, now)
	other, _ := book.issue(openmail.Key{ID: "key_b", Account: "acc_b"}, now)
	var newest string
	for range maxTickets {
		newest, _ = book.issue(key, now)
	}
	if _, ok := book.redeem(oldest, now); ok {
		t.Error("an account may have more tickets than allowed")
	}
	if k, ok := book.redeem(other, now); !ok || k.ID != "key_b" {
		t.Error("one account's tickets push out another's")
	}
	book.revoke(map[string]bool{"key_a": true})
	if _, ok := book.redeem(newest, now); ok {
		t.Error("the ticket of a revoked key was taken")
	}
	book.sweep(now.Add(ticketLife))
	if len(book.byText)+len(book.byAccount) != 0 {
		t.Errorf("%d and %d are kept after all expired", len(book.byText), len(book.byAccount))
	}
}

func TestTheEleventhConnectionIsRefused(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	for range 10 {
		dial(t, url, "om_a").quiet()
	}
	c := dial(t, url, "om_a1")
	c.expectError("too many connections")
	c.expectClose(4008)
	dial(t, url, "om_b").quiet()
}

func TestARevokedKeyEndsItsSockets(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a, a1, b := dial(t, url, "om_a"), dial(t, url, "om_a1"), dial(t, url, "om_b")
	for _, c := range []*client{a, a1, b} {
		c.quiet()
	}
	w.server.Revoke("key_a1")
	a1.expectError("revoked")
	a1.expectClose(4001)
	w.mu.Lock()
	w.revoked = []string{"key_a"}
	w.mu.Unlock()
	w.server.recheck()(t.Context())
	a.expectError("revoked")
	a.expectClose(4001)
	b.quiet()
}

func TestTooManyMessagesEndTheSocket(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	for range 30 {
		c.quiet()
	}
	c.say(`{"type":"ping"}`)
	c.expectError("rate limit")
	c.expectClose(4029)
}

func TestAcksOfWhatWasPushedAreFree(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.subscribe()
	for range 40 {
		c.expectEvents(w.add("inb_a1"))
		c.say(`{"type":"ack","event_id":"evt_a001"}`)
	}
	c.quiet()
	for range 28 {
		c.say(`{"type":"ack","event_id":"evt_a001"}`)
	}
	c.say(`{"type":"ack","event_id":"evt_a001"}`)
	c.expectError("rate limit")
	c.expectClose(4029)
}

func TestAPingFloodEndsTheSocket(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	for range 301 {
		if err := c.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)); err != nil {
			break // it has ended already
		}
	}
	c.expectError("too many control frames")
	c.expectClose(4029)
}

func TestWhatCannotBeUnderstoodIsAnswered(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	for message, want := range map[string]string{
		`{`:                "invalid JSON",
		``:                 "invalid JSON",
		`[]`:               "JSON object",
		`"subscribe"`:      "JSON object",
		`{"type":"dance"}`: `unknown type "dance"`,
		`{}`:               `unknown type ""`,
		`{"type":"subscribe","inbox_ids":"inb_a1"}`:                              "inbox_ids",
		`{"type":"subscribe","inbox_ids":[1]}`:                                   "inbox_ids",
		`{"type":"subscribe","last_event_id":7}`:                                 "last_event_id",
		`{"type":"subscribe","inbox_ids":["inb_\u0000"]}`:                        "U+0000",
		`{"type":"subscribe","last_event_id":"\u0000"}`:                          "U+0000",
		`{"type":"subscribe","group":"a\u0000"}`:                                 "U+0000",
		`{"type":"subscribe","inbox_ids":[""]}`:                                  "no such inbox",
		`{"type":"subscribe","event_types":["` + strings.Repeat("x", 65) + `"]}`: "event type",
	} {
		c.say(message)
		c.expectError(want)
	}
	c.quiet()
}

func TestNullMeansTheSameAsLeftOut(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","inbox_ids":null,"event_types":null,"last_event_id":null,"future":{"a":[1]}}`)
	c.expect(all)
}

func TestProtocolErrorsAreAnsweredWithTheirCode(t *testing.T) {
	w := newWorld()
	url := w.start(t, func(c *Config) { c.Limits.Connections = 0 })
	for name, tt := range map[string]struct {
		bytes []byte
		code  ws.StatusCode
	}{
		"unmasked":     {[]byte{0x81, 0x01, 'x'}, 1002},
		"binary":       {masked(0x82, "x"), 1003},
		"not UTF-8":    {masked(0x81, "\xff"), 1007},
		"too long":     {masked(0x81, strings.Repeat("x", maxMessage+1)), 1009},
		"goodbye":      {masked(0x88, "\x03\xe8"), 1000},
		"bare goodbye": {masked(0x88, ""), 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, url, "om_a")
			if _, err := c.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			if code, _ := ws.ParseCloseFrameData([]byte(c.next(ws.OpClose))); code != tt.code {
				t.Errorf("got close %d, want %d", code, tt.code)
			}
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after the close frame: %v, want EOF", err)
			}
		})
	}
}

func TestAnotherClientGetsItsEvents(t *testing.T) {
	w := newWorld()
	nc, _, _, err := ws.Dialer{}.Dial(t.Context(), w.start(t)+"?token=om_a")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := wsutil.WriteClientText(nc, []byte(`{"type":"subscribe"}`)); err != nil {
		t.Fatal(err)
	}
	if m, err := wsutil.ReadServerText(nc); string(m) != all {
		t.Fatalf("got %s, %v", m, err)
	}
	id := w.add("inb_a1")
	if m, err := wsutil.ReadServerText(nc); !strings.Contains(string(m), id) {
		t.Fatalf("got %s, %v", m, err)
	}
	go func() { _, _ = wsutil.ReadServerText(nc) }() // it answers the ping
	w.until(t, "the receipt came", func() bool { return len(w.receipts) == 1 })
}

func TestCompressionIsNeverAgreedTo(t *testing.T) {
	w := newWorld()
	dialer := websocket.Dialer{EnableCompression: true}
	c, answer, err := dialer.Dial(w.start(t)+"?token=om_a", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := answer.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("extensions %q", got)
	}
	(&client{t, c}).subscribe()
}

func TestOnlyListedOriginsAreLetIn(t *testing.T) {
	w := newWorld()
	url := w.start(t, func(c *Config) { c.Origins = []string{"https://app.example"} })
	for origin, want := range map[string]int{
		"https://app.example": 101, "": 101, "https://evil.example": 403, "https://app.example.evil": 403, "null": 403,
	} {
		header := http.Header{"Authorization": {"Bearer om_a"}}
		if origin != "" {
			header.Set("Origin", origin)
		}
		c, answer, err := websocket.DefaultDialer.Dial(url, header)
		if answer == nil || answer.StatusCode != want {
			t.Errorf("origin %q: %v, want %d", origin, err, want)
		}
		if c != nil {
			c.Close()
		}
	}
}

func TestAPlainRequestIsToldToUpgrade(t *testing.T) {
	w := newWorld()
	url := "http" + strings.TrimPrefix(w.start(t), "ws")
	answer, err := http.Get(url + "?token=om_a")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body struct{ Error, Message string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || answer.StatusCode != 426 || body.Error != "bad_request" {
		t.Errorf("status %d, %+v, %v", answer.StatusCode, body, err)
	}
}

func TestStoppingAdvisesClientsToComeBackApart(t *testing.T) {
	w := newWorld()
	w.server = New(w.config(DefaultLimits()))
	web := httptest.NewServer(w.server)
	defer web.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	w.until(t, "it listens to the bell", func() bool { return len(w.hear) > 0 })
	url := "ws" + strings.TrimPrefix(web.URL, "http")
	a, b := dial(t, url, "om_a"), dial(t, url, "om_b")
	a.subscribe()
	b.quiet()
	cancel()
	form := regexp.MustCompile(`^server is shutting down; reconnect in [0-5]\.\d s$`)
	x, y := a.expectClose(1001), b.expectClose(1001)
	if !form.MatchString(x) || !form.MatchString(y) {
		t.Errorf("reasons %q and %q", x, y)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	late, _, err := websocket.DefaultDialer.Dial(url+"?token=om_a", nil)
	if err == nil {
		late.Close()
		t.Error("a connection was let in after the end")
	}
}

func TestOpenSocketsAreListedAndMayBeClosed(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	whole, inbox := openmail.Scope{Account: "acc_a"}, openmail.Scope{Account: "acc_a", Inbox: "inb_a1"}
	a := dial(t, url, "om_a")
	a.say(`{"type":"subscribe","inbox_ids":["inb_a2"],"event_types":["message.received"]}`)
	a.next()
	a1 := dial(t, url, "om_a1")
	a1.quiet()
	a.expectEvents(w.add("inb_a2"))
	a.quiet()
	w.until(t, "the receipt came", func() bool { return len(w.receipts) == 1 })
	list := w.server.Sockets(whole)
	if len(list) != 2 || len(w.server.Sockets(openmail.Scope{Account: "acc_b"})) != 0 || len(w.server.Sockets(inbox)) != 1 {
		t.Fatalf("the account has %+v", list)
	}
	got := list[0]
	if !got.Subscribed || got.InboxIDs[0] != "inb_a2" || got.EventTypes[0] != "message.received" || got.Behind != 0 ||
		got.Unconfirmed != 0 || got.LastReceiptAt.IsZero() || got.Remote != a.LocalAddr().String() {
		t.Errorf("got %+v", got)
	}
	if list[1].Subscribed || list[1].InboxIDs == nil {
		t.Errorf("got %+v", list[1])
	}
	if err := w.server.Disconnect(inbox, got.ID); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("an inbox's key closes the account's socket: %v", err)
	}
	if err := w.server.Disconnect(whole, got.ID); err != nil {
		t.Error(err)
	}
	a.expectClose(1000)
	a1.quiet()
}

func TestWhatASocketDidIsLoggedOnceWithoutSecrets(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	c, _, err := websocket.DefaultDialer.Dial(url+"?token=om_a", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &client{t, c}
	a.subscribe()
	a.expectEvents(w.add("inb_a1"))
	a.quiet()
	w.until(t, "the receipt came", func() bool { return len(w.receipts) == 1 })
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "done"), time.Now().Add(time.Second))
	a.expectClose(1000)
	c.Close()
	w.server.tasks.wait()
	var line map[string]any
	if err := json.Unmarshal([]byte(w.logs.String()), &line); err != nil {
		t.Fatalf("%v in %s", err, &w.logs)
	}
	for k, want := range map[string]any{
		"msg": "socket.closed", "account": "acc_a", "key": "key_a", "code": 1000.0, "pushed": 1.0, "confirmed": 1.0,
		"remote": c.LocalAddr().String(),
	} {
		if line[k] != want {
			t.Errorf("%s is %v, want %v", k, line[k], want)
		}
	}
	if strings.Contains(w.logs.String(), "om_") {
		t.Error("the log has the key")
	}
	if m := w.server.Metrics(); m != (Metrics{Opened: 1, Pushed: 1, Receipts: 1}) {
		t.Errorf("metrics %+v", m)
	}
}

func TestAFailureOfTheStoreAsksTheClientToComeBack(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	w.mu.Lock()
	w.broken = errors.New("disk on fire")
	w.mu.Unlock()
	c.say(`{"type":"subscribe"}`)
	if reason := c.expectClose(1011); strings.Contains(reason, "fire") {
		t.Errorf("the client is told %q", reason)
	}
	if !strings.Contains(w.logs.String(), "disk on fire") {
		t.Error("the log does not say why")
	}
}
