package smtpd_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"openmail"
	"openmail/internal/smtpd"
)

const hello = "EHLO me.example\n"

// capabilities answers hello, with the limits of conversationLimits.
const capabilities = `250-mx.ours.example
250-PIPELINING
250-SIZE 1000
250-ENHANCEDSTATUSCODES
250-8BITMIME
250-SMTPUTF8
250 CHUNKING
`

func conversationLimits() smtpd.Limits {
	return smtpd.Limits{MessageBytes: 1000, LineBytes: 200, Recipients: 3, BadCommands: 3, BadRecipients: 3}
}

// conversations are what the client sends behind the greeting, what it is told
// then, and the bodies that are stored. Line ends are CRLF on the wire.
var conversations = []struct {
	name           string
	client, server string
	bodies         []string
}{
	{
		name:   "one mail",
		client: hello + "MAIL FROM:<a@me.example>\nRCPT TO:<b@ours.example>\nDATA\nSubject: x\n\nHi\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"Subject: x\n\nHi\n"},
	},
	{
		name:   "HELO, and two mails",
		client: "HELO me\nMAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n1\n.\nMAIL FROM:<a@me.example>\nRCPT TO:<c@ours.example>\nDATA\n2\n.\nQUIT\n",
		server: "250 mx.ours.example\n250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n" +
			"250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_2\n221 2.0.0 Bye\n",
		bodies: []string{"1\n", "2\n"},
	},
	{
		name:   "dots are unstuffed",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n..\n.x\n...\na.\n ..\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{".\nx\n..\na.\n ..\n"},
	},
	{
		name:   "an empty mail",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{""},
	},
	{
		name:   "chunks",
		client: hello + "MAIL FROM:<> BODY=8BITMIME\nRCPT TO:<b@ours.example>\nBDAT 6\n.\n.\nNOOP\nBDAT 2 last\n\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 6 bytes so far\n250 2.0.0 Ok\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{".\n.\n\n"},
	},
	{
		name:   "an empty last chunk",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 3\nx\nBDAT 0 LAST\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 3 bytes so far\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"x\n"},
	},
	{
		name:   "a CRLF across chunks",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 1\n\rBDAT 1 LAST\n\x00QUIT\n", // \x00 stands for LF
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 1 bytes so far\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"\n"},
	},
	{
		name:   "chunks given up by RSET",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 3\nx\nRSET\nBDAT 3 LAST\ny\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 3 bytes so far\n250 2.0.0 Ok\n503 5.5.1 MAIL first\n221 2.0.0 Bye\n",
	},
	{
		name:   "chunks given up by QUIT",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 3\nx\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 3 bytes so far\n221 2.0.0 Bye\n",
	},
	{
		name:   "another command between chunks",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 3\nx\nDATA\nBDAT 3 LAST\ny\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 3 bytes so far\n503 5.5.1 BDAT or RSET first\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"x\ny\n"},
	},
	{
		name:   "a chunk without a transaction is skipped",
		client: hello + "BDAT 6 LAST\nQUIT\nMAIL FROM:<>\nBDAT 3 LAST\nx\nQUIT\n",
		server: capabilities + "503 5.5.1 MAIL first\n250 2.0.0 Ok\n554 5.5.1 No valid recipients\n221 2.0.0 Bye\n",
	},
	{
		name:   "a chunk of no size",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT x LAST\nQUIT\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n501 5.5.4 Syntax: BDAT size [LAST]; the chunk is lost\n",
	},
	{
		name:   "chunks that are too large together",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 3\nx\nBDAT 999 LAST\n" + strings.Repeat("y", 997) + "\nMAIL FROM:<>\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n250 2.0.0 Ok, 3 bytes so far\n552 5.3.4 The mail is larger than we take\n250 2.0.0 Ok\n221 2.0.0 Bye\n",
	},
	{
		name:   "a chunk that nobody would wait for",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 999999999999\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n552 5.3.4 The mail is far larger than we take\n",
	},
	{
		name:   "a recipient named twice counts once",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nRCPT TO:<B@Ours.example>\nRCPT TO:<c@ours.example>\nRCPT TO:<d@ours.example>\nRCPT TO:<e@ours.example>\nDATA\nx\n.\nQUIT\n",
		server: capabilities + strings.Repeat("250 2.0.0 Ok\n", 5) + "452 4.5.3 Too many recipients\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"x\n"},
	},
	{
		name:   "an unknown recipient",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@theirs.example>\nDATA\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n550 5.1.1 No such mailbox\n554 5.5.1 No valid recipients\n221 2.0.0 Bye\n",
	},
	{
		name:   "postmaster needs no domain",
		client: hello + "MAIL FROM:<>\nRCPT TO:<PostMaster>\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n550 5.1.1 No such mailbox\n221 2.0.0 Bye\n",
	},
	{
		name: "too many bad recipients",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@x.example>\nRCPT TO:<c@x.example>\nRCPT TO:<@y,@z:d@ours.example>\nRCPT TO:<e@x.example>\n" +
			"RCPT TO:<b@ours.example>\n",
		server: capabilities + "250 2.0.0 Ok\n550 5.1.1 No such mailbox\n550 5.1.1 No such mailbox\n501 5.1.3 Bad recipient address\n421 4.7.0 Too many bad recipients\n",
	},
	{
		name:   "relaying tricks",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b%x.example@ours.example>\nRCPT TO:<\"b@x.example\"@ours.example>\nRCPT TO:<x.example!b@ours.example>\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n" + strings.Repeat("550 5.7.1 We do not relay\n", 3) + "221 2.0.0 Bye\n",
	},
	{
		name:   "a nested MAIL",
		client: hello + "MAIL FROM:<a@me.example>\nMAIL FROM:<b@me.example>\nRCPT TO:<b@ours.example>\nDATA\nx\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n503 5.5.1 There is a transaction already\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"x\n"},
	},
	{
		name:   "EHLO resets",
		client: hello + "MAIL FROM:<a@me.example>\n" + hello + "RCPT TO:<b@ours.example>\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n" + capabilities + "503 5.5.1 MAIL first\n221 2.0.0 Bye\n",
	},
	{
		name:   "commands out of order",
		client: "MAIL FROM:<a@me.example>\nRCPT TO:<b@ours.example>\nDATA\nQUIT\n",
		server: "503 5.5.1 EHLO first\n503 5.5.1 MAIL first\n503 5.5.1 MAIL first\n221 2.0.0 Bye\n",
	},
	{
		name:   "too many bad commands",
		client: "WHAT\nEXPN x\nAUTH PLAIN\nSTARTTLS\nNOOP\n",
		server: "500 5.5.1 Unknown command\n502 5.5.1 Not here\n502 5.5.1 Not here\n421 4.7.0 Too many errors\n",
	},
	{
		name:   "small commands in any case",
		client: "noop me\nvrfy b\nhelp\nrset\nehlo\nhelo two words\nquit\n",
		server: "250 2.0.0 Ok\n252 2.5.0 Send the mail, then we shall see\n214 2.0.0 RFC 5321\n250 2.0.0 Ok\n501 5.5.4 Syntax: EHLO hostname\n501 5.5.4 Syntax: HELO hostname\n221 2.0.0 Bye\n",
	},
	{
		name:   "commands without end",
		client: strings.Repeat("NOOP\n", 210),
		server: strings.Repeat("250 2.0.0 Ok\n", 200) + "421 4.7.0 Too many commands without a mail\n",
	},
	{
		name:   "a browser",
		client: "POST / HTTP/1.1\nHost: mx.ours.example\n\nEHLO x\nMAIL FROM:<>\n",
		server: "554 5.5.0 This is not that protocol\n",
	},
	{
		name:   "a size that is too large",
		client: hello + "MAIL FROM:<> SIZE=1001\nMAIL FROM:<> SIZE=1000\nQUIT\n",
		server: capabilities + "552 5.3.4 The mail is larger than we take\n250 2.0.0 Ok\n221 2.0.0 Bye\n",
	},
	{
		name:   "a mail that is too large",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n" + strings.Repeat("123456789\n", 100) + ".\nMAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\nx\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n552 5.3.4 The mail is larger than we take\n" +
			"250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{"x\n"},
	},
	{
		name:   "a mail that is far too large",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n" + strings.Repeat("123456789\n", 1000) + ".\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n552 5.3.4 The mail is far larger than we take\n",
	},
	{
		name:   "a line of a mail that is too long",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n" + strings.Repeat("x", 199) + "\n.\nMAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n." + strings.Repeat("y", 198) + "\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n552 5.3.4 A line of the mail is longer than we take\n" +
			"250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n552 5.3.4 A line of the mail is longer than we take\n221 2.0.0 Bye\n",
	},
	{
		name:   "the longest line of a mail",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\n" + strings.Repeat("x", 198) + "\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n250 2.0.0 Ok: queued as msg_1\n221 2.0.0 Bye\n",
		bodies: []string{strings.Repeat("x", 198) + "\n"},
	},
	{
		name:   "a long command",
		client: "NOOP " + strings.Repeat("x", 995) + "\nNOOP " + strings.Repeat("x", 996) + "\nQUIT\n",
		server: "250 2.0.0 Ok\n500 5.5.2 The command line is too long\n221 2.0.0 Bye\n",
	},
	{
		name:   "a command past all bounds",
		client: "NOOP " + strings.Repeat("x", 4090) + "\nNOOP\n",
		server: "500 5.5.2 The command line is too long\n",
	},
	{
		name:   "a command without end",
		client: strings.Repeat("x", 100000),
		server: "500 5.5.2 The command line is too long\n",
	},
	{
		name:   "a bare CR in a command",
		client: "NOOP\rQUIT\nNOOP\n",
		server: "500 5.5.2 Commands end with CRLF, and only with that\n",
	},
	{
		name:   "a bare LF behind a command",
		client: "NOOP\x00NOOP\n",
		server: "500 5.5.2 Commands end with CRLF, and only with that\n",
	},
	{
		name:   "control characters in a command",
		client: hello + "MAIL FROM:<a\x01@me.example>\nMAIL FROM:<a\t@me.example>\nQUIT\n",
		server: capabilities + strings.Repeat("500 5.5.2 Control characters do not belong into a command\n", 2) + "221 2.0.0 Bye\n",
	},
	{
		name:   "UTF-8 in addresses",
		client: hello + "MAIL FROM:<ä@me.example>\nMAIL FROM:<ä@mé.example> SMTPUTF8\nRCPT TO:<ö@ours.example>\nRCPT TO:<\xff@ours.example>\nQUIT\n",
		server: capabilities + "553 5.6.7 A non-ASCII address needs SMTPUTF8\n250 2.0.0 Ok\n250 2.0.0 Ok\n501 5.1.3 Bad recipient address\n221 2.0.0 Bye\n",
	},
	{
		name:   "UTF-8 in a recipient only",
		client: hello + "MAIL FROM:<>\nRCPT TO:<ö@ours.example>\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n553 5.6.7 A non-ASCII address needs SMTPUTF8\n221 2.0.0 Bye\n",
	},
	{
		name:   "parameters of MAIL",
		client: hello + "MAIL FROM:<> X=1\nMAIL FROM:<> SIZE=x\nMAIL FROM:<>SIZE=1\nQUIT\n",
		server: capabilities + "555 5.5.4 Unknown parameter\n501 5.5.4 Bad value of SIZE\n501 5.5.4 Syntax: MAIL FROM:<address>\n221 2.0.0 Bye\n",
	},
	{
		name:   "more parameters of MAIL",
		client: hello + "MAIL FROM:<> SIZE=1 size=2\nMAIL FROM:<> BODY=BINARYMIME\nMAIL FROM:<> SMTPUTF8=yes\nmail from: <> body=7bit smtputf8 size=0\nQUIT\n",
		server: capabilities + "501 5.5.4 A parameter is there twice\n501 5.5.4 Bad value of BODY\n501 5.5.4 Bad value of SMTPUTF8\n250 2.0.0 Ok\n221 2.0.0 Bye\n",
	},
	{
		name:   "arguments that do not belong",
		client: hello + "MAIL FROM:a@me.example\nMAIL FROM:<>\nRCPT TO:<b@ours.example> NOTIFY=NEVER\nRCPT TO:<b@ours.example>\nDATA now\nQUIT\n",
		server: capabilities + "501 5.5.4 Syntax: MAIL FROM:<address>\n250 2.0.0 Ok\n555 5.5.4 Unknown parameter\n250 2.0.0 Ok\n501 5.5.4 Syntax: DATA\n221 2.0.0 Bye\n",
	},
	{
		name:   "a bare LF in DATA",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nDATA\nx\x00y\n.\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n354 End with CRLF.CRLF\n550 5.6.0 A bare CR or LF in the mail (RFC 5321 section 2.3.8)\n",
	},
	{
		name:   "a bare CR at the end of BDAT",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 2 LAST\nx\rQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n550 5.6.0 A bare CR or LF in the mail (RFC 5321 section 2.3.8)\n",
	},
	{
		name:   "a bare LF in BDAT",
		client: hello + "MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 2 LAST\nx\x00QUIT\n",
		server: capabilities + "250 2.0.0 Ok\n250 2.0.0 Ok\n550 5.6.0 A bare CR or LF in the mail (RFC 5321 section 2.3.8)\n",
	},
	{
		name:   "failures of ours at RCPT",
		client: hello + "MAIL FROM:<>\nRCPT TO:<broken@ours.example>\nRCPT TO:<full@ours.example>\nRCPT TO:<busy@ours.example>\nRCPT TO:<starting@ours.example>\nRCPT TO:<foreign@ours.example>\nQUIT\n",
		server: capabilities + "250 2.0.0 Ok\n451 4.3.0 We failed, try again later\n452 4.3.1 No room, try again later\n450 4.7.1 Too much mail, try again later\n" +
			"451 4.3.2 Starting or stopping, try again later\n550 5.7.1 We do not relay\n221 2.0.0 Bye\n",
	},
}

