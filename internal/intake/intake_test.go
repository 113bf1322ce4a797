package intake_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/blob"
	"openmail/internal/dispatch"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/mailbox"
	"openmail/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bell notes who was rung for, and what was filed.
type bell struct {
	mu    sync.Mutex
	rung  []string
	filed []openmail.State
}

func (b *bell) Filed(_, _ string, s openmail.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.filed = append(b.filed, s)
}

func (b *bell) Ring(account string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = append(b.rung, account)
}

type world struct {
	*intake.Intake
	t     testing.TB
	db    *store.DB
	bell  *bell
	scope openmail.Scope
	log   *strings.Builder
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	blobs, err := blob.NewFiles(dir)
	check(t, err)
	db, err := store.Open(t.Context(), store.Config{Dir: dir, Blobs: blobs, FileKey: make([]byte, 32), Links: api.Links{PublicURL: "http://test"}})
	check(t, err)
	t.Cleanup(func() { check(t, errors.Join(db.Close(), blobs.Close())) })
	w := &world{t: t, db: db, bell: &bell{}, log: &strings.Builder{}}
	w.Intake = intake.New(intake.Config{
		Store: db, Quarantine: db, Bell: w.bell, Dispatcher: w.bell, MaxBytes: 1 << 20, Keep: time.Hour,
		Listening: func(string, string, openmail.EventType) bool { return false },
		Logger:    slog.New(slog.NewTextHandler(w.log, nil)),
	})
	w.scope = openmail.Scope{Account: w.account()}
	return w
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) account() string {
	w.t.Helper()
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), CreatedAt: time.Now()}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: time.Now()}
	check(w.t, w.db.CreateAccount(w.t.Context(), openmail.Operator(), a, k, sha256.Sum256([]byte(a.ID))))
	return a.ID
}

func (w *world) inbox(account, name string) openmail.Inbox {
	w.t.Helper()
	in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: account, Address: name + "@openmail.test", CreatedAt: time.Now()}
	check(w.t, w.db.CreateInbox(w.t.Context(), openmail.Scope{Account: account}, in))
	return in
}

func (w *world) envelope(addrs ...string) openmail.Envelope {
	w.t.Helper()
	env := openmail.Envelope{MailFrom: "bounce@sender.test", RemoteIP: "192.0.2.1", Helo: "mx.sender.test", TLS: true}
	for _, a := range addrs {
		r, err := w.Route(w.t.Context(), a)
		check(w.t, err)
		env.Rcpts = append(env.Rcpts, r)
	}
	return env
}

const text = "From: Ann <ann@sender.test>\r\nTo: Jane <jane@openmail.test>\r\nCc: joe@openmail.test, x@y.test\r\nMessage-ID: <1@sender.test>\r\nSubject: canary-subject\r\n\r\ncanary-body\r\n"

