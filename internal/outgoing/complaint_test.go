package outgoing_test

import (
	"strings"
	"testing"

	"openmail"
	"openmail/internal/id"
)

// complains has a provider report abuse to an address of ours.
func (w *world) complains(to, report, original string) {
	w.t.Helper()
	r, err := w.intake.Route(w.t.Context(), to)
	check(w.t, err)
	raw := "From: fbl@provider.test\nTo: " + to + "\nSubject: complaint\nMessage-ID: <" + id.New("") + "@provider.test>\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: text/plain\n\nThis is abuse.\n" +
		"--b\nContent-Type: message/feedback-report\n\n" + report + "\n--b\nContent-Type: message/rfc822\n\n" + original + "\n\nBuy!\n--b--\n"
	_, err = w.intake.Accept(w.t.Context(), openmail.Envelope{MailFrom: "fbl@provider.test", Rcpts: []openmail.Recipient{r}}, strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")))
	check(w.t, err)
}

func TestAComplaintThatIsProvedSuppressesWhoComplains(t *testing.T) {
	const abuse = "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"
	for name, c := range map[string]struct {
		to, report, original string // {path}: the address for reports, {id}: the Message-ID
		cc                   string
		want                 string
	}{
		"to the mail's own address":       {to: "{path}", report: abuse, want: "bob@other.test"},
		"of one recipient among several":  {to: "{path}", report: abuse + "Original-Rcpt-To: <Amy@Other.test>\n", cc: "amy@other.test", want: "amy@other.test"},
		"that keeps back which":           {to: "{path}", report: abuse, cc: "amy@other.test"},
		"of somebody it did not go to":    {to: "{path}", report: abuse + "Original-Rcpt-To: eve@other.test\n"},
		"that it is no spam":              {to: "{path}", report: strings.Replace(abuse, "abuse", "not-spam", 1)},
		"to the inbox, with the path":     {to: "jane@openmail.test", report: abuse + "Original-Mail-From: <{path}>\n", want: "bob@other.test"},
		"to the inbox, with the mail":     {to: "jane@openmail.test", report: abuse, original: "Return-Path: <{path}>\nSubject: Hello", want: "bob@other.test"},
		"to the postmaster":               {to: "postmaster@openmail.test", report: abuse + "Original-Mail-From:\n <{path}>\n", want: "bob@other.test"},
		"to the account's postmaster":     {to: "abuse@acme.test", report: abuse + "Original-Mail-From: <{path}>\n", want: "bob@other.test"},
		"with the Message-ID and who":     {to: "postmaster@openmail.test", report: abuse + "Original-Rcpt-To: bob@other.test\n", original: "Message-ID: {id}", want: "bob@other.test"},
		"with the Message-ID alone":       {to: "postmaster@openmail.test", report: abuse, original: "Message-ID: {id}"},
		"to another's inbox":              {to: "joe@openmail.test", report: abuse + "Original-Mail-From: <{path}>\nOriginal-Rcpt-To: bob@other.test\n", original: "Message-ID: {id}"},
		"made up, with the inbox":         {to: "jane@openmail.test", report: abuse + "Original-Mail-From: jane@openmail.test\nOriginal-Rcpt-To: bob@other.test\n", original: "Return-Path: jane@openmail.test"},
		"made up, with a guess":           {to: "jane@openmail.test", report: abuse + "Original-Mail-From: jane+bounce.aaaaaaaaaaaaaaaa@openmail.test\nOriginal-Rcpt-To: bob@other.test\n"},
		"made up, with many guesses":      {to: "postmaster@openmail.test", report: abuse + strings.Repeat("Original-Mail-From: jane+bounce.a@openmail.test\n", 4000) + "Original-Rcpt-To: bob@other.test\n"},
		"made up, with a mail that is it": {to: "jane@openmail.test", report: abuse + "Original-Rcpt-To: bob@other.test\n", original: "Message-ID: <msg_1@openmail.test>"},
		"nonsense":                        {to: "{path}", report: ":\n\n\x00:\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &remote{answer: accepts})
			stranger := w.account()
			w.inbox(stranger, "joe", "")
			operator := w.inbox(w.account(), "ops", "")
			check(t, w.db.CreateInbox(t.Context(), w.scope, openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: w.scope.Account, Address: "abuse@acme.test"}))
			w.intake.Own, w.intake.Postmaster = []string{home}, operator.Address
			w.policy(openmail.Inbound, openmail.ModeAllowlist)
			l := w.letter("Bob@other.test")
			if c.cc != "" {
				l.CC = []string{c.cc}
			}
			sent := w.send(l)
			fill := strings.NewReplacer("{path}", w.message(sent.Message).Envelope.MailFrom, "{id}", sent.RFCMessageID)
			for range 2 {
				w.complains(fill.Replace(c.to), fill.Replace(c.report), fill.Replace(c.original))
			}
			all, _, err := w.db.Suppressions(t.Context(), openmail.Operator(), openmail.Page{Limit: 10})
			check(t, err)
			got := ""
			for _, s := range all {
				got += s.Address
				if s.Account != w.scope.Account || s.Type != openmail.SuppressedComplaint || s.Reason != "reported as abuse" {
					t.Errorf("%+v", s)
				}
			}
			if got != c.want {
				t.Errorf("suppressed %q, want %q", got, c.want)
			}
			if c.want != "" {
				if e := w.refused(openmail.CodeSuppressed, "to", w.letter(c.want)); e.Type != "complaint" {
					t.Errorf("refused with %+v", e)
				}
			}
		})
	}
}