func routeFaults() map[string]error {
	return map[string]error{
		"broken@ours.example":   errors.New("secret of the database"),
		"full@ours.example":     openmail.Errorf(openmail.CodeStorageFull, "full"),
		"busy@ours.example":     openmail.Errorf(openmail.CodeRateLimit, "busy"),
		"starting@ours.example": openmail.Errorf(openmail.CodeUnavailable, "starting"),
		"foreign@ours.example":  openmail.Errorf(openmail.CodeInvalidDomain, "foreign"),
	}
}

func TestConversations(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			h := &house{faults: routeFaults()}
			s := start(t, smtpd.Config{Receiver: h, Limits: conversationLimits()})
			got := dial(t, s).talk(strings.ReplaceAll(crlf(c.client), "\x00", "\n"))
			if want := "220 mx.ours.example ESMTP OpenMail\n" + c.server; got != want {
				t.Errorf("the server says\n%s\nwant\n%s", got, want)
			}
			var want []string
			for _, b := range c.bodies {
				want = append(want, crlf(b))
			}
			if got := h.bodies(); !slices.Equal(got, want) {
				t.Errorf("stored %q, want %q", got, want)
			}
			if s.Held() != 0 {
				t.Errorf("%d bytes are still held", s.Held())
			}
		})
	}
}

