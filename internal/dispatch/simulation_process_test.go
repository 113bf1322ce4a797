package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/blob"
	"openmail/internal/dispatch"
	"openmail/internal/intake"
	"openmail/internal/store"
	"openmail/internal/ws"
)

var (
	errDisk = errors.New("the disk failed")
	errDead = errors.New("the process is dead")
)

// process is one life of the server: everything between the store and the
// sockets, as internal/app puts it together. Each call that leaves it waits at a
// gate until the simulation lets it go.
type process struct {
	*sim
	dir        string
	blobs      *blob.Files
	db         *store.DB
	listeners  *dispatch.Listeners
	dispatcher *dispatch.Dispatcher
	sockets    *dispatch.Sockets
	again      *dispatch.Again
	stream     *ws.Server
	intake     *intake.Intake
	hear       func(account string)
	dead       atomic.Bool
	stop       context.CancelFunc
	parts      sync.WaitGroup
	// What writes for the others outlives them.
	stopWriting context.CancelFunc
	writing     sync.WaitGroup
}

// begin starts a process on what lies in dir.
func (s *sim) begin(dir string) *process {
	s.t.Helper()
	p := &process{sim: s, dir: dir}
	var err error
	p.blobs, err = blob.NewFiles(dir)
	check(s.t, err)
	p.db, err = store.Open(context.Background(), store.Config{Dir: dir, Blobs: p.blobs, FileKey: make([]byte, 32), Links: api.Links{PublicURL: "http://test"}})
	check(s.t, err)
	quiet := slog.New(slog.DiscardHandler)
	p.listeners = dispatch.NewListeners()
	p.sockets = dispatch.NewSockets(p.listeners, p, p, quiet, nil)
	p.dispatcher = dispatch.New(dispatch.Config{Queue: p, Poster: p, Listeners: p.listeners, Sockets: p.sockets, Logger: quiet})
	p.again = dispatch.NewAgain(p, p.listeners, p.dispatcher)
	limits := ws.DefaultLimits()
	limits.Connections = 0 // dead ones count as well
	p.stream = ws.New(ws.Config{
		Keys: p, Revocations: p, Events: p, Inboxes: p, Deliveries: p.sockets, Bell: p, Log: quiet, Limits: limits,
	})
	p.intake = intake.New(intake.Config{
		Store: p, Bell: p, Dispatcher: p, Listening: p.listeners.Wanted, MaxBytes: 1 << 20, Logger: quiet,
	})
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, run := range []func(context.Context) error{p.stream.Run, p.dispatcher.Run} {
		p.parts.Go(func() { check(s.t, run(ctx)) })
	}
	inner, stopWriting := context.WithCancel(context.Background())
	p.stopWriting = stopWriting
	p.writing.Go(func() { check(s.t, p.sockets.Run(inner)) })
	return p
}

// wind waits for the parts of a process that is stopped, and then for what writes
// for them.
func (p *process) wind() {
	p.parts.Wait()
	p.stopWriting()
	p.writing.Wait()
}

// close ends a process that is stopped or dead.
func (p *process) close() {
	p.wind()
	check(p.t, errors.Join(p.db.Close(), p.blobs.Close()))
}

