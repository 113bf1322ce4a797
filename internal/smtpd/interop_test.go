package smtpd_test

import (
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"os/exec"
	"strings"
	"testing"

	"openmail/internal/smtpd"
)

func TestGoClientDeliversWithAndWithoutTLS(t *testing.T) {
	h, config := &house{}, tlsConfig(t)
	s := start(t, smtpd.Config{Receiver: h, TLS: config})
	for _, secure := range []bool{false, true} {
		c, err := smtp.Dial(s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			if err := c.StartTLS(trusting(t, config)); err != nil {
				t.Fatal(err)
			}
		}
		if err := deliver(c, "a@me.example", "b@ours.example", "Subject: x\r\n\r\n.\r\n..dots\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
	}
	mails := h.stored()
	if len(mails) != 2 || mails[0].env.TLS || !mails[1].env.TLS {
		t.Fatalf("stored %+v", mails)
	}
	for _, m := range mails {
		if m.body != "Subject: x\r\n\r\n.\r\n..dots\r\n" {
			t.Errorf("stored %q", m.body)
		}
	}
}

func deliver(c *smtp.Client, from, to, body string) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(body)); err != nil {
		return err
	}
	return w.Close()
}

func TestGoClientLearnsThatARecipientIsUnknown(t *testing.T) {
	s := start(t, smtpd.Config{Receiver: &house{}})
	err := smtp.SendMail(s.Addr().String(), nil, "a@me.example", []string{"b@theirs.example"}, []byte("x\r\n"))
	if e, ok := errors.AsType[*textproto.Error](err); !ok || e.Code != 550 {
		t.Errorf("got %v", err)
	}
}

// pythonClient sends three mails through smtplib, one of them over TLS with
// addresses in UTF-8.
const pythonClient = `
import smtplib, ssl, sys
host, port = sys.argv[1].rsplit(":", 1)
c = smtplib.SMTP(host, int(port), local_hostname="me.example", timeout=20)
refused = c.sendmail("a@me.example", ["b@ours.example", "b@theirs.example"], "Subject: one\n\n.\ndot\n")
assert list(refused) == ["b@theirs.example"], refused
c.starttls(context=ssl._create_unverified_context())
c.ehlo()
c.sendmail("a@me.example", ["b@ours.example"], b"Subject: two\r\n\r\n\xff\r\n", ["BODY=8BITMIME"])
c.sendmail("\u00e4@me.example", ["\u00f6@ours.example"], b"Subject: three\r\n", ["SMTPUTF8"])
assert c.noop()[0] == 250 and c.verify("b")[0] == 252 and c.rset()[0] == 250
c.quit()
`

func TestPythonClientDelivers(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed for this test: ", err)
	}
	h := &house{}
	s := start(t, smtpd.Config{Receiver: h, TLS: tlsConfig(t)})
	out, err := exec.CommandContext(t.Context(), python, "-c", pythonClient, s.Addr().String()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{"Subject: one\r\n\r\n.\r\ndot\r\n", "Subject: two\r\n\r\n\xff\r\n", "Subject: three\r\n"}
	if got := fmt.Sprintf("%q", h.bodies()); got != fmt.Sprintf("%q", want) {
		t.Errorf("stored %s", got)
	}
	if last := h.stored()[2].env; last.MailFrom != "ä@me.example" || last.Rcpts[0].Addr != "ö@ours.example" || !strings.HasPrefix(last.Helo, "me.") {
		t.Errorf("envelope %+v", last)
	}
}