func TestReceiverErrorsAreClassedAndToldToNobody(t *testing.T) {
	cases := []struct {
		err  error
		want string
	}{
		{errors.New("secret of the disk"), "451 4.3.0 We failed, try again later"},
		{openmail.Errorf(openmail.CodeInternal, "secret"), "451 4.3.0 We failed, try again later"},
		{openmail.Errorf(openmail.CodeBadRequest, "secret"), "451 4.3.0 We failed, try again later"},
		{openmail.Errorf(openmail.CodeStorageFull, "secret"), "452 4.3.1 No room, try again later"},
		{openmail.Errorf(openmail.CodeTooLarge, "secret"), "552 5.3.4 The mail is larger than we take"},
		{openmail.Errorf(openmail.CodeNotFound, "secret"), "550 5.1.1 No such mailbox"},
		{openmail.Errorf(openmail.CodeUnavailable, "secret"), "451 4.3.2 Starting or stopping, try again later"},
	}
	for _, c := range cases {
		t.Run(c.want, func(t *testing.T) {
			h := &house{accept: func(io.Reader) error { return c.err }}
			s := start(t, smtpd.Config{Receiver: h})
			cl := dial(t, s)
			cl.upToData()
			cl.send("x\n.\nNOOP\n")
			if got := cl.expect(c.want[:3]); got != c.want+"\r\n" {
				t.Errorf("got %q, want %q", got, c.want)
			}
			cl.expect("250 2.0.0 Ok") // the mail that was not read is no command

			cl.send("MAIL FROM:<>\nRCPT TO:<b@ours.example>\nBDAT 6\nQUIT\nBDAT 6 LAST\nQUIT\nQUIT\n")
			cl.expect("250 ")
			cl.expect("250 ")
			cl.expect(c.want)
			cl.expect("503 5.5.1 MAIL first")
			cl.expect("221 ")
			cl.expectEnd()
			if len(h.stored()) != 0 || s.Metrics().Refused()[int(c.want[0]-'0')*100+int(c.want[1]-'0')*10+int(c.want[2]-'0')] != 2 {
				t.Errorf("stored %d, refused %v", len(h.stored()), s.Metrics().Refused())
			}
		})
	}
}

