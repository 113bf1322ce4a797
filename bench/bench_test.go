package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openmail/api"
)

func TestABarHoldsOnItsOwnSideOnly(t *testing.T) {
	for _, c := range []struct {
		bar   bar
		value float64
		holds bool
	}{
		{atMost(5), 5, true},
		{atMost(5), 5.01, false},
		{atLeast(2000), 2000, true},
		{atLeast(2000), 1999, false},
		{bar{}, 1e9, true},
		{atMost(5), math.NaN(), false}, // nothing was measured
		{atLeast(5), math.NaN(), false},
	} {
		if c.bar.holds(c.value) != c.holds {
			t.Errorf("%v of %q: %v", c.value, c.bar, !c.holds)
		}
	}
}

func TestAFigureIsTheMedianOfItsRuns(t *testing.T) {
	r := report{proof: "intake"}
	r.add("mails", "/s", atLeast(2000), 2500, 1000, 3000)
	r.add("p99", "ms", atMost(100), 101)
	r.add("nothing measured", "ms", atMost(1))
	if r.figures[0].value != 2500 || r.missed() != 2 {
		t.Errorf("value %v, %d missed", r.figures[0].value, r.missed())
	}
	var table strings.Builder
	r.print(&table)
	for _, want := range []string{"2,500 /s", "≥ 2,000", "of 2,500, 1,000, 3,000", "MISSED"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &table)
		}
	}
}

func TestEachFigureIsALineOfJSON(t *testing.T) {
	r := report{proof: "small", machine: machine{CPUs: 2, Kernel: "6.1", LoadBefore: 0.5}}
	r.add("binary", "MB", atMost(40), 27.5)
	path := filepath.Join(t.TempDir(), "out")
	for range 2 {
		if err := r.appendTo(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var l line
	if err := json.Unmarshal([]byte(lines[0]), &l); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 2 || l.Figure != "binary" || l.Value != 27.5 || !l.OK || l.Kernel != "6.1" {
		t.Errorf("%d lines, the first %+v", len(lines), l)
	}
}

func TestNumbersShowWhatCounts(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0664: "0.066", 0.384: "0.38", 11.74: "11.7", 137.3: "137", 58496.2: "58,496", 1234567: "1,234,567", -1500: "-1,500"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestStraceShowsWhether250CameBeforeTheFsync(t *testing.T) {
	const (
		synced  = "7  fdatasync(9</data/openmail.db-wal>) = 0\n"
		failed  = "7  fdatasync(9</data/openmail.db-wal>) = -1 EIO (Input/output error)\n"
		other   = "7  fdatasync(8</data/openmail.db>) = 0\n"
		begun   = "7  fdatasync(9</data/openmail.db-wal> <unfinished ...>\n"
		ended   = "7  <... fdatasync resumed>)       = 0\n"
		reply   = "12 write(14<socket:[1]>, \"250 2.0.0 Ok: queued as msg_01\"..., 60) = 60\n"
		replied = "12 write(14<socket:[1]>, \"250 2.0.0 Ok\\r\\n\", 14) = 14\n"
	)
	for name, c := range map[string]struct {
		trace          string
		replies, early int
	}{
		"fsync, then reply":          {synced + replied + reply + synced + reply, 2, 0},
		"reply, then fsync":          {reply + synced, 1, 1},
		"one fsync for two replies":  {synced + reply + reply, 2, 1},
		"another file's fsync":       {other + reply, 1, 1},
		"an fsync that failed":       {failed + reply, 1, 1},
		"reply while it is running":  {begun + reply + ended, 1, 1},
		"reply once it has returned": {begun + ended + reply, 1, 0},
	} {
		if replies, early := order(c.trace); replies != c.replies || early != c.early {
			t.Errorf("%s: %d replies, %d early", name, replies, early)
		}
	}
}

func TestWhatIsMissingAfterAKillIsSeen(t *testing.T) {
	message := func(id, mail string) api.Message { return api.Message{ID: id, RFCMessageID: mail} }
	event := func(id, message, state string) api.Event { return api.Event{ID: id, MessageID: message, State: state} }
	whole := func() (*killing, map[string]api.Message, []api.Event) {
		k := &killing{faults: map[string]int{}, senders: &senders{}, hook: &receiver{posts: map[string]int{"e1": 1}}, listen: newListener()}
		k.listen.seen["e2"] = true
		k.senders.acked = []acknowledged{{id: "m1", mailID: "<1>", to: []string{"a", "b"}}}
		return k, map[string]api.Message{"m1": message("m1", "<1>"), "m2": message("m2", "<1>")},
			[]api.Event{event("e1", "m1", "delivered"), event("e2", "m2", "delivered")}
	}
	exhausted := "exhausted"
	for fault, spoil := range map[string]func(*killing, map[string]api.Message, []api.Event) []api.Event{
		"":           func(_ *killing, _ map[string]api.Message, e []api.Event) []api.Event { return e },
		faultLost:    func(_ *killing, m map[string]api.Message, e []api.Event) []api.Event { delete(m, "m2"); return e[:1] },
		faultNoEvent: func(_ *killing, _ map[string]api.Message, e []api.Event) []api.Event { return e[:1] },
		faultNoMessage: func(_ *killing, _ map[string]api.Message, e []api.Event) []api.Event {
			return append(e, event("e1", "m9", "delivered"))
		},
		faultClaimed: func(k *killing, _ map[string]api.Message, e []api.Event) []api.Event {
			delete(k.hook.posts, "e1")
			return e
		},
		faultGivenUp: func(_ *killing, _ map[string]api.Message, e []api.Event) []api.Event {
			e[0].State, e[0].Reason = "failed", &exhausted
			return e
		},
	} {
		k, messages, events := whole()
		events = spoil(k, messages, events)
		k.compare(messages, events)
		k.claims(events)
		want := 1
		if fault == "" {
			want = 0
		}
		if k.total() != want || k.faults[fault] != want {
			t.Errorf("%q: %v", fault, k.faults)
		}
	}
}

func TestAReplayDiffersInEveryPlaceThatIsNotTheLogs(t *testing.T) {
	log := []string{"a", "b", "c"}
	for _, c := range []struct {
		got  []string
		want int
	}{{[]string{"a", "b", "c"}, 0}, {[]string{"a", "c"}, 2}, {[]string{"a", "c", "b"}, 2}, {nil, 3}, {[]string{"a", "b", "c", "c"}, 1}} {
		if n := differences(log, c.got); n != c.want {
			t.Errorf("%v: %d", c.got, n)
		}
	}
}

func TestTheDiskIsMeasuredByWhatItReallySyncs(t *testing.T) {
	rate, err := fsyncRate(t.TempDir(), time.Millisecond)
	if err != nil || rate <= 0 {
		t.Errorf("%v fsyncs/s, %v", rate, err)
	}
}

func TestWithoutTheHarnessAProofSaysWhatIsMissing(t *testing.T) {
	b := &bench{mailbench: filepath.Join(t.TempDir(), "none")}
	if err := b.needHarness(t.Context()); err == nil || !strings.Contains(err.Error(), "MAILBENCH") {
		t.Errorf("it says %v", err)
	}
}
