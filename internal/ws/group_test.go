package ws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"

	"openmail"
)

// member is a client in the group "workers" that acks only when told to.
func member(t *testing.T, url, key string) *client {
	t.Helper()
	c := dial(t, url, key)
	c.say(`{"type":"subscribe","group":"workers","ack":true}`)
	if got := c.next(); !strings.Contains(got, `"type":"subscribed"`) || !strings.Contains(got, `"group":"workers"`) {
		t.Fatalf("got %s", got)
	}
	return c
}

func (c *client) ack(id string) { c.t.Helper(); c.say(`{"type":"ack","event_id":"` + id + `"}`) }

func TestEachEventOfAGroupGoesToOneOfIt(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	lone, a, b, c := dial(t, url, "om_a"), member(t, url, "om_a"), member(t, url, "om_a"), member(t, url, "om_a")
	lone.subscribe()
	var ids []string
	for range 6 {
		ids = append(ids, w.add("inb_a1"))
	}
	for i, m := range []*client{a, b, c} { // always to whoever has least
		m.expectEvents(ids[i], ids[i+3])
		m.quiet()
	}
	b.ack(ids[4]) // and all before it
	w.until(t, "two are confirmed", func() bool { return len(w.receipts) == 2 })
	next := w.add("inb_a1")
	b.expectEvents(next)
	a.quiet()
	c.quiet()
	lone.expectEvents(append(ids, next)...)
}

func TestWhatASocketOfAGroupHadGoesToAnotherWhenItEnds(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a, b := member(t, url, "om_a"), member(t, url, "om_a")
	first, second, third := w.add("inb_a1"), w.add("inb_a1"), w.add("inb_a2")
	a.expectEvents(first, third)
	b.expectEvents(second)
	a.Close()
	for _, want := range []string{first, third} {
		if e := b.event(); e.ID != want || e.Attempt != 2 {
			t.Errorf("got %+v, want %s for the second time", e, want)
		}
	}
	b.Close() // the last: what it had falls as with any socket
	w.until(t, "all is lost with the last", func() bool { return len(w.lost) == 5 })
	w.until(t, "nobody listens", func() bool { return !w.Wanted("acc_a", "inb_a1", openmail.MessageReceived) })
}

func TestAGroupWhereAllHaveToDoWaitsForAReceipt(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a, b := member(t, url, "om_a"), member(t, url, "om_a")
	var ids []string
	for range 2*groupWindow + 2 {
		ids = append(ids, w.add("inb_a1"))
	}
	for i, m := range []*client{a, b} {
		for j := range groupWindow {
			m.expectEvents(ids[2*j+i])
		}
		m.quiet()
	}
	if !w.Held("acc_a", 2*groupWindow+1) {
		t.Error("what waits in the log counts as on its way to nobody")
	}
	b.ack(ids[1])
	b.expectEvents(ids[2*groupWindow])
	b.quiet()
	a.Close() // its window goes to the other, and the log goes on
	seen := map[string]bool{}
	for range groupWindow {
		seen[b.event().ID] = true
	}
	for i := range groupWindow {
		if !seen[ids[2*i]] {
			t.Errorf("%s was not given to the other", ids[2*i])
		}
	}
}

func TestASocketThatIsBusyDoesNotHoldUpWhatOthersWant(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	one, two := dial(t, url, "om_a"), dial(t, url, "om_a")
	for i, c := range []*client{one, two} {
		c.say(fmt.Sprintf(`{"type":"subscribe","group":"workers","ack":true,"inbox_ids":["inb_a%d"]}`, i+1))
		c.next()
	}
	for range groupWindow + 1 {
		one.expectEvents(w.add("inb_a1"))
	}
	two.expectEvents(w.add("inb_a2"))
}

func TestAGroupsLastEventIDReplaysWhatNobodyHasConfirmed(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	var ids []string
	for range 5 {
		ids = append(ids, w.add("inb_a1"))
	}
	w.mu.Lock()
	w.events[2].Delivery.State = openmail.StateDelivered
	w.mu.Unlock()
	resume := `{"type":"subscribe","group":"workers","ack":true,"last_event_id":"` + ids[1] + `"}`
	a, b := dial(t, url, "om_a"), dial(t, url, "om_a")
	a.say(resume)
	a.next()
	for _, want := range ids[3:] {
		if e := a.event(); e.ID != want || e.Attempt != 2 {
			t.Errorf("got %+v, want %s again", e, want)
		}
	}
	b.say(resume) // the group has gone through that
	b.next()
	b.say(strings.Replace(resume, ids[1], ids[0], 1)) // but for this
	b.next()
	b.expectEvents(ids[1])
	b.expectEvents(w.add("inb_a1"))
	a.quiet()
	b.quiet()
}

