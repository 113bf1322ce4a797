package store

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/internal/access"
	"openmail/internal/dispatch"
	"openmail/internal/intake"
	"openmail/internal/mailbox"
	"openmail/internal/outgoing"
)

// fileOne files a mail of 100 bytes, changed by edit.
func fileOne(t *testing.T, db *DB, n int, edit func(*openmail.Message)) intake.Filed {
	t.Helper()
	f := random(n, 100)
	edit(&f.Copies[0].Message)
	filed, err := db.File(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return filed[0]
}

func rowsOf(t *testing.T, db *DB, table string) (n int) {
	t.Helper()
	if err := db.readers.QueryRow("select count(*) from " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// together has the units written in one group.
func together(t *testing.T, db *DB, units ...func(*tx) error) []error {
	t.Helper()
	group := make([]*unit, len(units))
	for i, do := range units {
		group[i] = &unit{do: do, done: make(chan struct{})}
	}
	err := db.w.pause(t.Context(), func(*sql.Conn) error { db.w.commit(slices.Clone(group)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(units))
	for i, u := range group {
		errs[i] = u.err
	}
	return errs
}

// SQLite ends a transaction by itself when it cannot read or has no memory:
// what the next unit of the group wrote would stand on disk piece by piece.
func TestAUnitWhoseFailureEndsTheTransactionLeavesNothingHalfWritten(t *testing.T) {
	db := openForDisk(t)
	failure := errors.New("disk I/O error")
	ends := func(t *tx) error { return errors.Join(failure, t.run("rollback")) }
	broken := errors.New("after its first statement")
	half := func(t *tx) error {
		_, err := t.exec("insert into mention (inbox_id, rfc_message_id, thread_id) values ('inb_1', '<half>', 'thr_1')")
		return errors.Join(err, broken)
	}
	whole := func(t *tx) error {
		_, err := t.exec("insert into mention (inbox_id, rfc_message_id, thread_id) values ('inb_1', '<whole>', 'thr_1')")
		return err
	}
	errs := together(t, db, ends, half, whole)
	want := 0
	if errs[2] == nil {
		want = 1
	}
	if got := rowsOf(t, db, "mention"); got != want || errs[0] == nil || errs[1] == nil {
		t.Errorf("%d rows after %v", got, errs)
	}
	if err := db.w.write(t.Context(), whole); err != nil {
		t.Errorf("the next group: %v", err)
	}
}

func TestAUnitThatFailsIsNotCountedAndItsNeighboursAreOnce(t *testing.T) {
	db := openForDisk(t)
	files := func(n int64, err error) func(*tx) error {
		m := openmail.Message{Account: "acc_1", Inbox: "inb_1", Direction: openmail.Inbound, CreatedAt: time.Now(), Attachments: []openmail.Attachment{{SizeBytes: n}}}
		return func(t *tx) error { t.used(m); return err }
	}
	failure := errors.New("after it was counted")
	errs := together(t, db, files(1, nil), files(10, failure), files(100, nil))
	if errs[0] != nil || !errors.Is(errs[1], failure) || errs[2] != nil {
		t.Fatal(errs)
	}
	u, err := db.Usage(t.Context(), openmail.Scope{Account: "acc_1"}, time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour), openmail.Page{Limit: 1})
	if err != nil || u.Totals.Inbound != 2 || u.Totals.AttachmentBytes != 101 {
		t.Errorf("counted %+v, %v", u.Totals, err)
	}
}

func TestWhatIsFiledAsItsInboxGoesIsCounted(t *testing.T) {
	db := openForDisk(t)
	scope := openmail.Scope{Account: "acc_1"}
	in, err := db.Inbox(t.Context(), scope, "inb_1")
	if err != nil {
		t.Fatal(err)
	}
	m := openmail.Message{Account: "acc_1", Inbox: "inb_1", Direction: openmail.Inbound, CreatedAt: time.Now()}
	errs := together(t, db,
		func(t *tx) error { t.used(m); return nil },
		func(t *tx) error { return t.removeInbox(scope, in, time.Now()) })
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	u, err := db.Usage(t.Context(), scope, time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour), openmail.Page{Limit: 1})
	if err != nil || len(u.Inboxes) != 1 || u.Inboxes[0].Inbound != 1 || u.Inboxes[0].Address != in.Address {
		t.Errorf("counted %+v, %v", u, err)
	}
}

func TestNoSenderChoosesHowManyStatementsAreKept(t *testing.T) {
	db := openForDisk(t)
	for labels := range 120 {
		author := "a@" + strings.Repeat("a.", labels) + "test"
		for authors := 1; authors <= 10; authors += 3 {
			if _, err := policyFor(t, db, openmail.Inbound, slices.Repeat([]string{author}, authors)); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := 0
	db.stmts.Range(func(any, any) bool { kept++; return true })
	if kept > 16 {
		t.Errorf("%d statements are kept", kept)
	}
}

func TestARuleIsFoundWhereverItsValueStandsAmongThoseLookedFor(t *testing.T) {
	db := openForDisk(t)
	scope := openmail.Scope{Account: "acc_1"}
	for i, value := range []string{"ann@a.b.test", "a.b.test", "*.test"} {
		r := openmail.Rule{ID: fmt.Sprint("rule_", i), At: scope, Direction: openmail.Inbound, Type: openmail.RuleBlock, Value: value}
		addRule(t, db, r)
	}
	p, err := policyFor(t, db, openmail.Inbound, []string{"ann@a.b.test"})
	if err != nil || len(p[0].Rules) != 3 {
		t.Errorf("found %v, %v", p, err)
	}
}

func TestMailForAnInboxThatWasDeletedMeanwhileIsNotStored(t *testing.T) {
	db := openForDisk(t)
	scope := openmail.Scope{Account: "acc_1"}
	if err := db.DeleteInbox(t.Context(), scope, "inb_1", time.Now()); err != nil {
		t.Fatal(err)
	}
	// Unclassed: the sender tries later, and RCPT tells it then.
	if _, err := db.File(t.Context(), random(1, 100)); openmail.CodeOf(err) != openmail.CodeInternal {
		t.Errorf("the mail was answered %v", err)
	}
	if m, e := rowsOf(t, db, "message"), rowsOf(t, db, "event"); m != 0 || e != 0 {
		t.Errorf("%d messages and %d events stand in an inbox that is gone", m, e)
	}
}

func TestOneMailJoinsNoMoreThreadsThanItsBound(t *testing.T) {
	db := openForDisk(t)
	for i := range maxJoined + 10 {
		fileOne(t, db, i, func(m *openmail.Message) { m.References = []string{"<root@x>"} })
	}
	filed := fileOne(t, db, 1000, func(m *openmail.Message) { m.RFCMessageID = "<root@x>" })
	th, messages, err := db.Thread(t.Context(), openmail.Scope{Account: "acc_1"}, filed.Thread)
	if err != nil || len(messages) != maxJoined+1 || th.MessageCount != maxJoined+1 {
		t.Errorf("the thread has %d messages and counts %d, %v", len(messages), th.MessageCount, err)
	}
}

func TestNothingIsLeftOfJoinedThreadsOnceTheirMessagesAreGone(t *testing.T) {
	for name, remove := range map[string]func(*DB, []intake.Filed) error{
		"deleted": func(db *DB, all []intake.Filed) (err error) {
			for _, f := range all {
				err = errors.Join(err, db.DeleteMessage(t.Context(), openmail.Scope{Account: "acc_1"}, f.Message))
			}
			return err
		},
		"swept": func(db *DB, _ []intake.Filed) error {
			db.cfg.Retention.Messages = time.Hour
			_, err := db.Sweep(t.Context(), time.Now().Add(2*time.Hour))
			return err
		},
		"trashed and swept": func(db *DB, all []intake.Filed) error {
			db.cfg.Retention.Trash = time.Hour
			err := db.TrashThread(t.Context(), openmail.Scope{Account: "acc_1"}, all[1].Thread, time.Now())
			_, swept := db.Sweep(t.Context(), time.Now().Add(2*time.Hour))
			return errors.Join(err, swept)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := openForDisk(t)
			all := []intake.Filed{
				fileOne(t, db, 1, func(m *openmail.Message) { m.References = []string{"<root@x>"} }),
				fileOne(t, db, 2, func(m *openmail.Message) { m.References = []string{"<root@x>"} }),
				fileOne(t, db, 3, func(m *openmail.Message) { m.RFCMessageID = "<root@x>" }),
			}
			if err := remove(db, all); err != nil {
				t.Fatal(err)
			}
			for _, table := range []string{"message", "thread", "mention", "event", "attempt"} {
				if n := rowsOf(t, db, table); n != 0 {
					t.Errorf("%d rows are left in %s", n, table)
				}
			}
		})
	}
}

func TestSweepingPartOfAThreadCountsTheRest(t *testing.T) {
	db := openForDisk(t)
	db.cfg.Retention.Messages = time.Hour
	now := time.Now()
	var filed intake.Filed
	for i := range 3 {
		filed = fileOne(t, db, i, func(m *openmail.Message) {
			m.References, m.CreatedAt = []string{"<0@x>"}, now.Add(time.Duration(i)*30*time.Minute)
		})
	}
	if _, err := db.Sweep(t.Context(), now.Add(80*time.Minute)); err != nil {
		t.Fatal(err)
	}
	th, messages, err := db.Thread(t.Context(), openmail.Scope{Account: "acc_1"}, filed.Thread)
	if err != nil || th.MessageCount != 2 || len(messages) != 2 || !th.LastMessageAt.Equal(now.Add(time.Hour).Truncate(time.Microsecond)) {
		t.Errorf("thread %+v with %d messages, %v", th, len(messages), err)
	}
}

func TestALargeInboxIsDeletedWholeWithoutKeepingTheWriter(t *testing.T) {
	db := openForDisk(t)
	for i := range 2*sweepBatch + 10 {
		fileOne(t, db, i, func(m *openmail.Message) { m.References = []string{fmt.Sprintf("<%d@x>", i/3*3)} })
	}
	before := db.groups.Commits()
	if err := db.DeleteInbox(t.Context(), openmail.Scope{Account: "acc_1"}, "inb_1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := db.groups.Commits() - before; n < 4 {
		t.Errorf("it took %d transactions", n)
	}
	for _, table := range []string{"message", "thread", "mention", "event", "attempt", "inbox"} {
		if n := rowsOf(t, db, table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

func TestWhatRetentionRemovedIsNotReplayedFromMemory(t *testing.T) {
	db := openForDisk(t)
	db.cfg.Retention.Messages = time.Hour
	f := random(1, 100)
	f.Listening = func(string, string, openmail.EventType) bool { return true }
	if _, err := db.File(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	scope := openmail.Scope{Account: "acc_1"}
	if events, err := db.After(t.Context(), scope, 0, 10); len(events) != 1 || err != nil {
		t.Fatalf("%d events before, %v", len(events), err)
	}
	if _, err := db.Sweep(t.Context(), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if events, err := db.After(t.Context(), scope, 0, 10); len(events) != 0 || err != nil {
		t.Errorf("%d events after, %v", len(events), err)
	}
}

func TestOffersLeaveOutOtherInboxes(t *testing.T) {
	db := openForDisk(t)
	scope := openmail.Scope{Account: "acc_1"}
	e := openmail.Endpoint{ID: "whk_1", Account: "acc_1", URL: "https://agent.test", Enabled: true}
	other := openmail.Inbox{ID: "inb_2", Account: "acc_1", Address: "joe@openmail.test"}
	if err := errors.Join(db.PutEndpoint(t.Context(), scope, e), db.CreateInbox(t.Context(), scope, other)); err != nil {
		t.Fatal(err)
	}
	for i, inbox := range []string{"inb_2", "inb_1", "inb_1", "inb_2"} {
		fileOne(t, db, i, func(m *openmail.Message) { m.Inbox = inbox })
	}
	all := func(openmail.Event) bool { return true }
	scope.Inbox = "inb_1"
	offered, err := db.Offer(t.Context(), scope, 2, all, 10)
	if err != nil || len(offered) != 1 || offered[0].Position != 2 || offered[0].Delivery.State != openmail.StateArmed {
		t.Errorf("up to 2: %+v, %v", offered, err)
	}
	scope.Inbox = ""
	offered, err = db.Offer(t.Context(), scope, 10, func(e openmail.Event) bool { return e.Inbox == "inb_2" }, 10)
	if err != nil || len(offered) != 2 || offered[0].Position != 1 || offered[1].Position != 4 {
		t.Errorf("of the other inbox: %+v, %v", offered, err)
	}
}

// TestNoStatementScansATable asks SQLite how it would run every statement that
// a round through the store has prepared.
func TestNoStatementScansATable(t *testing.T) {
	db := openForDisk(t)
	db.cfg.Retention = Retention{Events: time.Hour, Messages: time.Hour, Trash: time.Hour, Audit: time.Hour}
	everyStatement(t, db)
	records := 0
	for statement, plan := range db.plans(t) {
		for _, step := range plan {
			if strings.Contains(step, " policy_record USING ") && strings.Contains(statement, "as stream") {
				records++
				if !strings.Contains(step, "_id=? AND action=? AND direction=?") {
					t.Errorf("reads in vain, %s: %s", step, statement)
				}
			}
			if strings.HasPrefix(step, "SCAN") && !strings.Contains(statement, "1 = 0") && !strings.Contains(statement, "from (select") && !slices.Contains([]string{
				"SCAN a", "SCAN account", // as many as there are customers
				"SCAN l", // as many as there are lanes with something in them
				"SCAN suspension USING INDEX suspension_age",                         // as many as are listed
				"SCAN CONSTANT ROW", "SCAN event USING COVERING INDEX event_waiting", // what is under way
				"SCAN mail_delivery USING INDEX mail_delivery_leased", "SCAN mail_delivery USING INDEX mail_delivery_held", // a batch of what a start resumes
				"SCAN mail_delivery USING COVERING INDEX mail_delivery_due", "SCAN mail_delivery USING COVERING INDEX mail_delivery_held", "SCAN mail_lane USING COVERING INDEX mail_lane_due",
			}, step) {
				t.Errorf("%s: %s", step, statement)
			}
		}
		if strings.HasPrefix(statement, "select m.id") && strings.Contains(statement, "where m.thread_id = ") && !slices.Contains(plan, "SEARCH m USING INDEX message_of_thread (thread_id=?)") {
			t.Errorf("%v: %s", plan, statement)
		}
		if strings.Contains(statement, "from (select * from event") && !slices.Contains(plan, "SEARCH event USING INDEX event_waiting (account_id=? AND lane=? AND state=? AND due_at>?)") {
			t.Errorf("%v: %s", plan, statement)
		}
		if strings.Contains(statement, "m.id > $3") && !strings.Contains(plan[0], "INDEX message_of_inbox (inbox_id=? AND account_id=? AND id>?)") {
			t.Errorf("%v: %s", plan, statement)
		}
		if strings.Contains(statement, "message_id = ''") && !strings.Contains(strings.Join(plan, " "), "INDEX event_lifecycle (account_id=? AND message_id=?") {
			t.Errorf("%v: %s", plan, statement)
		}
		if strings.Contains(statement, "where e.pod_id = ") && !strings.Contains(statement, "e.id = ") && !strings.Contains(plan[0], "INDEX event_of_pod (pod_id=?") {
			t.Errorf("%v: %s", plan, statement)
		}
		lists := strings.Contains(statement, " from inbox i") || strings.Contains(statement, " from pod ") && !strings.Contains(statement, "1 = 0")
		lists = lists && !strings.Contains(statement, "usage_day") // a report adds up all of them
		if lists && strings.Contains(strings.Join(plan, " "), "USE TEMP B-TREE FOR ORDER BY") {
			t.Errorf("sorts, %v: %s", plan, statement)
		}
		if strings.HasPrefix(statement, "with recursive l") && !slices.Contains(plan, "SEARCH e USING COVERING INDEX event_waiting (account_id=? AND lane>?)") {
			t.Errorf("%v: %s", plan, statement)
		}
		if strings.Contains(statement, "from mail_delivery where message_id = ") && !strings.Contains(plan[0], "(message_id=?") {
			t.Errorf("%v: %s", plan, statement)
		}
		if strings.HasPrefix(statement, "select count(*) from message") && !strings.Contains(plan[0], "INDEX message_of_inbox") {
			t.Errorf("%v: %s", plan, statement)
		}
	}
	if records < 3*2*(10+2+5) { // scopes, count and page, streams of the filters
		t.Errorf("%d streams of records are read by an index", records)
	}
}

// everyStatement calls what prepares statements. The answers are tested
// elsewhere.
func everyStatement(t *testing.T, db *DB) {
	ctx, page := t.Context(), openmail.Page{Limit: 10}
	f := fileOne(t, db, 1, func(m *openmail.Message) { m.References = []string{"<0@x>"} })
	none := func(string, string, openmail.EventType) bool { return false }
	pod, _ := db.Pod(ctx, openmail.Scope{Account: "acc_1"}, "")
	for _, scope := range []openmail.Scope{{Account: "acc_1"}, {Account: "acc_1", Pod: pod.ID}, {Account: "acc_1", Pod: pod.ID, Inbox: "inb_1"}} {
		_, _ = db.After(ctx, scope, 0, 10)
		_, _ = db.Find(ctx, scope, "evt_none")
		_, _ = db.Attempts(ctx, scope, f.Event)
		for _, filter := range []dispatch.Filter{{}, {State: openmail.StateFailed}, {Inbox: "inb_1"}, {ID: f.Event}, {Since: time.Now()}} {
			_, _, _ = db.Events(ctx, scope, filter, 0, 10)
			_, _ = db.Redeliver(ctx, scope, filter, 0, 10, none)
		}
		_, _, _ = db.Messages(ctx, scope, "inb_1", "", page)
		_, _, _ = db.Threads(ctx, scope, "inb_1", nil, page)
		_, _, _ = db.Thread(ctx, scope, f.Thread)
		_, _, _ = db.Quarantined(ctx, scope, page)
		_, _ = db.Message(ctx, scope, f.Message)
		_ = db.SetRead(ctx, scope, f.Thread, true)
		_, _, _ = db.Inboxes(ctx, scope, page)
		_, _ = db.InboxIDs(ctx, scope, 10)
		_, _, _ = db.Pods(ctx, scope, page)
		_, _ = db.Pod(ctx, scope, "acme")
		_, _ = db.Backlog(ctx, scope)
		_, _ = db.Lanes(ctx, scope)
		_, _, _ = db.Due(ctx, scope, dispatch.Lane{Account: "acc_1"})
		_, _ = db.Offer(ctx, scope, 10, func(openmail.Event) bool { return false }, 10)
		_, _ = db.ListKeys(ctx, scope, access.Owner{Pod: scope.Pod, Inbox: scope.Inbox})
		_ = db.CreateKey(ctx, scope, openmail.Key{ID: "key_" + scope.Pod + scope.Inbox, Account: "acc_1", Pod: scope.Pod, Inbox: scope.Inbox}, [32]byte{}, 20)
		everyPolicy(t, db, scope)
	}
	account := openmail.Scope{Account: "acc_1"}
	_, _ = db.Usage(ctx, account, time.Now().Add(-time.Hour), time.Now(), page)
	_ = db.CreateFeedback(ctx, account, mailbox.Feedback{ID: "fbk_1", By: account}, openmail.PerDay("f", "acc_1", 3, time.Now(), ""))
	_, _, _ = db.Feedback(ctx, account, page)
	everySend(t, db, f.Thread)
	_, _ = db.Lanes(ctx, openmail.Operator())
	_, _ = db.Backlog(ctx, openmail.Operator())
	_, _ = db.RevokedSince(ctx, openmail.Operator(), time.Now())
	_, _ = db.InboxAt(ctx, openmail.Operator(), "jane@openmail.test")
	_, _ = db.Offer(ctx, account, 10, func(openmail.Event) bool { return false }, 10)
	_, _ = db.Claim(ctx, account, dispatch.Claim{At: time.Now(), Posts: 8, Listening: none})
	_ = db.Confirm(ctx, openmail.Operator(), []dispatch.Receipt{{Account: "acc_1", Position: 1}})
	_ = db.SetRead(ctx, account, f.Thread, true)
	_ = db.TrashThread(ctx, account, f.Thread, time.Now())
	_, _ = db.Sweep(ctx, time.Now().Add(24*time.Hour))
	_ = db.DeleteInbox(ctx, account, "inb_1", time.Now())
	_ = db.CreatePod(ctx, account, openmail.Pod{ID: "pod_2", Account: "acc_1"})
	_ = db.UpdatePod(ctx, account, openmail.Pod{ID: "pod_2", ClientID: "acme"})
	_ = db.DeletePod(ctx, account, "pod_2", time.Now())
	everyDomain(t, db)
	everySuspension(t, db)
}

// everySuspension does the same for who may not send.
func everySuspension(t *testing.T, db *DB) {
	ctx, now, operator := t.Context(), time.Now(), openmail.Operator()
	account := openmail.Scope{Account: "acc_1"}
	none := func(string, string, openmail.EventType) bool { return false }
	if err := db.CreateInbox(ctx, account, openmail.Inbox{ID: "inb_8", Account: "acc_1", Address: "s@openmail.test"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"inb_8", "s@openmail.test"} {
		s := openmail.Suspension{Kind: openmail.SuspendedInbox, ID: name, Since: now}
		if _, err := db.Suspend(ctx, operator, s, "evt_s"+name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Event(ctx, account, "evt_sinb_8"); err != nil {
		t.Fatal(err)
	}
	_, _ = db.Suspended(ctx, operator, 10)
	_, _ = db.Claim(ctx, account, dispatch.Claim{At: now, Posts: 8, Listening: none})
	_, _ = db.Redeliver(ctx, account, dispatch.Filter{ID: "evt_sinb_8"}, 0, 10, none)
	for _, k := range []openmail.SuspendedKind{openmail.SuspendedInbox, openmail.SuspendedPod, openmail.SuspendedAccount} {
		_, _ = db.Reactivate(ctx, operator, openmail.Suspension{Kind: k, ID: "inb_8"}, "evt_r", now)
	}
}

// everyPolicy does the same for policies.
func everyPolicy(t *testing.T, db *DB, scope openmail.Scope) {
	ctx, now := t.Context(), time.Now()
	if _, err := db.PolicyFor(ctx, openmail.Scope{Account: "acc_1"}, openmail.Outbound, []openmail.Scope{scope}, []string{"a@b.c"}); err != nil {
		t.Error(err)
	}
	_, _ = db.Policy(ctx, scope, openmail.Inbound, scope)
	of := func(id string) openmail.PolicyRecord {
		return openmail.PolicyRecord{ID: "rec_" + id + levelID(scope), At: scope, Action: openmail.RuleAdded, Direction: openmail.Inbound, CreatedAt: now}
	}
	rule, err := db.AddRule(ctx, scope, openmail.Rule{ID: "rule_" + levelID(scope), At: scope, Direction: openmail.Inbound, Type: openmail.RuleAllow, Value: "a@b.c"}, 10, of("added"))
	if err != nil {
		t.Error(err)
	}
	_, _ = db.Rule(ctx, scope, rule.ID)
	_ = db.ChangePolicy(ctx, scope, scope, []openmail.Direction{openmail.Inbound}, func([]openmail.Policy) ([]mailbox.PolicyChange, error) {
		return []mailbox.PolicyChange{{Level: openmail.PolicyLevel{At: scope, Mode: openmail.ModeNone, Rules: []openmail.Rule{rule}}, ReplaceRules: true, Record: of("put")}}, nil
	})
	_ = db.DeleteRule(ctx, scope, rule, of("gone"))
	_ = db.RecordRefusal(ctx, scope, of("refused"))
	for _, f := range []mailbox.RecordFilter{{}, {Action: openmail.PolicyRefused}, {Direction: openmail.Inbound, Since: now.Add(-time.Hour), Until: now.Add(time.Hour)}} {
		if _, _, err := db.PolicyRecords(ctx, scope, f, openmail.Page{Limit: 10}); err != nil {
			t.Error(err)
		}
	}
}

// policyFor is the policy of acc_1 as mail asks for it.
func policyFor(t testing.TB, db *DB, d openmail.Direction, addrs []string) (openmail.Policy, error) {
	t.Helper()
	scope := openmail.Scope{Account: "acc_1"}
	policies, err := db.PolicyFor(t.Context(), scope, d, []openmail.Scope{scope}, addrs)
	if err != nil {
		return nil, err
	}
	return policies[0], nil
}

func addRule(t testing.TB, db *DB, r openmail.Rule) {
	t.Helper()
	_, err := db.AddRule(t.Context(), openmail.Scope{Account: r.At.Account}, r, 100,
		openmail.PolicyRecord{ID: "rec_" + r.ID, At: r.At, Action: openmail.RuleAdded, Direction: r.Direction})
	if err != nil {
		t.Fatal(err)
	}
}

// everyDomain does the same for the domains of accounts.
func everyDomain(t *testing.T, db *DB) {
	ctx, now := t.Context(), time.Now()
	d := openmail.Domain{ID: "dom_1", Account: "acc_1", Name: "acme.example", Due: now}
	account := openmail.Scope{Account: "acc_1"}
	if err := db.CreateDomain(ctx, account, d, nil); err != nil {
		t.Fatal(err)
	}
	for _, scope := range []openmail.Scope{account, account.InPod("pod_1")} {
		_, _ = db.Domain(ctx, scope, "dom_1")
		_, _, _ = db.Domains(ctx, scope, openmail.Page{Limit: 10})
	}
	if due, err := db.ClaimDomains(ctx, openmail.Operator(), now, now.Add(time.Minute), 10); len(due) != 1 || err != nil {
		t.Fatalf("claimed %+v, %v", due, err)
	}
	_, _ = db.NextDomain(ctx, openmail.Operator())
	_ = db.SettleDomain(ctx, account, d)
	_, _ = db.ReceivesFor(ctx, openmail.Operator(), "acme.example")
	_, _ = db.UsableDomain(ctx, account, "acme.example", "pod_1")
	_ = db.CreateInbox(ctx, account, openmail.Inbox{ID: "inb_9", Account: "acc_1", Domain: "dom_1"})
	_ = db.BindDomain(ctx, account, "dom_1", "")
	_ = db.DeleteDomain(ctx, account, "dom_1")
}

// everySend does the same for what sends mail.
func everySend(t *testing.T, db *DB, thread string) {
	ctx, scope, now := t.Context(), openmail.Scope{Account: "acc_1"}, time.Now()
	m := openmail.Message{ID: "msg_out", Account: "acc_1", Inbox: "inb_1", Thread: thread, Direction: openmail.Outbound, CreatedAt: now}
	a := outgoing.Acceptance{Message: m, Reply: true, Key: "k", Queued: []outgoing.Queued{{Recipient: "a@b.c", Domain: "b.c", Due: now}, {Recipient: "d@e.f", Domain: "e.f"}}}
	if _, err := db.AcceptMail(ctx, scope, a); err != nil {
		t.Fatal(err)
	}
	_, _ = db.AcceptMail(ctx, scope, a) // the key is taken
	_, _ = db.SentBefore(ctx, scope, "k", now)
	_, _ = db.Conversation(ctx, scope, "inb_1", thread)
	_, _ = db.Message(ctx, scope, "msg_out")
	_, _ = db.SuppressedAmong(ctx, scope, []string{"a@b.c"})
	_, _, _ = db.Suppressions(ctx, scope, openmail.Page{Limit: 10})
	_ = db.DeleteSuppression(ctx, scope, "a@b.c")
	_, _, _ = db.MailLanes(ctx, openmail.Operator(), now, 10)
	c, err := db.ClaimMail(ctx, openmail.Operator(), "b.c", now)
	if err != nil || len(c.Due) != 1 {
		t.Fatalf("claimed %+v, %v", c, err)
	}
	_ = db.SettleMail(ctx, openmail.Operator(), c, []outgoing.Settled{{Due: c.Due[0], Next: outgoing.Next{State: openmail.StatusFailed, Suppress: true}}}, now)
	q := []openmail.Quota{openmail.PerDay("a", "inb_1", 3, now, "")}
	_, _, _ = db.QuotasLeft(ctx, scope, q), db.TakeQuotas(ctx, scope, q), db.GiveBackQuotas(ctx, scope, q)
	_, _ = db.SentFrom(ctx, openmail.Scope{Account: "acc_1", Inbox: "inb_1"}, "jane+bounce.x@y")
	fileOne(t, db, 2, func(*openmail.Message) {})
	_ = db.Acquaint(ctx, scope, openmail.Inbox{ID: "inb_1", Account: "acc_1"})
	_ = db.Acquaint(ctx, scope, openmail.Inbox{ID: "inb_1", Account: "acc_1"})
	a.Message.ID, a.Key, a.Cold, a.Contacts = "msg_cold", "", q, []string{"x@y.z"}
	if _, err := db.AcceptMail(ctx, scope, a); err != nil {
		t.Fatal(err)
	}
	_, _ = db.SentAs(ctx, scope, "<msg_out@x>")
	f := random(3, 100)
	f.Copies[0].Complaint = &intake.Complaint{Account: "acc_1", Message: "msg_out", Recipients: []string{"a@b.c"}}
	f.Copies[0].Bounce = &intake.Bounce{Message: "msg_out", Failed: []intake.Failure{{Recipients: []string{"a@b.c"}, Enhanced: "5.1.1"}}}
	if _, err := db.File(ctx, f); err != nil {
		t.Fatal(err)
	}
	_, _, _, _ = db.MailBacklog(ctx, openmail.Operator())
	_, _ = db.RecoverMail(ctx, openmail.Operator(), now, 10)
	_, _ = db.ResumeMail(ctx, openmail.Operator(), now, 10)
}

// plans are how the statements prepared so far are run, step by step.
func (db *DB) plans(t *testing.T) map[string][]string {
	t.Helper()
	plans := map[string][]string{}
	db.stmts.Range(func(text, _ any) bool { plans[text.(string)] = nil; return true })
	for text := range db.w.stmts {
		if strings.ContainsAny(text, " ") && !strings.HasPrefix(text, "begin") && !strings.Contains(text, "savepoint") {
			plans[text] = nil
		}
	}
	for text := range plans {
		args := make([]any, 0, 64)
		for strings.Contains(text, fmt.Sprint("$", len(args)+1)) {
			args = append(args, 1)
		}
		rows, err := db.readers.QueryContext(t.Context(), "explain query plan "+text, args...)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		plans[text], err = collect(rows, func(s scanner) (step string, err error) {
			var id, parent, unused int
			return step, s.Scan(&id, &parent, &unused, &step)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return plans
}

func TestEveryConnectionHasTheSettingsThatDurabilityAndSizeRestOn(t *testing.T) {
	db := openForDisk(t)
	for name, pool := range map[string]*sql.DB{"writers": db.writers, "readers": db.readers} {
		for pragma, want := range map[string]string{"page_size": "2048", "journal_mode": "wal", "synchronous": "2", "wal_autocheckpoint": "0"} {
			var got string
			if err := pool.QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v", name, pragma, got, err)
			}
		}
	}
}

func TestAnAccountHasItsOwnDeadlineOrTheServers(t *testing.T) {
	db := openForDisk(t)
	db.cfg.Rules.Deadline = 5 * time.Second
	scope := openmail.Scope{Account: "acc_1"}
	for i, own := range []time.Duration{0, 90 * time.Second, 0} {
		if err := db.SetReceiptDeadline(t.Context(), scope, own); err != nil {
			t.Fatal(err)
		}
		f := random(i+1, 100)
		f.Listening = func(string, string, openmail.EventType) bool { return true }
		if _, err := db.File(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		e, err := db.Event(t.Context(), scope, f.Copies[0].Event)
		want := f.At.Add(cmp.Or(own, 5*time.Second)).Truncate(time.Microsecond)
		if err != nil || !e.Delivery.Due.Equal(want) {
			t.Errorf("own %v: armed until %v, %v, want %v", own, e.Delivery.Due, err, want)
		}
	}
	if err := db.SetReceiptDeadline(t.Context(), openmail.Scope{Account: "acc_none"}, 0); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("of an account that is not there: %v", err)
	}
}
