package intake

import (
	"strings"
	"time"

	"openmail"
	"openmail/internal/id"
)

// maxKept bounds a value that stands in a column of its own, in bytes.
const maxKept = 4096

// message is what an inbox keeps of a mail.
func message(c openmail.Content, env openmail.MessageEnvelope, inbox openmail.Inbox, size int64, at time.Time) openmail.Message {
	role := roleOf(c, inbox.Address)
	m := openmail.Message{
		ID: id.At(openmail.PrefixMessage, at), Account: inbox.Account, Inbox: inbox.ID,
		Thread: id.At(openmail.PrefixThread, at), Direction: openmail.Inbound, Status: openmail.StatusReceived,
		ToAddr: inbox.Address, HeaderTo: joined(c.To), DeliveryRole: shownRole(role), CC: addrs(c.CC), Subject: c.Subject,
		BodyText: c.Text, BodyHTML: c.HTML, HiddenText: c.HiddenText, Attachments: c.Attachments, Defects: c.Defects, Partial: c.Partial,
		RFCMessageID: c.MessageID, References: c.References,
		Envelope: env, EnvelopeRole: role, SizeBytes: size, CreatedAt: at.UTC().Truncate(time.Microsecond),
	}
	if len(c.From) > 0 {
		m.From = c.From[0]
	}
	if len(c.InReplyTo) > 0 {
		m.InReplyTo = c.InReplyTo[0]
	}
	m.Envelope.Helo = cut(env.Helo)
	m.Category, m.AutoReplyable = c.Category, c.AutoReplyable
	if env.MailFrom == "" { // what must not be answered says so by that (RFC 5321 section 4.5.5)
		m.AutoReplyable = false
		if m.Category == openmail.CategoryPersonal {
			m.Category = openmail.CategoryAutomated
		}
	}
	return m
}

// roleOf tells how the headers name an inbox: in To, else in Cc, else not at
// all.
func roleOf(c openmail.Content, address string) openmail.Role {
	switch {
	case names(c.To, address):
		return openmail.RoleTo
	case names(c.CC, address):
		return openmail.RoleCC
	}
	return openmail.RoleBCC
}

// shownRole is the contract's deliveryRole, which knows no bcc (decision 37).
func shownRole(r openmail.Role) openmail.Role {
	if r == openmail.RoleCC {
		return r
	}
	return openmail.RoleTo
}

func names(list []openmail.Address, address string) bool {
	for _, a := range list {
		if openmail.BaseAddress(a.Addr) == address {
			return true
		}
	}
	return false
}

func addrs(list []openmail.Address) []string {
	all := make([]string, len(list))
	for i, a := range list {
		all[i] = a.Addr
	}
	return all
}

func joined(list []openmail.Address) string { return strings.Join(addrs(list), ", ") }

func cut(s string) string {
	if len(s) > maxKept {
		return strings.ToValidUTF8(s[:maxKept], "")
	}
	return s
}
