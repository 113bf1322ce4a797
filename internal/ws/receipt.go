package ws

import (
	"encoding/binary"
	"time"

	"openmail"
	"openmail/internal/dispatch"
)

// A receipt is a pong, unless the client asked for acks: see window.explicit. After events a ping goes out whose payload is how many
// events were pushed on this connection so far, a fence: a client must echo it
// after the frames before it (RFC 6455 sections 5.5.2 and 5.5.3), so its pong
// says that the client's stack has read that many. One fence is under way at a
// time; the next follows when it is back. Where acks are asked for, an ack of an
// event is the receipt of all that was pushed up to it, and the pongs are signs of
// life only.

// window is what was pushed on a connection and waits for a receipt. Its
// numbers are ordinals: the first event pushed is 1.
type window struct {
	waiting []pushed // in the order of pushing
	bytes   int

	explicit bool // acks confirm, and pongs do not

	last   uint64 // pushed so far
	fenced uint64 // the newest fence that was sent
	back   uint64 // the newest fence that came back
}

// pushed is one event that waits for its receipt.
type pushed struct {
	position openmail.Position
	id       string // of the event
	at       int64  // Unix time in microseconds
	attempt  int32
	size     int32
	settled  bool // it was delivered before: nobody waits for this receipt
}

func (w *window) add(e *openmail.Event, at time.Time, attempt int) {
	w.waiting = append(w.waiting, pushed{e.Position, e.ID, at.UnixMicro(), int32(attempt), int32(len(e.Payload)), e.Delivery.State == openmail.StateDelivered})
	w.bytes += len(e.Payload)
	w.last++
}

// fenceDue reports whether a fence should follow what was just pushed.
func (w *window) fenceDue() bool { return w.last > w.fenced && w.fenced == w.back }

// fence is the ordinal that the next ping carries.
func (w *window) fence() uint64 {
	w.fenced = w.last
	return w.last
}

// pong takes a pong that names the fence n, and returns what it confirms. A
// client may answer only the latest of several pings, so an older fence counts
// as back as well.
func (w *window) pong(n uint64) []pushed {
	if n <= w.back || n > w.fenced {
		return nil // an echo of what is confirmed, or made up
	}
	w.back = n
	if w.explicit {
		return nil
	}
	return w.confirm(n)
}

// ack takes an ack of an event, and returns what it confirms: that event and all
// that was pushed before it. An event that was pushed twice is acked twice.
func (w *window) ack(id string) []pushed {
	if !w.explicit {
		return nil
	}
	for i := range w.waiting {
		if w.waiting[i].id == id {
			return w.confirm(w.last - uint64(len(w.waiting)-i-1))
		}
	}
	return nil
}

// confirm takes what was pushed up to the ordinal n out of the window.
func (w *window) confirm(n uint64) []pushed {
	first := w.last - uint64(len(w.waiting)) // the ordinal before waiting[0]
	if n <= first {
		return nil
	}
	confirmed := w.waiting[:n-first]
	w.waiting = w.waiting[n-first:]
	for _, p := range confirmed {
		w.bytes -= int(p.size)
	}
	if len(w.waiting) == 0 {
		w.waiting = nil // an idle socket keeps nothing
	}
	return confirmed
}

// holds reports whether the event at p waits for its receipt. One that was
// delivered before does not: should it be sent again meanwhile, it is pushed again.
func (w *window) holds(p openmail.Position) bool {
	for i := range w.waiting {
		if w.waiting[i].position == p && !w.waiting[i].settled {
			return true
		}
	}
	return false
}

// ordinal reads the payload of a pong. ok is false when it cannot be ours.
func ordinal(payload []byte) (n uint64, ok bool) {
	if len(payload) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(payload), true
}

// receipts says of each event when it was pushed, and that it was confirmed or
// lost at that moment. Those that were delivered before are left out: a replay
// has thousands of them.
func (s *session) receipts(events []pushed, at time.Time) []dispatch.Receipt {
	out := make([]dispatch.Receipt, 0, len(events))
	for _, p := range events {
		if p.settled {
			continue
		}
		out = append(out, dispatch.Receipt{
			Account: s.account(), Position: p.position, Attempt: int(p.attempt),
			PushedAt: time.UnixMicro(p.at), At: at, Remote: s.remote,
		})
	}
	return out
}
