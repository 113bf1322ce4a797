package intake

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"openmail"
	"openmail/internal/mime"
)

// Bounds of a report on mail that was not delivered.
const (
	maxReport     = 64 << 10 // bytes of its machine-readable part
	maxRecipients = 100      // that one report speaks of
	maxNames      = 2        // of one recipient: ours, and where it was passed on to
	maxCode       = 12       // bytes of an enhanced status code
	maxDiagnostic = 1024     // bytes of an answer
)

// Bounce is what another server reports of a mail that it had taken from us (RFC
// 3464).
type Bounce struct {
	Message string // the one that it is about
	Failed  []Failure
}

// Failure is a recipient that did not get the mail.
type Failure struct {
	Recipients []string // the names of it that the report has, in lower case
	Enhanced   string   // such as "5.1.1"
	Text       string
}

// bounce finds what a mail reports of one of ours, and makes it an answer to
// that; nil when it reports nothing. Only a mail without a reverse-path, sent
// to the address that one mail alone had as its own, is believed.
func (in *Intake) bounce(ctx context.Context, raw []byte, c openmail.Content, m *openmail.Message) (*Bounce, error) {
	if m.Envelope.MailFrom != "" || !strings.Contains(m.Envelope.RcptTo, openmail.BounceTag) {
		return nil, nil
	}
	status := statusPart(raw, c)
	if status == nil {
		return nil, nil
	}
	about, err := in.Store.SentFrom(ctx, openmail.Scope{Account: m.Account, Inbox: m.Inbox}, strings.ToLower(m.Envelope.RcptTo))
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if m.InReplyTo == "" && len(m.References) == 0 {
		m.InReplyTo = about.RFCMessageID // many servers do not say
	}
	return &Bounce{Message: about.ID, Failed: failures(status)}, nil
}

// statusPart is the machine-readable part of a report; nil when there is none.
func statusPart(raw []byte, c openmail.Content) []byte {
	for _, a := range c.Attachments {
		if a.ContentType != "message/delivery-status" && a.ContentType != "message/global-delivery-status" {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(mime.Open(raw, a), maxReport))
		if err == nil {
			return b
		}
	}
	return nil
}

// failures reads the groups of fields for each recipient (RFC 3464 section 2.1).
func failures(status []byte) (all []Failure) {
	text := strings.Map(plain, strings.ReplaceAll(string(bytes.ToValidUTF8(status, nil)), "\r\n", "\n"))
	for group := range strings.SplitSeq(text, "\n\n") {
		if f, ok := failure(group); ok && len(all) < maxRecipients {
			all = append(all, f)
		}
	}
	return all
}

// plain makes blanks of control characters, but for ends of lines.
func plain(r rune) rune {
	if unicode.IsControl(r) && r != '\n' {
		return ' '
	}
	return r
}

// failure reads a group. Of each kind of name for a recipient there is one.
func failure(group string) (f Failure, failed bool) {
	for line := range strings.SplitSeq(strings.ReplaceAll(group, "\n ", " "), "\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "final-recipient", "original-recipient":
			kind, addr, _ := strings.Cut(value, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "utf-8") {
				addr = unspelt(addr)
			}
			if len(f.Recipients) < maxNames {
				f.Recipients = append(f.Recipients, strings.ToLower(strings.Trim(strings.TrimSpace(addr), "<>")))
			}
		case "action":
			failed = strings.EqualFold(value, "failed")
		case "status":
			f.Enhanced, _, _ = strings.Cut(value, " ")
			if len(f.Enhanced) > maxCode {
				f.Enhanced = ""
			}
		case "diagnostic-code":
			_, f.Text, _ = strings.Cut(value, ";")
		}
	}
	f.Text = strings.Join(strings.Fields(f.Text), " ")
	if len(f.Text) > maxDiagnostic {
		f.Text = strings.ToValidUTF8(f.Text[:maxDiagnostic], "")
	}
	return f, failed && len(f.Recipients) > 0
}

// unspelt is an address whose characters that are not ASCII, or mean something to
// the spelling, may be spelt in it, as \x{FC} (RFC 6533 section 3). What is no such
// character stays.
func unspelt(addr string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(addr, `\x{`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		hex, rest, closed := strings.Cut(after, "}")
		n, err := strconv.ParseUint(hex, 16, 31)
		if r := rune(n); !closed || err != nil || !utf8.ValidRune(r) || r < utf8.RuneSelf && !strings.ContainsRune(` +=\`, r) {
			b.WriteString(`\x{`)
			addr = after
			continue
		}
		b.WriteRune(rune(n))
		addr = rest
	}
}
