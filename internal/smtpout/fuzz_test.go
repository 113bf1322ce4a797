package smtpout

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func FuzzAnAddressIsOneArgument(f *testing.F) {
	for _, seed := range []string{"a@b.test", "\"a b\"@b.test", "a@b.test\r\nDATA", "\"\\\"\"@[IPv6:::1]", "ü@ü.test", "a@b>.test", "\"a\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		p, ok := path(address)
		if !ok {
			return
		}
		if strings.ContainsFunc(p, unicode.IsControl) || !utf8.ValidString(p) || len(p) > 2*maxAddress {
			t.Errorf("%q is said as %q", address, p)
		}
		// Outside quotes nothing ends the argument.
		if local := p[:strings.LastIndexByte(p, '@')]; local[0] != '"' && strings.ContainsAny(p, "<> \"\\") {
			t.Errorf("%q is said as %q", address, p)
		}
		if domain := p[strings.LastIndexByte(p, '@')+1:]; strings.ContainsAny(domain, "<> \"\\") {
			t.Errorf("%q is said as %q", address, p)
		}
	})
}

// deaf is a connection that only counts.
type deaf struct{ net.Conn }

func (deaf) SetReadDeadline(time.Time) error { return nil }

func FuzzAReplyIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 no\r\n", "550-\r\n", "354\r\n", "999 x\r\n", "250\n", "550 5.1.\xff\r\n", "421 4.9999.1 x\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := &wire{deaf{}, bufio.NewReaderSize(strings.NewReader(text), maxLine), nil}
		r, err := w.reply(time.Second)
		if err != nil {
			return
		}
		for _, at := range []stage{stageGreeting, stageMail, stageRcpt, stageData, stageEnd} {
			a := r.answer(at)
			code, rest := cutEnhanced(a.Enhanced)
			if code != a.Enhanced || rest != "" || a.Code != 0 && int(code[0]-'0') != a.Code/100 ||
				!utf8.ValidString(a.Text) || strings.ContainsFunc(a.Text, unicode.IsControl) || len(a.Text) > maxText {
				t.Errorf("%q is %+v", text, a)
			}
		}
	})
}
