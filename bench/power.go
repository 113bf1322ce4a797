package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite" // to look at what a cut has left
)

const (
	powerCuts = 200
	// Mail comes in for powerBurst, powerBursts times under strace. In between
	// is the time for a whole checkpoint: what comes after it is written over
	// the log's beginning.
	powerBursts = 3
	powerBurst  = 1500 * time.Millisecond
	powerRest   = 2500 * time.Millisecond
	// powerLately is how many of the mails last acknowledged are read after
	// each cut, with a few of the older ones.
	powerLately = 40
)

// Faults of a power cut.
const (
	faultStart     = "starts that failed after a cut"
	faultIntegrity = "databases that SQLite finds broken"
	faultHalf      = "messages without an event, events without a message"
)

// provePower has strace write down what the server does to its files while mail
// comes in, and cuts the power at moments of that record: what was written since
// the last fsync of a file is gone, or any part of it is there. On what is left
// the server is started, and everything that it had acknowledged until then must
// be there.
func provePower(ctx context.Context, b *bench) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return errors.New("strace is not installed: it writes down what the server does to its files")
	}
	p := &power{b: b, rng: rand.New(rand.NewPCG(b.seed, 0)), faults: map[string]int{}}
	b.report.note("seed %d", b.seed)
	if err := p.record(ctx, strace, p.bursts); err != nil {
		return err
	}
	cuts := cmp.Or(b.kills, powerCuts)
	if b.short && b.kills == 0 {
		cuts = powerCuts / 5
	}
	if err := p.cutAll(ctx, cuts); err != nil {
		return fmt.Errorf("seed %d: %w", b.seed, err)
	}
	p.tell(cuts)
	return nil
}

// power is one run.
type power struct {
	b       *bench
	rng     *rand.Rand
	folder  string // of the server that was recorded
	events  []event
	senders *senders
	checked int
	faults  map[string]int
}

// record runs the server under strace until load returns, and kills it, and reads
// what strace has seen. inject are flags by which strace has calls fail.
func (p *power) record(ctx context.Context, strace string, load func(context.Context, *server) error, inject ...string) error {
	data, log, err := p.b.folder()
	if err != nil {
		return err
	}
	defer log.Close()
	parent, err := filepath.EvalSymlinks(filepath.Dir(data))
	if err != nil {
		return err
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return err
	}
	p.folder = filepath.Join(parent, filepath.Base(data)) // as the kernel has it
	trace := data + ".strace"
	args := append(append(straceArgs(trace), inject...), p.b.binary, "serve", "--data", p.folder, "--domain", domain)
	s, err := launchCommand(exec.Command(strace, append(args, anyPorts()...)...), data, log)
	if err != nil {
		return err
	}
	err = p.begin(ctx, s)
	if err == nil {
		err = load(ctx, s)
	}
	if err = errors.Join(err, s.kill()); err != nil {
		return err
	}
	f, err := os.Open(trace)
	if err != nil {
		return err
	}
	defer f.Close()
	p.events, err = readTrace(f, p.folder)
	return err
}

// begin waits for the server and makes its inboxes.
func (p *power) begin(ctx context.Context, s *server) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	inboxes, err := s.makeInboxes(ctx, killInboxes)
	p.senders = newSenders(inboxes, p.b.seed)
	return err
}

// bursts has mail come in, with pauses.
func (p *power) bursts(ctx context.Context, s *server) error {
	for i := range powerBursts {
		p.b.progress.say("mail comes in under strace: %d acknowledged", p.senders.count())
		if i > 0 {
			if err := rest(ctx, powerRest); err != nil {
				return err
			}
		}
		working, stop := context.WithTimeout(ctx, powerBurst)
		p.senders.run(working, s.smtp)()
		stop()
	}
	return ctx.Err()
}

