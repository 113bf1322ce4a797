package openmail

import "time"

// SuspendedKind is what a suspension concerns.
type SuspendedKind string

// The kinds.
const (
	SuspendedAccount SuspendedKind = "account" // banned; no event tells of it
	SuspendedInbox   SuspendedKind = "inbox"
	SuspendedPod     SuspendedKind = "pod" // with every inbox in it, also one made later
)

// SuspensionReason is why somebody may not send.
type SuspensionReason string

// The reasons.
const (
	SuspendedBounces    SuspensionReason = "high_bounce_rate"
	SuspendedComplaints SuspensionReason = "high_complaint_rate"
	SuspendedAbuse      SuspensionReason = "abuse"
	SuspendedDegraded   SuspensionReason = "pod_degraded"
	SuspendedReview     SuspensionReason = "manual_review"
	SuspendedOther      SuspensionReason = "other"
)

// SuspensionReasons lists the reasons.
func SuspensionReasons() []SuspensionReason {
	return []SuspensionReason{
		SuspendedBounces, SuspendedComplaints, SuspendedAbuse, SuspendedDegraded, SuspendedReview, SuspendedOther,
	}
}

// Suspension stops an inbox, a pod or an account from sending, until the
// operator ends it. Mail still comes in.
type Suspension struct {
	Kind    SuspendedKind
	ID      string // of the inbox, the pod or the account
	Account string
	Reason  SuspensionReason
	Since   time.Time
}

// Err answers whoever wants to send all the same; nil for no suspension.
func (s *Suspension) Err() error {
	switch {
	case s == nil:
		return nil
	case s.Kind == SuspendedAccount:
		return Errorf(CodeBanned, "The account may not send: ask the operator of this server.")
	}
	return &Error{
		Code: CodeSuspended, Type: string(s.Reason),
		Message: "The " + string(s.Kind) + " is suspended (" + string(s.Reason) + ") and may not send: ask the operator of this server.",
	}
}

// Lifecycle says what a suspension, or its end, was about, for the event that
// tells of it.
type Lifecycle struct {
	InboxAddress string           // "": it concerns a pod
	Reason       SuspensionReason // "": it was ended
}
