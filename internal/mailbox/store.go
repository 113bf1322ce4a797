package mailbox

import (
	"context"
	"io"
	"time"

	"openmail"
)

// Inboxes is where inboxes are kept.
type Inboxes interface {
	// CreateInbox writes a new inbox, with its webhook if it has one, and
	// without a pod into the default one;
	// openmail.CodeInboxLimit, openmail.CodeAddressTaken, openmail.CodeInvalidPod when its pod is
	// gone, and openmail.CodeInvalidDomain when its domain is, or may no
	// longer be used there.
	CreateInbox(ctx context.Context, scope openmail.Scope, in openmail.Inbox) error
	// Inbox returns one; openmail.CodeNotFound.
	Inbox(ctx context.Context, scope openmail.Scope, id string) (openmail.Inbox, error)
	// Inboxes returns a page of them, newest first, and how many there are.
	Inboxes(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Inbox, int, error)
	// UpdateInbox writes the changeable fields: DisplayName.
	UpdateInbox(ctx context.Context, scope openmail.Scope, in openmail.Inbox) error
	// DeleteInbox removes it for good with its threads, messages, events,
	// quarantine and webhook, and revokes its keys.
	DeleteInbox(ctx context.Context, scope openmail.Scope, id string, at time.Time) error
}

// Pods is where the parts of an account are kept.
type Pods interface {
	// CreatePod writes a new pod; openmail.CodeClientIDTaken.
	CreatePod(ctx context.Context, scope openmail.Scope, p openmail.Pod) error
	// Pod returns the pod with that id or clientId, or for "" the default
	// one; openmail.CodeNotFound.
	Pod(ctx context.Context, scope openmail.Scope, name string) (openmail.Pod, error)
	// Pods returns a page of them, the default one first, then newest first,
	// and how many there are.
	Pods(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Pod, int, error)
	// UpdatePod writes the changeable fields, ClientID and Name;
	// openmail.CodeClientIDTaken.
	UpdatePod(ctx context.Context, scope openmail.Scope, p openmail.Pod) error
	// DeletePod removes a pod and revokes its keys; openmail.CodePodNotEmpty
	// while it has inboxes, openmail.CodePodHasDomains, openmail.CodeDefaultPod.
	DeletePod(ctx context.Context, scope openmail.Scope, pod string, at time.Time) error
}

// Domains is where the domains of accounts are kept.
type Domains interface {
	// UsableDomain returns the scope's account's verified domain of that
	// name, if inboxes of that pod may be on it; openmail.CodeNotFound. A scope
	// that is limited to a pod finds those of the whole account too.
	UsableDomain(ctx context.Context, scope openmail.Scope, name, pod string) (openmail.Domain, error)
}

// Mail is where threads and messages are kept. What is in the trash is not
// there.
type Mail interface {
	// Messages returns a page of an inbox's messages, newest first, and how
	// many there are. An empty direction means both.
	Messages(ctx context.Context, scope openmail.Scope, inbox string, d openmail.Direction, p openmail.Page) ([]openmail.Message, int, error)
	// Threads returns a page of an inbox's threads, newest message first,
	// and how many there are; read is nil for all.
	Threads(ctx context.Context, scope openmail.Scope, inbox string, read *bool, p openmail.Page) ([]openmail.Thread, int, error)
	// Thread returns a thread with its messages, oldest first. The id of a
	// thread that was joined to another finds the other.
	Thread(ctx context.Context, scope openmail.Scope, id string) (openmail.Thread, []openmail.Message, error)
	// Message returns one; openmail.CodeNotFound.
	Message(ctx context.Context, scope openmail.Scope, id string) (openmail.Message, error)
}

// MailChanges changes threads and messages.
type MailChanges interface {
	// SetRead marks a thread; openmail.CodeNotFound.
	SetRead(ctx context.Context, scope openmail.Scope, thread string, read bool) error
	// TrashThread hides a thread and its messages until Sweep removes them.
	TrashThread(ctx context.Context, scope openmail.Scope, thread string, at time.Time) error
	// DeleteMessage removes a message for good, with its event.
	DeleteMessage(ctx context.Context, scope openmail.Scope, id string) error
}

