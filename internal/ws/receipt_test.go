package ws

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"

	"openmail"
	"openmail/internal/dispatch"
)

// raw is a client that answers nothing by itself.
type raw struct {
	t testing.TB
	net.Conn
}

func dialRaw(t testing.TB, url, key string) *raw {
	t.Helper()
	nc, br, _, err := ws.Dialer{}.Dial(t.Context(), url+"?token="+key)
	if err != nil || br != nil {
		t.Fatal("dial:", err)
	}
	t.Cleanup(func() { nc.Close() })
	return &raw{t, nc}
}

// next reads a frame, which must have that opcode.
func (r *raw) next(op ws.OpCode) string {
	r.t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(10 * time.Second))
	f, err := readFrame(r)
	if err != nil || f.Header.OpCode != op {
		r.t.Fatalf("got %v %q, %v, want opcode %v", f.Header, f.Payload, err, op)
	}
	return string(f.Payload)
}

func (r *raw) send(first byte, payload string) {
	r.t.Helper()
	if _, err := r.Write(masked(first, payload)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) say(message string)  { r.t.Helper(); r.send(0x81, message) }
func (r *raw) pong(payload string) { r.t.Helper(); r.send(0x8a, payload) }
func (r *raw) subscribe()          { r.say(`{"type":"subscribe"}`); r.next(ws.OpText) }

// quiet makes sure that nothing else was sent.
func (r *raw) quiet() {
	r.t.Helper()
	r.say(`{"type":"ping"}`)
	if got := r.next(ws.OpText); got != `{"type":"pong"}` {
		r.t.Fatalf("got %s", got)
	}
}

func TestAPongConfirmsWhatWasPushedBeforeItsFence(t *testing.T) {
	w := newWorld()
	c := dialRaw(t, w.start(t), "om_a")
	c.subscribe()
	begun := time.Now().Add(-time.Millisecond)
	w.add("inb_a1")
	c.next(ws.OpText)
	fence := c.next(ws.OpPing)
	w.add("inb_a1") // no second fence while one is out
	c.next(ws.OpText)
	c.quiet()
	c.pong(fence)
	w.until(t, "the first is confirmed", func() bool { return len(w.receipts) == 1 })
	next := c.next(ws.OpPing)
	c.pong(fence) // once more, which says nothing
	c.pong("")
	c.pong("\xff\xff\xff\xff\xff\xff\xff\xff")
	c.quiet()
	w.until(t, "only the first is confirmed", func() bool { return len(w.receipts) == 1 })
	c.pong(next)
	w.until(t, "the second is confirmed", func() bool { return len(w.receipts) == 2 })
	for i, r := range w.receipts {
		if r.Account != "acc_a" || r.Position != openmail.Position(i+1) || r.Attempt != 1 || r.Remote != c.LocalAddr().String() ||
			r.PushedAt.Before(begun) || r.At.Before(r.PushedAt.Truncate(time.Microsecond)) {
			t.Errorf("receipt %+v", r)
		}
	}
}

func TestWhatWasNotConfirmedIsLostWithTheSocket(t *testing.T) {
	w := newWorld()
	c := dialRaw(t, w.start(t), "om_a")
	c.subscribe()
	w.add("inb_a1")
	c.next(ws.OpText)
	c.pong(c.next(ws.OpPing))
	w.until(t, "the first is confirmed", func() bool { return len(w.receipts) == 1 })
	w.add("inb_a2")
	w.add("inb_a1")
	for texts := 0; texts < 2; { // and a fence or two, which are not answered
		f, err := readFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode == ws.OpText {
			texts++
		}
	}
	if !w.Held("acc_a", 2) || w.Held("acc_a", 1) {
		t.Error("what was pushed and not confirmed is held, and nothing else")
	}
	c.Close()
	w.until(t, "the others are lost", func() bool { return len(w.lost) == 2 })
	if w.lost[0].Position != 2 || w.lost[1].Position != 3 || w.Held("acc_a", 2) {
		t.Errorf("lost %+v", w.lost)
	}
}

func TestAFullWindowWaitsForAReceipt(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	for range windowEvents + 50 {
		w.add("inb_a1")
	}
	first := w.add("inb_a1")
	c := dialRaw(t, url, "om_a")
	c.say(`{"type":"subscribe","last_event_id":"evt_a001"}`)
	c.next(ws.OpText)
	var fence string
	for events := 0; events < windowEvents; {
		f, err := readFrame(c)
		switch {
		case err != nil:
			t.Fatal(err)
		case f.Header.OpCode == ws.OpPing:
			fence = string(f.Payload)
		default:
			events++
		}
	}
	c.quiet()
	for {
		c.pong(fence)
		f, err := readFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode == ws.OpPing {
			fence = string(f.Payload)
		}
		if strings.Contains(string(f.Payload), first) {
			return
		}
	}
}

func TestTheWindowKnowsWhichFenceCameBack(t *testing.T) {
	var w window
	push := func(n int) {
		for range n {
			w.add(&openmail.Event{Position: openmail.Position(w.last + 1), Payload: make([]byte, 10)}, time.Unix(0, 0), 1)
		}
	}
	if w.fenceDue() {
		t.Error("a fence is due before anything was pushed")
	}
	push(3)
	if !w.fenceDue() || w.fence() != 3 || w.fenceDue() {
		t.Error("one fence should be due after three events")
	}
	push(2)
	if w.fenceDue() {
		t.Error("a second fence is due while the first is out")
	}
	w.fence() // the heartbeat names all five
	push(1)
	for _, bad := range []uint64{0, 6, 1 << 60} {
		if got := w.pong(bad); got != nil {
			t.Errorf("pong %d confirms %v", bad, got)
		}
	}
	if got := w.pong(5); len(got) != 5 || got[4].position != 5 || w.bytes != 10 {
		t.Errorf("only the latest ping was answered: %v is confirmed, %d bytes wait", got, w.bytes)
	}
	if got := w.pong(3); got != nil || !w.holds(6) || w.holds(5) {
		t.Errorf("an older pong confirms %v", got)
	}
	if w.fence() != 6 || len(w.pong(6)) != 1 || w.waiting != nil || w.bytes != 0 {
		t.Errorf("something is left: %+v", w)
	}
}

func TestAnAckConfirmsWhatWasPushedUpToItsEventAndAPongNothing(t *testing.T) {
	w := newWorld()
	c := dialRaw(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","ack":true}`)
	if got := c.next(ws.OpText); got != `{"type":"subscribed","inbox_ids":[],"event_types":[],"ack":true}` {
		t.Fatalf("subscribed: %s", got)
	}
	first := w.add("inb_a1")
	c.next(ws.OpText)
	c.pong(c.next(ws.OpPing))
	second, third := w.add("inb_a1"), w.add("inb_a2")
	for texts := 0; texts < 2; { // and a fence or two
		f, err := readFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode == ws.OpPing {
			c.pong(string(f.Payload))
			continue
		}
		texts++
	}
	c.say(`{"type":"ack","event_id":"evt_nothing"}`)
	c.say(`{"type":"ack"}`)
	c.quietly()
	if w.until(t, "nothing is confirmed", func() bool { return len(w.receipts) == 0 }); !w.Held("acc_a", 1) {
		t.Error("the first event is not held")
	}
	c.say(`{"type":"ack","event_id":"` + second + `"}`)
	w.until(t, "two are confirmed", func() bool { return len(w.receipts) == 2 })
	c.say(`{"type":"ack","event_id":"` + first + `"}`) // once more, which says nothing
	c.say(`{"type":"subscribe"}`)                      // acks stay
	c.say(`{"type":"ack","event_id":"` + third + `"}`)
	w.until(t, "all are confirmed, once", func() bool {
		return len(w.receipts) == 3 && w.receipts[1].Position == 2 && w.receipts[2].Position == 3
	})
}

func TestWhatWasNotAckedIsLostWithTheSocket(t *testing.T) {
	w := newWorld()
	c := dialRaw(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","ack":true}`)
	c.next(ws.OpText)
	first := w.add("inb_a1")
	c.next(ws.OpText)
	c.pong(c.next(ws.OpPing))
	w.add("inb_a1")
	c.next(ws.OpText)
	c.pong(c.next(ws.OpPing))
	c.say(`{"type":"ack","event_id":"` + first + `"}`)
	w.until(t, "the first is confirmed", func() bool { return len(w.receipts) == 1 })
	c.Close()
	w.until(t, "the second is lost", func() bool { return len(w.lost) == 1 && w.lost[0].Position == 2 })
}

func TestAFullWindowWaitsForAnAck(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	before := w.add("inb_a1")
	var ids []string
	for range windowEvents + 1 {
		ids = append(ids, w.add("inb_a1"))
	}
	c := dialRaw(t, url, "om_a")
	c.say(`{"type":"subscribe","ack":true,"last_event_id":"` + before + `"}`)
	c.next(ws.OpText)
	events := func(n int) {
		t.Helper()
		for n > 0 {
			f, err := readFrame(c)
			switch {
			case err != nil:
				t.Fatal(err)
			case f.Header.OpCode == ws.OpPing:
				c.pong(string(f.Payload))
			default:
				n--
			}
		}
	}
	events(windowEvents)
	c.quietly()
	c.say(`{"type":"ack","event_id":"` + ids[0] + `"}`)
	events(1)
}

// quietly makes sure that nothing else was sent but fences, which it answers.
func (r *raw) quietly() {
	r.t.Helper()
	r.say(`{"type":"ping"}`)
	for {
		f, err := readFrame(r)
		if err != nil {
			r.t.Fatal(err)
		}
		if f.Header.OpCode != ws.OpPing {
			if string(f.Payload) != `{"type":"pong"}` {
				r.t.Fatalf("got %s", f.Payload)
			}
			return
		}
		r.pong(string(f.Payload))
	}
}

// pipe opens a session on one end of a pipe, and returns the other.
func pipe(t *testing.T, s *Server, key openmail.Key) *raw {
	near, far := net.Pipe()
	ss := s.session(near, key, "pipe")
	if f := s.admit(ss, key.Account); f != nil {
		t.Fatal(f)
	}
	s.begin(ss, nil)
	return &raw{t, far}
}

// running runs a server in the test's bubble and stops it at the end.
func running(t *testing.T, w *world) *Server {
	w.server = New(w.config(DefaultLimits()))
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = w.server.Run(t.Context()) }()
	t.Cleanup(func() { <-stopped })
	return w.server
}

func TestAnIdleSocketIsPingedAndLivesByItsPongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := pipe(t, running(t, w), w.keys["om_a"])
		defer c.Close()
		begun := time.Now()
		for i := 1; i <= 5; i++ {
			f, err := readFrame(c)
			if err != nil || f.Header.OpCode != ws.OpPing {
				t.Fatalf("got %+v, %v", f, err)
			}
			took := time.Since(begun)
			if low := time.Duration(i) * 30 * time.Second; took < low || took > low+time.Duration(i)*time.Second {
				t.Errorf("ping %d came after %v", i, took)
			}
			c.pong(string(f.Payload))
		}
		if w.server.Metrics().Open != 1 {
			t.Error("it is no longer open")
		}
	})
}

