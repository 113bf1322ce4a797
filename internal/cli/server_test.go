package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/rogpeppe/go-internal/testscript"
)

// answer is what the server says to one request.
type answer struct {
	status int
	header http.Header
	body   string
}

// server answers requests that are written out, method, path, query and body,
// and nothing else.
type server struct {
	answers map[string]answer
	events  []string // of the stream, as JSON

	mu       sync.Mutex
	problems []string
	sockets  sync.WaitGroup
}

// startServer reads answers: paragraphs of a request, a status with headers
// behind it, and a body.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: server answers [events]")
	}
	s := &server{answers: map[string]answer{}}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(ts.ReadFile(args[0])), "\n\n") {
		request, a, err := parseAnswer(paragraph)
		ts.Check(err)
		s.answers[request] = a
	}
	if len(args) == 2 {
		s.events = strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n")
	}
	listening := httptest.NewServer(s)
	ts.Setenv("OPENMAIL_BASE_URL", listening.URL)
	ts.Defer(func() {
		listening.CloseClientConnections()
		listening.Close()
		s.sockets.Wait()
		for _, p := range s.problems {
			ts.Logf("%s", p)
		}
		if len(s.problems) > 0 {
			ts.Fatalf("the server was asked for what the script does not know")
		}
	})
}

func parseAnswer(paragraph string) (request string, a answer, err error) {
	request, rest, _ := strings.Cut(paragraph, "\n")
	head, body, _ := strings.Cut(rest, "\n")
	fields := strings.Fields(head)
	if len(fields) == 0 {
		return "", a, fmt.Errorf("%q has no status", request)
	}
	a = answer{header: http.Header{}, body: body}
	if body != "" {
		a.body += "\n" // as a text ends, and a mail
	}
	a.status, err = strconv.Atoi(fields[0])
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		a.header.Set(name, strings.ReplaceAll(value, "+", " "))
	}
	return strings.TrimSpace(request), a, err
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/ws" {
		s.sockets.Add(1)
		defer s.sockets.Done()
		s.stream(w, r)
		return
	}
	b, _ := io.ReadAll(r.Body)
	request := strings.TrimSpace(r.Method + " " + r.RequestURI + " " + string(b))
	a, known := s.answers[request]
	if !known {
		s.problem("unexpected request: " + request)
		a = answer{status: http.StatusNotFound}
	}
	open := r.URL.Path == "/health" || strings.HasPrefix(r.URL.Path, "/files/")
	if !open && r.Header.Get("Authorization") != "Bearer om_test" {
		a = answer{status: http.StatusUnauthorized, body: `{"error":"unauthorized","message":"Missing or invalid Authorization header"}`}
	}
	for name, value := range a.header {
		w.Header()[name] = value
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func (s *server) problem(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, text)
}

// stream sends the event after last_event_id and cuts the connection; when there
// is none it stays.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	if r.Header.Get("Authorization") != "Bearer om_test" {
		ws.WriteFrame(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(4001, "unauthorized")))
		io.Copy(io.Discard, conn)
		return
	}
	for {
		b, err := wsutil.ReadClientText(conn)
		if err != nil {
			return
		}
		var f struct {
			Type        string `json:"type"`
			LastEventID string `json:"last_event_id"`
		}
		json.Unmarshal(b, &f)
		if f.Type == "ping" {
			wsutil.WriteServerText(conn, []byte(`{"type":"pong"}`))
			continue
		}
		at := slices.IndexFunc(s.events, func(e string) bool { return strings.Contains(e, strconv.Quote(f.LastEventID)) })
		if at < 0 {
			wsutil.WriteServerText(conn, []byte(`{"type":"error","message":"last_event_id is not known"}`))
		}
		wsutil.WriteServerText(conn, []byte(`{"type":"subscribed","inbox_ids":[],"event_types":[]}`))
		if at >= 0 && at+1 < len(s.events) {
			wsutil.WriteServerText(conn, []byte(s.events[at+1]))
			return
		}
	}
}

// exitsWith runs a command that must exit with a status.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status n command...")
	}
	err := ts.Exec(args[1], args[2:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("%v did not fail: %v", args[1:], err)
	}
	if got := strconv.Itoa(exit.ExitCode()); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// posts is what hooks of a script got, as they got it.
type posts chan string

// waitPost returns when a hook got a body with that text.
func waitPost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitpost text")
	}
	for body := range ts.Value(posts(nil)).(posts) {
		if strings.Contains(body, args[0]) {
			return
		}
	}
}

// startHook answers with each status in turn, and with the last one from then on;
// with 0 not at all.
func startHook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hook status...")
	}
	path := ts.MkAbs("hooked")
	got := ts.Value(posts(nil)).(posts)
	var mu sync.Mutex
	listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprintf(f, "%s %s\n%s\n", args[0], r.Header.Get("Authorization"), b)
			f.Close()
		}
		status, _ := strconv.Atoi(args[0])
		if len(args) > 1 {
			args = args[1:]
		}
		got <- string(b)
		if status == 0 {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(status)
	}))
	ts.Setenv("HOOK_URL", listening.URL)
	ts.Defer(listening.Close)
}

// gateway has an OpenClaw configuration name the hook's port as the gateway's.
func gateway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gateway openclaw.json")
	}
	u, err := url.Parse(ts.Getenv("HOOK_URL"))
	ts.Check(err)
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, []byte(strings.Replace(string(b), "{", `{"gateway": {"port": `+u.Port()+`}, `, 1)), 0o600))
}

// endBridge ends the bridge that a script which failed has left behind: the
// process in its lock file, if that runs in the script's folder.
func endBridge(work string) {
	b, err := os.ReadFile(work + "/home/.openmail-cli/bridge.lock")
	if err != nil {
		return
	}
	pid := strings.TrimSpace(string(b))
	if cwd, err := os.Readlink("/proc/" + pid + "/cwd"); err != nil || !strings.HasPrefix(cwd, work) {
		return
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		return
	}
	if p, err := os.FindProcess(n); err == nil {
		p.Signal(syscall.SIGTERM)
	}
}
