package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openmail/client"
)

const (
	defaultHook  = "http://127.0.0.1:18789/hooks/openmail"
	hookTimeout  = 15 * time.Second
	hookTries    = 20
	hookMaxDelay = 30 * time.Second
)

type bridgeFlags struct {
	url, token, state string
	inboxes, types    []string
}

func (c *cli) wsCommands() *cobra.Command {
	var flags bridgeFlags
	cmd := c.command("bridge", "Post each event to a URL of this machine", func(ctx context.Context, s *session, _ []string) error {
		return s.bridge(ctx, flags)
	})
	f := cmd.Flags()
	f.StringVar(&flags.url, "hook-url", "", "where to post (OPENCLAW_HOOK_URL); left out: "+defaultHook)
	f.StringVar(&flags.token, "hook-token", "", "the bearer token to post with (OPENCLAW_HOOK_TOKEN)")
	f.StringSliceVar(&flags.inboxes, "inbox-ids", nil, "only these inboxes (OPENMAIL_BRIDGE_INBOX_IDS); left out: all")
	f.StringSliceVar(&flags.types, "event-types", nil, "only these types (OPENMAIL_BRIDGE_EVENT_TYPES); left out: all")
	f.StringVar(&flags.state, "state-path", "", "the file that remembers the position (OPENMAIL_BRIDGE_STATE_PATH)")
	return c.group("ws", "Use the event stream", cmd)
}

// bridgeState is where the bridge remembers its position: not where listen does,
// for each has its own.
func (set settings) bridgeState() string {
	return cmp.Or(set.env("OPENMAIL_BRIDGE_STATE_PATH"), filepath.Join(filepath.Dir(set.path), "bridge.json"))
}

// heldError is the error of a lock that another process holds.
type heldError struct{ pid, advice string }

func (e *heldError) Error() string {
	if e.pid == "" {
		return "another bridge is starting: " + e.advice
	}
	return fmt.Sprintf("another bridge runs already (process %s): %s", e.pid, e.advice)
}

// announce writes down that this process has the lock, and that nothing is wrong
// with what it was told: whoever has started it waits for that.
func (l *lock) announce() error {
	if _, err := fmt.Fprintln(l.file, os.Getpid()); err != nil {
		return fmt.Errorf("lock %s: %w", l.file.Name(), err)
	}
	return nil
}

func lockPath(state string) string { return filepath.Join(filepath.Dir(state), "bridge.lock") }

func (s *session) bridge(ctx context.Context, flags bridgeFlags) error {
	s.path = cmp.Or(flags.state, s.bridgeState())
	lock, err := takeLock(ctx, lockPath(s.path))
	if err != nil {
		return err
	}
	defer lock.release()
	if s.state, err = readState(s.path); err != nil {
		return err
	}
	h, err := s.hookOf(flags)
	if err != nil {
		return err
	}
	defer h.client.CloseIdleConnections()
	o, err := s.listenOptions(ctx, listenFlags{
		inboxes:   orList(flags.inboxes, s.env("OPENMAIL_BRIDGE_INBOX_IDS")),
		types:     orList(flags.types, s.env("OPENMAIL_BRIDGE_EVENT_TYPES")),
		fromStart: s.state.FromStart,
	})
	if err != nil {
		return err
	}
	if err := lock.announce(); err != nil {
		return err
	}
	save := saver{session: s}
	o.OnState = func(st client.State) {
		s.tellState(st)
		save.begin(st)
	}
	err = s.forward(ctx, o, h, &save)
	return errors.Join(unlessInterrupted(ctx, err), save.flush())
}

// hookOf is where the bridge posts. A URL that only a file of the current folder
// names has to be of this machine: the folder may be somebody else's repository.
func (s *session) hookOf(flags bridgeFlags) (*hook, error) {
	where := cmp.Or(flags.url, s.getenv("OPENCLAW_HOOK_URL"))
	if theirs := s.dotenv["OPENCLAW_HOOK_URL"]; where == "" && theirs != "" && !isLocal(theirs) {
		return nil, usage("the folder that you are in names the hook %s: give --hook-url, if your mail is to go there", theirs)
	}
	h, err := newHook(cmp.Or(where, s.dotenv["OPENCLAW_HOOK_URL"], defaultHook), cmp.Or(flags.token, s.env("OPENCLAW_HOOK_TOKEN")))
	if err != nil {
		return nil, err
	}
	h.tell = func(text string) { fmt.Fprintln(s.Stderr, oneLine(text)) }
	return h, nil
}