func TestASocketWithoutAnyPongIsEndedAfterFortySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := pipe(t, running(t, w), w.keys["om_a"])
		defer c.Close()
		begun := time.Now()
		c.say(`{"type":"subscribe"}`)
		c.next(ws.OpText)
		w.add("inb_a1")
		var frames int
		_ = c.SetReadDeadline(time.Time{})
		for {
			f, err := readFrame(c)
			if err != nil {
				break
			}
			if frames++; f.Header.OpCode == ws.OpPing && len(f.Payload) == 8 && binary.BigEndian.Uint64([]byte(f.Payload)) != 1 {
				t.Errorf("a ping names fence %q, want 1", f.Payload)
			}
		}
		if took := time.Since(begun); took < 40*time.Second || took > 41*time.Second {
			t.Errorf("it ended after %v", took)
		}
		if frames != 3 {
			t.Errorf("%d frames came, want the event, its fence and the heartbeat", frames)
		}
		synctest.Wait()
		if len(w.lost) != 1 || w.server.Metrics().Open != 0 || !strings.Contains(w.logs.String(), `"code":1006`) {
			t.Errorf("lost %v; log %s", w.lost, &w.logs)
		}
	})
}

func TestMessagesAreCountedInStretchesOfTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := pipe(t, running(t, w), w.keys["om_a"])
		defer c.Close()
		for range 2 {
			for range 30 {
				c.quiet()
			}
			time.Sleep(10 * time.Second)
		}
		for range 30 {
			c.quiet()
		}
		time.Sleep(9 * time.Second)
		c.say(`{"type":"ping"}`)
		if got := c.next(ws.OpText); !strings.Contains(got, "rate limit") {
			t.Errorf("got %s", got)
		}
		if code, _ := ws.ParseCloseFrameData([]byte(c.next(ws.OpClose))); code != 4029 {
			t.Errorf("closed with %d", code)
		}
	})
}

func TestAWithheldReceiptIsNotDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := pipe(t, running(t, w), w.keys["om_a"])
		defer c.Close()
		c.say(`{"type":"subscribe"}`)
		c.next(ws.OpText)
		w.add("inb_a1")
		c.next(ws.OpText)
		_ = c.SetReadDeadline(time.Time{})
		begun := time.Now()
		for time.Since(begun) < 3*time.Minute {
			if f, err := readFrame(c); err != nil || f.Header.OpCode != ws.OpPing {
				t.Fatalf("got %+v, %v", f, err)
			}
			c.pong("") // alive, but it does not say what it has read
		}
		if len(w.receipts) != 0 || w.server.Metrics().Open != 1 {
			t.Errorf("receipts %v, open %d", w.receipts, w.server.Metrics().Open)
		}
	})
}

func TestTheSweepRechecksKeysByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := pipe(t, running(t, w), w.keys["om_a"])
		defer c.Close()
		w.mu.Lock()
		w.revoked = []string{"key_a"}
		w.mu.Unlock()
		begun := time.Now()
		if got := c.next(ws.OpText); !strings.Contains(got, "revoked") {
			t.Errorf("got %s", got)
		}
		c.next(ws.OpClose)
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAStalledClientHarmsNoOne(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	stalled := dialRaw(t, url, "om_a")
	stalled.subscribe()
	_ = w.server.sessions()[0].conn.nc.(*net.TCPConn).SetWriteBuffer(256 << 10)
	_ = stalled.Conn.(*net.TCPConn).SetReadBuffer(256 << 10)
	c := dial(t, url, "om_a")
	c.subscribe()
	pad := `,"pad":"` + strings.Repeat("x", 64<<10) + `"}`
	var ids []string
	for p := range openmail.Position(200) { // 13 MB: more than any socket buffer
		e := event("inb_a1", p+1)
		e.Payload = append(e.Payload[:len(e.Payload)-1:len(e.Payload)-1], pad...)
		w.mu.Lock()
		w.events = append(w.events, e)
		w.mu.Unlock()
		w.server.ring("acc_a")
		c.expectEvents(e.ID)
		ids = append(ids, e.ID)
	}
	w.server.sweep(t.Context())
	w.server.look(t.Context())
	behind := w.server.Sockets(openmail.Scope{Account: "acc_a"})[0]
	if behind.Behind == 0 || behind.Unconfirmed == 0 {
		t.Errorf("the stalled socket is not behind: %+v", behind)
	}
	_ = stalled.SetReadDeadline(time.Now().Add(20 * time.Second))
	for len(ids) > 0 { // it wakes up, and has them all in order
		f, err := readFrame(stalled)
		switch {
		case err != nil:
			t.Fatal(err)
		case f.Header.OpCode == ws.OpPing:
			stalled.pong(string(f.Payload))
		case !strings.Contains(string(f.Payload[:200]), ids[0]):
			t.Fatalf("got %.120s, want %s", f.Payload, ids[0])
		default:
			ids = ids[1:]
		}
	}
}

