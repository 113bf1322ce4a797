package domains_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/internal/domains"
	"openmail/internal/id"
)

func TestADomainIsVerifiedOnceItsRecordsAreThere(t *testing.T) {
	w := newWorld(t)
	d := w.add(w.one, "Mail.Acme.Example.")
	if d.Name != "mail.acme.example" || d.Status != openmail.DomainPending || len(d.Records) != 6 {
		t.Fatalf("added: %+v", d)
	}
	if got := w.verify(w.one, d.ID); got.Status != openmail.DomainPending || !strings.Contains(got.Reason, "Not found yet") || got.CheckedAt.IsZero() {
		t.Errorf("with nothing there: %s %q", got.Status, got.Reason)
	}
	w.zone.publish(d.Records)
	got := w.verify(w.one, "Mail.ACME.example.")
	if got.Status != openmail.DomainVerified || got.Reason != "" || got.VerifiedAt.IsZero() || !got.Receives {
		t.Errorf("with all there: %s %q", got.Status, got.Reason)
	}
	for _, r := range got.Records {
		if r.Status != openmail.DomainVerified || r.Reason != "" {
			t.Errorf("%s %s: %s %q", r.Type, r.Name, r.Status, r.Reason)
		}
	}
	again, err := w.Domain(t.Context(), w.one, d.ID)
	if err != nil || again.Status != openmail.DomainVerified || again.Records[0] != got.Records[0] {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

func TestOnlyTheRecordsThatMustBeThereHoldItBack(t *testing.T) {
	w := newWorld(t)
	d := w.add(w.one, "acme.example")
	var must []openmail.DomainRecord
	for _, r := range d.Records {
		if r.Required {
			must = append(must, r)
		}
	}
	w.zone.publish(must)
	if got := w.verify(w.one, d.ID); len(must) != 4 || got.Status != openmail.DomainVerified {
		t.Errorf("with %d records: %s %q", len(must), got.Status, got.Reason)
	}
}

func TestEveryFaultOfARecordIsToldInWords(t *testing.T) {
	dkim := func(d domains.Shown) string { return d.Records[3].Value }
	for name, c := range map[string]struct {
		purpose string
		publish func(z *zone, d domains.Shown)
		want    string
	}{
		"an old MX":  {"mx", func(z *zone, d domains.Shown) { z.mx(d.Name, hostname); z.mx(d.Name, "mx.old.example") }, "old MX records beside the right one, to mx.old.example"},
		"another MX": {"mx", func(z *zone, d domains.Shown) { z.mx(d.Name, "mx.old.example") }, "leads to mx.old.example instead of mx.ours.example"},
		"two SPF records": {"spf", func(z *zone, d domains.Shown) {
			z.txt(d.Name, "v=spf1 a:mx.ours.example ~all")
			z.txt(d.Name, "v=spf1 include:old.example ~all")
		}, "There are 2 SPF records"},
		"another SPF record": {"spf", func(z *zone, d domains.Shown) { z.txt(d.Name, "v=spf1 include:old.example -all") }, "does not have a:mx.ours.example"},
		"SPF behind the end": {"spf", func(z *zone, d domains.Shown) { z.txt(d.Name, "v=spf1 -all a:mx.ours.example") }, "before its \"all\""},
		"SPF in quotes":      {"spf", func(z *zone, d domains.Shown) { z.txt(d.Name, `"v=spf1 a:mx.ours.example ~all"`) }, "quotation mark"},
		"a key with the domain twice": {"dkim", func(z *zone, d domains.Shown) {
			z.txt("openmail._domainkey.mail.acme.example.acme.example", dkim(d))
		}, "published at openmail._domainkey.mail.acme.example.acme.example"},
		"a key with its own domain twice": {"dkim", func(z *zone, d domains.Shown) {
			z.txt("openmail._domainkey.mail.acme.example.mail.acme.example", dkim(d))
		}, "published at openmail._domainkey.mail.acme.example.mail.acme.example"},
		"a key without the subdomain": {"dkim", func(z *zone, d domains.Shown) {
			z.txt("openmail._domainkey.acme.example", dkim(d))
		}, "published at openmail._domainkey.acme.example instead of openmail._domainkey.mail.acme.example"},
		"a key at the domain":   {"dkim", func(z *zone, d domains.Shown) { z.txt(d.Name, dkim(d)) }, "published at mail.acme.example instead"},
		"another key":           {"dkim", func(z *zone, d domains.Shown) { z.txt("openmail._domainkey."+d.Name, "v=DKIM1; k=rsa; p=AAAA") }, "Another key"},
		"a key that is cut off": {"dkim", func(z *zone, d domains.Shown) { z.txt("openmail._domainkey."+d.Name, dkim(d)[:255]) }, "cut off after 255 characters"},
		"a key in two records": {"dkim", func(z *zone, d domains.Shown) {
			z.txt("openmail._domainkey."+d.Name, dkim(d)[:255])
			z.txt("openmail._domainkey."+d.Name, dkim(d)[255:])
		}, "split into several records"},
		"a key with quotes in it": {"dkim", func(z *zone, d domains.Shown) {
			z.txt("openmail._domainkey."+d.Name, dkim(d)[:200]+`" "`+dkim(d)[200:])
		}, "quotation marks"},
		"two keys": {"dkim", func(z *zone, d domains.Shown) {
			z.txt("openmail._domainkey."+d.Name, dkim(d))
			z.txt("openmail._domainkey."+d.Name, "v=DKIM1; p=AAAA")
		}, "There are 2 keys"},
		"another token": {"ownership", func(z *zone, d domains.Shown) { z.txt("_openmail."+d.Name, "openmail-verification=x") }, "another value"},
		"a token in quotes": {"ownership", func(z *zone, d domains.Shown) {
			z.txt("_openmail."+d.Name, `"openmail-verification=`+d.Token+`"`)
		}, "more than the value"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.add(w.one, "mail.acme.example")
			w.zone.publish(d.Records)
			r := record(t, d, c.purpose)
			w.zone.remove(r.Name, r.Type)
			c.publish(w.zone, d)
			if c.purpose != "spf" && r.Name == d.Name && r.Type == "TXT" {
				w.zone.txt(d.Name, record(t, d, "spf").Value)
			}
			got := w.verify(w.one, d.ID)
			if r := record(t, got, c.purpose); got.Status != openmail.DomainFailed || r.Status != openmail.DomainFailed || !strings.Contains(r.Reason, c.want) || !strings.Contains(got.Reason, c.want) {
				t.Errorf("%s, %s %q; the domain %q", got.Status, r.Status, r.Reason, got.Reason)
			}
		})
	}
}

func TestRecordsThatSayTheSameInAnotherWayAreGood(t *testing.T) {
	w := newWorld(t)
	d := w.add(w.one, "acme.example")
	w.zone.publish(d.Records)
	w.zone.remove(d.Name, "TXT")
	w.zone.txt(d.Name, "google-site-verification=x")
	w.zone.txt(d.Name, "V=SPF1 include:other.example  +MX ?all")
	w.zone.remove("openmail._domainkey.acme.example", "TXT")
	w.zone.txt("openmail._domainkey.acme.example", strings.Replace(d.Records[3].Value, "v=DKIM1; k=rsa; p=", "p=", 1)+" ; k = rsa")
	w.zone.txt("_openmail.acme.example", "openmail-verification=of-another-account")
	if got := w.verify(w.one, d.ID); got.Status != openmail.DomainVerified {
		t.Errorf("%s %q", got.Status, got.Reason)
	}
}

func TestNameServersThatFailChangeNothing(t *testing.T) {
	w := newWorld(t)
	d := w.add(w.one, "acme.example")
	w.zone.silence(true)
	if got := w.verify(w.one, d.ID); got.Status != openmail.DomainPending || !strings.Contains(got.Reason, "Could not be checked") {
		t.Errorf("at first: %s %q", got.Status, got.Reason)
	}
	w.zone.silence(false)
	w.zone.publish(d.Records)
	w.verify(w.one, d.ID)
	w.zone.silence(true)
	got := w.verify(w.one, d.ID)
	if got.Status != openmail.DomainVerified || !got.Receives || !strings.Contains(got.Reason, "Could not be checked") || got.Records[0].Status != openmail.DomainVerified {
		t.Errorf("once verified: %+v", got)
	}
}

func TestADomainThatLosesItsRecordsStaysAndSaysSo(t *testing.T) {
	w := newWorld(t)
	d := w.add(w.one, "acme.example")
	w.zone.publish(d.Records)
	w.verify(w.one, d.ID)
	w.zone.remove(d.Name, "MX")
	w.zone.mx(d.Name, "mx.elsewhere.example")
	got := w.verify(w.one, d.ID)
	if got.Status != openmail.DomainVerified || !strings.Contains(got.Reason, "mx.elsewhere.example") || got.Receives {
		t.Errorf("%+v", got.Domain)
	}
	if here, err := w.db.ReceivesFor(t.Context(), openmail.Operator(), d.Name); here || err != nil {
		t.Errorf("mail to it stays here: %v, %v", here, err)
	}
}

func TestWhoProvesADomainHasIt(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.add(w.one, "acme.example"), w.add(w.other, "acme.example")
	if mine.Token == theirs.Token {
		t.Fatal("two accounts are shown one token")
	}
	if _, err := w.Domain(t.Context(), w.other, mine.ID); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("the other account reads it: %v", err)
	}
	w.zone.publish(mine.Records) // the keys and the MX record are the same for both
	if got := w.verify(w.other, theirs.ID); got.Status == openmail.DomainVerified {
		t.Fatal("the other account has passed by the records of the first")
	}
	if got := w.verify(w.one, mine.ID); got.Status != openmail.DomainVerified {
		t.Fatalf("%s %q", got.Status, got.Reason)
	}
	w.zone.txt("_openmail.acme.example", "openmail-verification="+theirs.Token)
	if _, err := w.Verify(t.Context(), w.other, theirs.ID); openmail.CodeOf(err) != openmail.CodeDomainTaken {
		t.Errorf("the second who proves it: %v", err)
	}
	if got, err := w.Domain(t.Context(), w.other, theirs.ID); err != nil || got.Status != openmail.DomainFailed || !strings.Contains(got.Reason, "Another account") {
		t.Errorf("afterwards: %+v, %v", got.Domain, err)
	}
	third := w.account()
	if _, err := w.Add(t.Context(), third, "acme.example", ""); openmail.CodeOf(err) != openmail.CodeDomainTaken {
		t.Errorf("a third: %v", err)
	}
	if _, err := w.Add(t.Context(), w.one, "ACME.example", ""); openmail.CodeOf(err) != openmail.CodeDomainExists {
		t.Errorf("the first again: %v", err)
	}
	w.check(w.Delete(t.Context(), w.one, mine.ID))
	if got := w.verify(w.other, theirs.ID); got.Status != openmail.DomainVerified {
		t.Errorf("once the first has left: %s %q", got.Status, got.Reason)
	}
}