// begin notes where a connection begins, at once: a bridge that is killed while
// its first event is on the way would otherwise begin behind that. An error is
// told only: the first event that is posted meets it again.
func (v *saver) begin(st client.State) {
	if st.Kind != client.StateConnected {
		return
	}
	v.anchor(st)
	err := v.flush()
	if st.Empty && err == nil && !v.state.FromStart {
		err = v.update(func(s *state) { s.FromStart = true })
	}
	if err != nil {
		fmt.Fprintln(v.Stderr, oneLine(err.Error()))
	}
}

func orList(list []string, env string) []string {
	if len(list) > 0 || env == "" {
		return list
	}
	return strings.Split(env, ",")
}

// forward posts event after event. An event's position is written when its post
// succeeded, so that none is left out whenever this ends.
func (s *session) forward(ctx context.Context, o client.ListenOptions, h *hook, save *saver) error {
	for event, err := range s.client.Listen(ctx, o) {
		if err != nil {
			return err
		}
		if err := h.deliver(ctx, event); err != nil {
			return err
		}
		save.at, save.dirty = event.ResumeID, true
		if err := save.flush(); err != nil {
			return err
		}
		fmt.Fprintf(s.Stderr, "%s is posted\n", oneLine(event.ID))
	}
	return nil
}

// hook is where the bridge posts.
type hook struct {
	url, token string
	client     *http.Client
	tell       func(string)
}

func newHook(where, token string) (*hook, error) {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage("--hook-url must look like %s", defaultHook)
	}
	return &hook{url: where, token: token, client: &http.Client{
		Timeout:       hookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// refusal is an answer that another try would not change.
type refusal struct{ status string }

func (r *refusal) Error() string { return "the hook answered " + r.status }

// deliver posts an event until it is taken, with delays that double from 1 s to
// 30 s.
func (h *hook) deliver(ctx context.Context, e client.Event) error {
	body, err := hookBody(e.Raw)
	if err != nil {
		return err
	}
	delay := time.Second
	for try := 1; ; try++ {
		err := h.post(ctx, body)
		switch _, final := errors.AsType[*refusal](err); {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case final, try == hookTries:
			return fmt.Errorf("%s could not be posted, and will be first when the bridge starts again: %w", e.ID, err)
		}
		h.tell(fmt.Sprintf("%s: %v: trying again in %v", e.ID, err, delay))
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, hookMaxDelay)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hook) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("post to the hook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from the hook: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case passes(resp.StatusCode):
		return fmt.Errorf("the hook answered %s", resp.Status)
	}
	return &refusal{resp.Status}
}

// passes reports whether another try may be answered otherwise. A gateway that
// has not read its new configuration yet does not know the hook or its token.
func passes(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// withoutURL leaves out the URL of a hook, which may hold a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// hookBody is an event as agent hosts expect it: the message is named email, and
// who sent it is named sender. Everything else stays, in its order.
func hookBody(event []byte) ([]byte, error) {
	return rename(event, "message", "email", func(message []byte) ([]byte, error) {
		return rename(message, "from", "sender", func(from []byte) ([]byte, error) { return from, nil })
	})
}

// rename gives a member of a JSON object another name, and its value to change.
func rename(object []byte, name, to string, change func([]byte) ([]byte, error)) ([]byte, error) {
	in := json.NewDecoder(bytes.NewReader(object))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return object, err // null, and what is no object, has no members
	}
	out := []byte{'{'}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		if key == name {
			key = to
			if value, err = change(value); err != nil {
				return nil, err
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, _ := json.Marshal(key) // a string always marshals
		out = append(append(append(out, quoted...), ':'), value...)
	}
	return append(out, '}'), nil
}