func TestWhatCameWithTheHandshakeIsHeard(t *testing.T) {
	w := newWorld()
	nc, err := net.Dial("tcp", strings.TrimPrefix(w.start(t), "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = nc.Write(append([]byte("GET /v1/ws?token=om_a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), joined(
		masked(0x01, `{"type":`), masked(0x89, "?"), masked(0x80, `"subscribe"}`), masked(0x88, "\x03\xe8"))...))
	answer, err := io.ReadAll(nc)
	want := string(joined(appendFrame(nil, ws.OpPong, []byte("?")), appendFrame(nil, ws.OpText, []byte(all)), appendClose(nil, 1000, "")))
	if err != nil || !strings.HasSuffix(string(answer), "\r\n\r\n"+want) ||
		!strings.Contains(string(answer), "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestEventsGoOverTLSAsWell(t *testing.T) {
	w := newWorld()
	w.start(t)
	web := httptest.NewTLSServer(w.server)
	t.Cleanup(web.Close)
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}
	conn, _, err := dialer.Dial("wss"+strings.TrimPrefix(web.URL, "https")+"?token=om_a", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t, conn}
	var ids []string
	for range 200 {
		ids = append(ids, w.add("inb_a1"))
	}
	c.say(`{"type":"subscribe","last_event_id":"` + ids[0] + `"}`)
	c.expect(all)
	c.expectEvents(ids[1:]...)
	c.expectEvents(w.add("inb_a2"))
	c.quiet()
	// The last event may have its fence only once that before it is back: a
	// client answers pings while it reads.
	go func() { _, _, _ = conn.ReadMessage() }()
	w.until(t, "all are confirmed", func() bool { return len(w.receipts) == 200 })
}

