package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"openmail"
	"openmail/internal/admin"
	"openmail/internal/outgoing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room notes what it is asked for.
type room struct {
	asked []string
	err   error
}

func (r *room) Suspend(_ context.Context, kind openmail.SuspendedKind, name string, reason openmail.SuspensionReason) (outgoing.SuspensionChange, error) {
	r.asked = append(r.asked, string(kind)+" "+name+" "+string(reason))
	s := openmail.Suspension{Kind: kind, ID: name, Reason: reason}
	return outgoing.SuspensionChange{Suspension: s, Changed: true, Event: openmail.Event{ID: "evt_1"}}, r.err
}

func (r *room) Reactivate(_ context.Context, kind openmail.SuspendedKind, name string) (outgoing.SuspensionChange, error) {
	r.asked = append(r.asked, "not "+string(kind)+" "+name)
	return outgoing.SuspensionChange{Suspension: openmail.Suspension{Kind: kind, ID: name}}, r.err
}

func (r *room) Suspended(context.Context, int) ([]openmail.Suspension, error) {
	return []openmail.Suspension{{Kind: openmail.SuspendedPod, ID: "pod_1"}}, r.err
}

// folder is short enough for a socket on every system.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "om")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve runs a server until stop is called.
func serve(t *testing.T, data string, r *room) (stop func()) {
	t.Helper()
	s, err := admin.Listen(t.Context(), data, r, slog.New(slog.DiscardHandler))
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() { cancel(); check(t, <-ended); check(t, s.Close()) }
}

func TestTheOperatorIsHeardInTheDataFolder(t *testing.T) {
	data, r := folder(t), &room{}
	defer serve(t, data, r)()
	c := admin.Dial(data)
	done, err := c.Suspend(t.Context(), "inbox", "inb_1", "abuse")
	if err != nil || !done.Changed || done.ID != "inb_1" || done.EventID != "evt_1" {
		t.Errorf("suspended: %+v, %v", done, err)
	}
	if done, err = c.Reactivate(t.Context(), "pod", "pod_1"); err != nil || done.Changed || done.Kind != "pod" {
		t.Errorf("reactivated: %+v, %v", done, err)
	}
	list, err := c.Suspended(t.Context())
	if err != nil || len(list.Data) != 1 || list.Data[0].ID != "pod_1" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if got := strings.Join(r.asked, ", "); got != "inbox inb_1 abuse, not pod pod_1" {
		t.Errorf("the room was asked for %s", got)
	}
	r.err = openmail.Errorf(openmail.CodeNotFound, "There is no such inbox.")
	if _, err := c.Suspend(t.Context(), "inbox", "x", "abuse"); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("what is not there: %v", err)
	}
	r.err = errors.New("the disk is on fire")
	if _, err := c.Suspend(t.Context(), "inbox", "x", "abuse"); openmail.CodeOf(err) != openmail.CodeInternal || strings.Contains(err.Error(), "fire") {
		t.Errorf("what failed: %v", err)
	}
	if _, err := c.Suspend(t.Context(), "inbox", strings.Repeat("x", 64<<10), "abuse"); err == nil {
		t.Error("a request of any length is read")
	}
}

func TestNobodyElseComesNearTheSocket(t *testing.T) {
	data := folder(t)
	check(t, os.Mkdir(filepath.Join(data, "admin"), 0o777))
	check(t, os.Chmod(filepath.Join(data, "admin"), 0o777)) // somebody made it before
	defer serve(t, data, &room{})()
	info, err := os.Stat(filepath.Join(data, "admin"))
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("its folder has the mode %v", info.Mode())
	}
}

func TestWithoutAServerItSaysWhereItLooked(t *testing.T) {
	data := folder(t)
	asks := func() {
		t.Helper()
		if _, err := admin.Dial(data).Suspended(t.Context()); err == nil || !strings.Contains(err.Error(), "no server runs in the data folder "+data) {
			t.Errorf("%v", err)
		}
	}
	asks()
	serve(t, data, &room{})()
	asks()
	// What a server that was killed left behind is in nobody's way.
	check(t, os.MkdirAll(filepath.Join(data, "admin"), 0o700))
	check(t, os.WriteFile(filepath.Join(data, "admin", "socket"), nil, 0o600))
	asks()
	defer serve(t, data, &room{})()
	if _, err := admin.Dial(data).Suspended(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := admin.Listen(t.Context(), "/"+strings.Repeat("long/", 30), &room{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("in a folder with a long name: %v", err)
	}
}
