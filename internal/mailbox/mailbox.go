// Package mailbox is the room in which inboxes, threads and messages are read
// and changed, and the rules kept of with whom they may exchange mail.
//
// Every method takes the scope of whoever asks. What lies outside it is not
// found; what a key that is limited to an inbox or a pod may not do at all is
// refused with openmail.CodeForbidden and the boundary that it would have
// crossed, and so is asking for another inbox or pod than its own.
package mailbox

import (
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"openmail"
)

// Limits of a page of a list.
const (
	DefaultPage = 50
	MaxPage     = 100
	maxOffset   = 1 << 40 // far beyond any list, and far from what a sum would overflow
)

// Config is what a Mailbox works with: every field is needed, but for Reader.
type Config struct {
	Pods       Pods
	Inboxes    Inboxes
	Mail       Mail
	Changes    MailChanges
	Raws       Raws
	Policies   Policies
	Rules      Rules
	Records    Records
	Quarantine Quarantine
	Texts      Texts
	Usages     Usages
	Feedbacks  Feedbacks
	// Reader reads the text of attachments that were not read when they came
	// in; nil: nobody does.
	Reader Reader
	// ReadTime is how long one attachment may take then.
	ReadTime time.Duration
	// Own finds the domains that accounts have brought; nil: there are none.
	Own Domains
	// Domains are the mail domains of this server, the default one first, in
	// lower case and ASCII.
	Domains []string
}

// Mailbox reads and changes what an account has.
type Mailbox struct {
	c Config

	// pods is held while a pod is read, changed and written: this process
	// makes no two changes at once.
	pods    sync.Mutex
	held    held
	reading singleflight.Group // of attachments, by account, message and name
}

// New returns a Mailbox.
func New(c Config) *Mailbox { return &Mailbox{c: c} }

// page brings a page within bounds: the limit is DefaultPage when there is
// none, and never above MaxPage.
func page(p openmail.Page) openmail.Page {
	if p.Limit <= 0 {
		p.Limit = DefaultPage
	}
	return openmail.Page{Limit: min(p.Limit, MaxPage), Offset: min(max(p.Offset, 0), maxOffset)}
}
