package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"openmail/api"
)

// errand is one mail that a client wants sent, under one key.
type errand struct {
	key    string
	inbox  string
	bodies [2][]byte // the request, and another that comes under the same key
	to     []string  // recipients elsewhere
	local  string    // an inbox of the server that gets a copy; "": none
	rivals bool      // both bodies are sent at once, and either may win
	twins  bool      // the request is sent twice at once

	winner int // the body that was taken; -1 while nobody knows
	answer api.Sent
	tries  int
}

// answered reports whether a 200 came.
func (o *errand) answered() bool { return o.answer.MessageID != "" }

// verdict is what came of one request.
type verdict struct {
	body   int
	status int // 0: no answer
	sent   api.Sent
	code   string // of an error
}

// clients make requests, and make each again until it was answered.
type clients struct {
	inboxes []api.Inbox
	rngs    []*rand.Rand

	mu       sync.Mutex
	made     int
	pending  []*errand
	done     []*errand
	faults   map[string]int
	again    int // requests made again
	twins    int // pairs in flight that were both answered
	refused  int // 409 to another body
	replayed int // old keys asked again
}

const sendConns = 8

func newClients(inboxes []api.Inbox, seed uint64) *clients {
	c := &clients{inboxes: inboxes, faults: map[string]int{}}
	for i := range sendConns {
		c.rngs = append(c.rngs, rand.New(rand.NewPCG(seed, uint64(i+1))))
	}
	return c
}

// run makes requests until ctx ends or the server is gone. The function that it
// returns waits for all of them.
func (c *clients) run(ctx context.Context, s *server) (wait func()) {
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * sendConns}, Timeout: 30 * time.Second}
	var wg sync.WaitGroup
	for _, rng := range c.rngs {
		wg.Go(func() {
			for ctx.Err() == nil && c.one(ctx, web, s, rng) {
			}
		})
	}
	return func() { wg.Wait(); web.CloseIdleConnections() }
}

// drain makes the requests that are not answered yet, until they are, and asks
// every old key once more where the server is to live on.
func (c *clients) drain(ctx context.Context, s *server, once bool) error {
	web := &http.Client{Timeout: 30 * time.Second}
	defer web.CloseIdleConnections()
	for ctx.Err() == nil {
		o := c.next(nil)
		if o == nil {
			break
		}
		if !c.try(ctx, web, s, o) && once {
			return fmt.Errorf("the key %s got no answer", o.key)
		}
	}
	if once {
		return nil
	}
	for _, o := range c.done {
		if !c.judge(o, c.post(ctx, web, s, o, o.winner)) {
			return fmt.Errorf("the key %s got no answer", o.key)
		}
		c.replayed++
	}
	return ctx.Err()
}

// one makes the requests of one errand, and then perhaps one that must change
// nothing. It returns whether the server still answers.
func (c *clients) one(ctx context.Context, web *http.Client, s *server, rng *rand.Rand) bool {
	o := c.next(rng)
	if !c.try(ctx, web, s, o) {
		return false
	}
	old := c.old(rng)
	switch {
	case old == nil:
	case rng.IntN(8) == 0: // another body under a used key
		return c.judge(old, c.post(ctx, web, s, old, 1-old.winner))
	case rng.IntN(8) == 0:
		c.mu.Lock()
		c.replayed++
		c.mu.Unlock()
		return c.judge(old, c.post(ctx, web, s, old, old.winner))
	}
	return true
}

// next is an errand without an answer, or a new one; nil for no new ones.
func (c *clients) next(rng *rand.Rand) *errand {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.pending); n > 0 {
		o := c.pending[0]
		c.pending = c.pending[1:]
		c.again++
		return o
	}
	if rng == nil {
		return nil
	}
	c.made++
	return newErrand(c.made, c.inboxes, rng)
}

func (c *clients) old(rng *rand.Rand) *errand {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.done) == 0 {
		return nil
	}
	return c.done[rng.IntN(len(c.done))]
}

