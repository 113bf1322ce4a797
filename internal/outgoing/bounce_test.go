package outgoing_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/id"
	"openmail/internal/outgoing"
)

// reports has another server report on a mail, to the address that it was given.
func (w *world) reports(to, mailFrom, status string) openmail.Message {
	w.t.Helper()
	r, err := w.intake.Route(w.t.Context(), to)
	check(w.t, err)
	raw := "From: MAILER-DAEMON@mx.other.test\nTo: " + to + "\nSubject: Undeliverable\nMessage-ID: <" + id.New("") + "@mx.other.test>\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nIt could not be delivered.\n--b\nContent-Type: message/delivery-status\n\n" +
		status + "\n--b--\n"
	messageID, err := w.intake.Accept(w.t.Context(), openmail.Envelope{MailFrom: mailFrom, Rcpts: []openmail.Recipient{r}}, strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")))
	check(w.t, err)
	m, err := w.db.Message(w.t.Context(), openmail.Operator(), messageID)
	if openmail.CodeOf(err) == openmail.CodeNotFound {
		return openmail.Message{} // turned away
	}
	check(w.t, err)
	return m
}

func TestAReportOfAnotherServerFailsTheMailAndSuppressesItsRecipient(t *testing.T) {
	const gone = "Reporting-MTA: dns; mx.other.test\n\nOriginal-Recipient: rfc822; Bob@other.test\nFinal-Recipient: RFC822;\n robert@internal.test\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no\n such user\n"
	for name, c := range map[string]struct {
		status     string
		mailFrom   string
		to         func(string) string
		failed     bool
		suppressed bool
	}{
		"no such user":        {gone, "", nil, true, true},
		"control characters":  {strings.Replace(gone, "no\n", "no\x00\x1b\n", 1), "", nil, true, true},
		"a full mailbox":      {strings.ReplaceAll(gone, "5.1.1", "5.2.2"), "", nil, true, false},
		"only delayed":        {strings.Replace(gone, "failed", "delayed", 1), "", nil, false, false},
		"another's recipient": {strings.Replace(gone, "Bob@", "eve@", 1), "", nil, false, false},
		"with a reverse-path": {gone, "eve@evil.test", nil, false, false},
		"a guessed address": {gone, "", func(s string) string {
			before, _, _ := strings.Cut(s, openmail.BounceTag)
			return before + openmail.BounceTag + "aaaaaaaaaaaaaaaa@openmail.test"
		}, false, false},
		"nonsense": {"\n\n\n:\nAction: failed\n\n", "", nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &remote{answer: accepts}
				w := newWorld(t, r)
				w.policy(openmail.Inbound, openmail.ModeAllowlist)
				w.start()
				defer w.halt()
				sent := w.send(w.letter("Bob@other.test"))
				synctest.Wait()
				to := w.message(sent.Message).Envelope.MailFrom
				if c.to != nil {
					to = c.to(to)
				}
				in := w.reports(strings.ToUpper(to[:4])+to[4:], c.mailFrom, c.status)
				m := w.message(sent.Message)
				if got := m.Status == openmail.StatusFailed; got != c.failed {
					t.Errorf("the mail is %s: %+v", m.Status, m.Deliveries)
				}
				if c.failed && (m.Deliveries[0].State != openmail.StatusFailed || !strings.Contains(m.Deliveries[0].Answer, "no such user") || in.Thread != sent.Thread || w.events(in.ID) != 1) {
					t.Errorf("%+v, reported by %+v", m.Deliveries, in)
				}
				found, err := w.db.SuppressedAmong(t.Context(), w.scope, []string{"bob@other.test", "eve@other.test", "robert@internal.test"})
				if err != nil || (len(found) == 1) != c.suppressed || len(found) > 1 {
					t.Errorf("suppressed %+v, %v", found, err)
				}
				// Whatever it was, nothing is sent because of it.
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := len(r.seen()); n != 1 {
					t.Errorf("%d offers", n)
				}
			})
		})
	}
}

// A server may report while the conversation goes on, with the next server about
// another recipient, say: the report is the later word.
func TestAReportThatComesBeforeTheAnswerIsSettledCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		r := &remote{answer: func(ctx context.Context, p outgoing.Parcel) outgoing.Answer {
			w.reports(p.From, "", "Reporting-MTA: dns; mx.other.test\n\nFinal-Recipient: rfc822; bob@other.test\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n")
			return accepts(ctx, p)
		}}
		w = newWorld(t, r)
		w.start()
		defer w.halt()
		l := w.letter("bob@other.test")
		l.CC = []string{"amy@other.test"}
		sent := w.send(l)
		time.Sleep(time.Hour)
		synctest.Wait()
		m := w.message(sent.Message)
		if d := m.Deliveries; m.Status != openmail.StatusFailed || d[0].State != openmail.StatusFailed || !strings.Contains(d[0].Answer, "no such user") || d[1].State != openmail.StatusSent || len(r.seen()) != 1 {
			t.Errorf("%d offers: %s %+v", len(r.seen()), m.Status, d)
		}
		w.refused(openmail.CodeSuppressed, "to", w.letter("bob@other.test"))
	})
}

func TestAReplyToTheAddressForReportsIsAMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{answer: accepts})
		w.start()
		defer w.halt()
		sent := w.send(outgoing.Request{Inbox: w.jane.ID, To: "bob@other.test", Subject: "x", Body: "y"})
		synctest.Wait()
		in := w.arrives(w.message(sent.Message).Envelope.MailFrom, "From: bob@other.test\nIn-Reply-To: "+sent.RFCMessageID+"\nSubject: away\n\nI am away.\n")
		if in.Inbox != w.jane.ID || in.Thread != sent.Thread || w.message(sent.Message).Status != openmail.StatusSent {
			t.Errorf("%+v", in)
		}
	})
}
