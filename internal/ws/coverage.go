package ws

import (
	"reflect"
	"slices"

	"openmail"
)

// maxSpans is how many earlier subscriptions a connection remembers. Past
// that, a replay on a live socket may repeat an event, under the same id.
const maxSpans = 8

// span says that every event after from, up to and including to, that the
// subscription wants was pushed on this connection.
type span struct {
	from, to openmail.Position
	sub      openmail.Subscription
}

// cursor is a socket's place in the log. What lies after since, up to and
// including pos, has been dealt with under the current subscription.
type cursor struct {
	sub   openmail.Subscription
	pos   openmail.Position
	since openmail.Position
	// replay is where the past ends: what was in the log when the
	// subscription began.
	replay openmail.Position
	spans  []span // earlier coverage
}

// begin starts a subscription: from is the position to go on after, head that
// of the newest event.
func (c *cursor) begin(sub openmail.Subscription, from, head openmail.Position) {
	c.sub, c.pos, c.since, c.replay = sub, from, from, head
}

// change sets another subscription, from the present position on.
func (c *cursor) change(sub openmail.Subscription) {
	c.cover()
	c.sub = sub
}

// rewind goes back to a position, unless what lies after it was dealt with
// already under this very subscription.
func (c *cursor) rewind(to openmail.Position) {
	if to >= c.since {
		return
	}
	c.cover()
	c.replay = max(c.replay, c.pos)
	c.pos, c.since = to, to
}

// cover notes what was dealt with, before something else begins.
func (c *cursor) cover() {
	if c.sub.Active() && c.pos > c.since {
		if len(c.spans) == maxSpans {
			c.spans = slices.Delete(c.spans, 0, 1)
		}
		c.spans = append(c.spans, span{c.since, c.pos, c.sub})
	}
	c.since = c.pos
}

// covered reports whether the event was pushed on this connection before.
func (c *cursor) covered(e *openmail.Event) bool {
	for i := range c.spans {
		sp := &c.spans[i]
		if e.Position > sp.from && e.Position <= sp.to && sp.sub.Wants(e.Inbox, e.Type) {
			return true
		}
	}
	return false
}

// same reports whether two subscriptions were made of the same wishes.
func same(a, b openmail.Subscription) bool { return reflect.DeepEqual(a, b) }
