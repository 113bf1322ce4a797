package api

import (
	"bytes"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"openmail"
)

// MaxEventText is the most of a body that an event carries, in bytes: more is
// cut, with body_text_truncated, and whole in REST.
const MaxEventText = 1 << 20

// Published clients take messages of 8 MiB. In JSON a character may take six
// bytes for one: a body is cut further that takes more than maxBodyJSON, and a
// text of an attachment is left out that would not fit into maxTextsJSON with
// all that stands before it.
const (
	maxBodyJSON  = 3 << 20
	maxTextsJSON = 6 << 20
)

// Links makes the URLs that answers and events contain.
type Links struct{ PublicURL string }

// Attachment is the URL of one attachment of a message.
func (l Links) Attachment(message, filename string) string {
	return l.PublicURL + "/v1/attachments/" + url.PathEscape(message) + "/" + url.PathEscape(filename)
}

// Raw is the URL of a message's bytes as they were received.
func (l Links) Raw(message string) string {
	return l.PublicURL + "/v1/messages/" + url.PathEscape(message) + "/raw"
}

// beforeInbox is where delivered_at and attempt belong in a payload.
var beforeInbox = []byte(`"inbox_id":`)

// Received is the payload of a message.received event, but for delivered_at
// and attempt, which change with every hand-over: Stamp adds them.
func (l Links) Received(e openmail.Event, m openmail.Message) []byte {
	size := len(m.BodyText)
	for _, a := range m.Attachments {
		size += len(a.Extracted.Text)
	}
	b := make([]byte, 0, 1024+size+size/8)
	b = append(b, `{"event":`...)
	b = AppendString(b, string(e.Type))
	b = append(b, `,"event_id":`...)
	b = AppendString(b, e.ID)
	b = append(b, `,"occurred_at":`...)
	b = AppendTime(b, e.OccurredAt)
	b = append(b, ',')
	b = AppendString(append(b, beforeInbox...), e.Inbox)
	b = append(b, `,"thread_id":`...)
	b = AppendString(b, e.Thread)
	b = append(b, `,"message":`...)
	return append(l.appendMessage(b, m), '}')
}

func (l Links) appendMessage(b []byte, m openmail.Message) []byte {
	b = append(b, `{"id":`...)
	b = AppendString(b, m.ID)
	b = append(b, `,"rfc_message_id":`...)
	b = AppendString(b, m.RFCMessageID)
	b = append(b, `,"from":`...)
	b = AppendString(b, m.From.Addr)
	b = append(b, `,"to":`...)
	b = AppendString(b, m.ToAddr)
	b = append(b, `,"cc":`...)
	b = appendStrings(b, m.CC)
	b = append(b, `,"subject":`...)
	b = AppendString(b, m.Subject)
	b = append(b, `,"body_text":`...)
	b, cut := appendBody(b, m.BodyText)
	if cut {
		b = append(b, `,"body_text_truncated":true`...)
	}
	b = append(b, `,"attachments":[`...)
	for i, a := range m.Attachments {
		if i > 0 {
			b = append(b, ',')
		}
		b = l.appendAttachment(b, m.ID, a)
	}
	b = append(b, `],"received_at":`...)
	b = AppendTime(b, m.CreatedAt)
	b = append(b, `,"category":`...)
	b = AppendString(b, string(m.Category))
	b = append(b, `,"auto_replyable":`...)
	b = strconv.AppendBool(b, m.AutoReplyable)
	b = append(b, `,"envelope":{"mail_from":`...)
	b = AppendString(b, m.Envelope.MailFrom)
	b = append(b, `,"rcpt_to":`...)
	b = AppendString(b, m.Envelope.RcptTo)
	b = append(b, `,"role":`...)
	b = AppendString(b, string(m.EnvelopeRole))
	return append(b, "}}"...)
}

