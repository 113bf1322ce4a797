package smtpout_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
)

// checkSaid holds what a server was told against lines.
func checkSaid(t *testing.T, s *server, want ...string) {
	t.Helper()
	if got := s.said(); !slices.Equal(got, want) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheConversationIsPlain(t *testing.T) {
	srv := &server{}
	s, _ := single(t, srv)
	a := one(t, s)
	if want := (outgoing.Answer{
		Fate: outgoing.FateAccepted, Code: 250, Enhanced: "2.0.0", Text: "taken as 42", Server: "mx.there.test [127.0.0.1]",
	}); a != want {
		t.Errorf("answer %+v, want %+v", a, want)
	}
	checkSaid(t, srv, "EHLO out.openmail.test", "MAIL FROM:<agent@openmail.test>", "RCPT TO:<b@there.test>", "DATA", "QUIT")
	if got := srv.taken(); len(got) != 1 || got[0] != testMail {
		t.Errorf("taken %q", got)
	}
}

func TestAnOldServerIsGreetedWithHELO(t *testing.T) {
	srv := &server{replies: map[string]string{"EHLO": "502 5.5.1 what?", "HELO": "250-mx\r\n250 PIPELINING"}}
	s, _ := single(t, srv)
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
	checkSaid(t, srv, "EHLO out.openmail.test", "HELO out.openmail.test", "MAIL FROM:<agent@openmail.test>", "RCPT TO:<b@there.test>", "DATA", "QUIT")
}

func TestExtensionsAreUsedWhereOffered(t *testing.T) {
	srv := &server{extensions: []string{"size 1000", "8BITMIME", "SMTPUTF8", "PIPELINING"}}
	s, _ := single(t, srv)
	p := parcel("büro@there.test", "b@thère.test")
	p.Mail = []byte("Subject: Größe\r\n\r\nü\r\n")
	for _, a := range s.Send(t.Context(), p) {
		checkAnswer(t, a, outgoing.FateAccepted, 250, "2.0.0", "")
	}
	checkSaid(t, srv, "EHLO out.openmail.test", "MAIL FROM:<agent@openmail.test> SIZE=24 SMTPUTF8 BODY=8BITMIME",
		"RCPT TO:<büro@there.test>", "RCPT TO:<b@xn--thre-6oa.test>", "DATA", "QUIT")
}

func TestANotificationHasAnEmptySender(t *testing.T) {
	srv := &server{}
	s, _ := single(t, srv)
	p := parcel("b@there.test")
	p.From = ""
	checkAnswer(t, s.Send(t.Context(), p)[0], outgoing.FateAccepted, 250, "2.0.0", "")
	if !slices.Contains(srv.said(), "MAIL FROM:<>") {
		t.Errorf("said %q", srv.said())
	}
}

func TestAMailThatTheServerCannotTakeIsNotOffered(t *testing.T) {
	for name, c := range map[string]struct {
		extensions []string
		to, mail   string
		enhanced   string
	}{
		"too large":             {[]string{"SIZE 20"}, "b@there.test", testMail, "5.3.4"},
		"international address": {nil, "bü@there.test", testMail, "5.6.7"},
		"international header":  {[]string{"8BITMIME"}, "b@there.test", "Subject: ü\r\n\r\n", "5.6.7"},
		"eight bits":            {nil, "b@there.test", "Subject: x\r\n\r\nü\r\n", "5.6.3"},
	} {
		srv := &server{extensions: c.extensions}
		s, _ := single(t, srv)
		p := parcel(c.to)
		p.Mail = []byte(c.mail)
		a := s.Send(t.Context(), p)[0]
		if a.Fate != outgoing.FateRefused || a.Enhanced != c.enhanced || a.Server != "mx.there.test [127.0.0.1]" {
			t.Errorf("%s: %+v", name, a)
		}
		checkSaid(t, srv, "EHLO out.openmail.test", "QUIT")
	}
}

func TestAnInternationalRecipientDoesNotSpoilTheOthers(t *testing.T) {
	srv := &server{}
	s, _ := single(t, srv)
	got := s.Send(t.Context(), parcel("ü@there.test", "b@there.test"))
	checkAnswer(t, got[0], outgoing.FateRefused, 0, "5.6.7", "")
	checkAnswer(t, got[1], outgoing.FateAccepted, 250, "2.0.0", "")
}

func TestEachRecipientHasItsOwnAnswer(t *testing.T) {
	for _, extensions := range [][]string{nil, {"PIPELINING"}} {
		srv := &server{extensions: extensions, replies: map[string]string{
			"RCPT TO:<gone@there.test>": "550 5.1.1 nobody here",
			"RCPT TO:<full@there.test>": "452 mailbox full",
			"RCPT TO:<odd@there.test>":  "550 4.9.9 odd",
		}}
		s, _ := single(t, srv)
		got := s.Send(t.Context(), parcel("a@there.test", "gone@there.test", "full@there.test", "b@there.test", "odd@there.test"))
		checkAnswer(t, got[0], outgoing.FateAccepted, 250, "2.0.0", "taken")
		checkAnswer(t, got[1], outgoing.FateRefused, 550, "5.1.1", "nobody here")
		checkAnswer(t, got[2], outgoing.FateDeferred, 452, "4.2.2", "mailbox full")
		checkAnswer(t, got[3], outgoing.FateAccepted, 250, "2.0.0", "taken")
		checkAnswer(t, got[4], outgoing.FateRefused, 550, "5.2.0", "odd")
		if n := len(srv.taken()); n != 1 {
			t.Errorf("%d mails were taken", n)
		}
	}
}

func TestOnlyTheDeferredAreOfferedToTheNextServer(t *testing.T) {
	first := &server{replies: map[string]string{"RCPT TO:<slow@there.test>": "450 later", "RCPT TO:<gone@there.test>": "550 no"}}
	second := &server{}
	s, _ := hosts(t, []string{
		"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test.", "a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2",
	}, first, second)
	for _, a := range s.Send(t.Context(), parcel("a@there.test", "slow@there.test", "gone@there.test"))[:2] {
		checkAnswer(t, a, outgoing.FateAccepted, 250, "2.0.0", "")
	}
	checkSaid(t, second, "EHLO out.openmail.test", "MAIL FROM:<agent@openmail.test>", "RCPT TO:<slow@there.test>", "DATA", "QUIT")
}

func TestNobodyIsAskedForDataWhoKnowsNoRecipient(t *testing.T) {
	srv := &server{replies: map[string]string{"RCPT": "550 5.1.1 no"}}
	s, _ := single(t, srv)
	checkAnswer(t, one(t, s), outgoing.FateRefused, 550, "5.1.1", "no")
	checkSaid(t, srv, "EHLO out.openmail.test", "MAIL FROM:<agent@openmail.test>", "RCPT TO:<b@there.test>", "RSET", "QUIT")
}

func TestPipelinedDataWithoutARecipientIsEnded(t *testing.T) {
	for _, replies := range []map[string]string{
		{"RCPT": "550 5.1.1 no"},
		{"MAIL": "550 5.1.1 no", "RCPT": "503 MAIL first"},
		{"MAIL": "550 5.1.1 no", "RCPT": "503 MAIL first", "DATA": "503 RCPT first"},
	} {
		srv := &server{extensions: []string{"PIPELINING"}, replies: replies, end: "554 no recipients"}
		s, _ := single(t, srv)
		checkAnswer(t, one(t, s), outgoing.FateRefused, 550, "5.1.1", "no")
		for _, m := range srv.taken() {
			if m != "" {
				t.Errorf("mail %q went to nobody", m)
			}
		}
		if said := srv.said(); said[len(said)-1] != "QUIT" {
			t.Errorf("said %q", said)
		}
	}
}

func TestManyRecipientsAreOfferedInSeveralTransactions(t *testing.T) {
	for _, extensions := range [][]string{nil, {"PIPELINING"}} {
		srv := &server{extensions: extensions, replies: map[string]string{"RCPT TO:<b7@there.test>": "450 later", "RCPT TO:<b203@there.test>": "550 no"}}
		s, _ := single(t, srv)
		var to []string
		for i := range 250 {
			to = append(to, fmt.Sprintf("b%d@there.test", i))
		}
		for i, a := range s.Send(t.Context(), parcel(to...)) {
			want := map[int]outgoing.Fate{7: outgoing.FateDeferred, 203: outgoing.FateRefused}[i]
			if want == "" {
				want = outgoing.FateAccepted
			}
			if a.Fate != want {
				t.Errorf("%s: %+v", to[i], a)
			}
		}
		if n := len(srv.taken()); n != 3 {
			t.Errorf("%d transactions", n)
		}
	}
}

func TestRepliesMeanWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		verb, reply string
		fate        outgoing.Fate
		code        int
		enhanced    string
		text        string
	}{
		{"MAIL", "550 blocked", outgoing.FateRefused, 550, "5.7.1", "blocked"},
		{"MAIL", "553 who are you", outgoing.FateRefused, 553, "5.1.8", "who"},
		{"MAIL", "552 too big", outgoing.FateRefused, 552, "5.3.4", "too big"},
		{"MAIL", "501 syntax", outgoing.FateRefused, 501, "5.5.4", "syntax"},
		{"MAIL", "530 5.7.0 log in", outgoing.FateRefused, 530, "5.7.0", "log in"},
		{"MAIL", "450", outgoing.FateDeferred, 450, "4.7.1", ""},
		{"MAIL", "421 bye", outgoing.FateDeferred, 421, "4.3.2", "bye"},
		{"MAIL", "354 what", outgoing.FateDeferred, 0, "4.5.0", "out of place"},
		{"RCPT", "550-5.1.1 nobody of\r\n550-5.1.1 that name\r\n550 5.1.1 is here", outgoing.FateRefused, 550, "5.1.1", "nobody of that name is here"},
		{"RCPT", "553 no", outgoing.FateRefused, 553, "5.1.0", "no"},
		{"RCPT", "556 no", outgoing.FateRefused, 556, "5.1.10", "no"},
		{"RCPT", "599 no", outgoing.FateRefused, 599, "5.0.0", "no"},
		{"RCPT", "550 blocked, see our list", outgoing.FateRefused, 550, "5.2.0", "blocked"},
		{"RCPT", "450 later", outgoing.FateDeferred, 450, "4.2.0", "later"},
		{"RCPT", "450 4.2.0 greylisted", outgoing.FateDeferred, 450, "4.2.0", "greylisted"},
		{"RCPT", "550 5.1.1111 no", outgoing.FateRefused, 550, "5.2.0", "5.1.1111 no"},
		{"RCPT", "550 \x1b[31m\x00\xff\u0085red", outgoing.FateRefused, 550, "5.2.0", " [31m \uFFFD red"},
		{"DATA", "554 no", outgoing.FateRefused, 554, "5.0.0", "no"},
		{"DATA", "451 later", outgoing.FateDeferred, 451, "4.0.0", "later"},
		{"DATA", "250 ok", outgoing.FateDeferred, 0, "4.5.0", "out of place"},
		{"end", "554 5.7.1 spam", outgoing.FateRefused, 554, "5.7.1", "spam"},
		{"end", "451 4.3.0 later", outgoing.FateDeferred, 451, "4.3.0", "later"},
		{"end", "354 more", outgoing.FateDeferred, 0, "4.5.0", "out of place"},
		{"end", "251 ok", outgoing.FateAccepted, 251, "2.0.0", "ok"},
		{"end", "drop", outgoing.FateDeferred, 0, "4.4.2", "the mail was sent, and not answered: the server closed the connection"},
		{"MAIL", "drop", outgoing.FateDeferred, 0, "4.4.2", "the server closed the connection"},
		{"RCPT", "drop", outgoing.FateDeferred, 0, "4.4.2", "the server closed the connection"},
	} {
		for _, extensions := range [][]string{nil, {"PIPELINING"}} {
			srv := &server{extensions: extensions, replies: map[string]string{c.verb: c.reply}}
			if c.verb == "end" {
				srv.end = c.reply
			}
			s, _ := single(t, srv)
			a := one(t, s)
			if a.Fate != c.fate || a.Code != c.code || a.Enhanced != c.enhanced || !strings.Contains(a.Text, c.text) || a.Server == "" {
				t.Errorf("%s: %s %v: %+v", c.verb, c.reply, extensions, a)
			}
		}
	}
}

