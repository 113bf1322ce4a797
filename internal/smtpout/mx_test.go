package smtpout_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"openmail/internal/outgoing"
	"openmail/internal/smtpout"
)

// hosts starts a server on each loopback address 127.0.0.1, 127.0.0.2, ….
func hosts(t *testing.T, records []string, servers ...*server) (*smtpout.Sender, *names) {
	t.Helper()
	p := port(t)
	for i, s := range servers {
		if s != nil {
			s.start(t, fmt.Sprintf("127.0.0.%d", i+1), p)
		}
	}
	n, dns := startNames(t, records...)
	return sender(t, smtpout.Config{Port: p, DNS: []string{dns}}), n
}

func TestServersAreTriedByPreference(t *testing.T) {
	first, second, third := &server{}, &server{}, &server{}
	s, _ := hosts(t, []string{
		"there.test. MX 20 b.there.test.", "there.test. MX 5 a.there.test.", "there.test. MX 30 c.there.test.",
		"a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2", "c.there.test. A 127.0.0.3",
	}, first, second, third)
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "taken as 42")
	if first.connections() != 1 || second.connections() != 0 || third.connections() != 0 {
		t.Error("the best server is not the one that was asked")
	}
}

func TestEqualServersShareTheLoad(t *testing.T) {
	a, b := &server{}, &server{}
	s, _ := hosts(t, []string{
		"there.test. MX 10 a.there.test.", "there.test. MX 10 b.there.test.", "a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2",
	}, a, b)
	for range 40 { // one of them alone: once in 2^39 runs
		one(t, s)
	}
	if a.connections() == 0 || b.connections() == 0 {
		t.Errorf("%d and %d mails", a.connections(), b.connections())
	}
}

func TestTheNextServerIsAskedWhereOneCannot(t *testing.T) {
	for name, first := range map[string]*server{
		"nobody there":     nil,
		"busy":             {greeting: "421 4.3.2 busy"},
		"unwilling":        {greeting: "554 5.7.1 not you"},
		"no mail host":     {greeting: "521 never"},
		"drops at EHLO":    {replies: map[string]string{"EHLO": "drop"}},
		"refuses HELO too": {replies: map[string]string{"EHLO": "550 no", "HELO": "550 no"}},
		"greylists":        {replies: map[string]string{"MAIL": "451 4.7.1 come back"}},
		"full":             {end: "452 4.3.1 no room"},
		"421 at RCPT":      {replies: map[string]string{"RCPT": "421 4.3.2 going down"}},
		"nonsense":         {greeting: "HTTP/1.1 400 Bad Request"},
	} {
		second := &server{}
		s, _ := hosts(t, []string{
			"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test.", "a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2",
		}, first, second)
		if a := one(t, s); a.Fate != outgoing.FateAccepted || a.Server != "b.there.test [127.0.0.2]" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestTheAddressItselfTakesTheMailOfADomainWithoutMX(t *testing.T) {
	srv := &server{}
	s, _ := hosts(t, []string{"there.test. A 127.0.0.1"}, srv)
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
}

func TestEveryAddressOfAServerIsTried(t *testing.T) {
	s, _ := hosts(t, []string{
		"there.test. MX 10 a.there.test.", "a.there.test. A 127.0.0.1", "a.there.test. A 127.0.0.2", "a.there.test. A 127.0.0.3", "a.there.test. AAAA ::1",
	}, nil, nil, &server{})
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
}

func TestAliasesAreFollowed(t *testing.T) {
	s, _ := hosts(t, []string{
		"there.test. CNAME elsewhere.test.", "elsewhere.test. MX 10 a.there.test.", "a.there.test. CNAME b.there.test.", "b.there.test. A 127.0.0.1",
	}, &server{})
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
}

func TestAliasesInACircleAreAFailureForNow(t *testing.T) {
	s, n := hosts(t, nil)
	n.change(func() {
		loop, err := dns.NewRR("there.test. CNAME there.test.")
		if err != nil {
			t.Fatal(err)
		}
		n.records["there.test."] = []dns.RR{loop}
	})
	checkAnswer(t, one(t, s), outgoing.FateDeferred, 0, "4.4.3", "could not be looked up")
}

func TestAnswersThatDoNotFitADatagramComeByTCP(t *testing.T) {
	s, n := single(t, &server{})
	n.change(func() { n.udp = true })
	checkAnswer(t, one(t, s), outgoing.FateAccepted, 250, "2.0.0", "")
}

func TestADomainThatTakesNoMailIsToldAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		records  []string
		fail     string
		fate     outgoing.Fate
		enhanced string
		told     bool // before the mail is sent
	}{
		"null MX":              {[]string{"there.test. MX 0 .", "there.test. A 127.0.0.1"}, "", outgoing.FateRefused, "5.1.10", true},
		"no such domain":       {nil, "", outgoing.FateRefused, "5.1.2", true},
		"no address":           {[]string{"there.test. TXT x"}, "", outgoing.FateRefused, "5.4.4", true},
		"servers do not exist": {[]string{"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test."}, "", outgoing.FateRefused, "5.4.4", true},
		"many servers do not exist": {[]string{
			"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test.", "there.test. MX 30 c.there.test.", "there.test. MX 40 d.there.test.",
		}, "", outgoing.FateRefused, "5.4.4", false},
		"DNS fails for MX": {nil, "there.test. MX", outgoing.FateDeferred, "4.4.3", false},
		"DNS fails for A":  {[]string{"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test."}, "a.there.test. A", outgoing.FateDeferred, "4.4.3", false},
		"private":          {[]string{"there.test. MX 10 a.there.test.", "a.there.test. A 10.0.0.1"}, "", outgoing.FateRefused, "5.4.4", false},
		"metadata":         {[]string{"there.test. A 169.254.169.254"}, "", outgoing.FateRefused, "5.4.4", false},
		"only ourselves":   {[]string{"there.test. MX 10 Out.OpenMail.test.", "there.test. MX 20 a.there.test.", "a.there.test. A 127.0.0.1"}, "", outgoing.FateRefused, "5.4.6", true},
	} {
		srv := &server{}
		s, n := hosts(t, c.records, srv)
		n.change(func() { n.fail[c.fail] = true })
		a := one(t, s)
		if a.Fate != c.fate || a.Enhanced != c.enhanced || a.Code != 0 || a.Text == "" || a.Server != "" {
			t.Errorf("%s: %+v", name, a)
		}
		if srv.connections() != 0 {
			t.Errorf("%s: a server was asked", name)
		}
		if why := s.NoMail(t.Context(), "there.test"); why != "" && why != a.Text || (why != "") != c.told {
			t.Errorf("%s: before it is sent one is told %q", name, why)
		}
	}
}

