// Package id makes identifiers: a prefix that names the kind, then a ULID.
package id

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// New returns an identifier that nobody has yet, such as
// msg_01jdk3v8p2x0r7zq4n5m6b8c9d. Those made later sort later.
func New(prefix string) string { return At(prefix, time.Now()) }

// At is New for a moment that the caller has already looked up.
//
// Lists are ordered by identifiers, and much can happen in a millisecond: the
// first 20 of the 80 bits that a ULID leaves to chance are the nanoseconds
// since the millisecond began, which 60 random ones follow.
func At(prefix string, t time.Time) string {
	var u ulid.ULID
	// A time that ULID cannot hold lies past the year 10889.
	if err := u.SetTime(ulid.Timestamp(t)); err != nil {
		panic(err)
	}
	rand.Read(u[6:]) // never fails (Go 1.24)
	ns := uint32(t.Nanosecond() % int(time.Millisecond))
	u[6], u[7] = byte(ns>>12), byte(ns>>4)
	u[8] = byte(ns<<4) | u[8]&0x0f
	return prefix + strings.ToLower(u.String())
}

// First returns what no identifier comes before that was made in the same
// millisecond as t, or later. Nothing was made before 1970.
func First(prefix string, t time.Time) string {
	var u ulid.ULID
	if err := u.SetTime(uint64(max(t.UnixMilli(), 0))); err != nil {
		panic(err) // as above
	}
	return prefix + strings.ToLower(u.String())
}