func TestASocketThatEndsTellsFromWhereOnItHadNotBeenPushedEverything(t *testing.T) {
	for group, subscribe := range map[string]string{"": `{"type":"subscribe"}`, "workers": `{"type":"subscribe","group":"workers"}`} {
		w := newWorld()
		url := w.start(t)
		c := dial(t, url, "om_a")
		c.say(subscribe)
		_ = c.next()
		first := w.add("inb_a1")
		c.expectEvents(first)
		w.deaf = true
		w.add("inb_a1")
		w.add("inb_a2")
		c.Close()
		w.until(t, "it has left", func() bool { return len(w.left) == 1 })
		if w.left[0] != 2 {
			t.Errorf("group %q: from %d on, want 2", group, w.left[0])
		}
	}
}

func TestWhatWasDeliveredBeforeNeedsNoReceipt(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	var ids []string
	for range 3 {
		ids = append(ids, w.add("inb_a1"))
	}
	w.mu.Lock()
	for i := range w.events {
		w.events[i].Delivery.State = openmail.StateDelivered
	}
	again := w.events[1]
	w.mu.Unlock()
	c := dial(t, url, "om_a")
	c.say(`{"type":"subscribe","last_event_id":"` + ids[0] + `","ack":true}`)
	c.next() // subscribed
	c.expectEvents(ids[1:]...)
	again.Delivery.State, again.Delivery.Attempts = openmail.StateArmed, 2
	w.Listeners.Offer(again) // as its owner wishes, though it is not acked
	if e := c.event(); e.ID != ids[1] || e.Attempt != 2 {
		t.Errorf("sent again: %+v", e)
	}
	last := w.add("inb_a1")
	c.expectEvents(last)
	c.say(`{"type":"ack","event_id":"` + last + `"}`)
	w.until(t, "two receipts", func() bool { return len(w.receipts) >= 2 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.receipts) != 2 || w.receipts[0].Position != 2 || w.receipts[0].Attempt != 2 || w.receipts[1].Position != 4 {
		t.Errorf("receipts %+v", w.receipts)
	}
}

// slowly is the dispatcher with so much at hand that a receipt has to wait.
type slowly struct {
	*world
	came, taken chan struct{}
}

func (d slowly) Confirm(receipts []dispatch.Receipt) {
	close(d.came)
	<-d.taken
	d.world.Confirm(receipts)
}

func TestWhatWaitsToBeConfirmedIsNotPushedAgain(t *testing.T) {
	w := newWorld()
	d := slowly{w, make(chan struct{}), make(chan struct{})}
	url := w.start(t, func(c *Config) { c.Deliveries = d })
	c := dial(t, url, "om_a")
	c.subscribe()
	id := w.add("inb_a1")
	c.expectEvents(id)
	go c.ReadMessage() // answers the ping
	s := w.server.sessions()[0]
	<-d.came
	if !s.Holds(1) {
		t.Error("it would be offered again")
	}
	close(d.taken)
	w.until(t, "the receipt", func() bool { return len(w.receipts) == 1 })
}
