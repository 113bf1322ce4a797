package outgoing

import (
	"time"

	"openmail"
)

// patience is how long a recipient's server is asked again (RFC 5321 section
// 4.5.4.1 wants four to five days at least).
const patience = 5 * 24 * time.Hour

// Next is what becomes of a delivery after an attempt.
type Next struct {
	State openmail.Status
	// Due is when something is to be done again: another attempt, or after
	// StatusFailed the report to the sender. Zero: nothing.
	Due time.Time
	// Uncounted says that no attempt was made after all.
	Uncounted bool
	// Suppress says that the recipient gets no more mail of the account.
	Suppress bool
}

// decide is what follows from the answer to an attempt, the attempts-th one,
// that ended at that moment. began is when the delivery began.
func decide(a Answer, attempts int, began, at time.Time) Next {
	switch a.Fate {
	case FateAccepted:
		return Next{State: openmail.StatusSent}
	case FateRefused:
		return Next{State: openmail.StatusFailed, Due: at, Suppress: openmail.NoSuchRecipient(a.Enhanced)}
	case fateHeld:
		return Next{State: openmail.StatusPending, Uncounted: true}
	}
	end := began.Add(patience)
	if !at.Before(end) {
		return Next{State: openmail.StatusFailed, Due: at}
	}
	due := at.Add(pause(attempts))
	if due.After(end) {
		due = end // one last time
	}
	return Next{State: openmail.StatusPending, Due: due}
}

// pause is how long to wait after that many attempts: 1, 5, 15 and 60 minutes,
// then an hour more each time, up to eight.
func pause(attempts int) time.Duration {
	first := [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}
	if attempts <= len(first) {
		return first[max(attempts, 1)-1]
	}
	return min(time.Duration(attempts-len(first))*time.Hour, 8*time.Hour)
}

// fateHeld is the fate of mail that has no way out of this server: it waits
// for one.
const fateHeld Fate = "held"

// heldNote says why mail waits.
const heldNote = "Mail to other domains waits on this server: it has no relay (setting OPENMAIL_RELAY)."