func TestALongReplyIsCutToAKiBOfWholeCharacters(t *testing.T) {
	s, _ := single(t, &server{replies: map[string]string{"RCPT": "550 x" + strings.Repeat("ü", 1000)}})
	if a := one(t, s); len(a.Text) != 1023 || strings.Trim(a.Text[1:], "ü") != "" {
		t.Errorf("%d bytes: %+v", len(a.Text), a)
	}
}

func TestAMailThatWasSentAndNotAnsweredGoesNowhereElse(t *testing.T) {
	second := &server{}
	s, _ := hosts(t, []string{
		"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test.", "a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2",
	}, &server{end: "drop"}, second)
	checkAnswer(t, one(t, s), outgoing.FateDeferred, 0, "4.4.2", "not answered")
	if second.connections() != 0 {
		t.Error("the mail was sent twice")
	}
}

func TestNoAddressCanSayACommand(t *testing.T) {
	for _, bad := range []string{
		"", "b", "@there.test", "b@", "b@there.test\r\nRCPT TO:<c@there.test>", "b\r\nDATA\r\n@there.test", "b\n@there.test", "b\r@there.test", "b\x00@there.test",
		"b>@there.test", "b@there.test>", "<b@there.test", "b c@there.test", "b@there.test SIZE=1", "\"b\r\nDATA\"@there.test", "\"b\"c@there.test", "\"b\\\"@there.test",
		"\"b@there.test", "b\"@there.test", "b@there..test", "b@[1.2.3.4", "b@1.2.3.4]", "b@[300.1.1.1]", "b@[::1]", "b\x80@there.test", "b\u0085@there.test", "b@there.te st",
		"b@there.test\u2028", strings.Repeat("b", 600) + "@there.test", "b@" + strings.Repeat("a", 64) + ".test", "b@evil\r\nDATA",
	} {
		srv := &server{}
		s, _ := single(t, srv)
		got := s.Send(t.Context(), parcel(bad, "ok@there.test"))
		checkAnswer(t, got[0], outgoing.FateRefused, 0, "5.1.3", "")
		checkAnswer(t, got[1], outgoing.FateAccepted, 250, "2.0.0", "")
		checkSaid(t, srv, "EHLO out.openmail.test", "MAIL FROM:<agent@openmail.test>", "RCPT TO:<ok@there.test>", "DATA", "QUIT")

		if bad == "" {
			continue // a notification's
		}
		p := parcel("ok@there.test")
		p.From = bad
		checkAnswer(t, s.Send(t.Context(), p)[0], outgoing.FateRefused, 0, "5.1.7", "")
		if srv.connections() != 1 {
			t.Errorf("a server was asked about the sender %q", bad)
		}
	}
}