func TestRouteFindsInboxesWithAndWithoutATag(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	for _, addr := range []string{"jane@openmail.test", "Jane@OpenMail.Test", "jane+orders@openmail.test", "jane+a+b@openmail.test"} {
		r, err := w.Route(t.Context(), addr)
		if err != nil || r.Inbox.ID != jane.ID || r.Addr != addr {
			t.Errorf("%s leads to %+v, %v", addr, r, err)
		}
	}
	for _, addr := range []string{"joe@openmail.test", "jane@other.test", "jane", "@openmail.test", "+jane@openmail.test"} {
		if _, err := w.Route(t.Context(), addr); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestPostmasterIsWhoeverTheOperatorNames(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	leads := func(addr, inbox string) {
		t.Helper()
		r, err := w.Route(t.Context(), addr)
		if inbox != r.Inbox.ID || (inbox == "") != (openmail.CodeOf(err) == openmail.CodeNotFound) {
			t.Errorf("%s leads to %+v, %v", addr, r, err)
		}
	}
	leads("postmaster@openmail.test", "")
	w.Own, w.Postmaster = []string{"openmail.test", "mx.openmail.test"}, "jane@openmail.test"
	for _, addr := range []string{"postmaster@openmail.test", "PostMaster@mx.OpenMail.test", "abuse@openmail.test", "postmaster+x@openmail.test"} {
		leads(addr, jane.ID)
	}
	for _, addr := range []string{"postmaster@other.test", "postmaster2@openmail.test", "hostmaster@openmail.test"} {
		leads(addr, "")
	}
	abuse := w.inbox(w.scope.Account, "abuse")
	leads("abuse@openmail.test", abuse.ID)
	w.Postmaster = "nobody@openmail.test"
	leads("postmaster@openmail.test", "")
}

func TestEveryInboxGetsItsOwnMessageWithItsOwnRole(t *testing.T) {
	w := newWorld(t)
	jane, joe, hidden := w.inbox(w.scope.Account, "jane"), w.inbox(w.scope.Account, "joe"), w.inbox(w.scope.Account, "hidden")
	env := w.envelope("jane+tag@openmail.test", "joe@openmail.test", "hidden@openmail.test", "jane@openmail.test")
	first, err := w.Accept(t.Context(), env, strings.NewReader(text))
	check(t, err)
	for _, c := range []struct {
		inbox   openmail.Inbox
		role    openmail.Role
		truth   openmail.Role
		to      string
		isFirst bool
	}{
		{jane, openmail.RoleTo, openmail.RoleTo, "jane+tag@openmail.test", true},
		{joe, openmail.RoleCC, openmail.RoleCC, "joe@openmail.test", false},
		{hidden, openmail.RoleTo, openmail.RoleBCC, "hidden@openmail.test", false},
	} {
		all, total, err := w.db.Messages(t.Context(), w.scope, c.inbox.ID, "", openmail.Page{Limit: 5})
		check(t, err)
		if total != 1 {
			t.Fatalf("%s has %d messages", c.inbox.Address, total)
		}
		m := all[0]
		if m.DeliveryRole != c.role || m.EnvelopeRole != c.truth || m.Envelope.RcptTo != c.to || m.HeaderTo != "jane@openmail.test" ||
			m.From.String() != "Ann <ann@sender.test>" || m.ToAddr != c.inbox.Address || len(m.CC) != 2 || m.RFCMessageID != "<1@sender.test>" {
			t.Errorf("%s has %+v", c.inbox.Address, m)
		}
		if c.isFirst != (m.ID == first) {
			t.Errorf("Accept returned %s; %s has %s", first, c.inbox.Address, m.ID)
		}
	}
	if len(w.bell.rung) != 1 || len(w.bell.filed) != 3 || w.bell.filed[0] != openmail.StateFailed {
		t.Errorf("rung for %v, filed %v; want one ring and three events that nobody listened for", w.bell.rung, w.bell.filed)
	}
}

func TestEveryAddressOfToIsInHeaderTo(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	for to, want := range map[string]string{
		"To: Jane <jane@openmail.test>, \"B, C\" <x@y.test>\r\n": "jane@openmail.test, x@y.test",
		"": "",
	} {
		mail := strings.NewReplacer("To: Jane <jane@openmail.test>\r\n", to, "<1@", "<of"+want[:min(len(want), 4)]+"1@").Replace(text)
		messageID, err := w.Accept(t.Context(), w.envelope(jane.Address), strings.NewReader(mail))
		check(t, err)
		if m, err := w.db.Message(t.Context(), w.scope, messageID); err != nil || m.HeaderTo != want {
			t.Errorf("%q is read as %q, %v", to, m.HeaderTo, err)
		}
	}
}

func TestACopyThatIsThereAlreadyDoesNotSilenceTheBellForTheNext(t *testing.T) {
	w := newWorld(t)
	w.inbox(w.scope.Account, "jane")
	w.inbox(w.scope.Account, "joe")
	for _, to := range [][]string{{"jane@openmail.test"}, {"jane@openmail.test", "joe@openmail.test"}} {
		_, err := w.Accept(t.Context(), w.envelope(to...), strings.NewReader(text))
		check(t, err)
	}
	if len(w.bell.rung) != 2 || len(w.bell.filed) != 2 {
		t.Errorf("rung for %v, filed %v; want two of each: one for jane, one for joe", w.bell.rung, w.bell.filed)
	}
}

func TestAcceptStoresNothingOfAMailThatIsNotWhole(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	env := w.envelope(jane.Address)
	broken := errors.New("the connection is gone")
	for name, c := range map[string]struct {
		r    io.Reader
		code openmail.Code
	}{
		"cut off":   {io.MultiReader(strings.NewReader(text), failing{broken}), openmail.CodeInternal},
		"too large": {strings.NewReader(text + strings.Repeat("x", 1<<20)), openmail.CodeTooLarge},
	} {
		if _, err := w.Accept(t.Context(), env, c.r); openmail.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, total, err := w.db.Messages(t.Context(), w.scope, jane.ID, "", openmail.Page{Limit: 5}); total != 0 || err != nil {
		t.Errorf("%d messages, %v", total, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAcceptStoresAllOrNothing(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	env := w.envelope(jane.Address)
	// The account of the second inbox is not there: its position cannot be taken.
	env.Rcpts = append(env.Rcpts, openmail.Recipient{Addr: "x@y", Inbox: openmail.Inbox{ID: "inb_x", Account: "acc_gone", Address: "x@y"}})
	if _, err := w.Accept(t.Context(), env, strings.NewReader(text)); err == nil {
		t.Fatal("accepted")
	}
	if _, total, err := w.db.Messages(t.Context(), w.scope, jane.ID, "", openmail.Page{Limit: 5}); total != 0 || err != nil {
		t.Errorf("%d messages, %v", total, err)
	}
	if len(w.bell.rung) != 0 {
		t.Errorf("rung for %v", w.bell.rung)
	}
}

func TestSenderRulesTurnMailAwayIntoQuarantine(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   openmail.Mode
		rules  []openmail.Rule
		from   string
		reason string // "": admitted
	}{
		{"no rules", openmail.ModeNone, nil, "ann@sender.test", ""},
		{"blocked address", openmail.ModeNone, rules("block", "ann@sender.test"), "Ann <Ann@Sender.Test>", openmail.ReasonBlocked},
		{"blocked domain", openmail.ModeNone, rules("block", "sender.test"), "ann@sender.test", openmail.ReasonBlocked},
		{"a domain is not what lies below it", openmail.ModeNone, rules("block", "sender.test"), "ann@mx.sender.test", ""},
		{"below a domain", openmail.ModeNone, rules("block", "*.sender.test"), "ann@a.b.sender.test", openmail.ReasonBlocked},
		{"empty allowlist", openmail.ModeAllowlist, nil, "ann@sender.test", openmail.ReasonUnknown},
		{"on the allowlist", openmail.ModeAllowlist, rules("allow", "sender.test"), "ann@sender.test", ""},
		{"block wins", openmail.ModeAllowlist, append(rules("allow", "sender.test"), rules("block", "ann@sender.test")...), "ann@sender.test", openmail.ReasonBlocked},
		{"no author", openmail.ModeAllowlist, rules("allow", "sender.test"), "", openmail.ReasonUnknown},
		{"a second author", openmail.ModeAllowlist, rules("allow", "sender.test"), "ann@sender.test, eve@evil.test", openmail.ReasonUnknown},
		{"a blocked second author", openmail.ModeNone, rules("block", "evil.test"), "ann@sender.test, eve@evil.test", openmail.ReasonBlocked},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			jane := w.inbox(w.scope.Account, "jane")
			w.policy(w.scope, c.mode, c.rules...)
			mail := strings.Replace(text, "Ann <ann@sender.test>", c.from, 1)
			if _, err := w.Accept(t.Context(), w.envelope(jane.Address), strings.NewReader(mail)); err != nil {
				t.Fatal(err)
			}
			held, _, err := w.db.Quarantined(t.Context(), w.scope, openmail.Page{Limit: 5})
			check(t, err)
			events, _, err := w.db.Events(t.Context(), w.scope, dispatch.Filter{}, 0, 5)
			check(t, err)
			if c.reason == "" {
				if len(held) != 0 || len(events) != 1 {
					t.Errorf("held %+v, %d events", held, len(events))
				}
				return
			}
			if len(held) != 1 || held[0].Verdict.Reason != c.reason || len(events) != 0 {
				t.Fatalf("held %+v, %d events", held, len(events))
			}
			filed, err := w.Release(t.Context(), w.scope, held[0].ID)
			check(t, err)
			if e, err := w.db.Event(t.Context(), w.scope, filed.Event); err != nil || e.Message != filed.Message {
				t.Errorf("released as %+v, %v", e, err)
			}
		})
	}
}

func TestEachInboxOfAMailHasItsOwnPolicy(t *testing.T) {
	w := newWorld(t)
	open, closed, other := w.inbox(w.scope.Account, "open"), w.inbox(w.scope.Account, "closed"), w.inbox(w.account(), "other")
	r, err := w.Route(t.Context(), closed.Address)
	check(t, err)
	at := openmail.Scope{Account: closed.Account, Pod: r.Inbox.Pod, Inbox: closed.ID}
	w.policy(at, openmail.ModeAllowlist)
	w.policy(openmail.Scope{Account: other.Account}, openmail.ModeNone, rules("block", "*.sender.test")...)
	messageID, err := w.Accept(t.Context(), w.envelope(open.Address, closed.Address, other.Address), strings.NewReader(text))
	check(t, err)
	if m, err := w.db.Message(t.Context(), w.scope, messageID); m.Inbox != open.ID || err != nil {
		t.Errorf("the first is in %s, %v", m.Inbox, err)
	}
	held, _, err := w.db.Quarantined(t.Context(), openmail.Operator(), openmail.Page{Limit: 5})
	if err != nil || len(held) != 1 || held[0].Inbox != closed.ID || held[0].Verdict.Reason != openmail.ReasonUnknown {
		t.Errorf("held %+v, %v", held, err)
	}
	for range 2 { // the second adds nothing: it is the same mail
		records, total, err := w.db.PolicyRecords(t.Context(), w.scope, mailbox.RecordFilter{Action: openmail.PolicyRefused}, openmail.Page{Limit: 5})
		if err != nil || total != 1 || records[0].At != at || records[0].Address != "ann@sender.test" || records[0].Reason != openmail.ReasonUnknown ||
			records[0].Detail.Held != held[0].ID || records[0].Direction != openmail.Inbound || records[0].Times != 1 {
			t.Fatalf("records %+v, %v", records, err)
		}
		_, err = w.Accept(t.Context(), w.envelope(open.Address, closed.Address, other.Address), strings.NewReader(text))
		check(t, err)
	}
	// What goes out says nothing of what comes in.
	w.policy(at, openmail.ModeNone)
	outbound := rules("block", "sender.test")
	outbound[0].Direction, outbound[0].At = openmail.Outbound, at
	_, err = w.db.AddRule(t.Context(), w.scope, outbound[0], 10, openmail.PolicyRecord{ID: id.New(openmail.PrefixRecord), At: at, Direction: openmail.Outbound})
	check(t, err)
	_, err = w.Accept(t.Context(), w.envelope(closed.Address), strings.NewReader(strings.Replace(text, "Message-ID: <", "Message-ID: <2", 1)))
	check(t, err)
	if _, total, err := w.db.Messages(t.Context(), w.scope, closed.ID, "", openmail.Page{Limit: 5}); total != 1 || err != nil {
		t.Errorf("%d messages in the inbox, %v", total, err)
	}
}

func rules(kind, value string) []openmail.Rule {
	return []openmail.Rule{{ID: id.New(openmail.PrefixRule), Type: openmail.RuleType(kind), Value: value, Direction: openmail.Inbound, ByAccount: true, CreatedAt: time.Now()}}
}

// policy has a key of the account set who may write to a level.
func (w *world) policy(at openmail.Scope, mode openmail.Mode, rules ...openmail.Rule) {
	w.t.Helper()
	for i := range rules {
		rules[i].At = at
	}
	check(w.t, w.db.ChangePolicy(w.t.Context(), openmail.Scope{Account: at.Account}, at, nil, func([]openmail.Policy) ([]mailbox.PolicyChange, error) {
		return []mailbox.PolicyChange{{
			Level:        openmail.PolicyLevel{At: at, Mode: mode, ByAccount: true, Rules: rules},
			ReplaceRules: true,
			Record:       openmail.PolicyRecord{ID: id.New(openmail.PrefixRecord), At: at, Action: openmail.PolicyReplaced, Direction: openmail.Inbound, CreatedAt: time.Now()},
		}}, nil
	}))
}

func TestTheRecordOfAMailNamesNobodyAndQuotesNothing(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	messageID, err := w.Accept(context.Background(), w.envelope(jane.Address), strings.NewReader(text))
	check(t, err)
	record := w.log.String()
	if !strings.Contains(record, "mail.received") || !strings.Contains(record, messageID) {
		t.Errorf("the record is %q", record)
	}
	for _, secret := range []string{"canary", "ann@", "jane@", "bounce@"} {
		if strings.Contains(record, secret) {
			t.Errorf("the record holds %q: %s", secret, record)
		}
	}
}

func TestWhatMustNotBeAnsweredSaysSoByItsReversePath(t *testing.T) {
	w := newWorld(t)
	jane := w.inbox(w.scope.Account, "jane")
	for from, want := range map[string]struct {
		category openmail.Category
		answer   bool
	}{"": {openmail.CategoryAutomated, false}, "ann@sender.test": {openmail.CategoryPersonal, true}} {
		env := w.envelope("jane@openmail.test")
		env.MailFrom = from
		id, err := w.Accept(t.Context(), env, strings.NewReader(strings.Replace(text, "<1@", "<of"+from+"1@", 1)))
		check(t, err)
		m, err := w.db.Message(t.Context(), openmail.Scope{Account: jane.Account}, id)
		check(t, err)
		if m.Category != want.category || m.AutoReplyable != want.answer {
			t.Errorf("from <%s>: %s, to be answered: %v", from, m.Category, m.AutoReplyable)
		}
	}
}