func TestReceiverThatDoesNotReadToTheEndIsNotBelieved(t *testing.T) {
	s := start(t, smtpd.Config{Receiver: &careless{}})
	c := dial(t, s)
	c.upToData()
	c.send("x\n.\n")
	c.expect("451 4.3.0")
}

// careless accepts what it has not read.
type careless struct{ house }

func (*careless) Accept(context.Context, openmail.Envelope, io.Reader) (string, error) {
	return "msg_1", nil
}

func TestPanicOfTheReceiverEndsOneSession(t *testing.T) {
	h := &house{accept: func(r io.Reader) error {
		if body, err := io.ReadAll(r); err == nil && strings.Contains(string(body), "boom") {
			panic("boom")
		}
		return nil
	}}
	s := start(t, smtpd.Config{Receiver: h})
	c := dial(t, s)
	c.upToData()
	c.send("boom\n.\n")
	c.expect("421 4.3.0")
	c.expectEnd()
	if s.Held() != 0 {
		t.Errorf("%d bytes are still held", s.Held())
	}
	c = dial(t, s)
	c.upToData()
	c.send("well\n.\n")
	c.expect("250 2.0.0 Ok: queued as msg_1")
}

func TestEnvelopeIsWhatTheClientSaid(t *testing.T) {
	h := &house{}
	s := start(t, smtpd.Config{Receiver: h})
	c := dial(t, s)
	c.talk(crlf(hello + "MAIL FROM:<A@me.example>\nRCPT TO:<B+tag@ours.example>\nRCPT TO:<c@ours.example>\nDATA\nx\n.\nQUIT\n"))
	mails := h.stored()
	if len(mails) != 1 {
		t.Fatalf("stored %d mails", len(mails))
	}
	env := mails[0].env
	if env.MailFrom != "A@me.example" || env.Helo != "me.example" || env.RemoteIP != "127.0.0.1" || env.TLS {
		t.Errorf("envelope %+v", env)
	}
	if len(env.Rcpts) != 2 || env.Rcpts[0].Addr != "B+tag@ours.example" || env.Rcpts[1].Addr != "c@ours.example" {
		t.Errorf("recipients %+v", env.Rcpts)
	}
	if m := s.Metrics(); m.Accepted.Load() != 1 || m.Bytes.Load() != 3 || m.Sessions.Load() != 1 {
		t.Errorf("accepted %d, bytes %d, sessions %d", m.Accepted.Load(), m.Bytes.Load(), m.Sessions.Load())
	}
}
