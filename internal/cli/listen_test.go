package cli

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"openmail/client"
)

func newSaver(t *testing.T) *saver {
	t.Helper()
	return &saver{session: &session{settings: settings{path: filepath.Join(t.TempDir(), "sub", "state.json")}}}
}

func savedPosition(t *testing.T, v *saver) string {
	t.Helper()
	s, err := readState(v.path)
	if err != nil {
		t.Fatal(err)
	}
	return s.LastEventID
}

func TestARunThatSeesNoEventIsResumedWhereItBegan(t *testing.T) {
	v := newSaver(t)
	v.anchor(client.State{Kind: client.StateReconnecting, ResumeID: "evt_0"})
	v.anchor(client.State{Kind: client.StateConnected})
	if err := v.flush(); err != nil || savedPosition(t, v) != "" {
		t.Errorf("%v, saved %q", err, savedPosition(t, v))
	}
	v.anchor(client.State{Kind: client.StateConnected, ResumeID: "evt_1"})
	if err := v.flush(); err != nil || savedPosition(t, v) != "evt_1" {
		t.Errorf("%v, saved %q", err, savedPosition(t, v))
	}
}

func TestPositionsAreWrittenAtMostOnceASecondAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newSaver(t)
		for _, step := range []struct{ id, saved string }{{"evt_1", "evt_1"}, {"evt_2", "evt_1"}, {"evt_3", "evt_1"}, {"evt_4", "evt_4"}} {
			if err := v.position(step.id); err != nil || savedPosition(t, v) != step.saved {
				t.Errorf("%s: %v, saved %q", step.id, err, savedPosition(t, v))
			}
			time.Sleep(400 * time.Millisecond) // synthetic
		}
		if err := v.position("evt_5"); err != nil {
			t.Fatal(err)
		}
		if err := v.flush(); err != nil || savedPosition(t, v) != "evt_5" {
			t.Errorf("%v, saved %q", err, savedPosition(t, v))
		}
	})
}
