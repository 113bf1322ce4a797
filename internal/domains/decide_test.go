package domains

import (
	"testing"
	"time"

	"openmail"
)

func TestWhatFollowsFromACheck(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	records := []openmail.DomainRecord{
		{Purpose: purposeOwnership, Required: true, Status: openmail.DomainPending},
		{Purpose: purposeMX, Required: true, Status: openmail.DomainVerified},
		{Purpose: purposeDMARC, Status: openmail.DomainPending},
	}
	here := finding{status: openmail.DomainVerified, here: true}
	young, old := at.Add(-time.Hour), at.Add(-73*time.Hour)
	for name, c := range map[string]struct {
		before   openmail.Domain
		found    []finding
		status   openmail.DomainStatus
		wait     time.Duration // 0: for ever
		receives bool
	}{
		"all is there":         {openmail.Domain{CreatedAt: young}, []finding{right(), here, missing()}, openmail.DomainVerified, daily, true},
		"one is not yet":       {openmail.Domain{CreatedAt: young, Status: openmail.DomainFailed}, []finding{missing(), here, right()}, openmail.DomainPending, 2 * time.Minute, true},
		"one is not for days":  {openmail.Domain{CreatedAt: old, Tries: 20}, []finding{missing(), here, right()}, openmail.DomainFailed, daily, true},
		"one is wrong":         {openmail.Domain{CreatedAt: young, Tries: 4}, []finding{right(), wrong("no"), right()}, openmail.DomainFailed, time.Hour, false},
		"nobody knows":         {openmail.Domain{CreatedAt: young, Status: openmail.DomainPending, Receives: true}, []finding{unsure(), unsure(), unsure()}, openmail.DomainPending, 2 * time.Minute, true},
		"nobody knows of one":  {openmail.Domain{CreatedAt: young, Status: openmail.DomainFailed}, []finding{right(), unsure(), right()}, openmail.DomainFailed, 2 * time.Minute, false},
		"after so many checks": {openmail.Domain{CreatedAt: old, Tries: maxTries}, []finding{missing(), here, right()}, openmail.DomainFailed, 0, true},
		"it was verified":      {openmail.Domain{CreatedAt: old, VerifiedAt: old, Status: openmail.DomainVerified}, []finding{missing(), wrong("gone"), right()}, openmail.DomainVerified, hourly, false},
	} {
		got := decide(c.before, records, c.found, at)
		var due time.Time
		if c.wait > 0 {
			due = at.Add(c.wait)
		}
		if got.Status != c.status || !got.Due.Equal(due) || got.Receives != c.receives || got.CheckedAt != at || len(got.Checks) != 3 {
			t.Errorf("%s: %+v, want %s, due %v", name, got, c.status, due)
		}
		if fine := c.status == openmail.DomainVerified && c.before.VerifiedAt.IsZero(); (got.Reason == "") != fine {
			t.Errorf("%s: reason %q", name, got.Reason)
		}
	}
}
