package dispatch_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/dispatch"
	"openmail/internal/id"
)

var (
	simSeeds = flag.Int("seeds", 8, "how many schedules the simulation tries")
	simFirst = flag.Uint64("seed", 1, "the first of them")
	simTrace = flag.Bool("trace", false, "print what happens")
	simTwice = flag.Int("twice", 0, "of how many of them to see that they repeat")
)

// TestNoScheduleLosesAnEvent runs the dispatcher, the event stream and the store
// together in a world where a seed decides what happens next: which call to the
// store goes on, fails, or is done without its caller being told; which bell is
// lost; when the server dies, and is started again on what it left; what the
// clock says; which agent reads, answers, vanishes or comes back; what an endpoint
// answers. Then the world calms down, and nothing may be missing.
//
// A seed repeats what happened, to the letter (go test -run … -seed N -trace).
func TestNoScheduleLosesAnEvent(t *testing.T) {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm") // what is fsynced there is so at once
	}
	// Two goroutines that are ready run in one order, which nothing breaks in upon.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(2 << 30))
	var sum tally
	for i := range *simSeeds {
		seed := *simFirst + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			first := simulate(t, seed, &sum)
			if i < *simTwice && !t.Failed() {
				if again := simulate(t, seed, &sum); first != again {
					t.Errorf("the seed does not repeat:\n%s", difference(first, again))
				}
			}
		})
		if i%20 == 0 {
			runtime.GC()
		}
		if (i+1)%500 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d seeds\n", i+1, *simSeeds)
		}
	}
	t.Logf("%+v", sum)
	if v := reflect.ValueOf(sum); *simSeeds >= 100 {
		for i := range v.NumField() {
			if v.Field(i).Int() == 0 {
				t.Errorf("in %d seeds there were no %s", *simSeeds, v.Type().Field(i).Name)
			}
		}
	}
}

// tally is what all seeds together have come through.
type tally struct {
	Mails, Events, Calls, Failures, LostAnswers, Kills, Stops, ClocksSet, Posts, RefusedPosts, Pushes, Disconnects, Vanished int
}

// difference is the first lines in which two traces differ, with those before.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	return strings.Join(x[max(0, i-5):i], "\n") + fmt.Sprintf("\n- %s\n+ %s", strings.Join(x[i:min(i+5, len(x))], "\n- "), strings.Join(y[i:min(i+5, len(y))], "\n+ "))
}

// simulate runs one seed, and returns what happened.
func simulate(t *testing.T, seed uint64, sum *tally) (trace string) {
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed, sum)
		defer func() {
			s.end()
			trace = strings.Join(s.trace, "\n")
			if t.Failed() || *simTrace {
				t.Logf("seed %d:\n%s", seed, trace)
			}
		}()
		s.prepare()
		for range 60 + s.rng.IntN(200) {
			s.step()
		}
		s.settle()
		s.judge()
	})
	return trace
}

// mood is what kind of world a seed makes: how likely each misfortune is.
type mood struct {
	undisturbed bool    // none, and nothing waits for long
	fault       float64 // a call to the store fails
	deaf        float64 // a bell is not heard
	held        float64 // the answer of a call waits
	death       float64 // an agent ends its connection, rather than reads
	crash       float64 // the server dies, in place of another step
	jump        float64 // likewise: the clock is set
	refuse      float64 // an endpoint does not take a post; 1: it never does, not even in the end
}

func newMood(r *rand.Rand) mood {
	some := func(of ...float64) float64 { return of[r.IntN(len(of))] }
	switch r.IntN(8) {
	case 0:
		return mood{undisturbed: true}
	case 1, 2: // the server is well, and the agents are not
		return mood{deaf: some(0, 0.5, 1), death: some(0.3, 1, 2), refuse: some(0, 1)}
	}
	return mood{
		fault: some(0, 0.02, 0.1, 0.3), deaf: some(0, 0.1, 0.5, 1), held: some(0, 0.1, 0.5), death: some(0, 0.1, 0.5, 1),
		crash: some(0, 0, 0.003, 0.015), jump: some(0, 0, 0.005, 0.02), refuse: some(0, 0.3, 0.9, 1),
	}
}

