package id_test

import (
	"regexp"
	"testing"
	"time"

	"openmail/internal/id"
)

func TestIdentifiersAreUniqueURLSafeAndSortByTime(t *testing.T) {
	shape := regexp.MustCompile(`^msg_[0-9a-z]{26}$`)
	seen := map[string]bool{}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var last string
	// A step of a prime number of nanoseconds meets every place within a
	// millisecond, and passes many of them.
	for i := range 100_000 {
		got := id.At("msg_", start.Add(time.Duration(i)*1009))
		if !shape.MatchString(got) || seen[got] || got <= last {
			t.Fatalf("identifier %d is %q after %q", i, got, last)
		}
		seen[got], last = true, got
	}
	now := time.Now()
	for range 1000 {
		if got := id.At("msg_", now); seen[got] {
			t.Fatalf("%q was made twice", got)
		} else {
			seen[got] = true
		}
	}
}

func TestTheFirstOfAMomentComesBeforeAllThatAreMadeInIt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, int(time.Millisecond), time.UTC)
	first := id.First("rec_", at)
	if first > id.First("rec_", at.Add(999_999)) || id.At("rec_", at) < first || id.At("rec_", at.Add(-1)) >= first {
		t.Errorf("the first is %s", first)
	}
	if got := id.First("rec_", time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)); got != "rec_00000000000000000000000000" {
		t.Errorf("before everything: %s", got)
	}
}
