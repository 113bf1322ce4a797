package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// subscribed is how many sockets want what comes into the busy inboxes.
const subscribed = 10

// latencyCase is a steady rate of mail, with its bars.
type latencyCase struct {
	rate, n, conns int
	eod            bar // end of DATA to frame, p50
}

// proveLatency sends at steady rates while many sockets are open, ten of which
// are owed every event.
func proveLatency(ctx context.Context, b *bench) error {
	if err := b.needHarness(ctx); err != nil {
		return err
	}
	cases := []latencyCase{{rate: 200, n: 3000, conns: 8}, {rate: 20, n: 300, conns: 1, eod: atMost(2)}}
	if b.short {
		cases[0].n, cases[1].n = 600, 60
	}
	runs := make([][]result, len(cases))
	for n := range b.runs {
		for i, c := range cases {
			b.progress.say("run %d of %d: %d mails/s, %d sockets", n+1, b.runs, c.rate, b.sockets)
			r, err := b.latency(ctx, c)
			if err != nil {
				return err
			}
			runs[i] = append(runs[i], r)
		}
	}
	for i, c := range cases {
		b.report.latency(c, runs[i])
	}
	b.report.note("%d sockets were open, %d of them owed each event", b.sockets, subscribed)
	return nil
}

func (b *bench) latency(ctx context.Context, c latencyCase) (r result, err error) {
	s, err := b.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	boxes, err := s.makeInboxes(ctx, 9)
	if err != nil {
		return r, err
	}
	const busy = 8 // the last inbox gets no mail
	calm, err := b.idle(ctx, s, b.sockets-subscribed, fmt.Sprintf(`{"type":"subscribe","inbox_ids":[%q]}`, boxes[busy].ID))
	if err != nil {
		return r, err
	}
	defer calm()
	args := append(s.smtpArgs(busy, c.conns, c.n), s.socketArgs(subscribed, `{"type":"subscribe"}`)...)
	return b.drive(ctx, "smtp2ws", append(args, "-rate", strconv.Itoa(c.rate), "-per-message", strconv.Itoa(subscribed))...)
}

// idle opens sockets that stay until the function that it returns is called.
func (b *bench) idle(ctx context.Context, s *server, clients int, open string) (closeThem func(), err error) {
	if clients <= 0 {
		return func() {}, nil
	}
	before, err := s.metric(ctx, "openmail_sockets")
	if err != nil {
		return nil, err
	}
	holding, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := b.drive(holding, "wsidle", append(s.socketArgs(clients, open), "-pid", strconv.Itoa(s.pid()), "-hold", "1h", "-max-time", "1h")...)
		ended <- err
	}()
	opened := func() bool {
		n, err := s.metric(ctx, "openmail_sockets")
		return len(ended) > 0 || err == nil && n-before >= float64(clients)
	}
	if err = s.await(ctx, opened); err == nil && len(ended) == 0 {
		return func() { end(); <-ended }, nil
	}
	end()
	return nil, fmt.Errorf("open %d idle sockets: %w", clients, errors.Join(err, <-ended))
}

// latency adds the figures of a rate.
func (r *report) latency(c latencyCase, runs []result) {
	add := func(name, unit string, bar bar, of func(result) float64) {
		values := make([]float64, len(runs))
		for i, run := range runs {
			values[i] = of(run)
		}
		r.add(fmt.Sprintf("%d mails/s: %s", c.rate, name), unit, bar, values...)
	}
	add("250 to frame, p50", "ms", atMost(1), func(r result) float64 { return r.From250.P50 })
	add("250 to frame, p99", "ms", atMost(20), func(r result) float64 { return r.From250.P99 })
	add("end of DATA to frame, p50", "ms", c.eod, func(r result) float64 { return r.FromEOD.P50 })
	add("end of DATA to frame, p99", "ms", bar{}, func(r result) float64 { return r.FromEOD.P99 })
	// Of these the worst run counts, not the median.
	r.add(fmt.Sprintf("%d mails/s: lost", c.rate), "", atMost(0), sum(runs, func(r result) float64 { return r.Lost }))
	r.add(fmt.Sprintf("%d mails/s: delivered twice", c.rate), "", atMost(0), sum(runs, func(r result) float64 { return r.Doubled }))
}

func sum(runs []result, of func(result) float64) (total float64) {
	for _, r := range runs {
		total += of(r)
	}
	return total
}