// appendBody appends as much of a body as an event carries.
func appendBody(b []byte, body string) (_ []byte, cut bool) {
	text, cut := cutText(body, MaxEventText)
	for start := len(b); ; {
		if b = AppendString(b[:start], text); len(b)-start <= maxBodyJSON {
			return b, cut
		}
		text, cut = cutText(text, len(text)/2)
	}
}

func (l Links) appendAttachment(b []byte, message string, a openmail.Attachment) []byte {
	b = append(b, `{"filename":`...)
	b = AppendString(b, a.Filename)
	b = append(b, `,"contentType":`...)
	b = AppendString(b, a.ContentType)
	b = append(b, `,"sizeBytes":`...)
	b = strconv.AppendInt(b, a.SizeBytes, 10)
	b = append(b, `,"url":`...)
	b = AppendString(b, l.Attachment(message, a.Filename))
	method := a.Extracted.Method
	if start := len(b); method.HasText() {
		b = append(b, `,"parsedText":`...)
		if b = AppendString(b, a.Extracted.Text); len(b) > maxTextsJSON {
			b, method = b[:start], openmail.ExtractionTooMany
		}
	}
	if method != "" {
		b = append(b, `,"extractionMethod":`...)
		b = AppendString(b, string(method))
	}
	return append(b, '}')
}

// cutText is the longest start of s, in whole characters, of at most limit bytes.
func cutText(s string, limit int) (text string, cut bool) {
	if len(s) <= limit {
		return s, false
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit], true
}

// Stamp appends a payload with the moment and the number of this hand-over,
// which makes it the event as it goes over the wire. One of Lifecycle's stays
// as it is.
func Stamp(dst, payload []byte, deliveredAt time.Time, attempt int) []byte {
	// What stands before it is written by Received and holds no such text.
	at := bytes.Index(payload, beforeInbox)
	if at < 0 || isLifecycle(payload) {
		return append(dst, payload...)
	}
	dst = append(dst, payload[:at]...)
	dst = append(dst, `"delivered_at":`...)
	dst = AppendTime(dst, deliveredAt)
	dst = append(dst, `,"attempt":`...)
	dst = strconv.AppendInt(dst, int64(attempt), 10)
	dst = append(dst, ',')
	return append(dst, payload[at:]...)
}

// Test is the payload of a setup.test event, complete. inbox may be empty.
func Test(eventID, inbox string, at time.Time) []byte {
	b := append([]byte(nil), `{"event":"setup.test","event_id":`...)
	b = AppendString(b, eventID)
	b = append(b, `,"occurred_at":`...)
	b = AppendTime(b, at)
	b = append(b, `,"delivered_at":`...)
	b = AppendTime(b, at)
	b = append(b, `,"attempt":1,"inbox_id":`...)
	if inbox == "" {
		return append(b, "null}"...)
	}
	return append(AppendString(b, inbox), '}')
}

// Lifecycle is the payload of an event that tells of a suspension or its end,
// complete: it carries neither delivered_at nor attempt.
func Lifecycle(e openmail.Event, l openmail.Lifecycle) []byte {
	b := append([]byte(nil), `{"event":`...)
	b = AppendString(b, string(e.Type))
	b = append(b, `,"event_id":`...)
	b = AppendString(b, e.ID)
	b = append(b, `,"occurred_at":`...)
	b = AppendTime(b, e.OccurredAt)
	for _, f := range []struct{ name, value string }{
		{"inbox_id", e.Inbox}, {"inbox_address", l.InboxAddress}, {"pod_id", e.Pod}, {"reason", string(l.Reason)},
	} {
		b = append(b, `,"`+f.name+`":`...)
		if f.value == "" {
			b = append(b, "null"...)
			continue
		}
		b = AppendString(b, f.value)
	}
	return append(b, '}')
}

// isLifecycle reports whether a payload is one of Lifecycle's.
func isLifecycle(payload []byte) bool {
	rest, found := bytes.CutPrefix(payload, []byte(`{"event":"`))
	if !found {
		return false
	}
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return openmail.EventType(name).IsLifecycle()
}
