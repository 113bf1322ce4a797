package openmail

import (
	"cmp"
	"time"
)

// Quota is how often something may be done in a stretch of time.
type Quota struct {
	Name        string // what is done, such as "send.minute"
	Of          string // whose quota it is: an id
	Most        int
	From, Until time.Time
	Message     string // for whoever has spent it
	Code        Code   // of its error; "": CodeRateLimit
	Scope       string // what it limits, on the wire; "": the code says it all
	Takes       int    // how many are done at once; 0: one
}

// PerMinute is a quota for the minute of the clock that at lies in.
func PerMinute(name, of string, most int, at time.Time, message string) Quota {
	return quota(name, of, most, at, time.Minute, message)
}

// PerDay is a quota for the day, in UTC, that at lies in.
func PerDay(name, of string, most int, at time.Time, message string) Quota {
	return quota(name, of, most, at, 24*time.Hour, message)
}

func quota(name, of string, most int, at time.Time, length time.Duration, message string) Quota {
	from := at.UTC().Truncate(length)
	return Quota{Name: name, Of: of, Most: most, From: from, Until: from.Add(length), Message: message}
}

// Spent is the error for whoever has spent a quota.
func (q Quota) Spent() *Error {
	return &Error{Code: cmp.Or(q.Code, CodeRateLimit), Message: q.Message, Quota: &q}
}
