package smtpout_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
)

func parseRelay(t *testing.T, s string) smtpout.Relay {
	t.Helper()
	r, err := smtpout.ParseRelay(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return r
}

func TestARelayIsReadAndShownWithoutItsPassword(t *testing.T) {
	for in, want := range map[string]string{
		"smtp://mail.example.com":                        "smtp://mail.example.com:587",
		"smtps://Mail.Example.com/":                      "smtps://mail.example.com:465",
		"SMTP://user%40example.com:s3cret@10.0.0.1:2525": "smtp://user%40example.com@10.0.0.1:2525",
		"smtps://apikey:s3cret%2F%40@[2001:db8::1]:465":  "smtps://apikey@[2001:db8::1]:465",
		"smtp://localhost:25":                            "smtp://localhost:25",
	} {
		r := parseRelay(t, in)
		for _, got := range []string{r.String(), fmt.Sprintf("%v", r), fmt.Sprintf("%#v", r), fmt.Sprintf("%+v", smtpout.Config{Relay: r}.Relay)} {
			if got != want {
				t.Errorf("%s is shown as %s, want %s", in, got, want)
			}
		}
	}
	if got := (smtpout.Relay{}).String(); got != "" {
		t.Errorf("no relay is shown as %q", got)
	}
}

func TestARelayThatCannotBeIsRefusedWithoutRepeatingIt(t *testing.T) {
	for _, in := range []string{
		"", "none", "s3cret", "http://user:s3cret@h", "smtp:", "smtp://", "smtp://:587", "smtp://user:s3cret@", "smtp://user@h", "smtp://user:@h", "smtp://:s3cret@h",
		"smtp://user:s3cret@h:0", "smtp://user:s3cret@h:70000", "smtp://user:s3cret@h:x", "smtp://user:s3cret@a b", "smtp://user:s3cret@h/path", "smtp://user:s3cret@h?x=1",
		"smtp://user:s3cret@h?", "smtp://user:s3cret@h#x", "smtp://user:s3cret/@h", "smtp://user:s3cret%00@h", "smtp://us%0D%0Aer:s3cret@h", "smtp://user:s3cret@h..example", "smtp:user:s3cret@h",
	} {
		_, err := smtpout.ParseRelay(in)
		if err == nil || strings.Contains(err.Error(), "s3cret") || len(err.Error()) < 20 {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// relay starts a server and a sender whose relay it is.
func relay(t *testing.T, srv *server, user string) *smtpout.Sender {
	t.Helper()
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	return sender(t, smtpout.Config{Relay: parseRelay(t, fmt.Sprintf("smtp://%s127.0.0.1:%d", user, p))})
}

func TestARelayTakesMailForEveryDomainAndNeedsNoOpening(t *testing.T) {
	srv := &server{}
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	s, err := smtpout.New(smtpout.Config{Hostname: "mx.test", Relay: parseRelay(t, fmt.Sprintf("smtp://127.0.0.1:%d", p))})
	if err != nil {
		t.Fatal(err)
	}
	// It may well have our name: it may stand on this machine.
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
	checkSaid(t, srv, "EHLO mx.test", "MAIL FROM:<agent@openmail.test>", "RCPT TO:<b@there.test>", "DATA", "QUIT")
}

func plain(user, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password))
}

func TestTheRelayOnThisMachineGetsCredentialsInClear(t *testing.T) {
	for mechanisms, want := range map[string][]string{
		"AUTH LOGIN PLAIN": {plain("me", "pa:ss")},
		"auth login":       {"AUTH LOGIN", "bWU=", "cGE6c3M="},
	} {
		srv := &server{extensions: []string{mechanisms}, replies: map[string]string{
			"AUTH LOGIN": "334 VXNlcm5hbWU6", "bWU=": "334 UGFzc3dvcmQ6", "cGE6c3M=": "235 2.7.0 welcome",
		}}
		s := relay(t, srv, "me:pa%3Ass@")
		checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
		want = append([]string{"EHLO out.openmail.test"}, append(want, "MAIL FROM:<agent@openmail.test>", "RCPT TO:<b@there.test>", "DATA", "QUIT")...)
		checkSaid(t, srv, want...)
	}
}

// outward is an address that leads here (package net) and does not look so.
const outward = "0.0.0.0"

// elsewhere is a relay that is not on this machine by its spelling.
func elsewhere(t *testing.T, srv *server, url string, ca *authority) *smtpout.Sender {
	t.Helper()
	p := port(t)
	srv.start(t, "127.0.0.1", p)
	return sender(t, smtpout.Config{RootCAs: ca.pool(), Relay: parseRelay(t, fmt.Sprintf(url, fmt.Sprintf("%s:%d", outward, p)))})
}

func TestCredentialsGoOnlyOverTLSThatIsVerified(t *testing.T) {
	ca := newAuthority(t)
	good := func() *tls.Config { return ca.serverAt(t, outward) }
	login := []string{"AUTH PLAIN"}
	for name, c := range map[string]struct {
		srv  *server
		url  string
		ca   *authority
		fate outgoing.Fate
		text string
	}{
		"STARTTLS":              {&server{tls: good(), extensions: login}, "smtp://me:s3cret@%s", ca, outgoing.FateAccepted, ""},
		"implicit":              {&server{tls: good(), implicit: true, extensions: login}, "smtps://me:s3cret@%s", ca, outgoing.FateAccepted, ""},
		"no TLS":                {&server{extensions: login}, "smtp://me:s3cret@%s", ca, outgoing.FateDeferred, "offers no TLS"},
		"refused STARTTLS":      {&server{tls: good(), extensions: login, replies: map[string]string{"STARTTLS": "454 no"}}, "smtp://me:s3cret@%s", ca, outgoing.FateDeferred, "refused STARTTLS"},
		"unknown authority":     {&server{tls: good(), extensions: login}, "smtp://me:s3cret@%s", newAuthority(t), outgoing.FateDeferred, "unknown authority"},
		"another name":          {&server{tls: ca.server(t, "else.test"), extensions: login}, "smtp://me:s3cret@%s", ca, outgoing.FateDeferred, "not valid for this host"},
		"implicit, unknown":     {&server{tls: good(), implicit: true}, "smtps://%s", newAuthority(t), outgoing.FateDeferred, "unknown authority"},
		"implicit, in clear":    {&server{}, "smtps://%s", ca, outgoing.FateDeferred, "TLS"},
		"wrong password":        {&server{tls: good(), extensions: login, replies: map[string]string{"AUTH": "535 5.7.8 me s3cret is wrong"}}, "smtp://me:s3cret@%s", ca, outgoing.FateDeferred, "did not accept the user and the password: 535"},
		"no way to log in":      {&server{tls: good(), extensions: []string{"AUTH CRAM-MD5"}}, "smtp://me:s3cret@%s", ca, outgoing.FateDeferred, "no way to log in"},
		"no credentials needed": {&server{tls: ca.server(t, "else.test")}, "smtp://%s", newAuthority(t), outgoing.FateAccepted, ""},
	} {
		s := elsewhere(t, c.srv, c.url, c.ca)
		a := one(t, s)
		if a.Fate != c.fate || !strings.Contains(a.Text, c.text) || strings.Contains(a.Text, "s3cret") {
			t.Errorf("%s: %+v", name, a)
		}
		sent := slices.Contains(c.srv.said(), plain("me", "s3cret"))
		if sent != (strings.Contains(c.url, "me") && (c.fate == outgoing.FateAccepted || name == "wrong password")) {
			t.Errorf("%s: credentials sent: %v", name, sent)
		}
		if how := map[bool]string{true: "verified", false: "opportunistic"}[sent]; c.fate == outgoing.FateAccepted && a.TLS != how {
			t.Errorf("%s: protected by %q, want %q", name, a.TLS, how)
		}
	}
}

func TestARelayThatCannotBeReachedDefers(t *testing.T) {
	for url, text := range map[string]string{
		"smtp://relay.invalid":                             "relay.invalid: the host name ",
		fmt.Sprintf("smtp://127.0.0.1:%d", port(t)):        "127.0.0.1: connection refused",
		fmt.Sprintf("smtps://me:s3cret@[::1]:%d", port(t)): "::1: ",
	} {
		checkAnswer(t, one(t, sender(t, smtpout.Config{Relay: parseRelay(t, url)})), outgoing.FateDeferred, 0, "4.4.1", text)
	}
}

func TestATroubleWithTheRelayRefusesNobodysMail(t *testing.T) {
	for name, srv := range map[string]*server{
		"unknown to it":  {greeting: "521 go away"},
		"refuses EHLO":   {replies: map[string]string{"EHLO": "550 no", "HELO": "550 no"}},
		"wants a log-in": {replies: map[string]string{"MAIL": "530 5.7.0 log in first"}},
		"pipelined":      {extensions: []string{"PIPELINING"}, replies: map[string]string{"MAIL": "530 5.7.0 log in first", "RCPT": "503 no", "DATA": "503 no"}},
	} {
		if a := one(t, relay(t, srv, "")); a.Fate != outgoing.FateDeferred || a.Enhanced[0] != '4' || a.Code < 500 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	srv := &server{replies: map[string]string{"RCPT": "550 5.1.1 no such user"}}
	checkAnswer(t, one(t, relay(t, srv, "")), outgoing.FateRefused, 550, "5.1.1", "no such user")
}
