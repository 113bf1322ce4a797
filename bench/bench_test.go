package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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
	event := func(id, message, state string) api.Event { return api.Event{ID: id, MessageID: &message, State: state} }
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

func TestASecondMailAtTheRelayIsHonestOnlyAfterAKillInTheWindow(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	first := handover{mailID: "<1>", from: "b", to: []string{"a"}, opened: at(10), answered: at(12)}
	again := handover{mailID: "<1>", from: "b", to: []string{"a"}, opened: at(20), answered: at(22), quit: at(23)}
	whole := first
	whole.quit = at(13)
	other := again
	other.digest[0]++
	for name, c := range map[string]struct {
		copies []handover
		kill   int
		want   doubles
		fault  string
	}{
		"one mail":                     {[]handover{whole}, 15, doubles{}, ""},
		"killed after 250":             {[]handover{first, again}, 15, doubles{cut: 1, within: 1}, ""},
		"killed before 250":            {[]handover{again, first}, 11, doubles{cut: 1, unheard: 1}, ""},
		"killed after 250, not again":  {[]handover{first}, 15, doubles{cut: 1}, ""},
		"killed after the record":      {[]handover{whole, again}, 15, doubles{}, faultDouble},
		"without a kill":               {[]handover{first, again}, 5, doubles{}, faultDouble},
		"again before the kill":        {[]handover{first, again}, 21, doubles{cut: 1}, faultDouble},
		"again as another mail":        {[]handover{first, other}, 15, doubles{cut: 1, within: 1}, faultOther},
		"a mail that nobody asked for": {[]handover{whole, {mailID: "<2>", to: []string{"a"}, quit: at(1)}}, 0, doubles{}, faultStranger},
		"no mail":                      {nil, 15, doubles{}, faultUnmailed},
	} {
		k := &sending{kills: []time.Time{at(c.kill)}, clients: newClients(nil, 1)}
		k.clients.done = []*errand{{key: "k", to: []string{"a"}, answer: api.Sent{MessageID: "m", ProviderMessageID: "<1>"}}}
		k.compareSink(c.copies)
		faults := k.clients.faults
		delete(faults, "")
		if n := faults[c.fault]; k.found != c.want || c.fault != "" && n != 1 || c.fault == "" && faults[faultDouble]+faults[faultOther]+faults[faultStranger]+faults[faultUnmailed] != 0 {
			t.Errorf("%s: %+v, %v", name, k.found, faults)
		}
	}
}

func TestAnAnswerIsHeldAgainstWhatItsKeyStandsFor(t *testing.T) {
	ok := func(body int, id string) verdict {
		return verdict{body: body, status: 200, sent: api.Sent{MessageID: id}}
	}
	conflict := func(body int) verdict { return verdict{body: body, status: 409, code: "idempotency_conflict"} }
	for name, c := range map[string]struct {
		rivals   bool
		verdicts []verdict
		fault    string
	}{
		"twins with one answer":          {false, []verdict{ok(0, "m"), ok(0, "m")}, ""},
		"twins with two answers":         {false, []verdict{ok(0, "m"), ok(0, "n")}, faultAnswer},
		"no answer, then one":            {false, []verdict{{body: 0}, ok(0, "m")}, ""},
		"a conflict for the only body":   {false, []verdict{conflict(0)}, faultDenied},
		"a refusal":                      {false, []verdict{{body: 0, status: 422, code: "recipient_suppressed"}}, faultDenied},
		"another body is refused":        {false, []verdict{ok(0, "m"), conflict(1)}, ""},
		"another body is taken":          {false, []verdict{ok(0, "m"), ok(1, "m")}, faultReuse},
		"of two rivals one is taken":     {true, []verdict{conflict(0), ok(1, "m")}, ""},
		"of two rivals both are taken":   {true, []verdict{ok(1, "m"), ok(0, "m")}, faultReuse},
		"of two rivals neither is taken": {true, []verdict{conflict(0), conflict(1)}, faultDenied},
	} {
		cl, o := newClients(nil, 1), &errand{key: "k"}
		if c.rivals {
			o.winner = -1
		}
		for _, v := range c.verdicts {
			cl.judge(o, v)
		}
		if total := len(cl.faults); total > 1 || c.fault != "" && cl.faults[c.fault] != 1 || c.fault == "" && total != 0 {
			t.Errorf("%s: %v", name, cl.faults)
		}
	}
}

