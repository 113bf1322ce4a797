package ws

import (
	"bufio"
	"io"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// BenchmarkPushToOne is an event from the bell to the client's hands, with its
// receipt, one after the other.
func BenchmarkPushToOne(b *testing.B) { benchmarkPush(b, 1) }

// BenchmarkPushToMany is an event to a thousand sockets of one account, until
// the last has it.
func BenchmarkPushToMany(b *testing.B) { benchmarkPush(b, 1000) }

func benchmarkPush(b *testing.B, sockets int) {
	w := newWorld()
	url := w.start(b, func(c *Config) { c.Limits.Connections, c.Limits.Messages = 0, 0 })
	var arrived, readers sync.WaitGroup
	for range sockets {
		c := dialRaw(b, url, "om_a")
		c.subscribe()
		readers.Go(func() { answer(c, &arrived) })
		b.Cleanup(func() { c.Close() })
	}
	b.Cleanup(readers.Wait)
	b.ReportAllocs()
	for b.Loop() {
		arrived.Add(sockets)
		w.mu.Lock()
		w.events = w.events[:0] // only what is new: a log that finds it at once
		w.next++
		w.events = append(w.events, event("inb_a1", w.next))
		w.mu.Unlock()
		w.server.ring("acc_a")
		arrived.Wait()
	}
	b.ReportMetric(float64(b.N*sockets)/b.Elapsed().Seconds(), "deliveries/s")
	for _, s := range w.server.sessions() {
		s.conn.kill()
	}
}

// answer reads events and answers pings until the connection ends.
func answer(c *raw, arrived *sync.WaitGroup) {
	in := bufio.NewReader(c)
	var buf [8]byte
	for {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return
		}
		if h.OpCode == ws.OpPing {
			_, _ = io.ReadFull(in, buf[:h.Length])
			_, _ = c.Write(masked(0x8a, string(buf[:h.Length])))
			continue
		}
		_, _ = io.CopyN(io.Discard, in, h.Length)
		arrived.Done()
	}
}
