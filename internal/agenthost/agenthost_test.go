package agenthost

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAShellReadsTheEnvironmentFileAsItWasMeant(t *testing.T) {
	values := []string{"om_abc123", "http://127.0.0.1:8025/a?b", "two words", `"double" $HOME ` + "`id`" + ` #x ; & |`, "", "ü€", "a#b", " edge "}
	vars := make([]Var, len(values))
	for i, v := range values {
		vars[i] = Var{"VALUE_" + string(rune('A'+i)), v}
	}
	b, err := EnvFile(vars)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file.env")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, v := range vars {
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", `. "$0"; eval "printf %s \"\$$1\""`, path, v.Name).Output()
		if err != nil || string(out) != values[i] {
			t.Errorf("%q is read as %q, %v", values[i], out, err)
		}
	}
	for _, bad := range []string{"a'b", `a\b`, "a\nB=c", "a\x00b", "a\x7fb"} {
		if b, err := EnvFile([]Var{{"SECRET", bad}}); err == nil || strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q becomes %q, %v", bad, b, err)
		}
	}
}

// configured is a configuration after Add.
func configured(t *testing.T, before, path, token string, mode Mode) (string, Hook) {
	t.Helper()
	c, err := ReadConfig([]byte(before))
	if err != nil {
		t.Fatal(err)
	}
	var hook *Hook
	if mode.Bridged() {
		h, err := c.Hook(path, token)
		if err != nil {
			t.Fatal(err)
		}
		hook = &h
	}
	if err := c.Add(Mailbox{Key: "om_1", BaseURL: "http://127.0.0.1:8025", InboxID: "inb_1", Address: "a@b.co", Mode: mode}.Env(), hook, mode); err != nil {
		t.Fatal(err)
	}
	if hook == nil {
		hook = &Hook{}
	}
	return string(c.Bytes()), *hook
}

const full = `{
  "z": 12345678901234567890,
  "gateway": {"port": 19999, "auth": {"token": "<&>é"}},
  "skills": {"entries": {"other": {"enabled": false}, "openmail": {"enabled": false, "env": {"MINE": "1", "OPENMAIL_API_KEY": "om_old"}}}, "load": {"watch": true}},
  "hooks": {"enabled": false, "token": "t0ken", "mappings": [{"match": {"path": "gmail"}}, {"name": "OpenMail", "agentId": "mail", "match": {"path": "old", "source": "x"}, "messageTemplate": "mine {{email.subject}}"}]},
  "a": 1.0
}`

func TestAConfigurationKeepsWhatItSaid(t *testing.T) {
	got, hook := configured(t, full, "/hooks/openmail", "unused", Channel)
	want := `{
  "z": 12345678901234567890,
  "gateway": {"port": 19999, "auth": {"token": "<&>é"}},
  "skills": {"entries": {"other": {"enabled": false}, "openmail": {"enabled": true, "env": {"MINE": "1", "OPENMAIL_API_KEY": "om_1", "OPENMAIL_BASE_URL": "http://127.0.0.1:8025", "OPENMAIL_INBOX_ID": "inb_1", "OPENMAIL_ADDRESS": "a@b.co", "OPENMAIL_MODE": "channel"}}}, "load": {"watch": true}},
  "hooks": {"enabled": true, "token": "t0ken", "mappings": [{"match": {"path": "gmail"}}, {"name": "OpenMail", "agentId": "mail", "match": {"path": "openmail", "source": "x"}, "messageTemplate": "mine {{email.subject}}", "action": "agent", "wakeMode": "now"}]},
  "a": 1.0
}`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if hook.URL != "http://127.0.0.1:19999/hooks/openmail" || hook.Token != "t0ken" {
		t.Errorf("the hook is at %s", hook.URL)
	}
	if again, _ := configured(t, got, "/hooks/openmail", "", Channel); again != got {
		t.Errorf("a second time changes it to\n%s", again)
	}
}

func TestAnEmptyConfigurationGetsAHookWithATokenOfItsOwn(t *testing.T) {
	got, hook := configured(t, " \n", "/hooks/openmail", "", Notify)
	var read struct {
		Hooks struct {
			Enabled  bool
			Token    string
			Mappings []struct {
				Match           struct{ Path string }
				Action          string
				WakeMode        string
				Name            string
				MessageTemplate string
			}
		}
	}
	if err := json.Unmarshal([]byte(got), &read); err != nil {
		t.Fatal(err)
	}
	m := read.Hooks.Mappings
	if !read.Hooks.Enabled || read.Hooks.Token != hook.Token || len(hook.Token) < 20 || len(m) != 1 {
		t.Fatalf("got\n%s", got)
	}
	if m[0].Match.Path != "openmail" || m[0].Action != "agent" || m[0].WakeMode != "now" || m[0].Name != "OpenMail" ||
		!strings.HasPrefix(m[0].MessageTemplate, "New email from {{email.sender}} — \"{{email.subject}}\"\n\n{{email.body_text}}") {
		t.Errorf("the mapping is %+v", m[0])
	}
	if hook.URL != "http://127.0.0.1:18789/hooks/openmail" {
		t.Errorf("the hook is at %s", hook.URL)
	}
	if _, other := configured(t, "", "/hooks/openmail", "given", Notify); other.Token != "given" {
		t.Error("the token that was given is not used")
	}
	if switched, _ := configured(t, got, "/hooks/openmail", "", Channel); !strings.Contains(switched, "answer it in its thread") || strings.Contains(switched, "Tell your user") {
		t.Errorf("another mode has the message of the first:\n%s", switched)
	}
	if tool, _ := configured(t, got, "", "", Tool); strings.Contains(tool, "mappings") || !strings.Contains(tool, hook.Token) {
		t.Errorf("without a bridge there is\n%s", tool)
	}
}

func TestRemoveLeavesWhatOthersHaveWritten(t *testing.T) {
	for before, want := range map[string]string{
		`{}`:                           `{}`,
		`{"skills":{"load":{"x":[]}}}`: `{"skills":{"load":{"x":[]}}}`,
		`{"hooks":{"mappings":[{"match":{"path":"gmail"}}]}}`: `{"hooks":{"mappings":[{"match":{"path":"gmail"}}],"enabled":true,"token":"given"}}`,
	} {
		with, _ := configured(t, before, "/hooks/openmail", "given", Notify)
		c, err := ReadConfig([]byte(with))
		if err == nil {
			err = c.Remove()
		}
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Compact(&got, c.Bytes()); err != nil {
			t.Fatal(err)
		}
		left := strings.Replace(got.String(), `,"hooks":{"enabled":true,"token":"given"}`, "", 1)
		left = strings.Replace(left, `"hooks":{"enabled":true,"token":"given"}`, "", 1)
		if left != want {
			t.Errorf("%s becomes %s", before, got.String())
		}
	}
}

func TestAConfigurationThatCannotBeKeptIsRefused(t *testing.T) {
	for text, part := range map[string]string{
		`{"a":`:                             "line 1: it ends where a value should be",
		"{}\n{}":                            "line 2: '{' where the end should be",
		`[]`:                                "'[' where a JSON object should be",
		`null`:                              "'n' where a JSON object should be",
		"{\n\"a\" 1}":                       "line 2: '1' where a colon should be",
		"{\n\"a\": 1 \"b\": 2}":             "line 2: '\"' where a comma should be",
		"{\n,}":                             "line 2: ',' where a name should be",
		"{a: [1, , 2]}":                     "',' where a value should be",
		"{a: [1, 2}":                        "'}' where a comma should be",
		"{\n\n'a":                           "line 3: a string has no end",
		"{/* a":                             "a comment has no end",
		"{a:" + strings.Repeat("[", 20_000): "nested too deeply",
	} {
		if _, err := ReadConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for text, part := range map[string]string{
		`{"skills":[]}`: "skills is not a JSON object",
		`{"skills":{"entries":{"openmail":"on"}}}`: "openmail is not a JSON object",
		`{"hooks":{"mappings":{}}}`:                "hooks.mappings is not a list",
		`{"hooks":{"mappings":["x"]}}`:             "one of hooks.mappings is not a JSON object",
		`{"hooks":{"token":{"source":"env"}}}`:     "--hooks-token",
		`{"hooks":{"token":"${TOKEN}"}}`:           "--hooks-token",
		`{"hooks":{"path":"/elsewhere"}}`:          "below /elsewhere/",
		`{"gateway":{"port":"x"}}`:                 "not a port",
		`{"gateway":{"port":70000}}`:               "not a port",
	} {
		c, err := ReadConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		before := string(c.Bytes())
		hook, err := c.Hook("/hooks/openmail", "")
		if err == nil {
			err = c.Add([]Var{{"A", "b"}}, &hook, Notify)
		}
		if err == nil || !strings.Contains(err.Error(), part) || string(c.Bytes()) != before {
			t.Errorf("%s: %v, and it says\n%s", text, err, c.Bytes())
		}
	}
}

func TestAReferenceAsTokenStays(t *testing.T) {
	got, hook := configured(t, `{"hooks":{"token":"${TOKEN}"}}`, "/hooks/openmail", "given", Notify)
	if hook.Token != "given" || !strings.Contains(got, `"token":"${TOKEN}"`) || strings.Contains(got, "given") {
		t.Errorf("got\n%s", got)
	}
}

func TestOfSeveralMembersOfANameTheLastCounts(t *testing.T) {
	o, err := parse(`{"a":1,"b":2,"a":"three"}`, '{')
	if err != nil || o.says("a") != "three" {
		t.Fatal(o, err)
	}
	o.setText("a", "four")
	if got := o.text(); got != `{"a":1,"b":2,"a":"four"}` {
		t.Error(got)
	}
	o.drop("a")
	if got := o.text(); got != `{"b":2}` {
		t.Error(got)
	}
}

func TestAUnitNamesPathsAsSystemdReadsThem(t *testing.T) {
	b, err := Service{Program: "/opt/my 100%/openmail", EnvFile: "/home/a b/50%/openmail.env"}.Unit()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"\nEnvironmentFile=/home/a b/50%%/openmail.env\n", "\nExecStart=\"/opt/my 100%%/openmail\" ws bridge\n",
		"\nRestart=on-failure\nRestartSec=5\n", "\nStartLimitIntervalSec=300\nStartLimitBurst=3\n",
	} {
		if !strings.Contains(string(b), line) {
			t.Errorf("there is no %q in\n%s", line, b)
		}
	}
	for _, bad := range []string{"/a\"b", "/a\nb", "/$HOME", "/a*", `/a\b`} {
		if _, err := (Service{Program: bad}).Unit(); err == nil {
			t.Errorf("%q is in a unit", bad)
		}
	}
}

func TestALaunchAgentIsWellFormedAndItsShellFindsPathsWithSpaces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a & <b> "c"`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	env, program := filepath.Join(dir, "x.env"), filepath.Join(dir, "program")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(env, "OPENMAIL_TEST='it works'\n")
	write(program, "#!/bin/sh\necho \"$OPENMAIL_TEST: $*\"\n")
	arguments := programArguments(t, Service{Program: program, EnvFile: env, Log: "/tmp/<log>"}.LaunchAgent())
	out, err := exec.CommandContext(t.Context(), arguments[0], arguments[1:]...).CombinedOutput()
	if err != nil || string(out) != "it works: ws bridge\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// programArguments are the strings of the only array of a property list.
func programArguments(t *testing.T, list []byte) (all []string) {
	t.Helper()
	var inside bool
	for d := xml.NewDecoder(bytes.NewReader(list)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			inside = inside || x.Name.Local == "array"
			if inside && x.Name.Local == "string" {
				var text string
				if err := d.DecodeElement(&text, &x); err != nil {
					t.Fatal(err)
				}
				all = append(all, text)
			}
		case xml.EndElement:
			inside = inside && x.Name.Local != "array"
		}
	}
}

func TestASkillSaysWhatItsModeIsAndWhereItsEnvironmentIs(t *testing.T) {
	seen := map[string]bool{}
	for _, mode := range []Mode{Tool, Notify, Channel} {
		text := string(Skill(mode, "/home/a b/openmail.env"))
		if !strings.HasPrefix(text, "---\nname: openmail\n") || !strings.Contains(text, ". '/home/a b/openmail.env';") || strings.Contains(text, "WHEN") || seen[text] {
			t.Errorf("%s: %s", mode, text)
		}
		seen[text] = true
	}
	if _, err := ParseMode("loud"); err == nil {
		t.Error("there is a mode that is loud")
	}
}
