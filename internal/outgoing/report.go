package outgoing

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-message"

	"openmail"
)

// maxReturned bounds how much of a mail's header its report repeats.
const maxReturned = 16 << 10

// report is the notification that a mail was not delivered to a recipient (RFC
// 3464). It is made of what is stored alone, so that it is the same whenever it
// is made, and an inbox that has it takes it once.
type report struct {
	claimed  Claimed
	due      Due
	hostname string
}

func (r report) compose() ([]byte, error) {
	var b bytes.Buffer
	m := r.claimed.Message
	mark := m.ID + "." + strconv.Itoa(r.due.N)
	domain := openmail.Address{Addr: r.claimed.Inbox.Address}.Domain()
	h := typed("multipart/report", map[string]string{"report-type": "delivery-status", "boundary": "=_" + mark})
	h.Add("Auto-Submitted", "auto-replied") // RFC 3834 section 5
	head := draft{
		from: openmail.Address{Name: "Mail Delivery System", Addr: "MAILER-DAEMON@" + domain},
		to:   openmail.Address{Addr: r.claimed.Inbox.Address}, subject: cutText("Undelivered: "+oneLine(m.Subject), maxSubject),
		messageID: "<" + mark + ".report@" + domain + ">", at: r.due.LastAt,
	}
	if citable(m.RFCMessageID) {
		head.inReplyTo, head.references = m.RFCMessageID, []string{m.RFCMessageID}
	}
	head.head(&h)
	w, err := message.CreateWriter(&b, h)
	if err != nil {
		return nil, err
	}
	if err := writeParts(w, r.parts()); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (r report) parts() []part {
	return []part{
		textPart("text/plain", r.text()),
		{header: typed("message/delivery-status", nil), data: []byte(r.status())},
		returned(headerOf(r.claimed.Raw)),
	}
}

// returned is the part with the header of the mail, whose addresses may have
// more than ASCII (RFC 6533 section 6.3).
func returned(header []byte) part {
	for _, c := range header {
		if c > '~' {
			h := typed("message/global-headers", nil)
			h.Set("Content-Transfer-Encoding", "8bit")
			return part{header: h, data: header}
		}
	}
	return part{header: typed("text/rfc822-headers", nil), data: header}
}

// text is what a person, or an agent, is told.
func (r report) text() string {
	d := r.due
	why := "The answer was"
	if d.Server != "" {
		why = "The answer of " + oneLine(d.Server) + " was"
	}
	text := "Your message was not delivered to " + d.Recipient + ".\n"
	if expired(d.Enhanced) {
		// Not how often: each claim counts, also one that is made for the report.
		text += "It was tried for " + strconv.Itoa(int(d.LastAt.Sub(d.Began)/(24*time.Hour))) + " days, and is given up now.\n"
	}
	return text + why + ":\n\n" + strings.TrimSpace(codes(d)+" "+oneLine(d.Answer)) + "\n"
}

func codes(d Due) string {
	if d.Code == 0 {
		return d.Enhanced
	}
	return strconv.Itoa(d.Code) + " " + d.Enhanced
}

// expired reports whether a delivery failed because time ran out: its last
// answer was that it should be tried again.
func expired(enhanced string) bool { return !strings.HasPrefix(enhanced, "5") }

// status is the machine-readable part (RFC 3464 section 2).
func (r report) status() string {
	d := r.due
	status := d.Enhanced
	if expired(status) {
		status = "5.4.7" // delivery time expired (RFC 3463 section 3.5)
	}
	lines := []string{
		"Reporting-MTA: dns; " + ascii(r.hostname), "",
		"Final-Recipient: " + typedAddress(d.Recipient),
		"Action: failed",
		"Status: " + ascii(status),
	}
	if host, _, _ := strings.Cut(d.Server, " "); host != "" {
		lines = append(lines, "Remote-MTA: dns; "+ascii(host))
	}
	if d.Code > 0 {
		lines = append(lines, "Diagnostic-Code: smtp; "+ascii(codes(d)+" "+d.Answer))
	}
	lines = append(lines, "Last-Attempt-Date: "+d.LastAt.UTC().Format(time.RFC1123Z), "")
	return strings.Join(lines, "\r\n")
}

// typedAddress is an address behind its type (RFC 3464 section 2.3.2); one that
// is not ASCII is spelt in ASCII (RFC 6533 section 3).
func typedAddress(addr string) string {
	addr = oneLine(addr)
	if !strings.ContainsFunc(addr, func(r rune) bool { return r > '~' }) {
		return "rfc822; " + addr
	}
	var b strings.Builder
	for _, r := range addr {
		if r > '~' || strings.ContainsRune(` +=\`, r) {
			fmt.Fprintf(&b, `\x{%X}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return "utf-8; " + b.String()
}

// ascii is a text as it can stand in a field of a report: one line, short.
func ascii(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, oneLine(s))
	return cutText(s, 500)
}

func cutText(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// headerOf is the header of a mail.
func headerOf(raw []byte) []byte {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if len(head) > maxReturned {
		head = head[:bytes.LastIndex(head[:maxReturned], []byte("\r\n"))]
	}
	return append(head[:len(head):len(head)], "\r\n"...)
}
