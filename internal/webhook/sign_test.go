package webhook_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"openmail/internal/webhook"
)

func TestNewSecretIsNeverTheSame(t *testing.T) {
	a, b := webhook.NewSecret(), webhook.NewSecret()
	if a == b {
		t.Error("the same secret twice")
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(a, "whsec_"))
	if err != nil || len(key) != 32 || !strings.HasPrefix(a, "whsec_") {
		t.Errorf("secret of %d bytes: %v", len(key), err)
	}
}

// sent is a post as a verifier gets it.
type sent struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"` // base64 in JSON
}

func (s sent) with(change func(*sent)) sent {
	headers := map[string]string{}
	for k, v := range s.Headers {
		headers[k] = v
	}
	s.Headers, s.Body = headers, slices.Clone(s.Body)
	change(&s)
	return s
}

// verdicts are real posts and changed ones, each with what a verifier of either
// set of headers must say of it.
func verdicts(t *testing.T) (posts []sent, want []bool) {
	t.Helper()
	url, got := receiver(t, http.StatusOK, "")
	s := newSender(t, webhook.Config{Allow: loopback})
	p := testPost(url)
	next := webhook.NewSecret()
	post := func(at time.Time) sent {
		s.Post(t.Context(), p, at)
		r := <-got
		headers := map[string]string{}
		for k := range r.header {
			headers[k] = r.header.Get(k)
		}
		return sent{p.Endpoint.Secret, headers, r.body}
	}
	add := func(s sent, ok bool) { posts, want = append(posts, s), append(want, ok) }
	now := time.Now()
	good := post(now)
	add(good, true)
	add(good.with(func(s *sent) { s.Secret = next }), false)
	add(good.with(func(s *sent) { s.Body[len(s.Body)/2] ^= 1 }), false)
	add(good.with(func(s *sent) { s.Body = append(s.Body, ' ', '{') }), false)
	later := strconv.FormatInt(now.Unix()+1, 10)
	add(good.with(func(s *sent) { s.Headers["X-Timestamp"], s.Headers["Webhook-Timestamp"] = later, later }), false)
	add(post(now.Add(-6*time.Minute)), false)
	add(post(now.Add(6*time.Minute)), false)
	p.Endpoint.NextSecret = next
	add(post(now), true)
	// The second step of a rotation: the next secret signs.
	p.Endpoint.Secret, p.Endpoint.NextSecret = next, ""
	add(post(now), true)
	return posts, want
}

func TestTheDocumentedVerifiersAccept(t *testing.T) {
	posts, want := verdicts(t)
	for name, argv := range map[string][]string{
		"JavaScript":               {"node", "testdata/verify.mjs"},
		"JavaScript, reserialised": {"node", "testdata/verify.mjs", "reparse"},
		"Python":                   {"python3", "testdata/verify.py"},
		"Standard Webhooks Python": {"python3", "testdata/verify.py", standardPython(t)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(t, argv, posts); !slices.Equal(got, want) {
				t.Errorf("verdicts %v, want %v", got, want)
			}
		})
	}
}

// judge runs a verifier over the posts. Its absence fails the test.
func judge(t *testing.T, argv []string, posts []sent) (verdicts []bool) {
	t.Helper()
	in, err := json.Marshal(posts)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, &stderr)
	}
	if err := json.Unmarshal(out, &verdicts); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return verdicts
}

// standardPython is the Python library, which comes with the Go module.
func standardPython(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/standard-webhooks/standard-webhooks/libraries").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "python", "standardwebhooks", "webhooks.py")
}

func TestTheStandardLibraryAccepts(t *testing.T) {
	posts, want := verdicts(t)
	for i, p := range posts {
		if got := standardVerify(t, p, p.Secret); got != want[i] {
			t.Errorf("post %d: %v, want %v", i, got, want[i])
		}
	}
}

func standardVerify(t *testing.T, p sent, secret string) bool {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	headers := http.Header{}
	for k, v := range p.Headers {
		headers.Set(k, v)
	}
	return wh.Verify(p.Body, headers) == nil
}

func TestDuringARotationEitherSecretVerifies(t *testing.T) {
	url, got := receiver(t, http.StatusOK, "")
	s := newSender(t, webhook.Config{Allow: loopback})
	p := testPost(url)
	p.Endpoint.NextSecret = webhook.NewSecret()
	s.Post(t.Context(), p, time.Now())
	r := <-got

	underNext := sent{p.Endpoint.NextSecret, map[string]string{}, r.body}
	for k := range r.header {
		underNext.Headers[k] = r.header.Get(k)
	}
	if !standardVerify(t, underNext, p.Endpoint.Secret) || !standardVerify(t, underNext, p.Endpoint.NextSecret) {
		t.Error("a standard verifier refuses one of the two secrets")
	}
	if standardVerify(t, underNext, webhook.NewSecret()) {
		t.Error("a standard verifier accepts a third secret")
	}
	underNext.Headers["X-Signature"] = underNext.Headers["X-Signature-Next"]
	if v := judge(t, []string{"python3", "testdata/verify.py"}, []sent{underNext}); !v[0] {
		t.Error("X-Signature-Next is not the next secret's signature")
	}
}

// TestASecretOfAnotherFormIsItsOwnBytes: such as one that was brought along.
func TestASecretOfAnotherFormIsItsOwnBytes(t *testing.T) {
	for _, secret := range []string{"correct horse", "whsec_not base64!"} {
		url, got := receiver(t, http.StatusOK, "")
		s := newSender(t, webhook.Config{Allow: loopback})
		p := testPost(url)
		p.Endpoint.Secret = secret
		s.Post(t.Context(), p, time.Now())
		r := <-got
		wh, err := standardwebhooks.NewWebhookRaw([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(r.body, r.header); err != nil {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
}
