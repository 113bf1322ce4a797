package client

import (
	"encoding/json"
	"fmt"

	"openmail"
	"openmail/api"
)

// Event is one event as it came over the stream.
type Event struct {
	Type        openmail.EventType `json:"event"`
	ID          string             `json:"event_id"` // the same however often the event comes
	OccurredAt  api.Time           `json:"occurred_at"`
	DeliveredAt api.Time           `json:"delivered_at"`
	Attempt     int                `json:"attempt"` // counts the times that it was sent, from 1
	InboxID     string             `json:"inbox_id"`
	ThreadID    string             `json:"thread_id"`
	Message     EventMessage       `json:"message"`

	// ResumeID is what to give as ListenOptions.LastEventID to go on after
	// this event. It is the ID, but for an event that came late.
	ResumeID string `json:"-"`
	// Raw is the JSON exactly as it was received.
	Raw json.RawMessage `json:"-"`
}

// EventMessage is the mail that an event tells of. The HTML body is not in it:
// Client.Message has that.
type EventMessage struct {
	ID                string            `json:"id"`
	RFCMessageID      string            `json:"rfc_message_id"`
	From              string            `json:"from"`
	To                string            `json:"to"`
	CC                []string          `json:"cc"`
	Subject           string            `json:"subject"`
	BodyText          string            `json:"body_text"`
	BodyTextTruncated bool              `json:"body_text_truncated"` // the whole is in Client.Message
	Attachments       []api.Attachment  `json:"attachments"`
	ReceivedAt        api.Time          `json:"received_at"`
	Category          openmail.Category `json:"category"`
	AutoReplyable     bool              `json:"auto_replyable"` // false: an answer by a program may begin a loop
	Envelope          EventEnvelope     `json:"envelope"`
}

// EventEnvelope is what the SMTP session said of the mail, which its headers
// need not agree with.
type EventEnvelope struct {
	MailFrom string        `json:"mail_from"`
	RcptTo   string        `json:"rcpt_to"`
	Role     openmail.Role `json:"role"`
}

func parseEvent(raw []byte) (Event, error) {
	e := Event{Raw: raw}
	if err := json.Unmarshal(raw, &e); err != nil {
		return Event{}, fmt.Errorf("read an event: %w", err)
	}
	if e.ID == "" {
		return Event{}, fmt.Errorf("read an event: it has no event_id")
	}
	return e, nil
}

// recent remembers the last n ids that were added to it.
type recent struct {
	known map[string]bool
	ring  []string
	next  int
}

func newRecent(n int) *recent {
	return &recent{known: make(map[string]bool, n), ring: make([]string, n)}
}

// add remembers id, and reports whether it was new.
func (r *recent) add(id string) bool {
	if r.known[id] {
		return false
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next], r.known[id] = id, true
	r.next = (r.next + 1) % len(r.ring)
	return true
}
