// Package id makes identifiers: a prefix that names the kind, then a ULID.
package id

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// New returns an identifier that nobody has yet, such as
// msg_01jdk3v8p2x0r7zq4n5m6b8c9d. Those made in later milliseconds sort later.
func New(prefix string) string { return At(prefix, time.Now()) }

// At is New for a moment that the caller has already looked up.
func At(prefix string, t time.Time) string {
	// crypto/rand.Reader never fails (Go 1.24), and a time from a clock that
	// ULID cannot hold lies past the year 10889.
	u := ulid.MustNew(ulid.Timestamp(t), rand.Reader)
	return prefix + strings.ToLower(u.String())
}
