package mailbox

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"openmail"
	"openmail/internal/id"
)

// Bounds of what an inbox is called.
const (
	maxDisplayName = 200 // characters
	maxExternalID  = 255 // characters
	minMailbox     = 3   // bytes
	maxMailbox     = 30  // bytes
	randomMailbox  = 8   // characters of a name nobody chose
	randomTries    = 5
)

// NewInbox asks for an inbox. Every field may be empty.
type NewInbox struct {
	Name        string // the local part; "": random
	Domain      string // "": the server's default
	Pod         string // its id or clientId; "": that of the key, else the default one
	DisplayName string
	ExternalID  string
	Webhook     *openmail.Endpoint // its own; nil: none
}

// CreateInbox makes an inbox, which mail can reach at once. Errors are
// openmail.CodeInvalidMailboxName, CodeInvalidDomain, CodeInvalidPod,
// CodeAddressTaken, CodeInboxLimit, and CodeForbidden for a pod's key that wants
// an address of the server's operator.
func (m *Mailbox) CreateInbox(ctx context.Context, scope openmail.Scope, n NewInbox) (openmail.Inbox, error) {
	if err := scope.NeedPod("create an inbox"); err != nil {
		return openmail.Inbox{}, err
	}
	if err := n.check(); err != nil {
		return openmail.Inbox{}, err
	}
	pod, err := m.podFor(ctx, scope, n.Pod)
	if err != nil {
		return openmail.Inbox{}, err
	}
	domain, own, err := m.domain(ctx, scope, n.Domain, pod)
	if err != nil {
		return openmail.Inbox{}, err
	}
	if own == "" && !scope.WholeAccount() && slices.Contains(operators(), n.Name) {
		return openmail.Inbox{}, openmail.FieldErrorf(openmail.CodeForbidden, "mailboxName",
			"This key reaches the pod %s only: it cannot make %s@%s, where mail for the server's operator goes.", scope.Pod, n.Name, domain)
	}
	now := time.Now()
	in := openmail.Inbox{
		ID: id.At(openmail.PrefixInbox, now), Account: scope.Account, Pod: pod, Domain: own,
		DisplayName: n.DisplayName, ExternalID: n.ExternalID, CreatedAt: now,
	}
	if n.Webhook != nil {
		own := *n.Webhook
		own.Account, own.Inbox = in.Account, in.ID
		in.Webhook = &own
	}
	if n.Name == "" {
		return m.createRandom(ctx, scope, in, domain)
	}
	in.Address = n.Name + "@" + domain
	return in, m.c.Inboxes.CreateInbox(ctx, scope, in)
}

// createRandom tries names until one is free.
func (m *Mailbox) createRandom(ctx context.Context, scope openmail.Scope, in openmail.Inbox, domain string) (openmail.Inbox, error) {
	var err error
	for range randomTries {
		in.Address = randomName() + "@" + domain
		if err = m.c.Inboxes.CreateInbox(ctx, scope, in); openmail.CodeOf(err) != openmail.CodeAddressTaken {
			return in, err
		}
	}
	return in, err
}

// randomName is a mailbox name that nobody chose: 40 bits of base32.
func randomName() string { return strings.ToLower(rand.Text()[:randomMailbox]) }

func (n NewInbox) check() error {
	if n.Name != "" && !validName(n.Name) {
		return openmail.FieldErrorf(openmail.CodeInvalidMailboxName, "mailboxName",
			"A mailbox name has %d to %d lower-case letters, digits, single dots or hyphens, and starts and ends with a letter or digit.", minMailbox, maxMailbox)
	}
	if err := checkText("displayName", n.DisplayName, maxDisplayName); err != nil {
		return err
	}
	return checkText("externalId", n.ExternalID, maxExternalID)
}

// operators are the names under which the operator of a domain is written to (RFC
// 2142), by certificate authorities too: who reads their mail can get a certificate
// for it (CA/Browser Forum Baseline Requirements, section 3.2.2.4.4).
func operators() []string {
	return []string{"postmaster", "hostmaster", "webmaster", "admin", "administrator", "abuse", "security", "noc", "root", "mailer-daemon"}
}

