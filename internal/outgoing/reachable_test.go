package outgoing_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/outgoing"
)

func TestARecipientWhoseDomainTakesNoMailIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t, &remote{answer: accepts})
	w.settings.NoMail = func(_ context.Context, domain string) string {
		switch domain {
		case home:
			t.Error("our own domain was looked up")
		case "typo.test":
			return "the domain does not exist"
		}
		return ""
	}
	w.out = outgoing.New(w.settings)
	l := w.letter("ann@typo.test")
	l.Key = "once"
	w.refused(openmail.CodeNoMX, "to", l)
	l.To, l.CC = "ann@other.test", []string{"joe@" + home, "Bob <bob@Typo.test>"}
	if e := w.refused(openmail.CodeNoMX, "cc", l); e.Message != "No mail can reach typo.test: the domain does not exist." {
		t.Error(e.Message)
	}
	l.To, l.CC = "ann@typo.test", []string{"bob@typo.test"}
	for range 20 { // the same request has the same answer
		w.refused(openmail.CodeNoMX, "to", l)
	}
	l.To, l.CC = "ann@other.test", nil
	if all := w.messages(w.jane); len(all) != 0 {
		t.Errorf("%d messages are stored", len(all))
	}
	l.CC = nil // and the key is free
	sent := w.send(l)
	w.settings.NoMail = func(context.Context, string) string { return "it is gone" }
	w.out = outgoing.New(w.settings)
	if again := w.send(l); again.Message != sent.Message {
		t.Errorf("the same request is answered with %+v, before with %+v", again, sent)
	}
}

func TestADomainThatNobodyCanTellOfHoldsUpASendForThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{answer: accepts})
		w.settings.NoMail = func(ctx context.Context, _ string) string {
			<-ctx.Done()
			return ""
		}
		w.out = outgoing.New(w.settings)
		l := w.letter("ann@slow.test")
		for range 20 {
			l.CC = append(l.CC, string(rune('a'+len(l.CC)))+"@d"+string(rune('a'+len(l.CC)))+".test")
		}
		start := time.Now()
		w.send(l)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