// sim is the world of one seed.
type sim struct {
	t *testing.T
	*tally
	seed    uint64
	rng     *rand.Rand // of the simulation's own goroutine only
	mood    mood
	kernel  *kernel
	start   time.Time
	process *process

	accounts  []*account
	agents    []*agent
	mails     []*mail
	confirmed map[string]bool // events, by some agent
	posts     map[string]*posted
	calm      bool // no misfortune happens any more
	killed    bool
	settling  bool // nor will it: agents that are gone come back

	mu      sync.Mutex
	pending []*call
	rings   []string
	rolls   map[string]uint64
	names   map[string]string // of ids
	trace   []string
}

// account is one account.
type account struct {
	id       string
	name     string
	inboxes  []openmail.Inbox
	hook     bool // a webhook is set
	changing bool // it comes and goes
}

// mail is one mail, and whether somebody was told that it is here.
type mail struct {
	name     string
	rcpts    []openmail.Recipient
	mu       sync.Mutex
	tried    int
	trying   bool
	accepted bool
}

// posted is what an endpoint has seen of an event.
type posted struct{ taken, refused, gone int }

func newSim(t *testing.T, seed uint64, sum *tally) *sim {
	r := rand.New(rand.NewPCG(seed, 0))
	s := &sim{
		t: t, tally: sum, seed: seed, rng: r, mood: newMood(r), kernel: newKernel(t), start: time.Now(),
		confirmed: map[string]bool{}, posts: map[string]*posted{}, rolls: map[string]uint64{}, names: map[string]string{},
	}
	s.note("%+v", s.mood)
	return s
}

// note adds a line to the trace.
func (s *sim) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace = append(s.trace, fmt.Sprintf("%9.3f  ", time.Since(s.start).Seconds())+fmt.Sprintf(format, args...))
}

// fail notes that something is wrong.
func (s *sim) fail(format string, args ...any) {
	s.t.Helper()
	s.note("WRONG: "+format, args...)
	s.t.Errorf(format, args...)
}

// roll is a number in [0, 1) for the next time that something happens, which no
// other goroutine's doing changes.
func (s *sim) roll(what string) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rolls[what]++
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, []uint64{s.seed, s.rolls[what]})
	_, _ = h.Write([]byte(what))
	return rand.New(rand.NewPCG(h.Sum64(), 1)).Float64()
}

// name gives an id its name in the trace.
func (s *sim) name(id, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[id] = name
}

func (s *sim) label(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := s.names[id]; ok {
		return name
	}
	return "nobody"
}

func (s *sim) eventName(id string) string    { return s.label(id) }
func (s *sim) event(e openmail.Event) string { return fmt.Sprint(s.label(e.Account), e.Position) }
func (s *sim) lane(l dispatch.Lane) string   { return s.label(l.Account) }
func (s *sim) receipts(r []dispatch.Receipt) string {
	var names []string
	for _, x := range r {
		names = append(names, fmt.Sprintf("%s%d#%d", s.label(x.Account), x.Position, x.Attempt))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// prepare makes accounts, inboxes and agents.
func (s *sim) prepare() {
	s.process = s.begin(s.t.TempDir())
	synctest.Wait()
	for i := range 1 + s.rng.IntN(2) {
		s.makeAccount(string(rune('A' + i)))
	}
	if s.mood.undisturbed {
		for _, a := range s.agents {
			a.connect()
		}
		s.run(time.Minute, func() bool {
			return !slices.ContainsFunc(s.agents, func(a *agent) bool { return a.conn == nil || !a.conn.subscribed })
		})
	}
}

func (s *sim) makeAccount(name string) {
	db, ctx := s.process.db, context.Background()
	deadlines := []time.Duration{3 * time.Second, 10 * time.Second, 120 * time.Second}
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), ReceiptDeadline: deadlines[s.rng.IntN(3)], CreatedAt: time.Now()}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: time.Now()}
	check(s.t, db.CreateAccount(ctx, openmail.Operator(), a, k, sha256.Sum256([]byte(a.ID))))
	s.name(a.ID, name)
	acc := &account{id: a.ID, name: name}
	s.accounts = append(s.accounts, acc)
	for i := range 1 + s.rng.IntN(2) {
		in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: a.ID, Address: fmt.Sprintf("%s%d@openmail.test", strings.ToLower(name), i), CreatedAt: time.Now()}
		check(s.t, db.CreateInbox(ctx, openmail.Scope{Account: a.ID}, in))
		in, err := db.InboxAt(ctx, openmail.Operator(), in.Address)
		check(s.t, err)
		s.name(in.ID, fmt.Sprint(name, ".", i))
		acc.inboxes = append(acc.inboxes, in)
	}
	acc.changing = !s.mood.undisturbed && s.rng.IntN(4) == 0
	if s.rng.IntN(3) > 0 {
		s.setHook(acc, true)
	}
	group := s.rng.IntN(2) == 0
	for i := range s.rng.IntN(5) {
		ag := &agent{sim: s, name: fmt.Sprint("agent ", name, i), account: acc, ack: s.rng.IntN(3) == 0, had: map[string]int{}}
		if s.rng.IntN(3) == 0 {
			ag.inbox = &acc.inboxes[s.rng.IntN(len(acc.inboxes))]
		}
		if group && s.rng.IntN(3) > 0 {
			ag.group = "workers"
		}
		s.agents = append(s.agents, ag)
	}
}

