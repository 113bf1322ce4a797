package ws

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"openmail"
	"openmail/api"
)

// said is a message from a client. Fields that it does not know are ignored.
type said struct {
	Type        string               `json:"type"`
	InboxIDs    []string             `json:"inbox_ids"`
	EventTypes  []openmail.EventType `json:"event_types"`
	LastEventID string               `json:"last_event_id"`
	Ack         bool                 `json:"ack"`      // of subscribe: receipts come as acks
	Group       string               `json:"group"`    // of subscribe: shares the events with others
	EventID     string               `json:"event_id"` // of ack
}

// understand reads a message. The error is a sentence for the client.
func understand(message []byte) (said, error) {
	var m said
	err := json.Unmarshal(message, &m)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return m, errors.New("a message must be a JSON object")
		}
		return m, fmt.Errorf("%s must not be a JSON %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return m, errors.New("invalid JSON")
	}
	// PostgreSQL does not even take it to look for it.
	nul := func(s string) bool { return strings.ContainsRune(s, 0) }
	if slices.ContainsFunc(m.InboxIDs, nul) || nul(m.LastEventID) || nul(m.Group) {
		return m, errors.New("a text must not hold U+0000")
	}
	return m, nil
}

// The messages to a client, but for events: their JSON.

// subscribedMessage says that acks are waited for, and the group, only to who
// asked for that.
func subscribedMessage(s openmail.Subscription, acks bool, group string) []byte {
	b := appendList([]byte(`{"type":"subscribed","inbox_ids":`), s.Inboxes())
	b = appendList(append(b, `,"event_types":`...), s.Types())
	if acks {
		b = append(b, `,"ack":true`...)
	}
	if group != "" {
		b = api.AppendString(append(b, `,"group":`...), group)
	}
	return append(b, '}')
}

func unsubscribedMessage(inboxes []string) []byte {
	return append(appendList([]byte(`{"type":"unsubscribed","inbox_ids":`), inboxes), '}')
}

func pongMessage() []byte { return []byte(`{"type":"pong"}`) }

func errorMessage(text string) []byte {
	return append(api.AppendString([]byte(`{"type":"error","message":`), text), '}')
}

func appendList[T ~string](b []byte, list []T) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = api.AppendString(b, string(s))
	}
	return append(b, ']')
}

// quoted is a client's own text within a message to it, cut to a bearable
// length.
func quoted(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}
