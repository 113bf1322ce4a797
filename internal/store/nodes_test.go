package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/dispatch"
	"openmail/internal/mailbox"
	"openmail/internal/outgoing"
	"openmail/internal/store"
)

// nodes has two processes write to one database, each in its way, and returns
// how often they waited for each other for good.
func (h *house) nodes(t *testing.T, each ...func(*house, *sync.WaitGroup)) (deadlocks int) {
	t.Helper()
	var g sync.WaitGroup
	var open []*house
	for _, do := range each {
		node := *h
		node.DB = openStore(t, h.at)
		open = append(open, &node)
		do(&node, &g)
	}
	g.Wait()
	for _, node := range open { // then PostgreSQL has counted
		h.check(node.Close())
	}
	raw, err := sql.Open("pgx", h.at.database)
	h.check(err)
	defer raw.Close()
	h.check(raw.QueryRowContext(t.Context(), "select deadlocks from pg_stat_database where datname = current_database()").Scan(&deadlocks))
	return deadlocks
}

func TestTwoNodesTakeTheAccountsOfAMailInOneOrder(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	one := h.inbox
	h.account = h.addAccount()
	h.scope = openmail.Scope{Account: h.account}
	two := h.addInbox("joe")
	filing := func(to ...openmail.Inbox) func(*house, *sync.WaitGroup) {
		return func(node *house, g *sync.WaitGroup) {
			for range 4 { // senders
				g.Go(func() {
					for range 10 {
						if _, err := node.File(t.Context(), node.filing(mail{to: to})); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
	}
	if n := h.nodes(t, filing(one, two), filing(two, one)); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

func TestTwoNodesTakePodsInOneOrder(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	pods := []openmail.Pod{h.addPod("one"), h.addPod("two"), h.addPod("three"), h.addPod("four")}
	creating := func(name string) func(*house, *sync.WaitGroup) {
		return func(node *house, g *sync.WaitGroup) {
			for i, p := range pods {
				g.Go(func() {
					for n := range 20 {
						node.addInboxIn(p.ID, fmt.Sprintf("%s%d-%d", name, i, n))
					}
				})
			}
		}
	}
	if n := h.nodes(t, creating("ann"), creating("bob")); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// Sockets of one account may be at two nodes: both get its events, and confirm
// or lose them in an order of their own.
func TestTwoNodesTakeTheEventsOfReceiptsInOneOrder(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	h.sockets = true
	var receipts []dispatch.Receipt
	for range 100 {
		e := h.event(h.file(mail{}).Event)
		receipts = append(receipts, dispatch.Receipt{Account: h.account, Position: e.Position, PushedAt: time.Now(), At: time.Now()})
	}
	confirming := func(receipts []dispatch.Receipt) func(*house, *sync.WaitGroup) {
		return func(node *house, g *sync.WaitGroup) {
			g.Go(func() {
				for range 5 {
					for i := range receipts { // of a replay
						receipts[i].Attempt++
					}
					if err := node.Confirm(t.Context(), openmail.Operator(), receipts); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	backwards := slices.Clone(receipts)
	slices.Reverse(backwards)
	if n := h.nodes(t, confirming(receipts), confirming(backwards)); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// A mail that one node files while another deletes its inbox is refused, or goes
// with the inbox.
func TestNothingIsLeftOfAnInboxThatAnotherNodeDeletes(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	var doomed []openmail.Inbox
	for n := range 20 {
		doomed = append(doomed, h.addInbox(fmt.Sprintf("joe%d", n)))
	}
	filing := func(node *house, g *sync.WaitGroup) {
		for _, in := range doomed {
			g.Go(func() {
				for range 20 {
					if _, err := node.File(t.Context(), node.filing(mail{to: []openmail.Inbox{in}})); err != nil {
						return // it is gone
					}
				}
			})
		}
	}
	deleting := func(node *house, g *sync.WaitGroup) {
		g.Go(func() {
			for _, in := range doomed {
				node.check(node.DeleteInbox(t.Context(), node.scope, in.ID, time.Now()))
			}
		})
	}
	deadlocks := h.nodes(t, filing, deleting)
	events, _, err := h.Events(t.Context(), h.scope, dispatch.Filter{}, 0, 100)
	h.check(err)
	if deadlocks > 0 || len(events) > 0 {
		t.Errorf("%d deadlocks, and %d events are left", deadlocks, len(events))
	}
}

// What another node has deleted is in this one's memory for a moment at most.
func TestAReplayHasNothingThatAnotherNodeDeletedLongAgo(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	h.sockets = true
	var last string
	for range 3 {
		f := h.filing(mail{})
		f.Copies[0].Message.CreatedAt = time.Now().Add(-time.Minute)
		filed, err := h.File(t.Context(), f)
		h.check(err)
		last = filed[0].Message
	}
	h.nodes(t, func(node *house, _ *sync.WaitGroup) {
		node.check(node.DeleteMessage(t.Context(), node.scope, last))
	})
	replayed, err := h.After(t.Context(), h.scope, 0, 10)
	if len(replayed) != 2 || err != nil {
		t.Errorf("%d events, %v; want 2", len(replayed), err)
	}
}

func TestTwoNodesTakeTheLanesOfDomainsInOneOrder(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	sending := func(of house) func(*house, *sync.WaitGroup) {
		return func(node *house, g *sync.WaitGroup) {
			of.DB = node.DB
			for range 10 { // senders, and carriers
				g.Go(func() {
					for range 10 {
						of.sendAndCarry(t)
					}
				})
			}
		}
	}
	one := *h
	h.account = h.addAccount()
	h.scope = openmail.Scope{Account: h.account}
	h.inbox = h.addInbox("joe")
	if n := h.nodes(t, sending(one), sending(*h)); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// sendAndCarry sends a mail to six domains in any order, and carries what is due
// to one of them.
func (h *house) sendAndCarry(t *testing.T) {
	var to []string
	for _, i := range rand.Perm(6) {
		to = append(to, fmt.Sprintf("x@d%d.test", i))
	}
	if _, err := h.AcceptMail(t.Context(), h.scope, h.acceptance("", to...)); err != nil {
		t.Error(err)
	}
	now := time.Now().Add(time.Second)
	c, err := h.ClaimMail(t.Context(), openmail.Operator(), to[0][2:], now)
	if err == nil && len(c.Due) > 0 {
		err = h.SettleMail(t.Context(), openmail.Operator(), c, became(c, outgoing.Next{State: openmail.StatusSent}, outgoing.Answer{}), now)
	}
	if err != nil {
		t.Error(err)
	}
}

// The orders hold among ourselves. Whoever else writes may still stand in the
// way: then PostgreSQL picks whom it turns back.
func TestAGroupThatIsTurnedBackIsRunAgain(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	h.check(h.Close())
	raw, err := sql.Open("pgx", h.at.database)
	h.check(err)
	defer raw.Close()
	var name string
	h.check(raw.QueryRowContext(t.Context(), "select current_database()").Scan(&name))
	_, err = raw.ExecContext(t.Context(), "alter database "+name+" set deadlock_timeout = '2s'") // of ours
	h.check(err)
	h.DB = openStore(t, h.at)
	thread := h.accept(h.acceptance("", "x@d.test")).Thread

	other, err := raw.Conn(t.Context())
	h.check(err)
	defer other.Close()
	do := func(statement string, args ...any) {
		_, err := other.ExecContext(t.Context(), statement, args...)
		h.check(err)
	}
	do("set deadlock_timeout = '1h'") // it is never the one that is turned back
	do("begin")
	do("update thread set is_read = 1 where id = $1", thread)
	a := h.acceptance("", "y@e.test")
	a.Message.Thread, a.Reply = thread, true
	sent := make(chan error, 1)
	go func() { _, err := h.AcceptMail(t.Context(), h.scope, a); sent <- err }()
	for waiting := 0; waiting == 0 && t.Context().Err() == nil; {
		h.check(raw.QueryRowContext(t.Context(), "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'").Scan(&waiting))
	}
	do("update account set name = name where id = $1", h.account) // which the mail has taken
	do("commit")
	h.check(<-sent)
	if n := len(h.claimMail("e.test", time.Now()).Due); n != 1 {
		t.Errorf("%d deliveries are due", n)
	}
}

// A loop that sends where it may not, and strangers that are turned away, are
// counted in the same records at both nodes.
func TestTwoNodesTakeTheRecordsOfRefusalsInOneOrder(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	inboxes := []openmail.Inbox{h.inbox, h.addInbox("a"), h.addInbox("b"), h.addInbox("c"), h.addInbox("d"), h.addInbox("e")}
	now := time.Now()
	refused := func(in openmail.Inbox) openmail.PolicyRecord {
		r := record(openmail.Scope{Account: h.account, Pod: in.Pod, Inbox: in.ID}, openmail.PolicyRefused, now)
		r.Address, r.Reason = "eve@evil.test", openmail.ReasonBlocked
		return r
	}
	for i, in := range inboxes {
		got, err := h.Inbox(t.Context(), h.scope, in.ID)
		h.check(err)
		inboxes[i] = got
	}
	refusing := func(inboxes []openmail.Inbox) func(*house, *sync.WaitGroup) {
		return func(node *house, g *sync.WaitGroup) {
			for range 4 {
				g.Go(func() {
					for n := range 60 {
						r := refused(inboxes[n%len(inboxes)])
						if err := node.RecordRefusal(t.Context(), r.At, r); err != nil {
							t.Error(err)
						}
						f := node.filing(mail{to: inboxes[n%len(inboxes) : n%len(inboxes)+1], verdict: &openmail.Verdict{Reason: openmail.ReasonBlocked}})
						f.Copies[0].Refused = &r
						if _, err := node.File(t.Context(), f); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
	}
	back := slices.Clone(inboxes)
	slices.Reverse(back)
	if n := h.nodes(t, refusing(inboxes), refusing(back)); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// What a key of the account says of a pod holds, though a key of the pod says
// something else at the other node at that moment.
func TestAPodsKeyAtAnotherNodeOverwritesNothingOfTheAccounts(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	pod := h.addPod("acme")
	account := openmail.Key{ID: "key_account", Account: h.account}
	tenant := openmail.Key{ID: "key_pod", Account: h.account, Pod: pod.ID}
	room := func(db *store.DB) *mailbox.Mailbox {
		return mailbox.New(mailbox.Config{Pods: db, Inboxes: db, Policies: db, Rules: db, Records: db})
	}
	var inboxes []openmail.Inbox
	var rounds []chan struct{} // both say that they are there
	for n := range 60 {
		inboxes, rounds = append(inboxes, h.addInboxIn(pod.ID, fmt.Sprint("a", n))), append(rounds, make(chan struct{}))
	}
	adding := func(node *house, g *sync.WaitGroup) {
		m := room(node.DB)
		g.Go(func() {
			for n, in := range inboxes {
				rounds[n] <- struct{}{}
				_, err := m.AddRule(t.Context(), account, mailbox.Level{Inbox: in.ID}, openmail.Inbound, mailbox.NewRule{Type: openmail.RuleBlock, Value: "evil.test"})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	putting := func(node *house, g *sync.WaitGroup) {
		m := room(node.DB)
		g.Go(func() {
			for n, in := range inboxes {
				<-rounds[n]
				put := mailbox.PolicyPut{Direction: openmail.Inbound, Mode: openmail.ModeInherit, Rules: []mailbox.NewRule{{Type: openmail.RuleBlock, Value: "spam.test"}}}
				_, err := m.PutPolicy(t.Context(), tenant, mailbox.Level{Inbox: in.ID}, []mailbox.PolicyPut{put})
				if err != nil && openmail.CodeOf(err) != openmail.CodeForbidden { // which is that of a rule that it may not leave out
					t.Error(err)
				}
			}
		})
	}
	if n := h.nodes(t, adding, putting); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
	for _, in := range inboxes {
		p, err := h.Policy(t.Context(), h.scope, openmail.Inbound, openmail.Scope{Account: h.account, Pod: pod.ID, Inbox: in.ID})
		h.check(err)
		if own := p[len(p)-1].Rules; !slices.ContainsFunc(own, func(r openmail.Rule) bool { return r.ByAccount }) {
			t.Errorf("of %s is left %+v", in.Address, own)
		}
	}
}
