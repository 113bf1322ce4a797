package ws

import "sync/atomic"

// pump is work that is done in a goroutine of its own whenever somebody rings for
// it: by one at a time, and once more when it rang meanwhile.
type pump struct {
	rings atomic.Int32 // what rang since it last rested
}

// ring asks for the work, by step, which reports whether there may be more. It
// does not block.
func (p *pump) ring(t *tasks, step func() (more bool)) {
	if p.rings.Add(1) == 1 {
		t.start(func() { p.run(step) })
	}
}

func (p *pump) run(step func() (more bool)) {
	for {
		seen := p.rings.Load()
		for step() {
		}
		if p.rings.CompareAndSwap(seen, 0) {
			return
		}
	}
}