// setHook sets an account's webhook, or removes it.
func (s *sim) setHook(a *account, on bool) {
	a.hook = on
	scope := openmail.Scope{Account: a.id}
	if !on {
		check(s.t, s.process.db.DeleteEndpoint(context.Background(), scope, ""))
		return
	}
	check(s.t, s.process.db.PutEndpoint(context.Background(), scope, openmail.Endpoint{
		ID: id.New(openmail.PrefixEndpoint), Account: a.id, URL: "https://agent.test/", Secret: "s", Enabled: true, CreatedAt: time.Now(),
	}))
}

func (s *sim) accountOf(id string) *account {
	i := slices.IndexFunc(s.accounts, func(a *account) bool { return a.id == id })
	return s.accounts[i]
}

// head is the position of an account's newest event.
func (s *sim) head(a *account) openmail.Position {
	p, err := s.process.db.Head(context.Background(), openmail.Scope{Account: a.id})
	check(s.t, err)
	return p
}

// choice is something that can happen next.
type choice struct {
	weight float64
	do     func()
}

// step has one thing happen.
func (s *sim) step() {
	synctest.Wait()
	var all []choice
	may := func(weight float64, do func()) { all = append(all, choice{weight, do}) }
	calls := s.waiting()
	if len(calls) > 0 {
		may(12, func() { s.release(calls[s.rng.IntN(len(calls))]) })
	}
	if len(s.rings) > 0 {
		may(4, s.ring)
	}
	if len(s.mails) < 30 {
		may(3, s.send)
	}
	idle := len(calls) == 0 && len(s.rings) == 0
	for _, a := range s.agents {
		if a.conn == nil || a.waiting() {
			idle = false
			may(5, func() { s.act(a) })
		}
		if a.conn != nil && a.conn.subscribed {
			may(4*s.mood.death, func() { s.part(a) })
		}
	}
	if !s.mood.undisturbed || idle {
		may(3, s.pass)
	}
	may(60*s.mood.crash, s.crash)
	may(20*s.mood.crash, s.restart)
	may(60*s.mood.jump, s.setClock)
	if !s.mood.undisturbed {
		may(0.5, s.owner)
	}
	sum := 0.0
	for _, c := range all {
		sum += c.weight
	}
	at := s.rng.Float64() * sum
	for _, c := range all {
		if at -= c.weight; at < 0 {
			c.do()
			return
		}
	}
}

// waiting lists the calls at the gates, in an order that does not depend on which
// came first.
func (s *sim) waiting() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.pending, func(a, b *call) int { return strings.Compare(a.String(), b.String()) })
	return slices.Clone(s.pending)
}

// release lets a call go on.
func (s *sim) release(c *call) {
	s.mu.Lock()
	s.pending = slices.DeleteFunc(s.pending, func(x *call) bool { return x == c })
	s.mu.Unlock()
	s.Calls++
	v := verdict{}
	if c.post != nil {
		v = s.respond(c)
	} else if !s.calm && c.do == nil {
		switch r := s.rng.Float64(); {
		case r < s.mood.fault/2:
			v.err = errDisk
		case r < s.mood.fault:
			v.lost = true
		}
		v.held = v.err == nil && s.rng.Float64() < s.mood.held && !strings.HasSuffix(c.name, "returns")
	}
	switch {
	case c.post != nil:
		s.Posts++
		s.note("%s: %s", c, cmp.Or(v.post.Error, string(v.post.Outcome)))
	case v.err != nil:
		s.Failures++
		s.note("%s: fails", c)
	case v.lost:
		s.LostAnswers++
		s.note("%s: done, and the answer is lost", c)
	default:
		s.note("%s", c)
	}
	c.tell(v)
	synctest.Wait()
}

