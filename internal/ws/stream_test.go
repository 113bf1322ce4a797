package ws

import (
	"fmt"
	"strings"
	"testing"

	"openmail"
)

func TestNothingFlowsBeforeTheFirstSubscribe(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	w.add("inb_a1")
	c.quiet()
	c.subscribe()
	c.quiet()
	id := w.add("inb_a2")
	e := c.event()
	if e.ID != id || e.Attempt != 1 || e.Event != "message.received" || e.Inbox != "inb_a2" {
		t.Errorf("got %+v, want %s, attempt 1", e, id)
	}
}

func TestSubscriptionsAccumulateAndEndAtOnce(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"],"event_types":["message.received"]}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":["message.received"]}`)
	w.add("inb_a2")
	c.expectEvents(w.add("inb_a1"))
	c.say(`{"type":"subscribe","inbox_ids":["inb_a2"],"event_types":["message.received"]}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1","inb_a2"],"event_types":["message.received"]}`)
	c.expectEvents(w.add("inb_a2"), w.add("inb_a1"))
	c.say(`{"type":"unsubscribe","inbox_ids":["inb_a1"]}`)
	c.expect(`{"type":"unsubscribed","inbox_ids":["inb_a1"]}`)
	w.add("inb_a1")
	c.expectEvents(w.add("inb_a2"))
	for _, everything := range []string{`{"type":"unsubscribe"}`, `{"type":"unsubscribe","inbox_ids":[]}`} {
		c.say(everything)
		c.expect(`{"type":"unsubscribed","inbox_ids":[]}`)
		w.add("inb_a1")
		w.add("inb_a2")
		c.quiet()
		c.say(`{"type":"subscribe","inbox_ids":[]}`)
		c.expect(all)
	}
	c.expectEvents(w.add("inb_a1"))
}

func TestOthersEventsAreNeverSeen(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	a, a1, b := dial(t, url, "om_a"), dial(t, url, "om_a1"), dial(t, url, "om_b")
	a.subscribe()
	b.subscribe()
	a1.say(`{"type":"subscribe"}`)
	a1.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":[]}`)
	first, second, foreign := w.add("inb_a1"), w.add("inb_a2"), w.add("inb_b1")
	third := w.add("inb_a1")
	a.expectEvents(first, second, third)
	a1.expectEvents(first, third)
	b.expectEvents(foreign)
	for _, c := range []*client{a, a1, b} {
		c.quiet()
	}
	a1.say(`{"type":"subscribe","inbox_ids":["inb_a2"]}`)
	a1.expectError("inb_a2")
	b.say(`{"type":"subscribe","last_event_id":"` + first + `"}`)
	b.expectError("unknown last_event_id")
	b.expect(all)
}

func TestAnInboxOfAnotherAccountChangesNothing(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1","inb_b1"]}`)
	c.expectError("inb_b1")
	w.add("inb_a1")
	c.quiet()
	if w.Wanted("acc_a", "inb_a1", openmail.MessageReceived) {
		t.Error("the dispatcher counts on a socket that is not subscribed")
	}
}

func TestReplayGoesOnLiveWithoutASeam(t *testing.T) {
	w := newWorld()
	url := w.start(t)
	var ids []string
	for range 300 {
		ids = append(ids, w.add("inb_a1"))
	}
	c := dial(t, url, "om_a")
	stop := make(chan struct{})
	added := make(chan []string)
	go func() { // mail keeps coming in meanwhile
		var more []string
		for {
			select {
			case <-stop:
				added <- more
				return
			default:
				more = append(more, w.add("inb_a2"))
			}
		}
	}()
	c.say(`{"type":"subscribe","last_event_id":"` + ids[9] + `"}`)
	c.expect(all)
	e := c.event()
	if e.ID != ids[10] || e.Attempt != 2 {
		t.Fatalf("replay begins with %+v, want %s, attempt 2", e, ids[10])
	}
	c.expectEvents(ids[11:]...)
	close(stop)
	more := <-added
	c.expectEvents(more...)
	if e := c.event; w.add("inb_a1") == "" || e().Attempt != 1 {
		t.Error("a live event does not carry attempt 1")
	}
	c.quiet()
}

func TestAStreamCutAfterEveryEventLosesAndRepeatsNothing(t *testing.T) {
	w := newWorld()
	url := w.start(t, func(c *Config) { c.Limits.Connections = 0 })
	var want, got []string
	c := dial(t, url, "om_a")
	c.subscribe()
	for i := range 60 {
		id := w.add([]string{"inb_a1", "inb_a2"}[i%2])
		want = append(want, id)
		if i%3 == 0 { // a cut with events still to come
			want = append(want, w.add("inb_a1"))
		}
		for len(got) < len(want) {
			got = append(got, c.event().ID)
			c.Close()
			c = dial(t, url, "om_a")
			c.say(`{"type":"subscribe","last_event_id":"` + got[len(got)-1] + `"}`)
			c.expect(all)
		}
	}
	c.quiet()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAnUnknownLastEventIDStillSubscribes(t *testing.T) {
	w := newWorld()
	oldest := w.add("inb_a1")
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","last_event_id":"evt_gone"}`)
	c.expectError(oldest)
	c.expect(all)
	c.expectEvents(w.add("inb_a1"))
}

func TestSubscribingAgainRepeatsNothing(t *testing.T) {
	w := newWorld()
	before := []string{w.add("inb_a1"), w.add("inb_a2"), w.add("inb_a1")}
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"]}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":[]}`)
	live := []string{w.add("inb_a1"), w.add("inb_a2"), w.add("inb_a1")}
	c.expectEvents(live[0], live[2])

	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"]}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":[]}`)
	c.quiet()

	// From an event that this connection had: everything after it was sent.
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"],"last_event_id":"` + live[0] + `"}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":[]}`)
	c.quiet()

	// From before the connection began: only what it did not have.
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"],"last_event_id":"` + before[0] + `"}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1"],"event_types":[]}`)
	c.expectEvents(before[2])
	c.quiet()

	// A wider subscription, from the start: what the narrower one left out.
	c.say(`{"type":"subscribe","last_event_id":"` + before[0] + `"}`)
	c.expect(all)
	c.expectEvents(before[1], live[1], w.add("inb_a2"))
	c.quiet()
}

