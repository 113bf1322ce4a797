package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// restAfter is how long a server is left alone before its memory is read.
const restAfter = 2 * time.Second

// proveSmall looks at the binary, its start on new and on old data, and its
// memory at rest.
func proveSmall(ctx context.Context, b *bench) error {
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.report.add("binary", "MB", atMost(40), float64(info.Size())/1e6)
	var first, again, rest []float64
	for range max(b.runs, 5) {
		r, err := b.small(ctx)
		if err != nil {
			return err
		}
		first, again, rest = append(first, r.first), append(again, r.again), append(rest, r.restKB/1024)
	}
	b.report.add("first start to SMTP banner and HTTP answer", "ms", bar{}, first...)
	b.report.add("start to SMTP banner and HTTP answer", "ms", atMost(300), again...)
	b.report.add("resident memory at rest", "MiB", atMost(40), rest...)
	return nil
}

// smallRun is what one run measured: times in milliseconds.
type smallRun struct {
	first, again, restKB float64
}

func (b *bench) small(ctx context.Context) (r smallRun, err error) {
	data, log, err := b.folder()
	if err != nil {
		return r, err
	}
	defer log.Close()
	for _, took := range []*float64{&r.first, &r.again} {
		if *took, r.restKB, err = b.oneStart(ctx, data, log); err != nil {
			return r, err
		}
	}
	return r, nil
}

// oneStart times a start on ports that are known beforehand, so that nothing
// but the server is waited for.
func (b *bench) oneStart(ctx context.Context, data string, log *os.File) (ms, restKB float64, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	s, err := launch(b.binary, data, log, "--http", ports[0], "--smtp", ports[1])
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.await(ctx, func() bool { return greets(ports[1]) }); err != nil {
		return 0, 0, err
	}
	if err := s.await(ctx, func() bool { return answers(ports[0]) }); err != nil {
		return 0, 0, err
	}
	ms = float64(time.Since(begin).Microseconds()) / 1000
	if err := rest(ctx, restAfter); err != nil {
		return 0, 0, err
	}
	restKB, err = residentKB(s.pid())
	return ms, restKB, err
}

// freePorts finds loopback ports that nobody listens on.
func freePorts(n int) ([]string, error) {
	var ports []string
	var held []net.Listener
	defer func() {
		for _, l := range held {
			closeAll(l)
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held, ports = append(held, l), append(ports, l.Addr().String())
	}
	return ports, nil
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