// respond is what an endpoint answers.
func (s *sim) respond(c *call) (v verdict) {
	seen := s.posts[c.post.Event.ID]
	if seen == nil {
		seen = &posted{}
		s.posts[c.post.Event.ID] = seen
	}
	if s.calm && s.mood.refuse < 1 || s.rng.Float64() >= s.mood.refuse {
		seen.taken++
		v.post = openmail.Attempt{Status: 200, Outcome: openmail.OutcomeDelivered}
		if !s.calm && s.rng.Float64() < s.mood.fault {
			v.post = openmail.Attempt{Outcome: openmail.OutcomeError, Error: "taken, and the answer is lost"}
			seen.refused++
		}
		return v
	}
	s.RefusedPosts++
	switch n := s.rng.IntN(12); {
	case n == 0 && !s.calm:
		seen.gone++
		s.accountOf(c.post.Event.Account).changing = true // it is disabled
		v.post = openmail.Attempt{Status: 410, Outcome: openmail.OutcomeGone}
	case n < 4:
		seen.refused++
		v.post = openmail.Attempt{Outcome: openmail.OutcomeError, Error: "connection refused"}
	default:
		seen.refused++
		v.post = openmail.Attempt{Status: 503, Outcome: openmail.OutcomeRefused}
		v.retryAfter = []time.Duration{0, 0, time.Second, 40 * time.Second, time.Hour}[s.rng.IntN(5)]
	}
	return v
}

// ring lets a bell be heard that was rung before.
func (s *sim) ring() {
	i := s.rng.IntN(len(s.rings))
	account := s.rings[i]
	if s.rng.IntN(4) > 0 { // else it is heard twice
		s.rings = slices.Delete(s.rings, i, i+1)
	}
	s.note("the bell of %s", s.label(account))
	s.process.hear(account)
}

// send has a mail come in, or come again that was not taken.
func (s *sim) send() {
	for _, m := range s.mails {
		if m.again() && s.rng.IntN(2) == 0 {
			s.deliver(m)
			return
		}
	}
	acc := s.accounts[s.rng.IntN(len(s.accounts))]
	m := &mail{name: fmt.Sprint("mail ", len(s.mails)+1)}
	for _, in := range acc.inboxes {
		if len(m.rcpts) == 0 || s.rng.IntN(4) == 0 {
			m.rcpts = append(m.rcpts, openmail.Recipient{Addr: in.Address, Inbox: in})
		}
	}
	if n := len(acc.inboxes); n > 1 && len(m.rcpts) == 1 && s.rng.IntN(2) == 0 {
		m.rcpts[0] = openmail.Recipient{Addr: acc.inboxes[1].Address, Inbox: acc.inboxes[1]}
	}
	s.mails = append(s.mails, m)
	s.Mails++
	s.deliver(m)
}

// again reports whether its sender would try once more.
func (m *mail) again() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.accepted && !m.trying
}

// deliver hands a mail to the server.
func (s *sim) deliver(m *mail) {
	m.mu.Lock()
	m.trying = true
	m.tried++
	m.mu.Unlock()
	s.note("%s to %s", m.name, m.rcpts[0].Addr)
	raw := "From: ann@sender.test\r\nTo: " + m.rcpts[0].Addr + "\r\nSubject: " + m.name + "\r\nMessage-ID: <" +
		strings.ReplaceAll(m.name, " ", "") + "@sender.test>\r\n\r\nHello\r\n"
	p := s.process
	p.parts.Go(func() {
		_, err := p.intake.Accept(context.Background(), openmail.Envelope{MailFrom: "ann@sender.test", Rcpts: m.rcpts}, strings.NewReader(raw))
		m.mu.Lock()
		defer m.mu.Unlock()
		m.trying = false
		if err == nil {
			m.accepted = true
			p.note("%s is taken", m.name)
		}
	})
}

// act has an agent do what is next.
func (s *sim) act(a *agent) {
	switch {
	case a.conn == nil:
		s.note("%s connects, after %s", a, s.eventName(a.last))
		a.connect()
	case a.readable() && (s.rng.IntN(2) == 0 || !a.answerable()):
		a.read(1 + s.rng.IntN(4))
	case a.answerable():
		s.note("%s answers", a)
		a.answer()
	}
}

// part ends an agent's connection.
func (s *sim) part(a *agent) {
	s.Disconnects++
	switch s.rng.IntN(4) {
	case 0:
		a.leave()
	case 1:
		a.reset()
	default:
		s.Vanished++
		a.vanish(s.rng.IntN(2) == 0)
	}
}

