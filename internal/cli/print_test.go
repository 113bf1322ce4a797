package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/client"
)

func TestATerminalTakesNoOrdersFromWhatIsPrinted(t *testing.T) {
	tests := []struct{ in, line, text string }{
		{"plain ü 漢", "plain ü 漢", "plain ü 漢"},
		{"a\x1b[31mb", "a\uFFFD[31mb", "a\uFFFD[31mb"},
		{"a\u009b31mb", "a\uFFFD31mb", "a\uFFFD31mb"},
		{"a\r\nb\tc", "a  b c", "a\nb\tc"},
		{"over\rwritten", "over written", "overwritten"},
		{"gnp.\u202Efdp.exe", "gnp.\uFFFDfdp.exe", "gnp.\uFFFDfdp.exe"},
		{"a\x00b\x7f", "a\uFFFDb\uFFFD", "a\uFFFDb\uFFFD"},
	}
	for _, test := range tests {
		if got := oneLine(test.in); got != test.line {
			t.Errorf("line of %q: %q", test.in, got)
		}
		if got := harmless(test.in, true); got != test.text {
			t.Errorf("text of %q: %q", test.in, got)
		}
	}
}

func TestATerminalTakesNoOrdersFromJSON(t *testing.T) {
	said := map[string]string{"subject": "a\u009b31m\x7f\x1b[2J\u0085\u00a0é漢"}
	var b bytes.Buffer
	if err := (printer{to: &b}).encode(said); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"subject\": \"a\\u009b31m\\u007f\\u001b[2J\\u0085\u00a0é漢\"\n}\n"; b.String() != want {
		t.Errorf("printed %q, want %q", b.String(), want)
	}
	var read map[string]string
	if err := json.Unmarshal(b.Bytes(), &read); err != nil || read["subject"] != said["subject"] {
		t.Errorf("it reads as %q, %v", read["subject"], err)
	}
}

func TestATableIsAlignedAndMarked(t *testing.T) {
	var b bytes.Buffer
	p := printer{to: &b, color: true}
	err := p.table(table{
		head: []string{"A", "B"},
		rows: [][]string{{"ü", "x"}, {"long", strings.Repeat("y", 70)}},
		mark: func(i int) string { return []string{"", bold}[i] },
	})
	want := "\x1b[2mA     B\x1b[0m\nü     x\n\x1b[1mlong  " + strings.Repeat("y", 59) + "…\x1b[0m\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%q\n%q", err, b.String(), want)
	}
}

func TestAStrangersFileNameStaysInThisFolder(t *testing.T) {
	for name, want := range map[string]string{
		"receipt.pdf":       "receipt.pdf",
		"../../etc/passwd":  "passwd",
		`..\..\autoexec`:    "autoexec",
		"/etc/passwd":       "passwd",
		".bashrc":           "bashrc",
		"..":                "attachment",
		"":                  "attachment",
		"a\x1bb\n.txt":      "a\uFFFDb .txt",
		"two words.pdf":     "two words.pdf",
		"a/":                "a",
		"....":              "attachment",
		"C:/temp/x.txt":     "x.txt",
		"folder/../up.txt":  "up.txt",
		"./././dots.tar.gz": "dots.tar.gz",
	} {
		if got := safeName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestTheBarShowsWhatHasCome(t *testing.T) {
	for want, b := range map[string]bar{
		"[###############...............] 512 B of 1.0 KiB":   {total: 1024, done: 512},
		"[##############################] 2.0 MiB of 2.0 MiB": {total: 2 << 20, done: 2 << 20},
		"[..............................] 0 B of 1.0 KiB":     {total: 1024},
		"[##############################] 1.1 KiB of 1.0 KiB": {total: 1024, done: 1100}, // more than was promised
		"1.5 KiB": {total: -1, done: 1536},
	} {
		if got := b.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestEnvironmentFilesAreRead(t *testing.T) {
	vars := parseEnv([]byte("# comment\r\nA=1\n export B = two words # not this\nC=\"in # quotes\"\nD='single' # x\nnonsense\nE=\n=x\nF=a=b\n"))
	for name, want := range map[string]string{"A": "1", "B": "two words", "C": "in # quotes", "D": "single", "E": "", "F": "a=b", "nonsense": ""} {
		if vars[name] != want {
			t.Errorf("%s is %q, want %q", name, vars[name], want)
		}
	}
}

func TestOnlyALocalServerGetsTheLocalKey(t *testing.T) {
	for base, want := range map[string]bool{
		"http://127.0.0.1:8025": true, "http://[::1]:8025": true, "http://localhost": true, "http://mail.localhost:1": true,
		"http://127.0.0.1.evil.example": false, "http://localhost.evil.example": false, "https://mail.example": false,
		"http://203.0.113.7": false, "http://127.0.0.1@evil.example": false, "": false, "http://%": false,
	} {
		if got := isLocal(base); got != want {
			t.Errorf("%q: %v", base, got)
		}
	}
}

func TestAKeyThatIsHeldBackIsExplained(t *testing.T) {
	s := &session{cli: &cli{}, settings: settings{base: "https://mail.example"}}
	got := s.text(openmail.Errorf(openmail.CodeUnauthorized, "Missing or invalid Authorization header"))
	if !strings.Contains(got, "https://mail.example, which is shown no key of yours") || !strings.Contains(got, "set OPENMAIL_BASE_URL") {
		t.Error(got)
	}
}

func TestMomentsAreTimesOrHowLongAgo(t *testing.T) {
	at, err := moment("since", "2026-02-24T10:00:00+01:00")
	if err != nil || !at.Equal(time.Date(2026, 2, 24, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("%v, %v", at, err)
	}
	ago, err := moment("since", "90m")
	if d := time.Since(ago); err != nil || d < 90*time.Minute || d > 91*time.Minute {
		t.Errorf("%v, %v", d, err)
	}
	for _, text := range []string{"yesterday", "-5m", "2026-02-24"} {
		if _, err := moment("since", text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestClocksMayDifferByAMinute(t *testing.T) {
	now := time.Date(2026, 2, 24, 10, 0, 0, 0, time.UTC)
	for skew, want := range map[time.Duration]bool{
		0: true, time.Minute: true, -time.Minute: true, 61 * time.Second: false, -2 * time.Hour: false,
	} {
		if got := clockCheck(client.Health{Date: now.Add(skew)}, now); got.OK != want {
			t.Errorf("%v: %+v", skew, got)
		}
	}
	if got := clockCheck(client.Health{}, now); !got.OK {
		t.Errorf("without a date: %+v", got)
	}
}
