package extract

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// holding takes slots for a second each.
type holding struct {
	*slots
	noting sync.Mutex
	order  []string
}

func (h *holding) hold(ctx context.Context, account string) {
	go func() {
		if h.take(ctx, account, 1) {
			h.noting.Lock()
			h.order = append(h.order, account)
			h.noting.Unlock()
			time.Sleep(time.Second)
			h.give(account)
		}
	}()
	synctest.Wait()
}

func (h *holding) list() []string {
	h.noting.Lock()
	defer h.noting.Unlock()
	return slices.Clone(h.order)
}

func TestAnAccountWhoseFilesWereBombsLeavesASlotToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &holding{slots: newSlots(2)}
		h.blame("bomber")
		for range 3 {
			h.hold(t.Context(), "bomber")
		}
		h.hold(t.Context(), "other")
		if len(h.list()) != 2 || h.list()[1] != "other" {
			t.Errorf("slots went to %v, want one for each account", h.list())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(h.list()) != 4 || len(h.busy) != 0 || h.free != 2 || h.bytes != 0 {
			t.Errorf("in the end: %v, %+v", h.list(), h.slots)
		}
		time.Sleep(blamedFor)
		h.hold(t.Context(), "bomber")
		h.hold(t.Context(), "bomber")
		if len(h.list()) != 6 {
			t.Errorf("after a while it still has %d slots", h.busy["bomber"])
		}
		time.Sleep(time.Minute)
	})
}

func TestWhoHasFewestSlotsComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &holding{slots: newSlots(2)}
		for _, account := range []string{"a", "a", "a", "a", "b"} {
			h.hold(t.Context(), account)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(h.list()) != 5 || h.list()[2] != "b" && h.list()[3] != "b" {
			t.Errorf("slots went to %v, want b before the last of a", h.list())
		}
	})
}

func TestTheBlamedAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2)
		for n := range 2 * maxBlamed {
			s.blame(fmt.Sprint(n))
		}
		if len(s.blamed) > maxBlamed {
			t.Errorf("%d are remembered", len(s.blamed))
		}
		time.Sleep(2 * blamedFor)
		if s.blame("new"); len(s.blamed) != 1 {
			t.Errorf("%d are remembered after a while", len(s.blamed))
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		if !s.take(t.Context(), "a", 1) {
			t.Fatal("no slot")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s.take(ctx, "b", 1) {
			t.Error("a slot that is taken was had")
		}
		if len(s.waiting) != 0 || s.bytes != 0 {
			t.Errorf("who left still waits: %+v", s)
		}
		s.give("a")
		if !s.take(t.Context(), "b", 1) {
			t.Error("no slot though it was given back")
		}
	})
}

func TestWhoWouldWaitBehindTooManyDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		s.take(t.Context(), "a", 1)
		ctx, cancel := context.WithCancel(t.Context())
		for range maxWaitingAccount {
			go s.take(ctx, "a", 1)
		}
		synctest.Wait()
		if s.ask("a", 1) != nil {
			t.Error("an account may wait more often than it should")
		}
		go s.take(ctx, "b", maxWaitingBytes/2)
		synctest.Wait()
		if s.ask("c", maxWaitingBytes) != nil {
			t.Error("more bytes may wait than should")
		}
		cancel()
		synctest.Wait()
		if len(s.waiting) != 0 || s.bytes != 0 {
			t.Errorf("in the end: %+v", s)
		}
	})
}
