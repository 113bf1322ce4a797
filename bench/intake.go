package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// inboxes is how many inboxes the load goes round.
const inboxes = 64

// intakeCase is one way to load the server, with its bars.
type intakeCase struct {
	conns, n, attach int
	rate, p99, syncs bar
	bytes            bar // KB written a mail
}

func intakeCases(short bool) []intakeCase {
	cases := []intakeCase{
		{conns: 64, n: 20000, rate: atLeast(2000), p99: atMost(100), syncs: atMost(0.2)},
		{conns: 8, n: 8000, rate: atLeast(1200), p99: atMost(100)},
		{conns: 1, n: 2000, p99: atMost(100)},
		{conns: 8, n: 1500, attach: 75000, p99: atMost(100)},
	}
	if short {
		for i := range cases {
			cases[i].n /= 10
		}
	}
	return cases
}

func (c intakeCase) String() string {
	size := "2 KiB"
	if c.attach > 0 {
		size = "100 KiB"
	}
	sessions := "sessions"
	if c.conns == 1 {
		sessions = "session"
	}
	return fmt.Sprintf("%s, %d %s", size, c.conns, sessions)
}

// intakeRun is what one run measured.
type intakeRun struct {
	rate, p50, p99, syncs, cpu, written float64
}

// proveIntake measures each case on new data, in turns, so that other load of
// the machine meets all of them alike.
func proveIntake(ctx context.Context, b *bench) error {
	if err := b.needHarness(ctx); err != nil {
		return err
	}
	before, err := b.limits(ctx)
	if err != nil {
		return err
	}
	cases := intakeCases(b.short)
	runs := make([][]intakeRun, len(cases))
	for n := range b.runs {
		for i, c := range cases {
			b.progress.say("run %d of %d: %s", n+1, b.runs, c)
			r, err := b.intake(ctx, c)
			if err != nil {
				return err
			}
			runs[i] = append(runs[i], r)
		}
	}
	after, err := b.limits(ctx)
	if err != nil {
		return err
	}
	for i, c := range cases {
		b.report.intake(c, runs[i])
	}
	for _, name := range []string{"append 4 KiB + fdatasync x1", "group commit of 2048 B x8", "group commit of 2048 B x64"} {
		b.report.add("limit: "+name, "/s", bar{}, before[name], after[name])
	}
	return b.traceSyncs(ctx)
}

// intake measures one case once.
func (b *bench) intake(ctx context.Context, c intakeCase) (r intakeRun, err error) {
	s, err := b.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := s.makeInboxes(ctx, inboxes); err != nil {
		return r, err
	}
	commits, err := s.metric(ctx, "openmail_store_commits_total")
	if err != nil {
		return r, err
	}
	args := append(s.smtpArgs(inboxes, c.conns, c.n), "-attach", fmt.Sprint(c.attach))
	m, err := b.drive(ctx, "smtpload", args...)
	if err != nil {
		return r, err
	}
	now, err := s.metric(ctx, "openmail_store_commits_total")
	return intakeRun{
		rate: m.Rate, p50: m.Commit.P50, p99: m.Commit.P99, syncs: (now - commits) / m.Sent,
		cpu: m.Server.CPU * 1000 / m.Sent, written: m.Server.WrittenKB / m.Sent,
	}, err
}

// intake adds the figures of a case.
func (r *report) intake(c intakeCase, runs []intakeRun) {
	add := func(name, unit string, bar bar, of func(intakeRun) float64) {
		values := make([]float64, len(runs))
		for i, run := range runs {
			values[i] = of(run)
		}
		r.add(fmt.Sprintf("%s: %s", c, name), unit, bar, values...)
	}
	add("mails", "/s", c.rate, func(r intakeRun) float64 { return r.rate })
	add("end of DATA to 250, p50", "ms", bar{}, func(r intakeRun) float64 { return r.p50 })
	add("end of DATA to 250, p99", "ms", c.p99, func(r intakeRun) float64 { return r.p99 })
	add("commits a mail", "", c.syncs, func(r intakeRun) float64 { return r.syncs })
	add("server CPU a mail", "ms", bar{}, func(r intakeRun) float64 { return r.cpu })
	add("written a mail", "KB", c.bytes, func(r intakeRun) float64 { return r.written })
}

// traceSyncs has strace watch the server take mails over one session: the log's
// fsync has to return before each 250 is written.
func (b *bench) traceSyncs(ctx context.Context) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		b.report.note("strace is not installed: that the fsync comes before the 250 was not looked at")
		return nil
	}
	data, log, err := b.folder()
	if err != nil {
		return err
	}
	defer log.Close()
	trace := data + ".strace"
	args := append([]string{
		"-f", "-y", "-qq", "-s", "40", "--seccomp-bpf", "-e", "trace=fsync,fdatasync,write", "-o", trace,
		b.binary, "serve", "--data", data, "--domain", domain,
	}, anyPorts()...)
	s, err := launchCommand(exec.Command(strace, args...), data, log)
	if err != nil {
		return err
	}
	const mails = 300
	sent, err := b.traced(ctx, s, mails)
	if err = errors.Join(err, s.kill()); err != nil {
		return err
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		return err
	}
	replies, early := order(string(text))
	b.report.add("under strace: mails acknowledged, one session", "", atLeast(sent), float64(replies))
	b.report.add("under strace: 250 without the log's fsync before it", "", atMost(0), float64(early))
	return nil
}

func (b *bench) traced(ctx context.Context, s *server, mails int) (sent float64, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if _, err := s.makeInboxes(ctx, 1); err != nil {
		return 0, err
	}
	m, err := b.drive(ctx, "smtpload", s.smtpArgs(1, 1, mails)...)
	return m.Sent, err
}

// order reads what strace saw of one SMTP session: how many mails were answered
// with 250, and how many of these without an fsync of the database's log that
// returned after the answer before.
func order(trace string) (replies, early int) {
	synced := false
	pending := map[string]bool{} // threads in an fsync of the log that has not returned
	for l := range strings.Lines(trace) {
		thread, call, _ := strings.Cut(l, " ")
		call = strings.TrimLeft(call, " ")
		switch {
		case strings.Contains(call, "sync(") && strings.Contains(call, "-wal>"):
			if strings.Contains(call, "<unfinished") {
				pending[thread] = true
			} else {
				synced = synced || returnedZero(call)
			}
		case strings.Contains(call, "sync resumed>") && pending[thread]:
			delete(pending, thread)
			synced = synced || returnedZero(call)
		case strings.HasPrefix(call, "write(") && strings.Contains(call, `"250 2.0.0 Ok: queued`):
			replies++
			if !synced {
				early++
			}
			synced = false
		}
	}
	return replies, early
}

func returnedZero(call string) bool { return strings.HasSuffix(strings.TrimSpace(call), "= 0") }
