// Package openmail holds the words of OpenMail: the nouns that every other
// package uses, and the rules that need nothing but them.
//
// It is standard library only and does no I/O, reads no clock and knows no
// JSON: the wire's spelling lives in package api, the tables in internal/store.
package openmail

import "time"

// Prefixes of identifiers. An identifier is opaque to clients: a prefix, then a
// ULID, so that identifiers made later sort later.
const (
	PrefixAccount  = "acc_"
	PrefixPod      = "pod_"
	PrefixKey      = "key_"
	PrefixInbox    = "inb_"
	PrefixThread   = "thr_"
	PrefixMessage  = "msg_"
	PrefixEvent    = "evt_"
	PrefixRule     = "rule_"
	PrefixRecord   = "rec_"
	PrefixEndpoint = "whk_"
	PrefixDomain   = "dom_"
	PrefixSocket   = "sck_"
	PrefixFeedback = "fbk_"
	PrefixRequest  = "req_"
)

// Account is one customer: the owner of inboxes, keys, rules and one event log.
type Account struct {
	ID   string
	Name string
	// ReceiptDeadline is how long a pushed event may stay without a receipt
	// before it falls back: 3 s to 120 s; 0 for the server's own.
	ReceiptDeadline time.Duration
	CreatedAt       time.Time
}

// Pod is a part of an account: the inboxes of one of its customers. Every
// account has one default pod, and every inbox is in one pod for good.
type Pod struct {
	ID        string
	Account   string
	ClientID  string // "": none; the owner's own name for it, as good as its id
	Name      string // "": none
	IsDefault bool
	// Suspension is what stops its inboxes from sending, its account's or its
	// own; nil when they may send.
	Suspension *Suspension
	CreatedAt  time.Time
}

// Key is a bearer key as it is stored: never its text, only the hash of it.
type Key struct {
	ID      string
	Account string
	Pod     string // "" when the key reaches the whole account
	Inbox   string // "" unless the key reaches one inbox only; Pod is that inbox's
	Name    string // "" when it was given none
	// Prefix and Last4 are what a person may see of the key's text.
	Prefix, Last4 string
	CreatedAt     time.Time
	LastUsedAt    time.Time // zero: never
	RevokedAt     time.Time // zero: valid
}

// Scope is how far the key reaches.
func (k Key) Scope() Scope { return Scope{Account: k.Account, Pod: k.Pod, Inbox: k.Inbox} }

// Inbox is one mailbox with one address.
type Inbox struct {
	ID          string
	Account     string
	Pod         string
	Domain      string // the id of the account's own that it is on; "": it is on the server's
	Address     string // lower case
	DisplayName string // "": none
	ExternalID  string // "": none; the caller's own name for it
	// Suspension is what stops it from sending, its account's, its own or its
	// pod's, the first of these that there is; nil when it may send.
	Suspension *Suspension
	// Webhook is where its events are posted, instead of to the account's
	// endpoint; nil when it has none of its own. Its secrets are left out.
	Webhook   *Endpoint
	CreatedAt time.Time
}

// Thread is a conversation within one inbox.
type Thread struct {
	ID            string
	Account       string
	Inbox         string
	Subject       string
	IsRead        bool
	MessageCount  int
	LastMessageAt time.Time
	CreatedAt     time.Time
}

// Page is a stretch of a list that is counted: Offset rows are skipped, at most
// Limit returned.
type Page struct {
	Limit, Offset int
}

// Endpoint is where events are posted: an account's, or those of one inbox.
type Endpoint struct {
	ID      string
	Account string
	Inbox   string // "": the account's
	URL     string
	// Secret signs each post. NextSecret, unless empty, is already signed with
	// beside it, until it is activated (the two steps of a rotation).
	Secret, NextSecret string
	Enabled            bool
	DisabledReason     string // why Enabled is false; "" when it is true
	CreatedAt          time.Time
}
