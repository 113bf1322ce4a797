package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"openmail"
	"openmail/client"
)

// inBubble runs a test over pipes in synthetic time.
func inBubble(t *testing.T, s func() *stream, test func(*testing.T, *stream, *client.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := s()
		c, stop := connectPiped(t, s)
		test(t, s, c)
		stop()
		s.stop()
	})
}

// listen takes n events, adding one more to the log before each that is not
// there yet.
func listen(t *testing.T, c *client.Client, o client.ListenOptions, n int) []string {
	t.Helper()
	var got []string
	for e, err := range c.Listen(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.ID); len(got) == n {
			break
		}
	}
	return got
}

func ids(from, to int) []string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprintf("evt_%d", i))
	}
	return list
}

func TestListenCutAfterEveryEventLosesAndRepeatsNothing(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(40); s.cut = 1; return s }, func(t *testing.T, s *stream, c *client.Client) {
		got := listen(t, c, client.ListenOptions{LastEventID: "evt_3"}, 37)
		if !slices.Equal(got, ids(4, 40)) {
			t.Errorf("got %v", got)
		}
		if s.conns != 37 {
			t.Errorf("%d connections", s.conns)
		}
	})
}

func TestListenOverLoopbackResumesAfterACut(t *testing.T) {
	s := newStream(8)
	s.cut = 4
	server := httptest.NewServer(s)
	defer server.Close()
	defer s.stop()
	c := newClient(t, client.Options{BaseURL: server.URL, APIKey: testKey})
	var raw string
	var got []string
	for e, err := range c.Listen(t.Context(), client.ListenOptions{LastEventID: "evt_1"}) {
		if err != nil {
			t.Fatal(err)
		}
		got, raw = append(got, e.ID), string(e.Raw)
		if len(got) == 7 {
			break
		}
	}
	if !slices.Equal(got, ids(2, 8)) {
		t.Errorf("got %v", got)
	}
	if raw != s.log[7].payload() {
		t.Errorf("Raw is %s", raw)
	}
}

func TestListenFromStartBeginsWithTheOldestEvent(t *testing.T) {
	inBubble(t, func() *stream { return newStream(35) }, func(t *testing.T, _ *stream, c *client.Client) {
		if got := listen(t, c, client.ListenOptions{FromStart: true}, 35); !slices.Equal(got, ids(1, 35)) {
			t.Errorf("got %v", got)
		}
	})
}

func TestListenWithoutAPositionBeginsWithWhatIsNew(t *testing.T) {
	inBubble(t, func() *stream { return newStream(5) }, func(t *testing.T, s *stream, c *client.Client) {
		s.onEmpty = func(int) { s.add("inb_1", "message.received") } // between finding the newest and subscribing
		var resume string
		o := client.ListenOptions{OnState: func(st client.State) { resume = st.ResumeID }}
		if got := listen(t, c, o, 1); !slices.Equal(got, ids(6, 6)) {
			t.Errorf("got %v", got)
		}
		if resume != "evt_5" {
			t.Errorf("to resume after %q", resume)
		}
	})
}

