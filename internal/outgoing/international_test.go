package outgoing_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/outgoing"
)

// An address with more than ASCII before its @ (RFC 6531) is one like others.

func TestAMailToAnInternationalAddressGoesOutAsItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{answer: accepts}
		w := newWorld(t, r)
		w.start()
		defer w.halt()
		sent := w.send(w.letter("Jürgen Groß <jürgen@bücher.test>"))
		synctest.Wait()
		const addr = "jürgen@xn--bcher-kva.test"
		seen := r.seen()
		if len(seen) != 1 || seen[0].To[0] != addr || !strings.Contains(string(seen[0].Mail), "<"+addr+">\r\n") {
			t.Fatalf("offered %+v", seen)
		}
		if m := w.message(sent.Message); m.Status != openmail.StatusSent || !strings.Contains(m.ToAddr, addr) {
			t.Errorf("%+v", m)
		}
		w.refused(openmail.CodeBadRequest, "to", w.letter("a\u202eb@other.test"))
	})
}

func TestAnInternationalAddressThatIsRefusedIsReportedAndSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{answer: says(outgoing.FateRefused, 550, "5.1.1", "no such user")})
		w.start()
		defer w.halt()
		w.send(w.letter("jürgen+a=b@other.test"))
		time.Sleep(time.Hour)
		synctest.Wait()
		all := w.messages(w.jane)
		if len(all) != 2 {
			t.Fatalf("jane has %+v", all)
		}
		raw := w.raw(all[1].ID)
		for _, want := range []string{`Final-Recipient: utf-8; j\x{FC}rgen\x{2B}a\x{3D}b@other.test` + "\r\n", "Content-Type: message/global-headers\r\n", "\r\nTo: jürgen+a=b@other.test\r\n"} {
			if !strings.Contains(raw, want) {
				t.Errorf("the report lacks %q: %s", want, raw)
			}
		}
		w.refused(openmail.CodeSuppressed, "to", w.letter("JÜRGEN+A=b@other.test"))
	})
}

func TestAReportSpellsAnInternationalAddressInASCIIOrNot(t *testing.T) {
	for spelling, failed := range map[string]bool{
		`utf-8; j\x{FC}rgen\x{2B}a\x{3D}b@other.test`: true,
		`utf-8; j\x{FC}rgen+a=b@other.test`:           true,
		`UTF-8; jürgen+a=b@other.test`:                true,
		`utf-8; j\x{FC}rgen+a=b@other.test\x{`:        false,
		`utf-8; j\x{110000}rgen+a=b@other.test`:       false,
		`utf-8; j\x{FC}rgen+\x{61}=b@other.test`:      false, // nothing that needs no spelling is spelt
		`rfc822; j\x{FC}rgen+a=b@other.test`:          false,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{answer: accepts})
			w.start()
			defer w.halt()
			sent := w.send(w.letter("jürgen+a=b@other.test"))
			synctest.Wait()
			w.reports(w.message(sent.Message).Envelope.MailFrom, "", "Reporting-MTA: dns; mx.other.test\n\nFinal-Recipient: "+spelling+"\nAction: failed\nStatus: 5.1.1\n")
			if m := w.message(sent.Message); (m.Status == openmail.StatusFailed) != failed {
				t.Errorf("by %s the mail is %s", spelling, m.Status)
			}
		})
	}
}