func TestNamesThatNobodyCanBringAreRefused(t *testing.T) {
	w := newWorld(t)
	for code, names := range map[openmail.Code][]string{
		openmail.CodeInvalidDomain: {"", "acme", "a b.example", "-a.example", "a..example", "@acme.example", "*.acme.example", "192.0.2.1", "[192.0.2.1]", "a_b.example", "acme.example/x", strings.Repeat("a.", 100) + "example", "acme.example\r\n.x", "a\x00.example"},
		openmail.CodeDomainBlocked: {"co.uk", "github.io", "ours.example", "x.OURS.example", "mx.ours.example", "printer.local", "foo.localhost", "2.0.192.in-addr.arpa", "x.onion"},
	} {
		for _, name := range names {
			if _, err := w.Add(t.Context(), w.one, name, ""); openmail.CodeOf(err) != code {
				t.Errorf("%q: %v, want %s", name, err, code)
			}
		}
	}
	if d := w.add(w.one, "Bücher.example"); d.Name != "xn--bcher-kva.example" {
		t.Errorf("an international name is %s", d.Name)
	}
}

func TestADomainOfAPodIsForItsInboxesOnly(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	p := openmail.Pod{ID: id.New(openmail.PrefixPod), Account: w.one.Account, ClientID: "acme", CreatedAt: time.Now()}
	w.check(w.db.CreatePod(ctx, w.one, p))
	mine := w.one.InPod(p.ID)
	d := w.add(mine, "acme.example")
	if d.Pod != p.ID {
		t.Errorf("added by the pod's key it is bound to %q", d.Pod)
	}
	wide := w.add(w.one, "wide.example")
	if all, total, err := w.List(ctx, mine, openmail.Page{}); err != nil || total != 1 || all[0].ID != d.ID {
		t.Errorf("the pod's key sees %d: %+v, %v", total, all, err)
	}
	if _, err := w.Domain(ctx, mine, wide.ID); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("the pod's key reads another: %v", err)
	}
	for name, err := range map[string]error{
		"verifies": second(w.Verify(ctx, mine, d.ID)), "binds": second(w.Bind(ctx, mine, d.ID, "")), "deletes": w.Delete(ctx, mine, d.ID),
		"adds": second(w.Add(ctx, openmail.Scope{Account: w.one.Account, Pod: p.ID, Inbox: "inb_1"}, "x.example", "")),
	} {
		if openmail.CodeOf(err) != openmail.CodeForbidden {
			t.Errorf("a key that may not %s: %v", name, err)
		}
	}
	if err := w.db.DeletePod(ctx, w.one, p.ID, time.Now()); openmail.CodeOf(err) != openmail.CodePodHasDomains {
		t.Errorf("the pod is deleted: %v", err)
	}
	if got, err := w.Bind(ctx, w.one, d.ID, ""); err != nil || got.Pod != "" {
		t.Errorf("bound to none: %+v, %v", got.Domain, err)
	}
	w.check(w.db.DeletePod(ctx, w.one, p.ID, time.Now()))
	if _, err := w.Bind(ctx, w.one, d.ID, "acme"); openmail.CodeOf(err) != openmail.CodeInvalidPod {
		t.Errorf("bound to a pod that is gone: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestDomainsAreLookedAtByThemselves(t *testing.T) {
	w := newWorld(t)
	d := w.add(w.one, "acme.example")
	w.zone.publish(d.Records)
	due, err := w.db.Domain(t.Context(), w.one, d.ID)
	w.check(err)
	due.Due = time.Now()
	w.check(w.db.SettleDomain(t.Context(), w.one, due))
	ctx, stop := context.WithCancel(t.Context())
	seen := make(chan openmail.DomainStatus, 1)
	w.config.Observe = func(s openmail.DomainStatus) { seen <- s }
	done := make(chan error, 1)
	go func() { done <- domains.New(w.config).Run(ctx) }()
	if got := <-seen; got != openmail.DomainVerified {
		t.Errorf("by itself it becomes %s", got)
	}
	stop()
	w.check(<-done)
	got, err := w.Domain(t.Context(), w.one, d.ID)
	if err != nil || got.Status != openmail.DomainVerified || got.Due.Before(time.Now().Add(23*time.Hour)) {
		t.Errorf("%+v, %v", got.Domain, err)
	}
}
