package smtpd

import (
	"strings"
	"testing"
)

func TestCheckMailboxFollowsTheGrammar(t *testing.T) {
	long := strings.Repeat
	cases := []struct {
		addr string
		utf8 bool
		want error
	}{
		{"a@b.example", false, nil},
		{"a@b", false, nil},
		{"a.b+c-d_e=f/g'h{i}|j~k^l`m*n?o#p$q&r@b.example", false, nil},
		{"a%b!c@d.example", false, nil}, // legal; only a recipient may not ask so
		{`"a b"@c.example`, false, nil},
		{`"a\"b\\"@c.example`, false, nil},
		{`"a@b"@c.example`, false, nil},
		{"a@[192.0.2.1]", false, nil},
		{"a@[IPv6:2001:db8::1]", false, nil},
		{"a@1.example", false, nil},
		{"a@xn--mnchen-3ya.example", false, nil},
		{long("a", 64) + "@b.example", false, nil},
		{"a@" + long("b", 63) + ".example", false, nil},
		{"ä@ö.example", true, nil},
		{"用户@例子.广告", true, nil},
		{"a@नमूना.example", true, nil}, // with combining marks

		{"ä@b.example", false, errNonASCII},
		{"a@ö.example", false, errNonASCII},
		{"", false, errSyntax},
		{"a", false, errSyntax},
		{"@", false, errSyntax},
		{"@b.example", false, errSyntax},
		{"a@", false, errSyntax},
		{"a@b@c.example", false, errSyntax},
		{"@x.example,@y.example:a@b.example", false, errSyntax},
		{"@x.example:a@b.example", false, errSyntax},
		{".a@b.example", false, errSyntax},
		{"a.@b.example", false, errSyntax},
		{"a..b@c.example", false, errSyntax},
		{"a b@c.example", false, errSyntax},
		{"a,b@c.example", false, errSyntax},
		{"a<b@c.example", false, errSyntax},
		{"a>b@c.example", false, errSyntax},
		{"a\\b@c.example", false, errSyntax},
		{"(a)b@c.example", false, errSyntax},
		{"a\r@c.example", false, errSyntax},
		{"a\x00@c.example", false, errSyntax},
		{"a\x7f@c.example", false, errSyntax},
		{`""@c.example`, false, errSyntax},
		{`"@c.example`, false, errSyntax},
		{`"a"b@c.example`, false, errSyntax},
		{`"a"b"@c.example`, false, errSyntax},
		{`"a\"@c.example`, false, errSyntax},
		{"a@b..example", false, errSyntax},
		{"a@.example", false, errSyntax},
		{"a@b.example.", false, errSyntax},
		{"a@-b.example", false, errSyntax},
		{"a@b-.example", false, errSyntax},
		{"a@b_c.example", false, errSyntax},
		{"a@b c.example", false, errSyntax},
		{"a@[192.0.2.256]", false, errSyntax},
		{"a@[2001:db8::1]", false, errSyntax},
		{"a@[IPv6:192.0.2.1]", false, errSyntax},
		{"a@[IPv6:fe80::1%eth0]", false, errSyntax},
		{"a@[]", false, errSyntax},
		{"a@[", false, errSyntax},
		{"a@[x-tag:y]", false, errSyntax},
		{long("a", 65) + "@b.example", false, errSyntax},
		{"a@" + long("b", 64) + ".example", false, errSyntax},
		{"a@" + long("b.", 126) + "c", false, errSyntax}, // 255 bytes in all
		{"a\u0085@b.example", true, errSyntax},
		{"a\u00a0@b.example", true, errSyntax},
		{"a\u2028@b.example", true, errSyntax},
		{"a\xff@b.example", true, errSyntax},
		{"a@b\u3002example", true, errSyntax}, // a dot, to some
		{"a@b\uff0eexample", true, errSyntax},
		{"a@b\u200bc.example", true, errSyntax},
	}
	for _, c := range cases {
		if got := checkMailbox(c.addr, c.utf8); got != c.want {
			t.Errorf("%q: %v, want %v", c.addr, got, c.want)
		}
	}
}

func TestCutPathFindsTheBracketThatCloses(t *testing.T) {
	cases := []struct {
		arg, path, rest string
		ok              bool
	}{
		{"TO:<a@b>", "a@b", "", true},
		{"to: <a@b>  X=1 Y ", "a@b", "X=1 Y", true},
		{`TO:<"a>b"@c> X`, `"a>b"@c`, "X", true},
		{`TO:<"a\">b"@c>`, `"a\">b"@c`, "", true},
		{"TO:<>", "", "", true},
		{"TO:<a@b", "", "", false},
		{`TO:<"a@b>`, "", "", false},
		{`TO:<"a@b\`, "", "", false},
		{"TO:a@b", "", "", false},
		{"TO:", "", "", false},
		{"TO <a@b>", "", "", false},
		{"TO:<a@b>X", "", "", false},
		{"T", "", "", false},
	}
	for _, c := range cases {
		path, rest, ok := cutPath(c.arg, "TO:")
		if path != c.path || rest != c.rest || ok != c.ok {
			t.Errorf("%q: %q, %q, %v", c.arg, path, rest, ok)
		}
	}
}

func TestParseChunkTakesASizeAndLast(t *testing.T) {
	cases := []struct {
		arg  string
		size int64
		last bool
		ok   bool
	}{
		{"0", 0, false, true},
		{"12 LAST", 12, true, true},
		{"12 last", 12, true, true},
		{"999999999999999999", 999999999999999999, false, true},
		{"9999999999999999999", 0, false, false},
		{"-1", 0, false, false},
		{"+1", 0, false, false},
		{"1_0", 0, false, false},
		{"0x1", 0, false, false},
		{"", 0, false, false},
		{"1 FIRST", 0, false, false},
		{"1 LAST LAST", 0, false, false},
	}
	for _, c := range cases {
		size, last, ok := parseChunk(c.arg)
		if ok != c.ok || ok && (size != c.size || last != c.last) {
			t.Errorf("%q: %d, %v, %v", c.arg, size, last, ok)
		}
	}
}
