// Package api is the JSON of the wire: what the REST interface takes and
// answers, the event payload that sockets and webhooks carry, and the frames
// of the event stream. Server and client share it.
//
// REST is camelCase, events and frames are snake_case; attachments are
// camelCase in both.
package api

import "time"

// TimeFormat is how every time is written: UTC, with milliseconds and Z.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// Time is a moment on the wire. The zero Time is null.
type Time struct{ time.Time }

// MarshalJSON writes TimeFormat, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return AppendTime(make([]byte, 0, len(TimeFormat)+2), t.Time), nil
}

// UnmarshalJSON reads RFC 3339, or null.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = Time{}
		return nil
	}
	return t.Time.UnmarshalJSON(b)
}

// AppendTime appends a quoted time in TimeFormat.
func AppendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, TimeFormat)
	return append(b, '"')
}