// validName reports whether name may stand before the @ of an inbox. Two dots
// in a row would need quotes in an address (RFC 5322 section 3.4.1).
func validName(name string) bool {
	if len(name) < minMailbox || len(name) > maxMailbox || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		alphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		inside := i > 0 && i < len(name)-1
		if !alphanumeric && !(inside && (c == '.' || c == '-')) {
			return false
		}
	}
	return true
}

// domain is the mail domain that name means, for an inbox of that pod: one of
// this server's, or one of the account's own, with its id.
func (m *Mailbox) domain(ctx context.Context, scope openmail.Scope, name, pod string) (domain, own string, err error) {
	if name == "" && len(m.c.Domains) > 0 {
		return m.c.Domains[0], "", nil
	}
	if len(name) > 4*maxDomain { // more takes time by the square of its length
		name = ""
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err == nil && slices.Contains(m.c.Domains, ascii) {
		return ascii, "", nil
	}
	if err == nil && ascii != "" && m.c.Own != nil {
		d, err := m.c.Own.UsableDomain(ctx, scope, ascii, pod)
		if openmail.CodeOf(err) != openmail.CodeNotFound {
			return d.Name, d.ID, err
		}
	}
	return "", "", openmail.FieldErrorf(openmail.CodeInvalidDomain, "domain",
		"An inbox can be on %s, or on a domain of yours that is verified and that its pod may use.", strings.Join(m.c.Domains, ", "))
}

// Inbox returns one.
func (m *Mailbox) Inbox(ctx context.Context, scope openmail.Scope, inbox string) (openmail.Inbox, error) {
	if err := scope.NeedInbox(inbox); err != nil {
		return openmail.Inbox{}, err
	}
	in, err := m.c.Inboxes.Inbox(ctx, scope, inbox)
	if scope.Pod == "" || openmail.CodeOf(err) != openmail.CodeNotFound {
		return in, err
	}
	// Is it in another pod of the account?
	if _, err := m.c.Inboxes.Inbox(ctx, openmail.Scope{Account: scope.Account}, inbox); err != nil {
		return openmail.Inbox{}, err
	}
	return openmail.Inbox{}, scope.OutsidePod()
}

// Inboxes returns a page of them, newest first, and how many there are: those of
// one pod where it is named, by its id or clientId. To a scope that is limited
// to one inbox there is just that one.
func (m *Mailbox) Inboxes(ctx context.Context, scope openmail.Scope, pod string, p openmail.Page) ([]openmail.Inbox, int, error) {
	if pod != "" {
		found, err := m.Pod(ctx, scope, pod)
		if openmail.CodeOf(err) == openmail.CodeNotFound {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		scope = scope.InPod(found.ID)
	}
	return m.c.Inboxes.Inboxes(ctx, scope, page(p))
}

// SetDisplayName changes what stands before the address in From; "" clears it.
func (m *Mailbox) SetDisplayName(ctx context.Context, scope openmail.Scope, inbox, name string) (openmail.Inbox, error) {
	if err := scope.NeedPod("change an inbox"); err != nil {
		return openmail.Inbox{}, err
	}
	if err := checkText("displayName", name, maxDisplayName); err != nil {
		return openmail.Inbox{}, err
	}
	in, err := m.Inbox(ctx, scope, inbox)
	if err != nil {
		return openmail.Inbox{}, err
	}
	in.DisplayName = name
	return in, m.c.Inboxes.UpdateInbox(ctx, scope, in)
}

// DeleteInbox removes an inbox for good with everything in it, and revokes its
// keys.
func (m *Mailbox) DeleteInbox(ctx context.Context, scope openmail.Scope, inbox string) error {
	if err := scope.NeedAccount("delete an inbox"); err != nil {
		return err
	}
	return m.c.Inboxes.DeleteInbox(ctx, scope, inbox, time.Now())
}
