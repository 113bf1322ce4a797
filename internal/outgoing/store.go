package outgoing

import (
	"context"
	"time"

	"openmail"
)

// Store is what sending asks of the database.
type Store interface {
	// SentBefore returns what was accepted under an idempotency key of the
	// scope's account after that moment; openmail.CodeNotFound.
	SentBefore(ctx context.Context, scope openmail.Scope, key string, after time.Time) (Sent, error)

	// Conversation returns what a reply needs of a thread of that inbox, by
	// any of its names; openmail.CodeNotFound.
	Conversation(ctx context.Context, scope openmail.Scope, inbox, thread string) (Conversation, error)

	// SuppressedAmong returns those of the addresses, given in lower case,
	// that are suppressed for the scope's account.
	SuppressedAmong(ctx context.Context, scope openmail.Scope, addrs []string) ([]openmail.Suppression, error)

	// AcceptMail writes a mail in one transaction, on disk when it returns:
	// the message, its thread, which is read by it, a delivery for each
	// recipient, and what the idempotency key stands for. Where the key
	// stands for something already, since KeyAfter, nothing is written and
	// that is returned, whatever else; else the error is that of a suspension
	// that concerns its inbox, or one of each quota is counted, and of each of
	// Cold as many as there are Contacts that the inbox has not noted and that
	// are no inboxes of its account, which are noted by it; the error is that
	// of the one that is spent. All or nothing.
	AcceptMail(ctx context.Context, scope openmail.Scope, a Acceptance) (Sent, error)
}

// Rules is where it is kept to whom mail may go.
type Rules interface {
	// PolicyFor returns the policies in that direction of levels of the
	// scope's account, in their order, with at least those of their rules that
	// can name one of the addresses.
	PolicyFor(ctx context.Context, scope openmail.Scope, d openmail.Direction, at []openmail.Scope, addrs []string) ([]openmail.Policy, error)
	// RecordRefusal keeps a record. How much is kept is bounded for each inbox
	// and hour: what repeats is counted.
	RecordRefusal(ctx context.Context, scope openmail.Scope, r openmail.PolicyRecord) error
}

// Quotas is where it is counted how often something was done.
type Quotas interface {
	// QuotasLeft returns the error of the first quota that is spent. It
	// counts nothing.
	QuotasLeft(ctx context.Context, scope openmail.Scope, quotas []openmail.Quota) error
}

// Inboxes is where inboxes are kept.
type Inboxes interface {
	// Inbox returns one; openmail.CodeNotFound.
	Inbox(ctx context.Context, scope openmail.Scope, id string) (openmail.Inbox, error)
}

// Suppressions is where suppressed addresses are kept.
type Suppressions interface {
	// Suppressions returns a page of them, newest first, and how many there
	// are.
	Suppressions(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Suppression, int, error)
	// DeleteSuppression removes one; openmail.CodeNotFound.
	DeleteSuppression(ctx context.Context, scope openmail.Scope, address string) error
}

// Queue is what the carrier asks of the database. A delivery that is due
// belongs to the lane of its recipient's domain.
type Queue interface {
	// MailLanes returns domains with a delivery that is due at that moment,
	// the longest overdue first, at most limit of them, and when the next of
	// all the others falls due; zero when nothing else waits.
	MailLanes(ctx context.Context, scope openmail.Scope, at time.Time, limit int) (due []string, next time.Time, err error)

	// ClaimMail takes what is due of one message to that domain, that which
	// is longest overdue first, under a lease on disk, and counts the attempt
	// that is about to be made. Nothing due is a Claimed without deliveries.
	ClaimMail(ctx context.Context, scope openmail.Scope, domain string, at time.Time) (Claimed, error)

	// SettleMail writes how a claim ended, the status of its message that
	// follows, and suppressions, in one transaction. A delivery that
	// somebody else has claimed meanwhile is left to them.
	SettleMail(ctx context.Context, scope openmail.Scope, c Claimed, settled []Settled, at time.Time) error

	// RecoverMail makes due what a process that is gone held by a lease, where
	// only one process can hold any, at most limit at a time. It returns
	// their domains; none means that nothing was left. It must not be called
	// while this process holds leases.
	RecoverMail(ctx context.Context, scope openmail.Scope, at time.Time, limit int) (domains []string, err error)
}

// Mails holds the bytes of messages that were sent.
type Mails interface {
	// MailBytes returns those of one, also while it is in the trash;
	// openmail.CodeNotFound.
	MailBytes(ctx context.Context, scope openmail.Scope, message string) ([]byte, error)
}

// Held is mail that waits for a way to other domains.
type Held interface {
	// ResumeMail makes it due, at most limit deliveries at a time. It returns
	// their domains; none means that nothing was left.
	ResumeMail(ctx context.Context, scope openmail.Scope, at time.Time, limit int) (domains []string, err error)
}

// Acceptance is a mail, ready to be written.
type Acceptance struct {
	Message openmail.Message // Thread is the one that it answers, or a new id
	Pod     string           // of its inbox
	Reply   bool
	Raw     []byte
	Digest  [32]byte // SHA-256 of Raw
	Queued  []Queued
	Quotas  []openmail.Quota // the send counts in each
	// Cold are the quotas of first contacts; none: there is no limit to them,
	// and nobody is noted. Contacts are those that may be one, in lower case.
	Cold     []openmail.Quota
	Contacts []string

	Key      string   // "": none
	Hash     [32]byte // of the request
	KeyAfter time.Time
}

// Queued is a recipient's place in the queue.
type Queued struct {
	Recipient, Domain string
	Due               time.Time // zero: not before ResumeMail
	Note              string    // why not
}

// Sent is what a send is answered with.
type Sent struct {
	Message, Thread, Inbox string
	RFCMessageID           string
	CreatedAt              time.Time
	Hash                   [32]byte // of the request
	Replayed               bool     // it was accepted before, under the same key
}

// Lease is how long a claim lasts: longer than a conversation and the wait for
// it.
const Lease = Patience + roomPatience + time.Minute

// Claimed is what was claimed: deliveries of one message to one domain.
type Claimed struct {
	Message openmail.Message // without bodies
	Inbox   openmail.Inbox   // the zero Inbox when it is gone
	Raw     []byte           // the mail, once the carrier has read it; nil where it could not
	Domain  string
	Due     []Due
	// More says that more of the domain is due by now.
	More bool
}

// Due is one delivery that was claimed.
type Due struct {
	openmail.MailDelivery // State is StatusFailed where the sender has yet to be told
	N                     int
	Began                 time.Time // from when patience counts
}

// Settled is what a delivery becomes.
type Settled struct {
	Due
	Next   Next
	Answer Answer

	written bool // the queue has it
}