func TestAWiderSubscriptionReplaysNothingUnasked(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"]}`)
	c.next()
	w.add("inb_a2")
	c.expectEvents(w.add("inb_a1"))
	c.subscribe()
	c.quiet()
	c.expectEvents(w.add("inb_a2"))
}

func TestOverdueEventsComeToWhoeverSubscribes(t *testing.T) {
	w := newWorld()
	late := event("inb_a1", 1)
	late.Delivery.Attempts = 3
	w.events = []openmail.Event{late, event("inb_a2", 2)}
	w.overdue = []openmail.Event{late}
	c := dial(t, w.start(t), "om_a")
	c.subscribe()
	if e := c.event(); e.ID != late.ID || e.Attempt != 3 {
		t.Errorf("got %+v, want %s, attempt 3", e, late.ID)
	}
	c.subscribe() // the same again asks for nothing
	c.quiet()
}

func TestAnOfferedEventIsPushedOnce(t *testing.T) {
	w := newWorld()
	w.events = []openmail.Event{event("inb_a1", 1), event("inb_a1", 2)}
	c := dial(t, w.start(t), "om_a")
	c.say(`{"type":"subscribe","inbox_ids":["inb_a1"]}`)
	c.next()
	e := w.events[0]
	e.Delivery.Attempts = 2
	// The dispatcher may offer what another inbox's socket wants, too.
	w.Listeners.Offer(event("inb_a2", 1))
	w.Listeners.Offer(e)
	if got := c.event(); got.ID != e.ID || got.Attempt != 2 {
		t.Errorf("got %+v, want %s, attempt 2", got, e.ID)
	}
	c.quiet()
}

func TestWhatTheBellMissesIsFoundByLooking(t *testing.T) {
	w := newWorld()
	w.deaf = true
	c := dial(t, w.start(t), "om_a")
	c.subscribe()
	id := w.add("inb_a1")
	w.server.look(t.Context())
	c.expectEvents(id)
}

func TestEverySocketOfALargeCrowdHasTheEventOnce(t *testing.T) {
	w := newWorld()
	url := w.start(t, func(c *Config) { c.Limits.Connections = 0 })
	crowd := make([]*client, 150)
	for i := range crowd {
		crowd[i] = dial(t, url, "om_a")
		crowd[i].subscribe()
		crowd[i].quiet()
	}
	id := w.add("inb_a1")
	for _, c := range crowd {
		c.expectEvents(id)
		c.quiet() // a client answers pings while it reads
	}
	w.until(t, "every socket has confirmed", func() bool { return len(w.receipts) == len(crowd) })
}

func TestALargeEventArrivesWhole(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.subscribe()
	e := event("inb_a1", 1)
	e.Payload = append(e.Payload[:len(e.Payload)-1], `,"more":"`+strings.Repeat("x", 3<<20)+`"}`...)
	w.mu.Lock()
	w.events = []openmail.Event{e}
	w.mu.Unlock()
	w.server.ring("acc_a")
	c.expectEvents(e.ID)
	c.quiet()
	w.until(t, "its receipt came", func() bool { return len(w.receipts) == 1 })
}

func TestUnsubscribingIsBoundedByWhatIsLeftOutNotByHowOftenItIsSaid(t *testing.T) {
	w := newWorld()
	c := dial(t, w.start(t), "om_a")
	c.subscribe()
	again := strings.Repeat(`"inb_a1",`, 800) + `"inb_a1"`
	for range 3 {
		c.say(`{"type":"unsubscribe","inbox_ids":[` + again + `]}`)
		c.expect(`{"type":"unsubscribed","inbox_ids":[` + again + `]}`)
	}
	c.say(`{"type":"unsubscribe","inbox_ids":["` + strings.Repeat("x", 65) + `"]}`)
	c.next()
	for page := range 3 {
		var ids []string
		for i := range 900 {
			ids = append(ids, fmt.Sprintf(`"inb_%d_%d"`, page, i))
		}
		c.say(`{"type":"unsubscribe","inbox_ids":[` + strings.Join(ids, ",") + `]}`)
		if page < 2 {
			c.next()
		}
	}
	c.expectError("too many exceptions")
	w.add("inb_a1")
	c.expectEvents(w.add("inb_a2"))
}