func TestListenMissesNothingWhileTheFirstConnectionIsDown(t *testing.T) {
	for name, already := range map[string]int{"a log with events": 3, "an empty log": 0} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func() *stream { return newStream(already) }, func(t *testing.T, s *stream, c *client.Client) {
				s.closing = []ws.StatusCode{ws.StatusGoingAway}
				o := client.ListenOptions{OnState: func(st client.State) {
					if st.Kind == client.StateReconnecting { // nobody is connected now
						s.add("inb_1", "message.received")
						s.add("inb_1", "message.received")
					}
				}}
				if got := listen(t, c, o, 2); !slices.Equal(got, ids(already+1, already+2)) {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

func TestListenMissesNothingBetweenAnEmptyLogAndItsSubscription(t *testing.T) {
	inBubble(t, func() *stream { return newStream(0) }, func(t *testing.T, s *stream, c *client.Client) {
		var once sync.Once
		s.onEmpty = func(int) { once.Do(func() { s.add("inb_1", "message.received") }) }
		if got := listen(t, c, client.ListenOptions{}, 1); !slices.Equal(got, ids(1, 1)) {
			t.Errorf("got %v", got)
		}
	})
}

func TestListenTellsAnEmptyLogFromNoneAtAll(t *testing.T) {
	for name, noLog := range map[string]bool{"an empty log": false, "no list of events": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func() *stream { s := newStream(0); s.noLog = noLog; return s }, func(t *testing.T, s *stream, c *client.Client) {
				o := client.ListenOptions{OnState: func(st client.State) {
					if st.ResumeID != "" || st.Empty == noLog {
						t.Errorf("connected after %q, empty %t", st.ResumeID, st.Empty)
					}
					s.add("inb_1", "message.received")
				}}
				listen(t, c, o, 1)
			})
		})
	}
}

func TestListenWithoutAnEventListResumesFromItsFirstEvent(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(0); s.noLog, s.cut = true, 1; return s }, func(t *testing.T, s *stream, c *client.Client) {
		var once sync.Once
		o := client.ListenOptions{OnState: func(st client.State) {
			if st.Kind == client.StateConnected {
				once.Do(func() { s.add("inb_1", "message.received") })
			} else {
				s.add("inb_1", "message.received")
			}
		}}
		if got := listen(t, c, o, 3); !slices.Equal(got, ids(1, 3)) {
			t.Errorf("got %v", got)
		}
	})
}

func TestListenFromStartNeedsAnEventList(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(1); s.noLog = true; return s }, func(t *testing.T, s *stream, c *client.Client) {
		err := firstError(t.Context(), c, client.ListenOptions{FromStart: true})
		if openmail.CodeOf(err) != openmail.CodeNotFound || s.conns != 0 {
			t.Errorf("%v after %d connections", err, s.conns)
		}
	})
}

func TestListenSubscribesToWhatItWasAskedFor(t *testing.T) {
	inBubble(t, func() *stream { return newStream(1) }, func(t *testing.T, s *stream, c *client.Client) {
		s.add("inb_2", "message.received")
		s.add("inb_1", "message.received")
		o := client.ListenOptions{Inboxes: []string{"inb_2"}, Types: []openmail.EventType{openmail.MessageReceived}, FromStart: true}
		if got := listen(t, c, o, 1); !slices.Equal(got, ids(2, 2)) {
			t.Errorf("got %v", got)
		}
		want := "{subscribe [inb_2] [message.received] evt_1 false  }"
		if got := fmt.Sprint(s.subscribes[0]); got != want {
			t.Errorf("subscribed with %s, want %s", got, want)
		}
	})
}

func TestListenEndsWhereAnotherTryWouldFailAsWell(t *testing.T) {
	for code, want := range map[ws.StatusCode]openmail.Code{
		4001: openmail.CodeUnauthorized, 4003: openmail.CodeForbidden, 4008: openmail.CodeRateLimit,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inBubble(t, func() *stream { s := newStream(1); s.closing = []ws.StatusCode{code}; return s }, func(t *testing.T, s *stream, c *client.Client) {
				err := firstError(t.Context(), c, client.ListenOptions{})
				closed, ok := errors.AsType[*client.CloseError](err)
				if openmail.CodeOf(err) != want || !ok || closed.Code != int(code) {
					t.Errorf("got %v", err)
				}
				if s.conns != 1 {
					t.Errorf("tried %d times", s.conns)
				}
			})
		})
	}
}