func TestOnlyBetterServersThanOurselvesAreTried(t *testing.T) {
	better, worse := &server{replies: map[string]string{"MAIL": "451 later"}}, &server{}
	s, _ := hosts(t, []string{
		"there.test. MX 10 a.there.test.", "there.test. MX 20 out.openmail.test.", "there.test. MX 20 b.there.test.", "there.test. MX 30 b.there.test.",
		"a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2",
	}, better, worse)
	checkAnswer(t, one(t, s), outgoing.FateDeferred, 451, "4.0.0", "later")
	if worse.connections() != 0 {
		t.Error("a server was asked that would give the mail back")
	}
}

func TestAServerThatHasOurNameIsALoop(t *testing.T) {
	s, _ := single(t, &server{replies: map[string]string{"EHLO": "250-OUT.openmail.test greets itself\r\n250 HELP"}})
	checkAnswer(t, one(t, s), outgoing.FateRefused, 0, "5.4.6", "itself")
}

func TestWhatIsTriedInOneSendIsBounded(t *testing.T) {
	var records []string
	for i := range 30 {
		records = append(records, fmt.Sprintf("there.test. MX %d h%d.there.test.", i, i), fmt.Sprintf("h%d.there.test. A 127.0.0.%d", i, i+1))
	}
	t.Run("connections", func(t *testing.T) {
		last := &server{}
		servers := make([]*server, 11)
		servers[10] = last
		s, _ := hosts(t, records, servers...)
		checkAnswer(t, one(t, s), outgoing.FateDeferred, 0, "4.4.1", "connection refused")
		if last.connections() != 0 {
			t.Error("an eleventh address was tried")
		}
	})
	t.Run("conversations", func(t *testing.T) {
		busy := func() *server { return &server{greeting: "450 busy"} }
		last := &server{}
		s, _ := hosts(t, records, busy(), busy(), busy(), last)
		checkAnswer(t, one(t, s), outgoing.FateDeferred, 450, "4.7.1", "busy")
		if last.connections() != 0 {
			t.Error("a fourth server was asked")
		}
	})
}

func TestTheOperatorOpensPrivateServersByNameAndAddress(t *testing.T) {
	p := port(t)
	srv := (&server{}).start(t, "127.0.0.1", p)
	_, dns := startNames(t, "there.test. MX 10 MX.there.test.", "mx.there.test. A 127.0.0.1")
	for allow, want := range map[string]outgoing.Fate{
		"mx.there.test": outgoing.FateAccepted, "Mx.There.Test": outgoing.FateAccepted, "127.0.0.1": outgoing.FateAccepted, "127.0.0.0/24": outgoing.FateAccepted,
		"there.test": outgoing.FateRefused, "127.0.0.2": outgoing.FateRefused, "10.0.0.0/8": outgoing.FateRefused,
	} {
		before := srv.connections()
		s, err := smtpout.New(smtpout.Config{Hostname: "out.test", Port: p, DNS: []string{dns}, Allow: []string{allow}})
		if err != nil {
			t.Fatal(err)
		}
		if a := one(t, s); a.Fate != want || (srv.connections() > before) != (want == outgoing.FateAccepted) {
			t.Errorf("with %s open: %+v", allow, a)
		}
	}
}

func TestMailToAnAddressGoesThere(t *testing.T) {
	srv := &server{}
	s, _ := hosts(t, nil, srv)
	p := parcel("b@[127.0.0.1]")
	p.Domain = "[127.0.0.1]"
	a := s.Send(t.Context(), p)[0]
	checkAnswer(t, a, outgoing.FateAccepted, 250, "2.0.0", "")
	if a.Server != "[127.0.0.1]" || !slices.Contains(srv.said(), "RCPT TO:<b@[127.0.0.1]>") {
		t.Errorf("%+v after %q", a, srv.said())
	}
	p.Domain = "[192.168.0.1]"
	checkAnswer(t, s.Send(t.Context(), p)[0], outgoing.FateRefused, 0, "5.4.4", "not one that mail may reach")
}