// cutAll cuts at moments after the first acknowledgement: half of them beside an
// fsync, where it matters most, and half anywhere.
func (p *power) cutAll(ctx context.Context, cuts int) error {
	first := p.first()
	if first < 0 {
		return errors.New("strace has seen no mail acknowledged")
	}
	var syncs []int
	for i := first; i < len(p.events); i++ {
		if p.events[i].kind == "sync" {
			syncs = append(syncs, i)
		}
	}
	moments := make([]int, cuts)
	for i := range moments {
		moments[i] = first + p.rng.IntN(len(p.events)-first)
		if i%2 == 0 && len(syncs) > 0 {
			moments[i] = syncs[p.rng.IntN(len(syncs))] + p.rng.IntN(2)
		}
	}
	slices.Sort(moments)
	d, said, at := newDisk(), map[string]bool{}, 0
	for i, moment := range moments {
		for ; at < moment; at++ {
			d.take(p.events[at])
			for _, m := range queued.FindAllSubmatch(p.events[at].data, -1) {
				said[string(m[1])] = true
			}
		}
		p.b.progress.say("cut %d of %d, after %d acknowledged mails: %d faults", i+1, cuts, len(said), p.total())
		if err := p.cut(ctx, d, said); err != nil {
			return fmt.Errorf("cut %d, at event %d: %w", i+1, moment, err)
		}
	}
	return nil
}

// first is when the first mail was acknowledged; -1: never.
func (p *power) first() int {
	return slices.IndexFunc(p.events, func(e event) bool { return e.kind == "said" })
}

// cut starts the server on what a cut leaves, and looks at it.
func (p *power) cut(ctx context.Context, d *disk, said map[string]bool) error {
	data, log, err := p.b.folder()
	if err != nil {
		return err
	}
	defer log.Close()
	luck := []float64{0, 0, 0.5, 0.9}[p.rng.IntN(4)]
	if err := d.cut(p.rng, luck, p.folder, data); err != nil {
		return err
	}
	s, err := launch(p.b.binary, data, log, anyPorts()...)
	if err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		p.faults[faultStart]++
		return errors.Join(ctx.Err(), s.kill())
	}
	err = p.read(ctx, s, said)
	if err = errors.Join(err, s.kill()); err != nil {
		return err
	}
	if err := p.inspect(ctx, data); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(data))
}

// read reads the mails that were acknowledged last, and a few of the others.
func (p *power) read(ctx context.Context, s *server, said map[string]bool) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	var known []acknowledged
	for _, a := range p.senders.acked {
		if said[a.id] {
			known = append(known, a)
		}
	}
	n := min(len(known), powerLately)
	look := slices.Clone(known[len(known)-n:])
	for range min(10, len(known)-n) {
		look = append(look, known[p.rng.IntN(len(known)-n)])
	}
	faults := make([]string, len(look))
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, a := range look {
		g.Go(func() (err error) {
			faults[i], err = checkMail(reading, c, a, true)
			return err
		})
	}
	err = g.Wait()
	p.checked += len(look)
	for _, f := range faults {
		if f != "" {
			p.faults[f]++
		}
	}
	return err
}

// inspect has SQLite look at the database, and counts what stands alone in it.
func (p *power) inspect(ctx context.Context, data string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "openmail.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, "pragma integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		p.faults[faultIntegrity]++
	}
	var alone int
	if err := db.QueryRowContext(ctx, `select (select count(*) from message m where not exists (select 1 from event e where e.message_id = m.id))
		+ (select count(*) from event e where not exists (select 1 from message m where m.id = e.message_id))`).Scan(&alone); err != nil {
		return err
	}
	p.faults[faultHalf] += alone
	return nil
}

func (p *power) total() (n int) {
	for _, f := range p.faults {
		n += f
	}
	return n
}

// tell adds the figures.
func (p *power) tell(cuts int) {
	r := p.b.report
	syncs, checkpoints := 0, 0
	for _, e := range p.events[p.first():] {
		if e.kind == "sync" {
			syncs++
			if filepath.Base(e.path) == "openmail.db" {
				checkpoints++
			}
		}
	}
	r.add("power cuts", "", bar{}, float64(cuts))
	r.add("mails acknowledged under strace", "", bar{}, float64(p.senders.count()))
	r.add("fsyncs after the first", "", bar{}, float64(syncs))
	r.add("checkpoints of the database among them", "", atLeast(1), float64(checkpoints))
	r.add("mails read after a cut", "", atLeast(float64(cuts)), float64(p.checked))
	for _, name := range []string{faultLost, faultChanged, faultStart, faultIntegrity, faultHalf} {
		r.add(name, "", atMost(0), float64(p.faults[name]))
	}
}