// pass lets time go by.
func (s *sim) pass() {
	all := []time.Duration{time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, time.Second, 3 * time.Second, 11 * time.Second, 31 * time.Second, 3 * time.Minute}
	if s.mood.undisturbed {
		all = all[:3]
	}
	time.Sleep(all[s.rng.IntN(len(all))])
}

// crash kills the server and starts it on what it has left.
func (s *sim) crash() {
	s.note("the server is killed")
	s.Kills++
	s.killed = true
	dir := s.process.die()
	s.down(dir)
}

func (s *sim) down(dir string) {
	time.Sleep([]time.Duration{0, time.Second, 20 * time.Second, 10 * time.Minute}[s.rng.IntN(4)])
	s.note("the server starts")
	s.process = s.begin(dir)
	synctest.Wait()
}

// restart stops the server as a signal does.
func (s *sim) restart() {
	s.note("the server is stopped")
	s.Stops++
	p := s.process
	stopped := make(chan struct{})
	p.stop()
	go func() {
		p.wind()
		close(stopped)
	}()
	calm := s.calm
	s.calm = true // what is under way is finished
	s.run(5*time.Minute, func() bool {
		select {
		case <-stopped:
			return true
		default:
			return false
		}
	})
	s.calm = calm
	p.dead.Store(true)
	p.bury()
	s.down(p.dir)
}

// setClock sets the clock forward or back: what the store holds is now another
// time away, and no timer notices.
func (s *sim) setClock() {
	by := []time.Duration{-24 * time.Hour, -time.Hour, -time.Minute, time.Minute, time.Hour}[s.rng.IntN(5)]
	s.note("the clock is set by %v", by)
	s.ClocksSet++
	check(s.t, s.sql("update event set due_at = due_at - $1 where due_at > 0", by.Microseconds()))
}

// owner has an account's owner do something.
func (s *sim) owner() {
	acc := s.accounts[s.rng.IntN(len(s.accounts))]
	if acc.changing && s.rng.IntN(2) == 0 {
		s.note("the webhook of %s: %v", acc.name, !acc.hook)
		s.setHook(acc, !acc.hook)
		return
	}
	p, scope := s.process, openmail.Scope{Account: acc.id}
	s.note("the owner of %s has what failed sent again", acc.name)
	p.parts.Go(func() {
		_, _ = p.again.RedeliverAll(context.Background(), scope, dispatch.Filter{State: openmail.StateFailed})
	})
}

// run lets everything go its way, without misfortune, until cond holds.
func (s *sim) run(patience time.Duration, cond func() bool) bool {
	until := time.Now().Add(patience)
	for {
		synctest.Wait()
		if cond() {
			return true
		}
		switch calls := s.waiting(); {
		case len(calls) > 0:
			s.release(calls[0])
		case len(s.rings) > 0:
			s.ring()
		default:
			if s.agentsGoOn() {
				continue
			}
			if time.Now().After(until) {
				return false
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (s *sim) agentsGoOn() (some bool) {
	if s.process.dead.Load() {
		return false
	}
	for _, a := range s.agents {
		if a.conn == nil && s.settling {
			some = true
			a.connect()
		}
		for a.waiting() {
			some = true
			if a.readable() {
				a.read(100)
			} else {
				a.answer()
			}
			synctest.Wait() // one after the other
			if a.conn != nil && a.readable() && !a.answerable() {
				break // half a frame
			}
		}
	}
	return some
}

// settle ends all misfortune, and waits for what must follow.
func (s *sim) settle() {
	s.note("the world calms down")
	s.calm, s.settling = true, true
	began, late := time.Now(), time.Time{}
	ok := s.run(30*time.Minute, func() bool {
		done := true
		for _, m := range s.mails {
			if m.again() {
				s.deliver(m)
			}
			m.mu.Lock()
			done = done && m.accepted
			m.mu.Unlock()
		}
		for _, a := range s.agents {
			done = done && a.conn != nil && a.conn.subscribed
		}
		if time.Since(began) > 15*time.Second && time.Since(late) > time.Second {
			late = time.Now()
			s.punctual(time.Since(began))
		}
		return done && len(s.waiting()) == 0 && s.underWay() == 0
	})
	if !ok {
		s.fail("after half an hour something is still under way:\n%s", strings.Join(s.list(), "\n"))
	}
	s.run(45*time.Second, func() bool { return false })
}

// end stops the server.
func (s *sim) end() {
	s.process.dead.Store(true)
	s.process.bury()
}