func TestUnusualAddressesAreSaidAsTheyAre(t *testing.T) {
	srv := &server{}
	s, _ := single(t, srv)
	to := []string{
		"b..c.@there.test", "b+tag=x/y@there.test", "\"b c\"@there.test", "\"b@c>\"@there.test", "\"\\\"\\\\\"@there.test", "b@[192.0.2.1]", "b@[IPv6:2001:db8::1]", "B@There.Test",
		"b@under_score.there.test",
	}
	for i, a := range s.Send(t.Context(), parcel(to...)) {
		if a.Fate != outgoing.FateAccepted || !slices.Contains(srv.said(), "RCPT TO:<"+to[i]+">") {
			t.Errorf("%s: %+v", to[i], a)
		}
	}
}

func TestABareLineEndNeverLeaves(t *testing.T) {
	for _, mail := range []string{
		"Subject: x\r\n\r\nhello\n", "Subject: x\n\nhello\n", "Subject: x\r\n\r\nhello\r", "Subject: x\r\n\r\na\n.\r\nMAIL FROM:<>\r\n",
		"Subject: x\r\n\r\na\r.\r\nMAIL FROM:<>\r\n", "Subject: x\r\n\r\na\r\r\nb\r\n", "Subject: x\r\n\r\na\n\r\n", "Subject: x\r\n\r\n\x00\r\n", "\n", "\r",
	} {
		srv := &server{}
		s, _ := single(t, srv)
		p := parcel("b@there.test", "c@there.test")
		p.Mail = []byte(mail)
		for _, a := range s.Send(t.Context(), p) {
			checkAnswer(t, a, outgoing.FateRefused, 0, "5.6.0", "not sent")
		}
		if srv.connections() != 0 {
			t.Errorf("a server was asked about %q", mail)
		}
	}
}

