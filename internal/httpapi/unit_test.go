package httpapi

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"openmail"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	for _, c := range openmail.Codes() {
		if status := statuses[c.Code]; status < 400 || status > 599 {
			t.Errorf("%s has status %d", c.Code, status)
		}
	}
	if len(statuses) != len(openmail.Codes()) {
		t.Errorf("%d statuses for %d codes", len(statuses), len(openmail.Codes()))
	}
}

func TestWindowTellsABoundedNumberOfCallersApart(t *testing.T) {
	w, now := newWindow(2), time.Unix(60, 0)
	for i := range maxCounted {
		if left, ok := w.take(fmt.Sprint(i), now); !ok || left != 1 {
			t.Fatalf("caller %d: %d, %v", i, left, ok)
		}
	}
	for i, want := range []bool{true, true, false} { // these share what is left
		if _, ok := w.take(fmt.Sprint("late", i), now); ok != want {
			t.Errorf("late caller %d: %v", i, ok)
		}
	}
	if !w.reached("later", now) || w.reached("7", now) || len(w.counts) > maxCounted+1 {
		t.Errorf("%d counts", len(w.counts))
	}
	if _, ok := w.take("later", now.Add(time.Minute)); !ok || len(w.counts) != 1 {
		t.Error("the next minute did not begin anew")
	}
}

func TestCursorHoldsAPositionOfItsAccountOnly(t *testing.T) {
	c := newCursors([]byte("secret"))
	for _, p := range []openmail.Position{1, 2, 1 << 40} {
		sealed := c.seal("acc_a", p)
		if got, err := c.open("acc_a", sealed); err != nil || got != p {
			t.Errorf("%d comes back as %d, %v", p, got, err)
		}
		if _, err := c.open("acc_b", sealed); openmail.CodeOf(err) != openmail.CodeBadRequest {
			t.Errorf("another account opens it: %v", err)
		}
		if _, err := newCursors([]byte("other")).open("acc_a", sealed); err == nil {
			t.Error("another server opens it")
		}
	}
}

func TestNetworkIsWhatOnePartyOwns(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64",
		"2001:db8::ffff:1%eth0": "2001:db8::/64", "@": "@",
	} {
		if got := network(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestMailsThatAreHandedInTakeABoundedAmountOfMemory(t *testing.T) {
	var u uploads
	of := func(account string, size int64) *metered {
		return &metered{r: io.LimitReader(zeros{}, size), uploads: &u, account: account}
	}
	first, second, other := of("acc_1", maxUploads/2), of("acc_1", 1), of("acc_2", 1)
	if _, err := io.Copy(io.Discard, first); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, second); openmail.CodeOf(err) != openmail.CodeRateLimit {
		t.Errorf("beyond the account's half: %v", err)
	}
	if _, err := io.Copy(io.Discard, other); err != nil {
		t.Errorf("another account: %v", err)
	}
	for _, m := range []*metered{first, second, other} {
		m.done()
	}
	if u.all != 0 || len(u.byAccount) != 0 {
		t.Errorf("left over: %d, %v", u.all, u.byAccount)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// What a list of next to nothing says is counted in the bytes that it came in,
// not in what is made of them.
func TestALongListTakesNoMoreMemoryThanItsBytes(t *testing.T) {
	for list, item := range map[string]string{"bcc": "0", "cc": `""`, "attachments": "{}"} {
		text := `{"` + list + `":[` + strings.Repeat(item+",", 1_000_000) + item + `]}`
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readJSON(strings.NewReader(text))
		runtime.ReadMemStats(&after)
		if n := int(after.TotalAlloc-before.TotalAlloc) / len(text); n > 10 {
			t.Errorf("%s: %d bytes for each (%v)", list, n, err)
		}
	}
}
