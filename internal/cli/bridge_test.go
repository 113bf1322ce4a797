package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openmail/client"
)

func TestHookBodiesNameTheMessageEmailAndItsSender(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{"event":"message.received","message":{"from":"a@b.co","to":"c"},"x":1}`, `{"event":"message.received","email":{"sender":"a@b.co","to":"c"},"x":1}`},
		{`{"message":{"message":{"from":"inner"},"from":{"from":"y"}}}`, `{"email":{"message":{"from":"inner"},"sender":{"from":"y"}}}`},
		{`{"event":"setup.test","from":"stays"}`, `{"event":"setup.test","from":"stays"}`},
		{`{"message":null}`, `{"email":null}`},
		{`{"message":"text"}`, `{"email":"text"}`},
		{`{}`, `{}`},
		{`{"n":12345678901234567890,"s":"\u003c<é"}`, `{"n":12345678901234567890,"s":"\u003c<é"}`},
	}
	for _, test := range tests {
		got, err := hookBody([]byte(test.in))
		if err != nil || string(got) != test.want {
			t.Errorf("%s becomes\n%s, %v, want\n%s", test.in, got, err, test.want)
		}
	}
	for _, bad := range []string{`{"message":`, `{"a" 1}`, ``} {
		if got, err := hookBody([]byte(bad)); err == nil {
			t.Errorf("%s becomes %s", bad, got)
		}
	}
}

// answers is a transport that answers with each status in turn, 0 for none, and
// notes when it was asked.
type answers struct {
	statuses []int
	asked    []time.Time
}

func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	status := a.statuses[min(len(a.asked), len(a.statuses)-1)]
	a.asked = append(a.asked, time.Now())
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(""))}, nil
}

func deliver(ctx context.Context, a *answers) error {
	h := &hook{url: "http://hook.invalid/s3cret", client: &http.Client{Transport: a}, tell: func(string) {}}
	return h.deliver(ctx, client.Event{ID: "evt_1", Raw: []byte(`{"event_id":"evt_1"}`)})
}

func TestAHookIsTriedAgainWithDoublingDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{statuses: []int{0, 503, 429, 408, 401, 403, 404, 200}}
		if err := deliver(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		var delays []time.Duration
		for i := 1; i < len(a.asked); i++ {
			delays = append(delays, a.asked[i].Sub(a.asked[i-1])/time.Second)
		}
		if want := []time.Duration{1, 2, 4, 8, 16, 30, 30}; !slices.Equal(delays, want) {
			t.Errorf("delays %d", delays)
		}
	})
}

func TestAHookThatNeverAnswersEndsTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{statuses: []int{0}}
		err := deliver(t.Context(), a)
		if err == nil || strings.Contains(err.Error(), "s3cret") || len(a.asked) != hookTries {
			t.Errorf("after %d tries: %v", len(a.asked), err)
		}
	})
}

func TestARefusalIsNotTriedAgain(t *testing.T) {
	for _, status := range []int{301, 400, 409, 410, 413, 422} {
		a := &answers{statuses: []int{status}}
		if err := deliver(t.Context(), a); err == nil || len(a.asked) != 1 {
			t.Errorf("%d: %d tries, %v", status, len(a.asked), err)
		}
	}
}

func TestTheBridgeStopsWaitingWhenItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := deliver(ctx, &answers{statuses: []int{503}})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestALockIsHeldOnce(t *testing.T) {
	path := t.TempDir() + "/sub/bridge.lock"
	if _, held := lockHolder(path); held {
		t.Error("it is held before it was taken")
	}
	first, err := takeLock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if pid, held := lockHolder(path); !held || pid != 0 {
		t.Errorf("held by %d, %t, before it was announced", pid, held)
	}
	if err := first.announce(); err != nil {
		t.Fatal(err)
	}
	_, err = takeLock(t.Context(), path)
	if held, ok := errors.AsType[*heldError](err); !ok || held.pid != strconv.Itoa(os.Getpid()) {
		t.Errorf("held twice: %v", err)
	}
	if pid, held := lockHolder(path); !held || pid != os.Getpid() {
		t.Errorf("held by %d, %t", pid, held)
	}
	first.release()
	if _, held := lockHolder(path); held {
		t.Error("it is held though it was released")
	}
	again, err := takeLock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again.release()
}