func TestDotsAndTheLastLineArriveAsTheyAre(t *testing.T) {
	for _, mail := range []string{
		"", ".", "..", ".\r\n", ".\r\n.\r\n.\r\n", "a\r\n.", "a\r\n..\r\n.b", "\r\n.\r\n", "a", strings.Repeat(".", 100_000) + "\r\n", strings.Repeat(".\r\n", 100_000),
	} {
		srv := &server{}
		s, _ := single(t, srv)
		p := parcel("b@there.test")
		p.Mail = []byte(mail)
		checkAnswer(t, s.Send(t.Context(), p)[0], outgoing.FateAccepted, 250, "2.0.0", "")
		want := mail
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if got := srv.taken(); len(got) != 1 || got[0] != want {
			t.Errorf("%.40q arrived as %.40q", mail, got)
		}
		if string(p.Mail) != mail {
			t.Errorf("the parcel was changed: %.40q", mail)
		}
	}
}

func TestASendThatIsStoppedAnswersAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := single(t, &server{raw: afterHello(func(c conn) { cancel(); drain(c) })})
	checkAnswer(t, s.Send(ctx, parcel("b@there.test"))[0], outgoing.FateDeferred, 0, "4.4.2", "this server stopped")

	// Before anything was asked.
	for _, a := range s.Send(ctx, parcel("b@there.test", "bad")) {
		if a.Fate == outgoing.FateAccepted || a.Enhanced == "" || a.Text == "" {
			t.Errorf("answer %+v", a)
		}
	}
}

func TestNewRefusesSettingsThatItCannotUse(t *testing.T) {
	for _, c := range []smtpout.Config{
		{Hostname: "a b"}, {Hostname: "x\r\nMAIL FROM:<>"}, {Allow: []string{"10.0.0.0/33"}},
	} {
		if _, err := smtpout.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
