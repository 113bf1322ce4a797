package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"openmail"
	"openmail/api"
	"openmail/client"
)

// What may become of an event whose socket is half open.
const (
	faultUnended  = "events whose delivery has not ended well"
	faultUnposted = "events that were not posted"
	faultUnasked  = "events posted that a healthy socket had"
	faultUnread   = "events that count as read that no agent has read"
)

const (
	postWithin  = 12 * time.Second // of the 250, over a socket that is half open
	peersStrike = 50 * time.Second // in which mail comes in: sockets are given up after 40 s
	peersTrials = 200              // of each misfortune
)

// trial is a mail to an inbox whose socket is half open.
type trial struct {
	inbox    api.Inbox
	message  string
	answered time.Time // the 250
}

// provePeers has agents in network namespaces become half-open peers, and sees how long it takes until their events are posted.
func provePeers(ctx context.Context, b *bench) (err error) {
	if err := loopbackOnly(ctx); err != nil {
		return err
	}
	hook, err := newReceiver()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hook.close()) }()
	data, log, err := b.folder()
	if err != nil {
		return err
	}
	defer log.Close()
	s, err := launch(b.binary, data, log, "--http", "0.0.0.0:0", "--smtp", "127.0.0.1:0", "--webhook-allow", "127.0.0.0/8")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.kill()) }()
	if err := s.ready(ctx); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(s.http); err == nil {
		s.http = net.JoinHostPort("127.0.0.1", port)
	}
	return (&halfOpen{b: b, s: s, hook: hook, faults: map[string]int{}}).run(ctx)
}

// loopbackOnly sees that nothing leads out of the network namespace, and has its loopback go up.
func loopbackOnly(ctx context.Context) error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("a new network namespace has %d interfaces, and not one", len(all))
	}
	return ip(ctx, "link", "set", "lo", "up")
}

// halfOpen is one run of the proof.
type halfOpen struct {
	b      *bench
	s      *server
	hook   *receiver
	peers  []*peer
	faults map[string]int
}

func (h *halfOpen) run(ctx context.Context) error {
	each, during := peersTrials, peersStrike
	if h.b.short {
		each, during = 20, 5*time.Second
	}
	inboxes, err := h.s.makeInboxes(ctx, each*len(misfortunes()))
	if err != nil {
		return err
	}
	c, err := h.s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.PutWebhook(ctx, api.WebhookPut{URL: h.hook.url}); err != nil {
		return err
	}
	defer func() {
		for _, p := range h.peers {
			_ = p.kill() // nothing of theirs is kept
		}
	}()
	for i, what := range misfortunes() {
		var ids []string
		for _, in := range inboxes[i*each : (i+1)*each] {
			ids = append(ids, in.ID)
		}
		p, err := startPeer(ctx, i+1, what, h.s, ids)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		h.peers = append(h.peers, p)
	}
	healthy, err := h.send(ctx, inboxes, 2*time.Second)
	if err != nil {
		return err
	}
	if err := h.quiet(ctx); err != nil {
		return err
	}
	h.b.progress.say("%d sockets are half open, mail comes in for %v", len(inboxes), during)
	for _, p := range h.peers {
		if err := p.strike(ctx); err != nil {
			return err
		}
	}
	struck, err := h.send(ctx, inboxes, during)
	if err != nil {
		return err
	}
	if err := h.quiet(ctx); err != nil {
		return err
	}
	return h.judge(ctx, c, healthy, struck)
}

// send sends a mail to each inbox, at moments within d that a seed chooses.
func (h *halfOpen) send(ctx context.Context, inboxes []api.Inbox, d time.Duration) ([]trial, error) {
	trials := make([]trial, len(inboxes))
	rng := rand.New(rand.NewPCG(h.b.seed, 0))
	g, ctx := errgroup.WithContext(ctx)
	for i, in := range inboxes {
		at := time.Duration(rng.Int64N(int64(d)))
		g.Go(func() (err error) {
			if err := rest(ctx, at); err != nil {
				return err
			}
			trials[i], err = sendTrial(ctx, h.s.smtp, in, i)
			return err
		})
	}
	return trials, g.Wait()
}