// try makes the requests of an errand, and returns whether it is answered now.
func (c *clients) try(ctx context.Context, web *http.Client, s *server, o *errand) bool {
	bodies := []int{0}
	switch {
	case o.rivals:
		bodies = []int{0, 1}
	case o.twins:
		bodies = []int{0, 0}
	}
	verdicts := make([]verdict, len(bodies))
	var wg sync.WaitGroup
	for i, body := range bodies {
		wg.Go(func() { verdicts[i] = c.post(ctx, web, s, o, body) })
	}
	wg.Wait()
	both := true
	for _, v := range verdicts {
		both = c.judge(o, v) && both
	}
	c.settle(o, both && len(bodies) == 2)
	return o.answered()
}

func (c *clients) settle(o *errand, both bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if both {
		c.twins++
	}
	if o.tries++; o.answered() {
		c.done = append(c.done, o)
	} else {
		c.pending = append(c.pending, o)
	}
}

// judge holds an answer against what is known of its key, and returns whether
// there was one.
func (c *clients) judge(o *errand, v verdict) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case v.status == 0 || v.status == http.StatusServiceUnavailable:
		return false
	case v.status == http.StatusOK && o.winner == 1-v.body:
		c.faults[faultReuse]++
	case v.status == http.StatusOK:
		if !o.answered() {
			o.winner, o.answer = v.body, v.sent
		} else if o.answer.MessageID != v.sent.MessageID || o.answer.ProviderMessageID != v.sent.ProviderMessageID || o.answer.ThreadID != v.sent.ThreadID {
			c.faults[faultAnswer]++
		}
	case v.status == http.StatusConflict && v.code == "idempotency_conflict" && o.winner != v.body:
		if !o.answered() {
			o.winner = 1 - v.body // which must prove true
		}
		c.refused++
	default:
		c.faults[faultDenied]++
	}
	return true
}

// post makes one request.
func (c *clients) post(ctx context.Context, web *http.Client, s *server, o *errand, body int) verdict {
	v := verdict{body: body}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.http+"/v1/inboxes/"+o.inbox+"/send", bytes.NewReader(o.bodies[body]))
	if err != nil {
		return v
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header["Idempotency-Key"] = []string{o.key}
	req.GetBody = nil // a request that got no answer is made again here, and nowhere else
	resp, err := web.Do(req)
	if err != nil {
		return v
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return v // half an answer is none
	}
	var fault struct{ Error string }
	if resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &v.sent)
	} else {
		err = json.Unmarshal(text, &fault)
	}
	if err == nil {
		v.status, v.code = resp.StatusCode, fault.Error
	}
	return v
}

// newErrand makes a mail for one or two recipients elsewhere, perhaps with a copy
// to an inbox of the server, small or too large for a row.
func newErrand(n int, inboxes []api.Inbox, rng *rand.Rand) *errand {
	in := inboxes[rng.IntN(len(inboxes))]
	o := &errand{key: fmt.Sprintf("order-%d", n), inbox: in.ID}
	at := rng.IntN(16)
	o.to = []string{fmt.Sprintf("a%d@d%d.example", n, at)}
	switch rng.IntN(6) {
	case 0: // by a conversation of its own
		o.to = append(o.to, fmt.Sprintf("b%d@d%d.example", n, (at+1)%16))
	case 1: // by the same
		o.to = append(o.to, fmt.Sprintf("b%d@d%d.example", n, at))
	case 2:
		o.local = inboxes[rng.IntN(len(inboxes))].Address
		if o.local == in.Address {
			o.local = ""
		}
	}
	o.twins = rng.IntN(4) == 0
	if o.rivals = rng.IntN(8) == 0; o.rivals {
		o.winner = -1
	}
	size := 200 + rng.IntN(3000)
	if rng.IntN(25) == 0 {
		size = 90_000
	}
	for i := range o.bodies {
		o.bodies[i] = o.request(i, size, rng)
	}
	return o
}

func (o *errand) request(i, size int, rng *rand.Rand) []byte {
	var b strings.Builder
	for fmt.Fprintf(&b, "body %d of %s\n", i, o.key); b.Len() < size; {
		fmt.Fprintf(&b, "%016x%016x%016x\n", rng.Uint64(), rng.Uint64(), rng.Uint64())
	}
	return o.text(b.String())
}

// text is the request for a mail with that body.
func (o *errand) text(body string) []byte {
	r := api.SendRequest{To: o.to[0], CC: o.to[1:], Subject: o.key, Body: body}
	if o.local != "" {
		r.CC = append(r.CC, o.local)
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings always can
	}
	return text
}
