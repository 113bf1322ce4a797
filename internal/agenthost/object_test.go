package agenthost

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// commented is a configuration as OpenClaw lets people write it.
const commented = `// mine
{
  gateway: { port: 19999 }, // not the usual one
  'skills': {
    // the ones that I use
    entries: {
      "weather": { enabled: true }, // sunny
    },
  },
  hooks: {
    token: 't0\x6ben', /* of
      everybody */
    mappings: [
      { match: { path: 'gmail' } },
      // and that is all
    ],
  },
}
// the end
`

const commentedWithMail = `// mine
{
  gateway: { port: 19999 }, // not the usual one
  'skills': {
    // the ones that I use
    entries: {
      "weather": { enabled: true }, // sunny
      "openmail": {
        "enabled": true,
        "env": {
          "A": "b"
        }
      },
    },
  },
  hooks: {
    token: 't0\x6ben', /* of
      everybody */
    mappings: [
      { match: { path: 'gmail' } },
      // and that is all
      {
        "match": {
          "path": "openmail"
        },
        "action": "agent",
        "wakeMode": "now",
        "name": "OpenMail",
        "messageTemplate": MESSAGE
      },
    ],
    "enabled": true,
  },
}
// the end
`

func TestCommentsAndTheirManyLinesStay(t *testing.T) {
	c, err := ReadConfig([]byte(commented))
	if err != nil {
		t.Fatal(err)
	}
	hook, err := c.Hook("/hooks/openmail", "")
	if err != nil || hook.Token != "t0ken" || hook.URL != "http://127.0.0.1:19999/hooks/openmail" {
		t.Fatalf("the hook is %+v, %v", hook, err)
	}
	if err := c.Add([]Var{{"A", "b"}}, &hook, Notify); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(commentedWithMail, "MESSAGE", encode(Message(Notify)), 1)
	if got := string(c.Bytes()); got != want {
		t.Errorf("got\n%s", got)
	}
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	want = strings.Replace(commented, "everybody */\n    mappings: [\n      { match: { path: 'gmail' } },\n      // and that is all\n    ],", "everybody */\n    mappings: [\n      { match: { path: 'gmail' } },\n      // and that is all\n    ],\n    \"enabled\": true,", 1)
	if got := string(c.Bytes()); got != want {
		t.Errorf("without it, it is\n%s", got)
	}
}

func TestANewConfigurationHasALineForEachMember(t *testing.T) {
	got, _ := configured(t, "", "", "", Tool)
	if !strings.HasPrefix(got, "{\n  \"skills\": {\n    \"entries\": {\n      \"openmail\": {\n        \"enabled\": true,\n") || !strings.HasSuffix(got, "\n  }\n}\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestAStringSaysWhatItsEscapesMean(t *testing.T) {
	for spelled, want := range map[string]string{
		`"a"`: "a", `'a'`: "a", `'it\'s "x"'`: `it's "x"`, `'\x41\u0042\v\0\n\q\\'`: "AB\v\x00\nq\\",
		"'a\\\nb\\\r\nc'": "abc", `word`: "word", `'\u12'`: `'\u12'`,
	} {
		if got := unquote(spelled); got != want {
			t.Errorf("%s says %q, want %q", spelled, got, want)
		}
	}
}

// FuzzConfig holds of every configuration that is read: what is not changed is
// spelled as before, what is changed can be read again, a second change changes
// nothing, and plain JSON stays plain JSON.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{commented, full, "", "{}", "{\n}", "{/**/}", `{"hooks":{"mappings":[{"name":"OpenMail"},{"a":1}]}}`, "{skills: null, // x\n}", `{skills:{entries:{a:1,/*x*/openmail:{}}}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ReadConfig([]byte(text))
		if err != nil {
			return
		}
		if strings.TrimSpace(text) != "" && string(c.Bytes()) != text {
			t.Fatalf("%q is read as %q", text, c.Bytes())
		}
		add := func(c *Config) error {
			return c.Add([]Var{{"A", "b"}}, &Hook{"http://127.0.0.1/", "t0ken", "openmail"}, Notify)
		}
		if add(c) != nil {
			return
		}
		with := c.Bytes()
		again, err := ReadConfig(with)
		if err != nil || !again.Has() {
			t.Fatalf("%q becomes %q: %v", text, with, err)
		}
		if err := add(again); err != nil || !bytes.Equal(again.Bytes(), with) {
			t.Fatalf("%q becomes %q: %v", with, again.Bytes(), err)
		}
		if err := again.Remove(); err != nil || again.Has() {
			t.Fatalf("it stays in %q: %v", again.Bytes(), err)
		}
		without := again.Bytes()
		if _, err := ReadConfig(without); err != nil {
			t.Fatalf("%q becomes %q: %v", with, without, err)
		}
		if json.Valid([]byte(text)) && (!json.Valid(with) || !json.Valid(without)) {
			t.Fatalf("%q was JSON, and becomes %q, then %q", text, with, without)
		}
	})
}