func sendTrial(ctx context.Context, smtp string, in api.Inbox, n int) (trial, error) {
	c, err := dialMail(ctx, smtp)
	if err != nil {
		return trial{}, err
	}
	defer c.Close()
	id, err := c.send(plainMail("peers", n, in.Address))
	return trial{in, id, time.Now()}, err
}

// plainMail is a mail of two KiB.
func plainMail(name string, n int, to string) *mail {
	m := &mail{id: fmt.Sprintf("<%s-%d-%d@sender.example>", name, n, time.Now().UnixNano()), to: []string{to}}
	m.data = fmt.Appendf(nil, "From: <sender@sender.example>\r\nTo: <%s>\r\nSubject: %s %d\r\nMessage-ID: %s\r\n\r\n", to, name, n, m.id)
	for len(m.data) < 2048 {
		m.data = append(m.data, "What an agent reads, line after line.\r\n"...)
	}
	m.digest = sha256.Sum256(m.data)
	return m
}

// quiet waits until every delivery has ended.
func (h *halfOpen) quiet(ctx context.Context) error {
	return h.s.waitFor(ctx, settleIn, func() bool {
		n, err := h.s.metrics(ctx, "openmail_deliveries_waiting")
		return err == nil && total(n) == 0
	})
}

func total(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// judge compares what the server tells with what came where.
func (h *halfOpen) judge(ctx context.Context, c *client.Client, healthy, struck []trial) error {
	log, err := eventLog(ctx, c)
	if err != nil {
		return err
	}
	of := map[string]api.Event{}
	for _, e := range log {
		of[*e.MessageID] = e
		if openmail.State(e.State) != openmail.StateDelivered {
			h.faults[faultUnended]++
		}
	}
	each := len(struck) / len(h.peers)
	for i, t := range healthy {
		e := of[t.message].ID
		if _, posted := h.hook.came(e); posted {
			h.faults[faultUnasked]++
		}
		if !h.peers[i/each].read(e) {
			h.faults[faultUnread]++
		}
	}
	for i, p := range h.peers {
		var took []float64
		for _, t := range struck[i*each : (i+1)*each] {
			at, posted := h.hook.came(of[t.message].ID)
			if !posted {
				h.faults[faultUnposted]++
				continue
			}
			took = append(took, at.Sub(t.answered).Seconds())
		}
		h.tell(p.what, each, took)
	}
	if err := h.resume(ctx, c, log); err != nil {
		return err
	}
	for _, name := range []string{faultUnposted, faultUnended, faultUnasked, faultUnread, faultReplay} {
		h.b.report.add(name, "", atMost(0), float64(h.faults[name]))
	}
	return nil
}

// tell adds the figures of a misfortune.
func (h *halfOpen) tell(what misfortune, trials int, took []float64) {
	within := 0
	for _, s := range took {
		if s <= postWithin.Seconds() {
			within++
		}
	}
	r := h.b.report
	r.add(string(what)+": posted within 12 s", "of "+strconv.Itoa(trials), atLeast(float64(trials)), float64(within))
	r.add(string(what)+": the median", "s", bar{}, median(took))
	r.add(string(what)+": the last", "s", atMost(postWithin.Seconds()), quantile(took, 1))
	r.figures[len(r.figures)-2].all = nil
}

// resume ends the misfortunes, and has a new listener read the log.
func (h *halfOpen) resume(ctx context.Context, c *client.Client, log []api.Event) error {
	for _, p := range h.peers {
		if err := p.mend(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	fresh := newListener()
	if err := fresh.catchUp(ctx, c, len(log)); err != nil {
		return err
	}
	h.faults[faultReplay] = differences(ids(log), fresh.order)
	return nil
}