func firstError(ctx context.Context, c *client.Client, o client.ListenOptions) error {
	for _, err := range c.Listen(ctx, o) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestListenEndsWhenTheSubscriptionIsRefused(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(1); s.refuse = "inbox inb_9 is not yours"; return s }, func(t *testing.T, _ *stream, c *client.Client) {
		err := firstError(t.Context(), c, client.ListenOptions{Inboxes: []string{"inb_9"}})
		if openmail.CodeOf(err) != openmail.CodeBadRequest || !strings.Contains(err.Error(), "inb_9 is not yours") {
			t.Errorf("got %v", err)
		}
	})
}

func TestListenConnectsAgainWithDoublingDelays(t *testing.T) {
	closing := slices.Repeat([]ws.StatusCode{4029, ws.StatusGoingAway}, 4)
	inBubble(t, func() *stream { s := newStream(1); s.closing = closing; return s }, func(t *testing.T, s *stream, c *client.Client) {
		var delays []time.Duration
		last := time.Now()
		o := client.ListenOptions{FromStart: true, OnState: func(st client.State) {
			if st.Kind == client.StateReconnecting {
				delays, last = append(delays, st.Delay), time.Now()
				return
			}
			if waited := time.Since(last); waited != delays[len(delays)-1] {
				t.Errorf("waited %v, not %v", waited, delays[len(delays)-1])
			}
			s.add("inb_1", "message.received")
		}}
		listen(t, c, o, 2)
		want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}
		if len(delays) != len(want) {
			t.Fatalf("delays %v", delays)
		}
		for i, d := range delays {
			if low := want[i] * time.Second; d < low || d > min(low+low/4, 30*time.Second) {
				t.Errorf("delay %d is %v, want from %v to a quarter more", i+1, d, low)
			}
		}
	})
}

func TestListenTellsOfAGapAndGoesOnWithWhatIsNew(t *testing.T) {
	inBubble(t, func() *stream { return newStream(3) }, func(t *testing.T, s *stream, c *client.Client) {
		var kinds []string
		o := client.ListenOptions{LastEventID: "evt_gone", OnState: func(st client.State) {
			kinds = append(kinds, string(st.Kind))
			if st.Kind == client.StateConnected {
				s.add("inb_1", "message.received")
			}
		}}
		if got := listen(t, c, o, 1); !slices.Equal(got, ids(4, 4)) {
			t.Errorf("got %v", got)
		}
		if fmt.Sprint(kinds) != "[gap connected]" {
			t.Errorf("states %v", kinds)
		}
	})
}

func TestListenGetsTheRestOfATruncatedReplay(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(20); s.cap = 4; return s }, func(t *testing.T, _ *stream, c *client.Client) {
		if got := listen(t, c, client.ListenOptions{LastEventID: "evt_1"}, 19); !slices.Equal(got, ids(2, 20)) {
			t.Errorf("got %v", got)
		}
	})
}