// die is what kill -9 leaves: the files as they are. What waited at a gate never
// happened, or did and nobody knows.
func (p *process) die() (dir string) {
	dir = p.t.TempDir()
	for _, name := range []string{"openmail.db", "openmail.db-wal"} {
		b, err := os.ReadFile(filepath.Join(p.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		check(p.t, err)
		check(p.t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	p.mu.Lock()
	p.dead.Store(true)
	p.mu.Unlock()
	p.bury()
	return dir
}

// bury ends a process that is dead, and whoever was connected to it.
func (p *process) bury() {
	p.mu.Lock()
	left := p.pending
	p.pending, p.rings = nil, nil
	p.mu.Unlock()
	for _, c := range left {
		c.tell(verdict{err: errDead})
	}
	p.stop()
	for _, a := range p.agents {
		a.cut()
	}
	p.close()
}

// verdict is what becomes of a call: err before anything was done; after it, lost.
// held asks once more before the answer is told.
type verdict struct {
	err        error
	lost, held bool
	post       openmail.Attempt // of a post
	retryAfter time.Duration
}

// call waits at a gate.
type call struct {
	name, detail string
	post         *dispatch.Post // of a post
	do           func()         // nobody waits for this one
	answer       chan verdict
}

func (c *call) tell(v verdict) {
	if c.do != nil {
		c.do()
		return
	}
	c.answer <- v
}

func (c *call) String() string { return c.name + c.detail }

// wait waits at the gate. One that nobody waits for is left there.
func (p *process) wait(c *call) verdict {
	c.answer = make(chan verdict, 1)
	p.mu.Lock()
	if p.dead.Load() {
		c.tell(verdict{err: errDead})
	} else {
		p.pending = append(p.pending, c)
	}
	p.mu.Unlock()
	if c.do != nil {
		return verdict{}
	}
	return <-c.answer
}

// gate does what is asked for when the simulation says so, if it does.
func (p *process) gate(name, detail string, do func() error) error {
	v := p.wait(&call{name: name, detail: detail})
	if v.err != nil {
		return v.err
	}
	err := do()
	if v.held {
		v = p.wait(&call{name: name + " returns", detail: detail})
	}
	if v.err != nil || v.lost {
		return errors.Join(v.err, errDisk)
	}
	return err
}

// look is gate for a reading of the log. A socket's own cursor reads while it holds
// its connection, and others wait for that: it is answered at once.
func (p *process) look(name, detail string, do func() error) error {
	who := asking()
	if who != "page" {
		return p.gate(name, detail+" for "+who, do)
	}
	if p.dead.Load() {
		return errDead
	}
	if !p.calm && p.roll(name+detail) < p.mood.fault {
		return errDisk
	}
	return do()
}

// asking is the method of the event stream that asks.
func asking() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "/internal/ws.") || !more {
			return f.Function[strings.LastIndex(f.Function, ".")+1:]
		}
	}
}

func value[T any](gate func(string, string, func() error) error, name, detail string, do func() (T, error)) (v T, err error) {
	err = gate(name, detail, func() (err error) { v, err = do(); return err })
	if err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// The store, as the rooms and the doors see it.

func (p *process) Lanes(ctx context.Context, scope openmail.Scope) ([]dispatch.Lane, error) {
	return value(p.gate, "lanes", "", func() ([]dispatch.Lane, error) { return p.db.Lanes(ctx, scope) })
}

func (p *process) Due(ctx context.Context, scope openmail.Scope, l dispatch.Lane) (posts, others time.Time, err error) {
	err = p.gate("due ", p.lane(l), func() (err error) { posts, others, err = p.db.Due(ctx, scope, l); return err })
	if err != nil {
		posts, others = time.Time{}, time.Time{}
	}
	return posts, others, err
}

func (p *process) Claim(ctx context.Context, scope openmail.Scope, c dispatch.Claim) (dispatch.Claimed, error) {
	return value(p.gate, "claim ", p.lane(c.Lane), func() (dispatch.Claimed, error) { return p.db.Claim(ctx, scope, c) })
}

func (p *process) Settle(ctx context.Context, scope openmail.Scope, posts []dispatch.Settled) error {
	var what []string
	for _, s := range posts {
		what = append(what, fmt.Sprintf("%s#%d=%s", p.event(s.Post.Event), s.Attempt.N, s.Attempt.Outcome))
	}
	return p.gate("settle ", strings.Join(what, " "), func() error { return p.db.Settle(ctx, scope, posts) })
}

func (p *process) Confirm(ctx context.Context, scope openmail.Scope, receipts []dispatch.Receipt) error {
	return p.gate("confirm ", p.receipts(receipts), func() error { return p.db.Confirm(ctx, scope, receipts) })
}

// losses are what is to be done about what was lost.
type losses struct {
	again []openmail.Event
	lanes []dispatch.Lane
}

func (p *process) Drop(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, l dispatch.Listening) ([]openmail.Event, []dispatch.Lane, error) {
	v, err := value(p.gate, "drop ", p.receipts(lost), func() (v losses, err error) {
		v.again, v.lanes, err = p.db.Drop(ctx, scope, lost, l)
		return v, err
	})
	return v.again, v.lanes, err
}

func (p *process) Return(ctx context.Context, scope openmail.Scope, lost []dispatch.Receipt, heirs, l dispatch.Listening) ([]openmail.Event, []dispatch.Lane, error) {
	v, err := value(p.gate, "return ", p.receipts(lost), func() (v losses, err error) {
		v.again, v.lanes, err = p.db.Return(ctx, scope, lost, heirs, l)
		return v, err
	})
	return v.again, v.lanes, err
}

func (p *process) Offer(ctx context.Context, scope openmail.Scope, upTo openmail.Position, wanted func(openmail.Event) bool, limit int) ([]openmail.Event, error) {
	return value(p.gate, "offer ", fmt.Sprint(p.label(scope.Account), " up to ", upTo), func() ([]openmail.Event, error) { return p.db.Offer(ctx, scope, upTo, wanted, limit) })
}

func (p *process) Redeliver(ctx context.Context, scope openmail.Scope, f dispatch.Filter, after openmail.Position, limit int, l dispatch.Listening) ([]openmail.Event, error) {
	return value(p.gate, "redeliver ", fmt.Sprint(p.label(scope.Account), " after ", after), func() ([]openmail.Event, error) { return p.db.Redeliver(ctx, scope, f, after, limit, l) })
}

func (p *process) Abandon(ctx context.Context, scope openmail.Scope, from openmail.Position, held func(openmail.Event) bool, l dispatch.Listening) ([]openmail.Event, []dispatch.Lane, error) {
	v, err := value(p.gate, "abandon ", fmt.Sprint(p.label(scope.Account), " from ", from), func() (v losses, err error) {
		v.again, v.lanes, err = p.db.Abandon(ctx, scope, from, held, l)
		return v, err
	})
	return v.again, v.lanes, err
}

func (p *process) Head(ctx context.Context, scope openmail.Scope) (openmail.Position, error) {
	return value(p.look, "head ", p.label(scope.Account), func() (openmail.Position, error) { return p.db.Head(ctx, scope) })
}

func (p *process) Find(ctx context.Context, scope openmail.Scope, id string) (openmail.Position, error) {
	return value(p.look, "find ", p.eventName(id), func() (openmail.Position, error) { return p.db.Find(ctx, scope, id) })
}

func (p *process) After(ctx context.Context, scope openmail.Scope, after openmail.Position, limit int) ([]openmail.Event, error) {
	return value(p.look, "after ", fmt.Sprint(p.label(scope.Account), " ", after), func() ([]openmail.Event, error) { return p.db.After(ctx, scope, after, limit) })
}

func (p *process) Undelivered(ctx context.Context, scope openmail.Scope, after, upTo openmail.Position, limit int) ([]openmail.Event, error) {
	return value(p.look, "undelivered ", fmt.Sprint(p.label(scope.Account), " ", after, "-", upTo), func() ([]openmail.Event, error) { return p.db.Undelivered(ctx, scope, after, upTo, limit) })
}

func (p *process) Inbox(ctx context.Context, scope openmail.Scope, id string) (openmail.Inbox, error) {
	return value(p.gate, "inbox ", p.label(id), func() (openmail.Inbox, error) { return p.db.Inbox(ctx, scope, id) })
}

func (p *process) InboxIDs(ctx context.Context, scope openmail.Scope, limit int) ([]string, error) {
	return p.db.InboxIDs(ctx, scope, limit)
}

func (p *process) InboxAt(ctx context.Context, scope openmail.Scope, address string) (openmail.Inbox, error) {
	return p.db.InboxAt(ctx, scope, address)
}

func (p *process) PolicyFor(ctx context.Context, scope openmail.Scope, d openmail.Direction, at []openmail.Scope, addrs []string) ([]openmail.Policy, error) {
	return p.db.PolicyFor(ctx, scope, d, at, addrs)
}

func (p *process) SentFrom(ctx context.Context, scope openmail.Scope, path string) (openmail.Message, error) {
	return p.db.SentFrom(ctx, scope, path)
}

func (p *process) SentAs(ctx context.Context, scope openmail.Scope, id string) (openmail.Message, error) {
	return p.db.SentAs(ctx, scope, id)
}

func (p *process) File(ctx context.Context, f intake.Filing) ([]intake.Filed, error) {
	return value(p.gate, "file ", f.Copies[0].Message.Subject, func() ([]intake.Filed, error) {
		filed, err := p.db.File(ctx, f)
		for _, copied := range filed {
			p.name(copied.Event, "of "+f.Copies[0].Message.Subject)
		}
		return filed, err
	})
}

// Post is the network: it answers as the simulation says, or not at all.
func (p *process) Post(_ context.Context, post dispatch.Post, at time.Time) (openmail.Attempt, time.Duration) {
	c := &call{name: "post ", detail: fmt.Sprintf("%s#%d", p.event(post.Event), post.Event.Delivery.Attempts), post: &post}
	v := p.wait(c)
	a := v.post
	if v.err != nil {
		a.Outcome, a.Error = openmail.OutcomeError, v.err.Error()
	}
	a.N, a.Channel, a.At, a.Took = post.Event.Delivery.Attempts, openmail.ChannelWebhook, at, time.Since(at)
	return a, v.retryAfter
}

// Authenticate takes an account's id for its key.
func (p *process) Authenticate(_ context.Context, token string) (openmail.Key, error) {
	err := p.gate("authenticate ", p.label(token), func() error { return nil })
	return openmail.Key{ID: "key", Account: token}, err
}

// RevokedSince knows of none.
func (p *process) RevokedSince(context.Context, openmail.Scope, time.Time) ([]string, error) {
	return nil, nil
}

// Ring is the bell: it may be heard at once, later, or never.
func (p *process) Ring(account string) {
	switch r := p.roll("ring " + p.label(account)); {
	case r < p.mood.deaf:
	case r < 0.5:
		p.mu.Lock()
		p.rings = append(p.rings, account)
		p.mu.Unlock()
	default:
		p.hear(account)
	}
}

// Hear lets the event stream hear it.
func (p *process) Hear(f func(account string)) (stop func()) {
	p.hear = f
	return func() {}
}

// Filed tells the dispatcher of an event, unless that is lost.
func (p *process) Filed(account, lane string, state openmail.State) {
	if p.roll("filed "+p.label(account)) >= p.mood.deaf {
		p.dispatcher.Filed(account, lane, state)
	}
}

// dial has an agent's request answered.
func (p *process) dial(h *handshake, token string) {
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://test/v1/ws", nil)
	for k, v := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Authorization": "Bearer " + token,
	} {
		r.Header.Set(k, v)
	}
	r.RemoteAddr = h.wire.RemoteAddr().String()
	p.parts.Go(func() { p.stream.ServeHTTP(h, r) })
}
