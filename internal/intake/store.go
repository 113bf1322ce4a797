package intake

import (
	"context"
	"time"

	"openmail"
)

// Store is what intake asks of the database.
type Store interface {
	// InboxAt returns the inbox with that address, given in lower case and
	// without a tag. The error is openmail.CodeNotFound when there is none.
	InboxAt(ctx context.Context, scope openmail.Scope, address string) (openmail.Inbox, error)

	// PolicyFor returns the policies in that direction of levels of the
	// scope's account, in their order, with at least those of their rules that
	// can name one of the addresses.
	PolicyFor(ctx context.Context, scope openmail.Scope, d openmail.Direction, at []openmail.Scope, addrs []string) ([]openmail.Policy, error)

	// SentFrom returns the message, without bodies, that was sent with that
	// reverse-path, given in lower case; openmail.CodeNotFound.
	SentFrom(ctx context.Context, scope openmail.Scope, returnPath string) (openmail.Message, error)

	// SentAs returns the message, without bodies, that was sent with that
	// Message-ID; openmail.CodeNotFound.
	SentAs(ctx context.Context, scope openmail.Scope, rfcMessageID string) (openmail.Message, error)

	// File writes one mail for all its inboxes in one transaction, on disk
	// when it returns: for each copy that is admitted the body, the message,
	// its thread, and its event, born by delivery.Rules; for each that is
	// not, a quarantined mail with its record. What an inbox already has is not written
	// again. Of a bounce, the recipients that it names among those of the
	// message have failed, and are suppressed where NoSuchRecipient says so;
	// who complains is suppressed. All or nothing.
	File(ctx context.Context, f Filing) ([]Filed, error)
}

// Quarantine is where mail is kept that a policy turned away.
type Quarantine interface {
	// QuarantinedMail returns a mail of the quarantine as it came in.
	QuarantinedMail(ctx context.Context, scope openmail.Scope, id string) (Held, error)

	// Release is File for a mail that leaves the quarantine, and takes it
	// out in the same transaction. The error is openmail.CodeNotFound when
	// it is no longer there.
	Release(ctx context.Context, scope openmail.Scope, id string, f Filing) (Filed, error)
}

// Held is a mail in quarantine.
type Held struct {
	Raw      []byte
	Inbox    openmail.Inbox
	Envelope openmail.MessageEnvelope
}

// Filing is one mail, ready to be written.
type Filing struct {
	Raw    []byte
	Digest [32]byte // SHA-256 of Raw
	At     time.Time
	Copies []Copy
	// Listening reports whether a live socket wants such an event; it is
	// called inside the transaction and must not block.
	Listening func(account, inbox string, t openmail.EventType) bool
}

// Copy is the mail as one inbox gets it.
type Copy struct {
	Message openmail.Message       // Thread is a new id, used if the mail starts a thread
	Event   string                 // the id of its event
	Verdict openmail.Verdict       // not admitted: quarantined
	Expires time.Time              // of a quarantined copy; zero: never
	Refused *openmail.PolicyRecord // of a quarantined copy; nil: none is kept
	Bounce  *Bounce                // what it reports of a mail of the inbox's; nil: nothing
	// Complaint is what it complains of, also mail of others; nil: nothing.
	Complaint *Complaint
}

// Filed is what became of one copy.
type Filed struct {
	Account, Inbox  string
	Message, Thread string
	Event           string         // "" when there is none
	State           openmail.State // of the event
	Lane            string         // likewise: the inbox whose own endpoint it goes to, or ""
	Quarantined     bool
	Duplicate       bool // the inbox had it already: nothing was written
}
