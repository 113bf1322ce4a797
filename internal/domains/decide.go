package domains

import (
	"time"

	"openmail"
)

// When domains are looked at.
const (
	// settling is how long records may be missing before that is a failure.
	settling = 72 * time.Hour
	// daily is the pause for those that are verified, and hourly when that
	// could not be seen again, or no longer was.
	daily  = 24 * time.Hour
	hourly = time.Hour
	// maxTries is after how many checks one that is not verified is no longer
	// looked at, which is after about a month, unless somebody asks for it.
	maxTries = 40
)

// pause is how long to wait after that many checks without success.
func pause(tries int) time.Duration {
	steps := [...]time.Duration{
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
	}
	if tries < len(steps) {
		return steps[tries]
	}
	return daily
}

// decide is the domain after a check that ended at that moment, with what it has
// found of each record.
//
// A domain that was verified stays so, whatever happens to its records: its
// owner may be moving them, and mail must not stop over a fault in the DNS. What
// could not be looked up changes nothing.
func decide(n openmail.Domain, records []openmail.DomainRecord, found []finding, at time.Time) openmail.Domain {
	n.CheckedAt, n.Tries, n.Checks = at, n.Tries+1, nil
	var fault *finding
	worst := openmail.DomainVerified
	for i, r := range records {
		f := found[i]
		if f.unsure {
			f.status = r.Status // as it was
		}
		if r.Purpose == purposeMX && !f.unsure {
			n.Receives = f.here
		}
		n.Checks = append(n.Checks, openmail.RecordCheck{Type: r.Type, Name: r.Name, Status: f.status, Reason: f.reason})
		if r.Required && (fault == nil && (f.unsure || f.status != openmail.DomainVerified) || worse(f.status, worst)) {
			f.reason = r.Type + " " + r.Name + ": " + f.reason
			fault, worst = &f, f.status
		}
	}
	return judged(n, fault, at)
}

// worse reports whether a status says more of what is wrong than another.
func worse(a, b openmail.DomainStatus) bool {
	rank := map[openmail.DomainStatus]int{openmail.DomainVerified: 0, openmail.DomainPending: 1, openmail.DomainFailed: 2}
	return rank[a] > rank[b]
}

// judged is the domain with its status. fault is the first of what is worst; nil
// when nothing is.
func judged(n openmail.Domain, fault *finding, at time.Time) openmail.Domain {
	n.Reason, n.Due = "", at.Add(daily)
	if fault == nil {
		n.Status, n.Tries = openmail.DomainVerified, 0
		if n.VerifiedAt.IsZero() {
			n.VerifiedAt = at
		}
		return n
	}
	n.Reason = fault.reason
	switch {
	case !n.VerifiedAt.IsZero():
		n.Due = at.Add(hourly)
		return n
	case fault.unsure:
	case fault.status == openmail.DomainFailed, at.Sub(n.CreatedAt) > settling:
		n.Status = openmail.DomainFailed
	default:
		n.Status = openmail.DomainPending
	}
	if n.Due = at.Add(pause(n.Tries)); n.Tries >= maxTries {
		n.Due = time.Time{}
	}
	return n
}
