package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"time"
)

// queueCase is one way to fill the queue.
type queueCase struct {
	n, domains int
}

func queueCases(short bool) []queueCase {
	cases := []queueCase{{n: 3000, domains: 1}, {n: 3000, domains: 64}}
	if short {
		for i := range cases {
			cases[i].n /= 10
		}
	}
	return cases
}

func (c queueCase) String() string {
	if c.domains == 1 {
		return "to one domain"
	}
	return fmt.Sprintf("to %d domains", c.domains)
}

// queueRun is what one run measured: mails a second, and CPU of the server.
type queueRun struct {
	drained, through, accepted, cpu, commits float64
	reference                                float64
}

// proveQueue measures how fast mail leaves for a relay that takes everything,
// and beside it, in turns, how fast a loop with the standard library's SMTP
// client hands the same mails to the same relay, that keeps nothing on disk.
func proveQueue(ctx context.Context, b *bench) error {
	cases := queueCases(b.short)
	runs := make([][]queueRun, len(cases))
	for n := range b.runs {
		for i, c := range cases {
			b.progress.say("run %d of %d: %s", n+1, b.runs, c)
			r, err := b.queue(ctx, c)
			if err != nil {
				return err
			}
			runs[i] = append(runs[i], r)
		}
	}
	for i, c := range cases {
		add := func(name, unit string, of func(queueRun) float64) {
			values := make([]float64, len(runs[i]))
			for n, run := range runs[i] {
				values[n] = of(run)
			}
			b.report.add(c.String()+": "+name, unit, bar{}, values...)
		}
		add("queue to relay", "mails/s", func(r queueRun) float64 { return r.drained })
		add("request to relay", "mails/s", func(r queueRun) float64 { return r.through })
		add("accepted", "mails/s", func(r queueRun) float64 { return r.accepted })
		add("server CPU a mail", "ms", func(r queueRun) float64 { return r.cpu })
		add("commits a mail in the queue", "", func(r queueRun) float64 { return r.commits })
		add("reference: net/smtp, a connection for each", "mails/s", func(r queueRun) float64 { return r.reference })
	}
	return nil
}

// queue measures one case once: the queue is filled while the relay is away,
// and drained from a start with it; then mail comes and goes at once.
func (b *bench) queue(ctx context.Context, c queueCase) (r queueRun, err error) {
	k := &sending{b: b}
	if err := k.setUp(ctx); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, k.sink.close(), k.log.Close()) }()
	s, err := launch(b.binary, k.data, k.log, "--http", k.ports[0], "--smtp", k.ports[1], "--relay", "none")
	if err != nil {
		return r, err
	}
	if err := s.ready(ctx); err != nil {
		return r, errors.Join(err, s.kill())
	}
	begin := time.Now()
	err = k.fill(ctx, s, c)
	r.accepted = float64(c.n) / time.Since(begin).Seconds()
	if err := errors.Join(err, s.stop()); err != nil {
		return r, err
	}
	if err := k.drainQueue(ctx, c, &r); err != nil {
		return r, err
	}
	workers := 4
	if c.domains > 1 {
		workers = 32
	}
	r.reference, err = k.sink.reference(c.n, workers)
	return r, err
}

// drainQueue starts the server with the relay and lets the queue run empty, and
// then fills it again while it does.
func (k *sending) drainQueue(ctx context.Context, c queueCase, r *queueRun) (err error) {
	s, err := k.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := k.allSent(ctx, s); err != nil {
		return err
	}
	all, err := k.all(c)
	if err != nil {
		return err
	}
	r.drained = float64(c.n-1) / all[c.n-1].quit.Sub(all[0].opened).Seconds()
	r.cpu = cpuOf(s.pid()) * 1000 / float64(c.n)
	commits, err := s.metric(ctx, "openmail_store_commits_total")
	if err != nil {
		return err
	}
	r.commits = commits / float64(c.n)
	k.sink.forget()
	begin := time.Now()
	if err := errors.Join(k.fill(ctx, s, c), k.allSent(ctx, s)); err != nil {
		return err
	}
	r.through = float64(c.n) / time.Since(begin).Seconds()
	_, err = k.all(c)
	return err
}

// all is what the relay has, which must be everything.
func (k *sending) all(c queueCase) ([]handover, error) {
	all := k.sink.handovers()
	if len(all) != c.n {
		return nil, fmt.Errorf("the relay has %d mails, not %d", len(all), c.n)
	}
	return all, nil
}

// fill has mails of 2 KiB accepted, by eight clients.
func (k *sending) fill(ctx context.Context, s *server, c queueCase) error {
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: sendConns}, Timeout: 30 * time.Second}
	defer web.CloseIdleConnections()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for worker := range sendConns {
		wg.Go(func() {
			for n := worker; n < c.n; n += sendConns {
				o := &errand{key: fmt.Sprintf("%d-%d", time.Now().UnixNano(), n), inbox: k.clients.inboxes[n%sendInboxes].ID}
				o.to = []string{fmt.Sprintf("a@d%d.example", n%c.domains)}
				o.bodies[0] = o.text(strings.Repeat("A line of a mail, of which there are many.\n", 48))
				if v := k.clients.post(ctx, web, s, o, 0); v.status != http.StatusOK {
					mu.Lock()
					failed = fmt.Errorf("a mail was answered %d %s", v.status, v.code)
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// reference hands mails to the sink with the standard library's client.
func (s *sink) reference(n, workers int) (rate float64, err error) {
	text := []byte("From: a@openmail.localhost\r\nTo: a@d.example\r\nSubject: x\r\nMessage-ID: <x@y>\r\n\r\n" + strings.Repeat("A line of a mail, of which there are many.\r\n", 48))
	addr := strings.TrimPrefix(s.String(), "smtp://")
	var wg sync.WaitGroup
	faults := make([]error, workers)
	begin := time.Now()
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < n && faults[worker] == nil; i += workers {
				faults[worker] = smtp.SendMail(addr, nil, "a@openmail.localhost", []string{"a@d.example"}, text)
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(begin).Seconds(), errors.Join(faults...)
}

// cpuOf is the CPU time of a process in seconds, its own and the kernel's for it.
func cpuOf(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	var user, system float64
	if fields := strings.Fields(rest); len(fields) > 12 {
		_, _ = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	}
	return (user + system) / 100 // USER_HZ
}
