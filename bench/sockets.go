package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
)

// proveSockets opens thousands of sockets that subscribe and then stay silent,
// each time on a fresh server: a heap that has been larger would hide growth.
func proveSockets(ctx context.Context, b *bench) error {
	if err := b.needHarness(ctx); err != nil {
		return err
	}
	counts := []int{5000, 19500}
	if b.short {
		counts = []int{1000}
	}
	if err := needFiles(counts[len(counts)-1]); err != nil {
		return err
	}
	for _, n := range counts {
		var memory, connects, calm, dropped []float64
		for k := range b.runs {
			b.progress.say("run %d of %d: %d sockets", k+1, b.runs, n)
			r, err := b.idleSockets(ctx, n)
			if err != nil {
				return err
			}
			memory, connects = append(memory, r.RSSKB), append(connects, r.Connects)
			calm, dropped = append(calm, r.HoldCPU), append(dropped, r.Dropped)
		}
		at := fmt.Sprintf("%d sockets: ", n)
		b.report.add(at+"resident memory of one", "KiB", atMost(6), memory...)
		b.report.add(at+"connected", "/s", bar{}, connects...)
		b.report.add(at+"server CPU in 10 idle seconds", "s", bar{}, calm...)
		b.report.add(at+"dropped", "", atMost(0), dropped...)
	}
	return nil
}

func (b *bench) idleSockets(ctx context.Context, n int) (r result, err error) {
	s, err := b.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := s.makeInboxes(ctx, 1); err != nil {
		return r, err
	}
	return b.drive(ctx, "wsidle", append(s.socketArgs(n, `{"type":"subscribe"}`), "-pid", strconv.Itoa(s.pid()), "-hold", "10s")...)
}

// needFiles raises the limit of open files of this process and its children.
func needFiles(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	want := uint64(n + 400) // the sockets, and what else a process has open
	l.Cur = max(l.Cur, min(want, l.Max))
	if l.Cur < want {
		return fmt.Errorf("%d open files are needed and %d allowed: raise the hard limit (ulimit -Hn)", want, l.Max)
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}