func TestWhatIsMissingInTheStoreAfterAKilledSendIsSeen(t *testing.T) {
	message := func(id, status string) api.Message {
		return api.Message{ID: id, Direction: "outbound", Subject: "k", Status: status, RFCMessageID: "<1>"}
	}
	in := api.Message{ID: "i", Direction: "inbound", Subject: "k", RFCMessageID: "<1>"}
	for fault, messages := range map[string][]api.Message{
		"":            {message("m", "sent"), in},
		faultKeyTwice: {message("m", "sent"), message("n", "sent"), in},
		faultKeyNone:  {message("n", "sent"), in},
		faultUnsent:   {message("m", "pending"), in},
		faultCopy:     {message("m", "sent"), in, in},
	} {
		k := &sending{clients: newClients(nil, 1)}
		k.clients.done = []*errand{{key: "k", local: "b@x", answer: api.Sent{MessageID: "m", ProviderMessageID: "<1>"}}}
		k.compareStore(messages)
		if f := k.clients.faults; fault == "" && len(f) != 0 || fault != "" && (len(f) != 1 || f[fault] != 1) {
			t.Errorf("%q: %v", fault, f)
		}
	}
}

// hex writes a string as strace does with -xx.
func hex(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}

func TestATraceIsReadAsItHappened(t *testing.T) {
	data := func(name string) string { return hex("/d/" + name) }
	trace := strings.Join([]string{
		`7  openat(AT_FDCWD<` + hex("/") + `>, "` + hex("d/a") + `", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 5<` + data("a") + `>`,
		`7  write(5<` + data("a") + `>, "` + hex("x(,>") + `", 4) = 4`,
		`7  fsync(5<` + data("a") + `> <unfinished ...>`,
		`8  pwrite64(6<` + data("log") + `>, "` + hex("ab") + `", 2, 4096 <unfinished ...>`,
		`7  <... fsync resumed>)              = 0`,
		`8  <... pwrite64 resumed>)           = 2`,
		`8  fdatasync(6<` + data("log") + `>) = -1 EIO (Input/output error)`,
		`8  ftruncate(6<` + data("log") + `>, 3) = 0`,
		`7  renameat(9<` + hex("/d") + `>, "` + hex("a") + `", 9<` + hex("/d") + `>, "` + hex("b") + `") = 0`,
		`7  write(11<` + hex("socket:[12]") + `>, "` + hex("250 2.0.0 Ok: queued as msg_1\r\n") + `", 31) = 31`,
		`7  write(3<` + hex("/dev/null") + `>, "` + hex("elsewhere") + `", 9) = 9`,
		`7  fsync(9<` + hex("/d") + `>) = 0`,
		`7  unlink("` + data("b") + `") = 0`,
	}, "\n")
	events, err := readTrace(strings.NewReader(trace), "/d")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s %s%s@%d %q %d", e.kind, e.from, e.path, e.at, e.data, e.began))
	}
	want := []string{
		`create /d/a@0 "" 0`, `write /d/a@-1 "x(,>" 0`, `write /d/log@4096 "ab" 0`, `sync /d/a@0 "" 2`, `truncate /d/log@3 "" 0`,
		`rename /d/a/d/b@0 "" 0`, `said @0 "250 2.0.0 Ok: queued as msg_1\r\n" 0`, `sync /d@0 "" 7`, `remove /d/b@0 "" 0`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestACutLeavesWhatWasSyncedAndWithLuckMore(t *testing.T) {
	d := newDisk()
	for _, e := range []event{
		{kind: "create", path: "/d/log"},
		{kind: "write", path: "/d/log", at: 0, data: []byte("first")},
		{kind: "sync", path: "/d/log", began: 2},
		{kind: "sync", path: "/d", began: 3},
		{kind: "write", path: "/d/log", at: 5, data: []byte(" second")},
		{kind: "sync", path: "/d/log", began: 4}, // began before the write
		{kind: "create", path: "/d/.new"},
		{kind: "write", path: "/d/.new", at: -1, data: []byte("body")},
		{kind: "sync", path: "/d/.new", began: 8},
		{kind: "rename", from: "/d/.new", path: "/d/new"},
	} {
		d.take(e)
	}
	left := func(luck float64, rng *rand.Rand) map[string]string {
		to := t.TempDir()
		if err := d.cut(rng, luck, "/d", to); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, name := range []string{"log", ".new", "new"} {
			if b, err := os.ReadFile(filepath.Join(to, name)); err == nil {
				files[name] = string(b)
			}
		}
		return files
	}
	rng := rand.New(rand.NewPCG(1, 1))
	if got := left(0, rng); !maps.Equal(got, map[string]string{"log": "first"}) {
		t.Errorf("without luck: %q", got)
	}
	seen := map[string]bool{}
	for range 50 {
		seen[fmt.Sprint(left(1, rng))] = true
	}
	if !seen["map[log:first second]"] || !seen["map[log:first second new:body]"] || len(seen) != 2 {
		t.Errorf("with luck: %v", seen)
	}
	d.take(event{kind: "sync", path: "/d", began: 10})
	if got := left(0, rng); !maps.Equal(got, map[string]string{"log": "first", "new": "body"}) {
		t.Errorf("after the folder's fsync: %q", got)
	}
}
