package intake

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"openmail"
	"openmail/internal/mime"
)

// maxHeader bounds what is read of the header of a mail that a complaint is
// about.
const maxHeader = 64 << 10

// Complaint is what a recipient's provider reports: that somebody who got a mail
// of ours calls it abuse (RFC 5965).
type Complaint struct {
	Account, Message string
	// Recipients are those who complained, in lower case; none where the report
	// keeps that back: then it is the only one that the mail had.
	Recipients []string
	Text       string
}

// complaint finds in a mail a report on one of ours; nil when it is none, or
// proves nothing. Anybody can write a report. One is believed that has what a
// stranger does not know: the address that one mail alone had for reports, as
// its own recipient or inside; or that mail's Message-ID together with one of its
// recipients. What comes for the server's postmaster may be about mail of
// anybody, for that of a customer's domain about its account's, else it is about
// the inbox's own.
func (in *Intake) complaint(ctx context.Context, raw []byte, c openmail.Content, m *openmail.Message) (*Complaint, error) {
	report, original := feedback(raw, c)
	if report == nil {
		return nil, nil
	}
	fields, header := fieldsOf(report), fieldsOf(original)
	if !abuse(fields.first("feedback-type")) {
		return nil, nil
	}
	scope := in.concern(*m)
	found := &Complaint{Recipients: recipients(fields["original-rcpt-to"]), Text: "reported as " + fields.first("feedback-type")}
	paths := slices.Concat([]string{m.Envelope.RcptTo}, fields["original-mail-from"], header["return-path"])
	about, err := in.sentFrom(ctx, scope, paths)
	if openmail.CodeOf(err) == openmail.CodeNotFound && len(found.Recipients) > 0 {
		about, err = in.Store.SentAs(ctx, scope, header.first("message-id"))
	}
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if about.Inbox == m.Inbox && m.InReplyTo == "" && len(m.References) == 0 {
		m.InReplyTo = about.RFCMessageID
	}
	found.Account, found.Message = about.Account, about.ID
	return found, nil
}

// abuse reports whether a feedback type says that the mail was not wanted (RFC
// 5965 section 7.3). "not-spam" says the opposite.
func abuse(kind string) bool {
	return slices.Contains([]string{"abuse", "fraud", "virus"}, kind)
}

// concern is whose mail a complaint to that address may be about.
func (in *Intake) concern(m openmail.Message) openmail.Scope {
	local, domain, _ := strings.Cut(openmail.BaseAddress(m.Envelope.RcptTo), "@")
	switch {
	case local != "postmaster" && local != "abuse":
		return openmail.Scope{Account: m.Account, Inbox: m.Inbox}
	case slices.Contains(in.Own, domain):
		return openmail.Operator()
	}
	return openmail.Scope{Account: m.Account}
}

// sentFrom finds the mail that had one of the addresses for its reports;
// openmail.CodeNotFound.
func (in *Intake) sentFrom(ctx context.Context, scope openmail.Scope, paths []string) (openmail.Message, error) {
	err := error(openmail.Errorf(openmail.CodeNotFound, "no address for reports"))
	for _, path := range paths[:min(len(paths), 2*maxNames)] {
		if path = bare(path); !strings.Contains(path, openmail.BounceTag) {
			continue
		}
		var inbox openmail.Inbox
		if inbox, err = in.Store.InboxAt(ctx, scope, openmail.BaseAddress(path)); err == nil {
			var m openmail.Message
			if m, err = in.Store.SentFrom(ctx, openmail.Scope{Account: inbox.Account, Inbox: inbox.ID}, path); err == nil {
				return m, nil
			}
		}
		if openmail.CodeOf(err) != openmail.CodeNotFound {
			break
		}
	}
	return openmail.Message{}, err
}

// feedback is the machine-readable part of a report, and the mail that it is
// about, as far as its header goes; nil for what is not there.
func feedback(raw []byte, c openmail.Content) (report, original []byte) {
	for _, a := range c.Attachments {
		switch a.ContentType {
		case "message/feedback-report":
			if report == nil {
				report = begin(raw, a, maxReport)
			}
		case "message/rfc822", "message/global", "text/rfc822-headers":
			if original == nil {
				original = begin(raw, a, maxHeader)
			}
		}
	}
	return report, original
}

// begin is the beginning of an attachment.
func begin(raw []byte, a openmail.Attachment, limit int64) []byte {
	b, err := io.ReadAll(io.LimitReader(mime.Open(raw, a), limit))
	if err != nil || b == nil {
		return []byte{}
	}
	return b
}

// fields are header fields by their names in lower case.
type fields map[string][]string

// first is the first value of a field, in lower case but for a Message-ID's.
func (f fields) first(name string) string {
	if len(f[name]) == 0 {
		return ""
	}
	if name == "message-id" {
		return f[name][0]
	}
	return strings.ToLower(f[name][0])
}

// fieldsOf reads header fields up to the first blank line. Of one name it keeps
// maxRecipients.
func fieldsOf(b []byte) fields {
	f := fields{}
	text := strings.Map(plain, strings.ReplaceAll(string(bytes.ToValidUTF8(b, nil)), "\r\n", "\n"))
	head, _, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	for line := range strings.SplitSeq(strings.NewReplacer("\n ", " ").Replace(head), "\n") {
		name, value, found := strings.Cut(line, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); found && len(f[name]) < maxRecipients {
			f[name] = append(f[name], strings.TrimSpace(value))
		}
	}
	return f
}

// recipients are addresses as the table of recipients has them.
func recipients(values []string) (all []string) {
	for _, v := range values {
		if v = bare(v); strings.Contains(v, "@") {
			all = append(all, v)
		}
	}
	return all
}

// bare is an address without its angle brackets, in lower case.
func bare(addr string) string {
	return strings.ToLower(strings.Trim(strings.TrimSpace(addr), "<>"))
}
