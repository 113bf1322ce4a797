package extract

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoAccountHasAllSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2)
		ctx := t.Context()
		var order []string
		hold := func(account string) {
			go func() {
				if s.take(ctx, account, 1) {
					order = append(order, account)
					time.Sleep(time.Second)
					s.give(account)
				}
			}()
			synctest.Wait()
		}
		for range 3 {
			hold("bomber")
		}
		hold("other")
		if len(order) != 2 || order[1] != "other" {
			t.Errorf("slots went to %v, want one for each account", order)
		}
		time.Sleep(10 * time.Second)
		if len(order) != 4 || len(s.busy) != 0 || s.free != 2 || s.bytes != 0 {
			t.Errorf("in the end: %v, %+v", order, s)
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
