package smtpout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"openmail/internal/reach"
)

func TestPoliciesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]policy{
		"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n": {true, 604800 * time.Second, []string{"mail.example.com", "*.example.net"}},
		"version:STSv1\r\nmode:testing\r\nmx:A.Example\r\nmax_age:0\r\nfuture: x\r\nmode: enforce":  {false, 0, []string{"a.example"}},
		"max_age: 4000000000\nmode: none\nversion: STSv1":                                           {false, maxAge, nil},
	} {
		got, err := parsePolicy(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "version: STSv2\nmode: none\nmax_age: 1", "version: STSv1\nmode: enforce\nmax_age: 1", "version: STSv1\nmode: on\nmx: a\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmx: a", "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1", "version: STSv1\nmode: enforce\nmx: a\nmax_age: x", "<html>",
	} {
		if p, err := parsePolicy(text); err == nil {
			t.Errorf("%q: %+v", text, p)
		}
	}
}

// stsStub is a domain's record and document, as they are now.
type stsStub struct {
	records []string
	dnsErr  error
	doc     string
	kind    string
	webErr  error
	fetched int
}

func (s *stsStub) ask(context.Context, string, uint16) (reach.Found, error) {
	var f reach.Found
	for _, text := range s.records {
		f.Records = append(f.Records, &dns.TXT{Txt: []string{text[:len(text)/2], text[len(text)/2:]}})
	}
	return f, s.dnsErr
}

func (s *stsStub) Get(context.Context, string, int64) (string, []byte, error) {
	s.fetched++
	return s.kind, []byte(s.doc), s.webErr
}

func newSTS() (*sts, *stsStub) {
	stub := &stsStub{records: []string{"v=STSv1; id=1;"}, kind: "text/plain", doc: "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 172800\n"}
	return &sts{ask: stub.ask, web: stub, log: slog.New(slog.DiscardHandler), domains: map[string]remembered{}}, stub
}

func TestPoliciesAreFetchedWhenTheyChangeAndHoldUntilTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stub := newSTS()
		check := func(what string, enforced bool, fetched int) {
			t.Helper()
			if _, got := s.enforced(t.Context(), "there.example"); got != enforced || stub.fetched != fetched {
				t.Errorf("%s: enforced %v after %d fetches, want %v after %d", what, got, stub.fetched, enforced, fetched)
			}
		}
		check("first", true, 1)
		check("again", true, 1)
		stub.webErr, stub.records = errors.New("down"), []string{"v=STSv1; id=2"}
		check("a new one that cannot be fetched", true, 2)
		check("not fetched again at once", true, 2)
		time.Sleep(stsRetry + time.Second)
		check("fetched again later", true, 3)
		stub.records = nil
		check("no record", true, 3)
		stub.dnsErr = reach.ErrDNS
		check("no name server", true, 3)
		time.Sleep(48 * time.Hour)
		check("expired", false, 3)
		stub.dnsErr, stub.webErr, stub.records = nil, nil, []string{"other", "v=STSv1; id=2"}
		check("back", true, 4)
		time.Sleep(stsRefresh + time.Second)
		check("refreshed once a day", true, 5)
		stub.records = []string{"v=STSv1; id=2", "v=STSv1; id=3"}
		check("two records are none", true, 5)
		stub.records, stub.doc = []string{"v=STSv1; id=3"}, "version: STSv1\nmode: none\nmax_age: 86400\n"
		check("given up", false, 6)
	})
}

func TestADocumentOfAnotherTypeIsNoPolicy(t *testing.T) {
	for _, kind := range []string{"text/html", "", "text/plain; charset"} {
		s, stub := newSTS()
		stub.kind = kind
		if _, enforced := s.enforced(t.Context(), "there.example"); enforced {
			t.Errorf("%q was taken", kind)
		}
	}
}

func TestPoliciesThatAreRememberedAreBounded(t *testing.T) {
	s, _ := newSTS()
	for i := range maxPolicies + 10 {
		s.enforced(t.Context(), fmt.Sprintf("d%d.example", i))
	}
	if len(s.domains) > maxPolicies {
		t.Errorf("%d domains", len(s.domains))
	}
	if _, enforced := s.enforced(t.Context(), fmt.Sprintf("d%d.example", maxPolicies+9)); !enforced {
		t.Error("the last one was forgotten")
	}
	if _, enforced := s.enforced(t.Context(), "[127.0.0.1]"); enforced || len(idOf("v=STSv1; id="+strings.Repeat("a", 100))) != 32 {
		t.Error("what cannot be was taken")
	}
}
