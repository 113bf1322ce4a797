package app_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/client"
	"openmail/internal/app"
)

func TestLimitsOfSendingAreForPublicDomains(t *testing.T) {
	for name, c := range map[string]struct {
		env     map[string]string
		sends   int // until one is refused; 12 is none
		inboxes int // until one is refused; 3 is none
	}{
		"at home":        {nil, 12, 3},
		"public":         {map[string]string{"OPENMAIL_DOMAIN": "mail.example"}, 10, 3},
		"of its own":     {map[string]string{"OPENMAIL_LIMIT_SENDS_MINUTE": "4", "OPENMAIL_LIMIT_INBOXES_DAY": "2"}, 4, 2},
		"of the day":     {map[string]string{"OPENMAIL_LIMIT_SENDS_DAY": "3"}, 3, 3},
		"lifted":         {map[string]string{"OPENMAIL_DOMAIN": "mail.example", "OPENMAIL_LIMITS": "off"}, 12, 3},
		"lifted for one": {map[string]string{"OPENMAIL_DOMAIN": "mail.example", "OPENMAIL_LIMIT_SENDS_MINUTE": "0"}, 12, 3},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"OPENMAIL_RELAY": "none"} // nothing leaves this machine
			maps.Copy(env, c.env)
			s := serve(t, config(t, t.TempDir(), env))
			cl := s.client(t, s.NewKey())
			inbox, made := create(t, cl)
			if made != c.inboxes {
				t.Errorf("%d inboxes were made, want %d", made, c.inboxes)
			}
			// A minute that ends meanwhile begins anew: at most twice as many.
			if n := sends(t, cl, inbox); n != c.sends && (n < c.sends || c.sends == 3) {
				t.Errorf("%d mails were taken, want %d", n, c.sends)
			}
		})
	}
}

func TestLimitsOfFirstContactsAreForPublicDomains(t *testing.T) {
	for name, c := range map[string]struct {
		env   map[string]string
		taken int // until one is refused; 25 is none
	}{
		"at home":       {nil, 25},
		"public":        {map[string]string{"OPENMAIL_DOMAIN": "mail.example"}, 20},
		"of its own":    {map[string]string{"OPENMAIL_LIMIT_COLD_INBOX": "3"}, 3},
		"of an account": {map[string]string{"OPENMAIL_LIMIT_COLD_ACCOUNT": "5,9"}, 5},
		"lifted":        {map[string]string{"OPENMAIL_DOMAIN": "mail.example", "OPENMAIL_LIMIT_COLD_INBOX": "0", "OPENMAIL_LIMIT_COLD_ACCOUNT": "free"}, 25},
		"lifted all":    {map[string]string{"OPENMAIL_DOMAIN": "mail.example", "OPENMAIL_LIMITS": "off"}, 25},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"OPENMAIL_RELAY": "none", "OPENMAIL_LIMIT_SENDS_MINUTE": "0"}
			maps.Copy(env, c.env)
			s := serve(t, config(t, t.TempDir(), env))
			cl := s.client(t, s.NewKey())
			inbox, _ := create(t, cl)
			taken := 0
			for ; taken < 25; taken++ {
				to := fmt.Sprintf("a%d@elsewhere.example", taken)
				_, err := cl.Send(t.Context(), inbox, api.SendRequest{To: to, Subject: "x", Body: "y"}, "")
				if e, ok := errors.AsType[*openmail.Error](err); ok && e.Code == openmail.CodeColdOutreach && e.Quota != nil && e.Quota.Scope != "" {
					break
				}
				check(t, err)
			}
			if taken != c.taken {
				t.Errorf("%d mails were taken, want %d", taken, c.taken)
			}
		})
	}
}

func TestADayOnAPublicDomainHasTwoHundredSendsAndAHundredInboxes(t *testing.T) {
	s := serve(t, config(t, t.TempDir(), map[string]string{"OPENMAIL_DOMAIN": "mail.example", "OPENMAIL_RELAY": "none", "OPENMAIL_LIMIT_SENDS_MINUTE": "0"}))
	c := s.client(t, s.NewKey())
	var inbox string
	refusedAfter := func(most int, do func() error) {
		t.Helper()
		for n := range most + 1 {
			if err := do(); (n == most) != (openmail.CodeOf(err) == openmail.CodeRateLimit) || n < most && err != nil {
				t.Fatalf("number %d: %v", n+1, err)
			}
		}
	}
	refusedAfter(100, func() error {
		in, err := c.CreateInbox(t.Context(), api.InboxCreate{})
		inbox = cmp.Or(inbox, in.ID)
		return err
	})
	refusedAfter(200, func() error {
		_, err := c.Send(t.Context(), inbox, api.SendRequest{To: "a@elsewhere.example", Subject: "x", Body: "y"}, "")
		return err
	})
}

func TestWhatNobodySetsIsWhatTheContractSays(t *testing.T) {
	c, _, err := app.Load(func(string) string { return "" }, func(string) (string, bool) { return "", false })
	check(t, err)
	const days30 = 30 * 24 * time.Hour
	for what, is := range map[string]bool{
		"10 sockets of an account":          c.SocketLimit == 10,
		"30 messages of a client":           c.SocketMessages == 30,
		"1,000 requests in a minute":        c.RequestLimit == 1000,
		"3 s for the texts of files":        c.ExtractTime == 3*time.Second,
		"30 days of quarantine":             c.RetainQuarantine == days30,
		"30 days of trash":                  c.RetainTrash == days30,
		"25 MB of files, in base64":         c.MaxMail >= 25<<20*4/3*78/76,
		"a redirect to an attachment":       !c.InlineAttachments,
		"an idempotency key is not needed":  !c.NeedSendKey,
		"limits":                            c.Limits,
		"every origin may open a WebSocket": len(c.Origins) == 0,
	} {
		if !is {
			t.Errorf("%s: %+v", what, c)
		}
	}
}

// create makes up to three inboxes.
func create(t *testing.T, c *client.Client) (first string, made int) {
	t.Helper()
	for range 3 {
		in, err := c.CreateInbox(t.Context(), api.InboxCreate{})
		if openmail.CodeOf(err) == openmail.CodeRateLimit {
			return first, made
		}
		check(t, err)
		if made++; first == "" {
			first = in.ID
		}
	}
	return first, made
}

// sends sends up to twelve mails.
func sends(t *testing.T, c *client.Client, inbox string) (taken int) {
	t.Helper()
	for taken < 12 {
		_, err := c.Send(t.Context(), inbox, api.SendRequest{To: "a@elsewhere.example", Subject: "x", Body: "y"}, "")
		if openmail.CodeOf(err) == openmail.CodeRateLimit {
			return taken
		}
		check(t, err)
		taken++
	}
	return taken
}
