package openmail_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/internal/dispatch"
	"openmail/internal/webhook"
)

// post is a webhook as its receiver has it.
type post struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"` // names in lower case
	Body    string            `json:"body"`    // base64
}

// posts are three real posts, of now and of ten minutes before and after, and
// the first of them changed; with whether they are to be believed.
func posts(t *testing.T) (all []post, want []bool) {
	t.Helper()
	got := make(chan post, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p := post{Headers: map[string]string{}}
		for name := range r.Header {
			p.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.Body = base64.StdEncoding.EncodeToString(body)
		got <- p
	}))
	defer receiver.Close()
	sender, err := webhook.New(webhook.Config{Allow: []string{"127.0.0.0/8"}})
	must(t, err)
	defer sender.Close()
	secret := webhook.NewSecret()
	for _, age := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		sender.Post(t.Context(), dispatch.Post{
			Event:    openmail.Event{ID: "evt_1", Payload: []byte(`{"event":"message.received","inbox_id":"inb_ü<>&"}`)},
			Endpoint: openmail.Endpoint{URL: receiver.URL, Secret: secret},
		}, time.Now().Add(-age))
		p := <-got
		p.Secret = secret
		all, want = append(all, p), append(want, age == 0)
	}
	changed := all[0]
	changed.Body = base64.StdEncoding.EncodeToString([]byte("{}"))
	other := all[0]
	other.Secret = webhook.NewSecret()
	return append(all, changed, other), append(want, false, false)
}

// block is the code that follows a marker in a document.
func block(t *testing.T, doc, marker string) string {
	t.Helper()
	_, rest, found := strings.Cut(readFile(t, doc), "<!-- "+marker+" -->\n```")
	_, rest, _ = strings.Cut(rest, "\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatalf("%s has no code for %s", doc, marker)
	}
	return code
}

func TestHouseTheVerifiersOfTheGuideAreRight(t *testing.T) {
	posts, want := posts(t)
	in, err := json.Marshal(posts)
	must(t, err)
	for _, c := range []struct {
		marker, file, before, after string
		argv                        []string
	}{
		{"verifier: node", "verify.js", "", `
const posts = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(posts.map((p) => verify(p.secret, p.headers, Buffer.from(p.body, "base64")))));`, []string{"node"}},
		{"verifier: python", "verify.py", "", `
import base64, json, sys
print(json.dumps([verify(p["secret"], p["headers"], base64.b64decode(p["body"])) for p in json.load(sys.stdin)]))`, []string{"/usr/bin/python3"}},
		{"verifier: go", "verify.go", goBefore, goAfter, []string{"go", "run"}},
	} {
		file := filepath.Join(t.TempDir(), c.file)
		must(t, os.WriteFile(file, []byte(c.before+block(t, "docs/guides/webhooks.md", c.marker)+c.after), 0o600))
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), c.argv[0], append(c.argv[1:], file)...)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v\n%s", c.marker, err, &stderr)
			continue
		}
		var got []bool
		must(t, json.Unmarshal(out, &got))
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Errorf("%s says %v, want %v", c.marker, got, want)
				break
			}
		}
	}
}

const goBefore = `package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"time"
)

`

const goAfter = `
func main() {
	var posts []struct {
		Secret  string
		Headers map[string]string
		Body    []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&posts); err != nil {
		panic(err)
	}
	verdicts := []bool{}
	for _, p := range posts {
		h := http.Header{}
		for name, value := range p.Headers {
			h.Set(name, value)
		}
		verdicts = append(verdicts, verify(p.Secret, h, p.Body))
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		panic(err)
	}
}
`
