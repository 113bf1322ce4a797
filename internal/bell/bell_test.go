package bell_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"openmail/internal/bell"
)

func TestEverybodyWhoHearsIsRungFor(t *testing.T) {
	b := bell.NewLocal()
	b.Ring("nobody hears this")
	var one, two []string
	stopOne := b.Hear(func(account string) { one = append(one, account) })
	stopTwo := b.Hear(func(account string) { two = append(two, account) })
	b.Ring("acc_1")
	stopOne()
	b.Ring("acc_2")
	stopTwo()
	b.Ring("acc_3")
	if len(one) != 1 || one[0] != "acc_1" || len(two) != 2 || two[1] != "acc_2" {
		t.Errorf("one heard %v, two heard %v", one, two)
	}
}

func TestRingingAndHearingMayHappenTogether(t *testing.T) {
	b := bell.NewLocal()
	var heard atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				stop := b.Hear(func(string) { heard.Add(1) })
				b.Ring("acc")
				stop()
			}
		})
	}
	wg.Wait()
	if heard.Load() < 800 {
		t.Errorf("heard %d rings, fewer than each ringer's own", heard.Load())
	}
}