func TestListenEndsWithItsContext(t *testing.T) {
	inBubble(t, func() *stream { return newStream(1) }, func(t *testing.T, _ *stream, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		o := client.ListenOptions{OnState: func(client.State) { cancel() }}
		if err := firstError(ctx, c, o); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAPingIsAnsweredOnlyAfterTheEventBeforeItWasHandled(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(2); s.fence = true; return s }, func(t *testing.T, s *stream, c *client.Client) {
		var mu sync.Mutex
		var answered []string
		s.onPong = func(body string) {
			mu.Lock()
			defer mu.Unlock()
			answered = append(answered, body)
		}
		for e, err := range c.Listen(t.Context(), client.ListenOptions{LastEventID: "evt_1"}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.ID == "evt_3" {
				break
			}
			time.Sleep(time.Minute) // a slow handler, in synthetic time
			mu.Lock()
			if slices.Contains(answered, "evt_2") {
				t.Error("the receipt came before the event was handled")
			}
			if len(answered) < 2 {
				t.Errorf("%d signs of life in a minute", len(answered))
			}
			mu.Unlock()
			s.add("inb_1", "message.received")
		}
		synctest.Wait() // until the server has read what was written
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(answered, "evt_2") || slices.Contains(answered, "evt_3") {
			t.Errorf("answered %q", answered)
		}
	})
}

func TestListenWithALimitConfirmsTheLastEventAndNoOther(t *testing.T) {
	inBubble(t, func() *stream { s := newStream(5); s.fence = true; return s }, func(t *testing.T, s *stream, c *client.Client) {
		var mu sync.Mutex
		var answered []string
		s.onPong = func(body string) {
			mu.Lock()
			defer mu.Unlock()
			answered = append(answered, body)
		}
		var got []string
		for e, err := range c.Listen(t.Context(), client.ListenOptions{LastEventID: "evt_1", Limit: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.ID)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := ids(2, 3); !slices.Equal(got, want) || !slices.Equal(answered, want) {
			t.Errorf("got %v, answered %v", got, answered)
		}
	})
}

func TestListenWithALimitEndsThoughTheServerAsksForNoReceipt(t *testing.T) {
	inBubble(t, func() *stream { return newStream(2) }, func(t *testing.T, _ *stream, c *client.Client) {
		n := 0
		for _, err := range c.Listen(t.Context(), client.ListenOptions{LastEventID: "evt_1", Limit: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

func TestListenLeavesAServerThatFallsSilent(t *testing.T) {
	inBubble(t, func() *stream { return newStream(1) }, func(t *testing.T, s *stream, c *client.Client) {
		s.mute = true
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		o := client.ListenOptions{OnState: func(st client.State) {
			if st.Kind == client.StateReconnecting {
				cancel()
			}
		}}
		if err := firstError(ctx, c, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("left after %v", took)
		}
	})
}

func TestListenAcksWhatWasHandledAndNothingElse(t *testing.T) {
	inBubble(t, func() *stream { return newStream(6) }, func(t *testing.T, s *stream, c *client.Client) {
		var mu sync.Mutex
		var acked []string
		s.onAck = func(id string) {
			mu.Lock()
			defer mu.Unlock()
			acked = append(acked, id)
		}
		listen := func(after string, limit, most int) {
			n := 0
			for _, err := range c.Listen(t.Context(), client.ListenOptions{LastEventID: after, Limit: limit, Ack: true, Group: "workers"}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == most {
					break
				}
			}
			synctest.Wait()
		}
		listen("evt_1", 2, 0) // handles both
		listen("evt_3", 0, 2) // leaves the second unhandled
		mu.Lock()
		defer mu.Unlock()
		if want := ids(2, 4); !slices.Equal(acked, want) {
			t.Errorf("acked %v, want %v", acked, want)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.subscribes[0].Ack {
			t.Error("acks were not asked for")
		}
		if got := s.subscribes[0].Group; got != "workers" {
			t.Errorf("asked for the group %q", got)
		}
	})
}

func TestListenToEverythingSubscribesAgainForInboxesThatAreNew(t *testing.T) {
	for name, c := range map[string]struct {
		inboxes []string
		want    int // subscriptions in three and a half minutes
	}{"everything": {nil, 4}, "one inbox": {[]string{"inb_1"}, 1}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func() *stream { return newStream(2) }, func(t *testing.T, s *stream, cl *client.Client) {
				ctx, cancel := context.WithTimeout(t.Context(), 210*time.Second)
				defer cancel()
				connected := 0
				o := client.ListenOptions{Inboxes: c.inboxes, LastEventID: "evt_1", OnState: func(st client.State) { connected++ }}
				n := 0
				for _, err := range cl.Listen(ctx, o) {
					if err == nil {
						n++
					}
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.subscribes) != c.want || connected != 1 || n != 1 {
					t.Fatalf("%d subscriptions, %d events, told of %d states", len(s.subscribes), n, connected)
				}
				for _, again := range s.subscribes[1:] {
					if again.LastEventID != "" || len(again.InboxIDs) != 0 {
						t.Errorf("subscribed again by %+v", again)
					}
				}
			})
		})
	}
}
