package ws

import (
	"fmt"
	"strings"
	"testing"

	"openmail"
)

// newPods is a world in which acc_a has two pods: inb_a1 and inb_a2 are in one,
// inb_a3 is in the other.
func newPods() *world {
	w := newWorld()
	for inbox, pod := range map[string]string{"inb_a1": "pod_p", "inb_a2": "pod_p", "inb_a3": "pod_q"} {
		w.inboxes[inbox] = openmail.Inbox{ID: inbox, Account: "acc_a", Pod: pod}
	}
	return w
}

const podOfTwo = `{"type":"subscribed","inbox_ids":["inb_a1","inb_a2"],"event_types":[]}`

func TestAPodKeyStreamsTheInboxesThatItsPodHadWhenItSubscribed(t *testing.T) {
	w := newPods()
	c := dial(t, w.start(t), "om_p")
	c.say(`{"type":"subscribe"}`)
	c.expect(podOfTwo)
	w.add("inb_a3")
	c.expectEvents(w.add("inb_a1"), w.add("inb_a2"))
	w.mu.Lock()
	w.inboxes["inb_a4"] = openmail.Inbox{ID: "inb_a4", Account: "acc_a", Pod: "pod_p"}
	delete(w.inboxes, "inb_a2")
	w.mu.Unlock()
	w.add("inb_a4")
	c.expectEvents(w.add("inb_a1"))
	c.say(`{"type":"subscribe"}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a1","inb_a4"],"event_types":[]}`)
	c.expectEvents(w.add("inb_a4"), w.add("inb_a1"))
	c.quiet()
}

func TestAPodKeyThatSubscribesAgainRepeatsNothing(t *testing.T) {
	w := newPods()
	c := dial(t, w.start(t), "om_p")
	c.say(`{"type":"subscribe"}`)
	c.expect(podOfTwo)
	for range 5 {
		c.expectEvents(w.add("inb_a1"), w.add("inb_a2"))
		c.say(`{"type":"subscribe"}`)
		c.expect(podOfTwo)
		c.quiet()
	}
}

func TestAReplayToAPodKeyHasWhatIsInItsPod(t *testing.T) {
	w := newPods()
	url := w.start(t)
	first, foreign := w.add("inb_a1"), w.add("inb_a3")
	second := w.add("inb_a2")
	w.add("inb_a3")
	c := dial(t, url, "om_p")
	c.say(`{"type":"subscribe","last_event_id":"` + first + `"}`)
	c.expect(podOfTwo)
	c.expectEvents(second, w.add("inb_a1"))
	c.quiet()
	c = dial(t, url, "om_p")
	c.say(`{"type":"subscribe","last_event_id":"` + foreign + `"}`)
	c.expectError("unknown last_event_id")
	c.expect(podOfTwo)
	c.quiet()
}

func TestAnInboxOfAnotherPodChangesNothing(t *testing.T) {
	w := newPods()
	c := dial(t, w.start(t), "om_p")
	for _, list := range []string{`"inb_a3"`, `"inb_a1","inb_a3"`, `"inb_b1"`, `"inb_none"`} {
		c.say(`{"type":"subscribe","inbox_ids":[` + list + `]}`)
		c.expectError("no such inbox")
	}
	w.add("inb_a1")
	c.quiet()
}

func TestAPodWithoutInboxesHearsNothing(t *testing.T) {
	w := newPods()
	w.mu.Lock()
	delete(w.inboxes, "inb_a3")
	w.mu.Unlock()
	c := dial(t, w.start(t), "om_q")
	c.say(`{"type":"subscribe"}`)
	c.expect(all)
	w.add("inb_a1")
	c.quiet()
	if w.Wanted("acc_a", "inb_a1", openmail.MessageReceived) {
		t.Error("a socket without an inbox counts as one that listens")
	}
}

func TestAPodLargerThanAListIsToldToChoose(t *testing.T) {
	w := newPods()
	w.mu.Lock()
	for i := range maxPod {
		id := fmt.Sprintf("inb_a9%05d", i)
		w.inboxes[id] = openmail.Inbox{ID: id, Account: "acc_a", Pod: "pod_p"}
	}
	w.mu.Unlock()
	c := dial(t, w.start(t), "om_p")
	c.say(`{"type":"subscribe"}`)
	c.expectError("at most")
	w.mu.Lock()
	delete(w.inboxes, "inb_a1")
	delete(w.inboxes, "inb_a2")
	w.mu.Unlock()
	c.say(`{"type":"subscribe"}`)
	if got := strings.Count(c.next(), "inb_a9"); got != maxPod {
		t.Errorf("%d inboxes of %d", got, maxPod)
	}
	c.expectEvents(w.add("inb_a900007"))
}

func TestSocketsAreListedWithinAPod(t *testing.T) {
	w := newPods()
	url := w.start(t)
	for _, key := range []string{"om_a", "om_p", "om_q"} {
		c := dial(t, url, key)
		c.say(`{"type":"ping"}`)
		c.expect(`{"type":"pong"}`)
	}
	if n := len(w.server.Sockets(openmail.Scope{Account: "acc_a", Pod: "pod_p"})); n != 1 {
		t.Errorf("%d sockets within the pod", n)
	}
}

func TestASocketThatWantsOneInboxReadsTheLogOfItsPod(t *testing.T) {
	w := newPods()
	url := w.start(t)
	first := w.add("inb_a3")
	second := w.add("inb_a3")
	w.add("inb_a1")
	c := dial(t, url, "om_a")
	c.say(`{"type":"subscribe","inbox_ids":["inb_a3"],"last_event_id":"` + first + `"}`)
	c.expect(`{"type":"subscribed","inbox_ids":["inb_a3"],"event_types":[]}`)
	c.expectEvents(second)
	c.quiet()
	w.mu.Lock()
	defer w.mu.Unlock()
	if want := (openmail.Scope{Account: "acc_a", Pod: "pod_q", Inbox: "inb_a3"}); w.asked != want {
		t.Errorf("the log was read with %+v", w.asked)
	}
}