// Raws holds the bytes of messages as they were received.
type Raws interface {
	// Raw opens them; the size is theirs. openmail.CodeNotFound.
	Raw(ctx context.Context, scope openmail.Scope, message string) (raw io.ReadCloser, size int64, err error)
}

// Texts is where the texts of attachments are kept.
type Texts interface {
	// KeepText keeps what was read of a message's file, which the message has
	// from then on. It changes nothing where that was final already, or where
	// the message has as much text as is kept. openmail.CodeNotFound.
	KeepText(ctx context.Context, scope openmail.Scope, message, filename string, e openmail.Extracted) error
}

// Policies is where it is kept with whom mail may be exchanged.
type Policies interface {
	// Policy returns that of a level in one direction, with all rules, oldest
	// first; openmail.CodeNotFound when the level lies outside the scope.
	Policy(ctx context.Context, scope openmail.Scope, d openmail.Direction, at openmail.Scope) (openmail.Policy, error)
	// ChangePolicy has decide say what is to change at a level, given its
	// policies in those directions as they are, and makes all of the changes,
	// with their records, or none, and then the error is decide's. Nobody
	// changes the policies of the account meanwhile. decide may be asked more
	// than once. openmail.CodeNotFound when the level is gone or lies outside
	// the scope.
	ChangePolicy(ctx context.Context, scope, at openmail.Scope, ds []openmail.Direction, decide Decide) error
}

// Rules is where single rules of policies are kept.
type Rules interface {
	// Rule returns one; the scope covers a whole account.
	// openmail.CodeNotFound.
	Rule(ctx context.Context, scope openmail.Scope, id string) (openmail.Rule, error)
	// AddRule adds one, with its record, unless its level has most of them in
	// that direction: then the error is that of TooManyRules. Where the same
	// rule is there and only this one is ByAccount, that becomes so and is
	// returned; else the error is openmail.CodeRuleExists.
	AddRule(ctx context.Context, scope openmail.Scope, r openmail.Rule, most int, record openmail.PolicyRecord) (openmail.Rule, error)
	// DeleteRule removes one, with its record, if it is still there and still
	// as much the account's; openmail.CodeNotFound.
	DeleteRule(ctx context.Context, scope openmail.Scope, r openmail.Rule, record openmail.PolicyRecord) error
}

// Decide says what is to change, of policies as they are. It does nothing else.
type Decide func(as []openmail.Policy) ([]PolicyChange, error)

// PolicyChange is what one level is to say in the direction of its record.
type PolicyChange struct {
	Level        openmail.PolicyLevel
	ReplaceRules bool // else the level's rules stay, whatever Level has
	Record       openmail.PolicyRecord
}

// Records is where it is kept what was changed of policies and what they
// refused.
type Records interface {
	// PolicyRecords returns a page of those within the scope, newest first,
	// and how many there are.
	PolicyRecords(ctx context.Context, scope openmail.Scope, f RecordFilter, p openmail.Page) ([]openmail.PolicyRecord, int, error)
}

// RecordFilter chooses records; what is empty chooses all.
type RecordFilter struct {
	Action       openmail.PolicyAction
	Direction    openmail.Direction
	Since, Until time.Time // from Since, before Until
}

// Quarantine is where mail is kept that a rule turned away.
type Quarantine interface {
	// Quarantined returns a page of it, newest first, and how many there are.
	Quarantined(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Quarantined, int, error)
	// QuarantinedOne returns one; openmail.CodeNotFound.
	QuarantinedOne(ctx context.Context, scope openmail.Scope, id string) (openmail.Quarantined, error)
	// DeleteQuarantined removes one for good; openmail.CodeNotFound.
	DeleteQuarantined(ctx context.Context, scope openmail.Scope, id string) error
}