func TestAGroupThatNobodyWasInGoesOnAtTheHead(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a := member(t, url, "om_a")
	a.expectEvents(w.add("inb_a1"))
	a.say(`{"type":"unsubscribe"}`)
	a.next()
	w.add("inb_a1")
	a.say(`{"type":"subscribe"}`) // it stays in its group
	if got := a.next(); !strings.Contains(got, `"group":"workers"`) {
		t.Errorf("got %s", got)
	}
	a.expectEvents(w.add("inb_a1"))
	a.quiet()
}

func TestWhatIsUnsubscribedFromGoesToTheOthersOfTheGroup(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a := dialRaw(t, url, "om_a")
	a.say(`{"type":"subscribe","group":"workers","ack":true}`)
	a.next(ws.OpText)
	b := member(t, url, "om_a")
	a.say(`{"type":"unsubscribe","inbox_ids":["inb_a1"]}`)
	a.next(ws.OpText)
	b.expectEvents(w.add("inb_a1"), w.add("inb_a1"))
	w.add("inb_a2")
	if got := a.next(ws.OpText); !strings.Contains(got, "inb_a2") {
		t.Errorf("got %s", got)
	}
	// What is queued for a socket, and not pushed, is handed back.
	s := w.server.sessions()[0]
	s.conn.mu.Lock()
	s.enqueue(event("inb_a2", 9))
	left, _ := s.narrow([]string{"inb_a2"})
	s.handBack(left)
	s.conn.mu.Unlock()
	b.expectEvents("evt_a009")
}

func TestSocketsShareOnlyWithKeysThatReachAsFar(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	whole, inbox, other := member(t, url, "om_a"), member(t, url, "om_a1"), member(t, url, "om_b")
	e := w.add("inb_a1")
	whole.expectEvents(e)
	inbox.expectEvents(e)
	other.quiet()
}

func TestASocketIsInTheGroupOfItsFirstSubscribe(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a, b := member(t, url, "om_a"), dial(t, url, "om_a")
	a.say(`{"type":"subscribe","group":"others"}`)
	a.expectError(`in the group "workers"`)
	b.say(`{"type":"subscribe","group":"` + strings.Repeat("g", maxGroup+1) + `"}`)
	b.expectError("at most 64 bytes")
	b.say(`{"type":"subscribe","group":["workers"]}`)
	b.expectError("group must not be a JSON array")
	b.subscribe()
	b.say(`{"type":"subscribe","group":"workers"}`)
	b.expectError("in no group")
	var groups []string
	for _, s := range w.server.Sockets(openmail.Scope{Account: "acc_a"}) {
		groups = append(groups, s.Group)
	}
	if got := strings.Join(groups, ","); got != "workers," {
		t.Errorf("listed groups %q", got)
	}
}

// TestNothingIsLostOrDoubledWhileSocketsOfAGroupComeAndGo has workers that ack
// some events and die with others.
func TestNothingIsLostOrDoubledWhileSocketsOfAGroupComeAndGo(t *testing.T) {
	const events, workers = 600, 4
	w := newWorld()
	url := w.start(t)
	stays := member(t, url, "om_a") // so that the group is never empty
	var mu sync.Mutex
	acked := map[string]int{} // by worker that lived to say so
	handle := func(c *websocket.Conn, most int) {
		for n := 0; n < most; n++ {
			_, m, err := c.ReadMessage()
			if err != nil {
				return
			}
			var e received
			if json.Unmarshal(m, &e) != nil || e.ID == "" {
				n-- // subscribed
				continue
			}
			if n == most-1 {
				return // dies with this one
			}
			if c.WriteMessage(websocket.TextMessage, []byte(`{"type":"ack","event_id":"`+e.ID+`"}`)) != nil {
				return
			}
			mu.Lock()
			acked[e.ID]++
			mu.Unlock()
		}
	}
	ctx, done := context.WithCancel(t.Context())
	defer done()
	var crowd sync.WaitGroup
	crowd.Go(func() { handle(stays.Conn, events+1) })
	for i := range workers {
		crowd.Go(func() {
			for life := 0; ctx.Err() == nil; life++ {
				c, _, err := websocket.DefaultDialer.DialContext(ctx, url, http.Header{"Authorization": {"Bearer om_a"}})
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				context.AfterFunc(ctx, func() { c.Close() })
				_ = c.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","group":"workers","ack":true}`))
				handle(c, 1+(life+i)%7)
				_ = c.Close()
			}
		})
	}
	var ids []string
	for range events {
		ids = append(ids, w.add("inb_a1"))
	}
	confirmed := func() map[openmail.Position]int {
		n := map[openmail.Position]int{}
		for _, r := range w.receipts {
			n[r.Position]++
		}
		return n
	}
	w.until(t, "every event is confirmed", func() bool { return len(confirmed()) == events })
	done()
	_ = stays.Conn.Close()
	crowd.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, n := range confirmed() {
		if n != 1 {
			t.Errorf("event %d was confirmed %d times", p, n)
		}
	}
	for _, id := range ids {
		if acked[id] == 0 {
			t.Errorf("%s was confirmed though nobody had it", id)
		}
	}
	if len(w.lost) == 0 {
		t.Error("nobody died with an event")
	}
}
