package mailbox

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"openmail"
)

func TestMailboxNameKeepsTheRules(t *testing.T) {
	for name, want := range map[string]bool{
		"abc": true, "a-b": true, "a.b": true, "0x9": true, "jane.doe-2": true, strings.Repeat("a", 30): true,
		"": false, "ab": false, strings.Repeat("a", 31): false, "Jane": false, "-abc": false, "abc-": false, ".abc": false,
		"abc.": false, "a..b": false, "a_b": false, "a+b": false, "a b": false, "a@b": false, "jäne": false, "a\x00b": false,
	} {
		if got := validName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	for range 1000 {
		if name := randomName(); !validName(name) || len(name) != 8 {
			t.Fatalf("random name %q", name)
		}
	}
}

func TestADomainThatCannotBeOursCostsNothing(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		b.WriteRune(rune(0x4e00 + i%20_000))
	}
	start := time.Now()
	_, _, err := New(Config{Domains: []string{"openmail.test"}}).domain(t.Context(), openmail.Scope{}, b.String(), "")
	if openmail.CodeOf(err) != openmail.CodeInvalidDomain || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestRuleValueIsSpelledAsMailIsCompared(t *testing.T) {
	for text, want := range map[string]string{
		"Bob@Example.COM": "bob@example.com", " example.com ": "example.com", "*.Example.com": "*.example.com", "example.com.": "example.com",
		"bob@bücher.example": "bob@xn--bcher-kva.example", "*.bücher.example": "*.xn--bcher-kva.example", "localhost": "localhost",
		"bob+tag@example.com": "bob+tag@example.com", "jürgen@example.com": "jürgen@example.com",
		`"ann"@example.com`: "ann@example.com", "ju\u0308rgen@example.com": "jürgen@example.com",
	} {
		if got, ok := ruleValue(text); !ok || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "@", "bob@", "@example.com", "*", "*.", "**.example.com", "*.*.example.com", "a b@example.com", "bob@exa mple.com",
		"bob@example..com", "a\tb@example.com", "bob@" + strings.Repeat("a", 64) + ".com", strings.Repeat("a", 65) + "@example.com",
		strings.Repeat("abcdefgh.", 40) + "com", "bob@[192.0.2.1]", "\xff@example.com",
	} {
		if got, ok := ruleValue(text); ok {
			t.Errorf("%q passes as %q", text, got)
		}
	}
}

func FuzzRuleValue(f *testing.F) {
	for _, seed := range []string{"a@b.example", "*.b.example", "bücher.example", "a@xn--a", "a@b@c", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, ok := ruleValue(text)
		if !ok {
			return
		}
		if len(value) > 4*maxAddress || !utf8.ValidString(value) || strings.ContainsAny(value, "\r\n\x00 ") || value != strings.ToLower(value) {
			t.Errorf("%q passes as %q", text, value)
		}
		if again, ok := ruleValue(value); !ok || again != value {
			t.Errorf("%q becomes %q and then %q", text, value, again)
		}
	})
}

func TestPageIsBroughtWithinBounds(t *testing.T) {
	for in, want := range map[openmail.Page]openmail.Page{
		{}: {Limit: 50}, {Limit: 7, Offset: 3}: {Limit: 7, Offset: 3}, {Limit: 101}: {Limit: 100}, {Limit: -1, Offset: -1}: {Limit: 50},
		{Limit: 7, Offset: math.MaxInt}: {Limit: 7, Offset: 1 << 40},
	} {
		if got := page(in); got != want {
			t.Errorf("%+v: %+v", in, got)
		}
	}
}

func TestTextOfAHeaderHasNoLineBreak(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "Jane Ö 🦊": true, strings.Repeat("ö", 200): true, strings.Repeat("ö", 201): false,
		"a\rb": false, "a\nb": false, "a\x00b": false, "a\u2028b": false, "a\u2029b": false, "a\u0085b": false, "\xff": false, "tab\t": false,
	} {
		if err := checkText("displayName", text, 200); (err == nil) != ok {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
