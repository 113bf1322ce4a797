package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/access"
	"openmail/internal/blob"
	"openmail/internal/delivery"
	"openmail/internal/dispatch"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }

// suite is all tests and the end of what they have started.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	defer postgres.stop()
	return s.m.Run()
}

// house is a store with one account and one inbox.
type house struct {
	*store.DB
	t       testing.TB
	at      place
	account string
	scope   openmail.Scope
	inbox   openmail.Inbox
	sockets bool // what Listening answers
}

func fileKey() []byte { return make([]byte, 32) }

// place is where a store is: SQLite in the folder, or a database.
type place struct{ dir, database string }

// openStore opens a store, as a start of the server would.
func openStore(t testing.TB, at place, change ...func(*store.Config)) *store.DB {
	t.Helper()
	blobs, err := blob.NewFiles(at.dir + "/blobs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	c := store.Config{
		Database: at.database, Dir: at.dir, Blobs: blobs, FileKey: fileKey(), Links: api.Links{PublicURL: "http://test"},
		Retention: store.Retention{Events: 30 * 24 * time.Hour, Trash: 30 * 24 * time.Hour, Audit: 48 * time.Hour},
	}
	for _, f := range change {
		f(&c)
	}
	db, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// everywhere runs a test over every database.
func everywhere(t *testing.T, f func(*testing.T, *house)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newHouse(t, "")) })
	t.Run("postgres", func(t *testing.T) { f(t, newHouse(t, newDatabase(t))) })
}

func newHouse(t testing.TB, database string) *house {
	t.Helper()
	at := place{t.TempDir(), database}
	h := &house{DB: openStore(t, at), t: t, at: at}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	h.account = h.addAccount()
	h.scope = openmail.Scope{Account: h.account}
	h.inbox = h.addInbox("jane")
	return h
}

func (h *house) addAccount() string {
	h.t.Helper()
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), Name: "test", ReceiptDeadline: 10 * time.Second, CreatedAt: time.Now()}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: time.Now()}
	h.check(h.CreateAccount(h.t.Context(), openmail.Operator(), a, k, sha256.Sum256([]byte(a.ID))))
	return a.ID
}

func (h *house) addInbox(name string) openmail.Inbox {
	h.t.Helper()
	in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Address: name + "@openmail.test", CreatedAt: time.Now()}
	h.check(h.CreateInbox(h.t.Context(), h.scope, in))
	return in
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// mail is a mail to be filed; the zero values are filled in.
type mail struct {
	id, inReplyTo string
	references    []string
	subject, text string
	pad           int // bytes of raw mail
	to            []openmail.Inbox
	files         []openmail.Attachment // beside a.txt
	verdict       *openmail.Verdict
}

var (
	mails     sync.Mutex // only makes raw mails differ
	mailCount int
)

func (h *house) filing(m mail) intake.Filing {
	mails.Lock()
	mailCount++
	n := mailCount
	mails.Unlock()
	if m.id == "" {
		m.id = fmt.Sprintf("<%d@sender.test>", n)
	}
	if m.text == "" {
		m.text = "Hello."
	}
	raw := []byte("Message-ID: " + m.id + "\r\nSubject: " + m.subject + "\r\n\r\n" + m.text + strings.Repeat(".", m.pad))
	if m.to == nil {
		m.to = []openmail.Inbox{h.inbox}
	}
	if m.verdict == nil {
		m.verdict = &openmail.Verdict{Admitted: true}
	}
	f := intake.Filing{Raw: raw, Digest: sha256.Sum256(raw), At: time.Now(), Listening: func(string, string, openmail.EventType) bool { return h.sockets }}
	for _, in := range m.to {
		f.Copies = append(f.Copies, intake.Copy{
			Event: id.New(openmail.PrefixEvent), Verdict: *m.verdict, Expires: time.Now().Add(time.Hour),
			Message: openmail.Message{
				ID: id.New(openmail.PrefixMessage), Account: in.Account, Inbox: in.ID, Thread: id.New(openmail.PrefixThread),
				Direction: openmail.Inbound, Status: openmail.StatusReceived, From: openmail.Address{Name: "Ann", Addr: "ann@sender.test"},
				ToAddr: in.Address, HeaderTo: in.Address, DeliveryRole: openmail.RoleTo, CC: []string{"c@d.test"}, Subject: m.subject,
				BodyText: m.text, BodyHTML: "<p>" + m.text, RFCMessageID: m.id, InReplyTo: m.inReplyTo, References: m.references,
				Attachments:  append([]openmail.Attachment{{Filename: "a.txt", ContentType: "text/plain", SizeBytes: 3, Offset: 4, Length: 4, Encoding: "base64"}}, m.files...),
				Envelope:     openmail.MessageEnvelope{MailFrom: "bounce@sender.test", RcptTo: in.Address, RemoteIP: "192.0.2.1", Helo: "mx.sender.test", TLS: true},
				EnvelopeRole: openmail.RoleTo, SizeBytes: int64(len(raw)), CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
			},
		})
	}
	return f
}

func (h *house) file(m mail) intake.Filed {
	h.t.Helper()
	filed, err := h.File(h.t.Context(), h.filing(m))
	h.check(err)
	return filed[0]
}

func (h *house) event(eventID string) openmail.Event {
	h.t.Helper()
	e, err := h.Event(h.t.Context(), h.scope, eventID)
	h.check(err)
	return e
}

func (h *house) drop(lost []dispatch.Receipt) {
	h.t.Helper()
	_, _, err := h.Drop(h.t.Context(), h.scope, lost, listening(false))
	h.check(err)
}

func listening(yes bool) dispatch.Listening {
	return func(string, string, openmail.EventType) bool { return yes }
}

func (h *house) setWebhook() openmail.Endpoint {
	h.t.Helper()
	e := openmail.Endpoint{ID: id.New(openmail.PrefixEndpoint), Account: h.account, URL: "https://agent.test/hook", Secret: "whsec_canary", Enabled: true, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	h.check(h.PutEndpoint(h.t.Context(), h.scope, e))
	return e
}

func TestAMessageIsReadAsItWasFiled(t *testing.T) {
	for name, pad := range map[string]int{"in its row": 0, "in a blob": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, h *house) {
				f := h.filing(mail{subject: "grüße", text: "Hello, wörld.", pad: pad, references: []string{"<a@b>", "<c@d>"}})
				filed, err := h.File(t.Context(), f)
				h.check(err)
				got, err := h.Message(t.Context(), h.scope, filed[0].Message)
				h.check(err)
				want := f.Copies[0].Message
				if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
				raw, size, err := h.Raw(t.Context(), h.scope, filed[0].Message)
				h.check(err)
				all, err := io.ReadAll(raw)
				h.check(err)
				h.check(raw.Close())
				if string(all) != string(f.Raw) || size != int64(len(f.Raw)) {
					t.Errorf("the raw mail came back as %d bytes of %d", len(all), len(f.Raw))
				}
			})
		})
	}
}

func TestAMailToTwoInboxesIsTwoMessagesAndTwoEvents(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		other := h.addInbox("joe")
		filed, err := h.File(t.Context(), h.filing(mail{to: []openmail.Inbox{h.inbox, other}}))
		h.check(err)
		if len(filed) != 2 || filed[0].Message == filed[1].Message || filed[0].Thread == filed[1].Thread || filed[0].Event == filed[1].Event {
			t.Fatalf("filed %+v", filed)
		}
		events, _, err := h.Events(t.Context(), h.scope, dispatch.Filter{}, 0, 10)
		h.check(err)
		if len(events) != 2 || events[0].Position != 2 || events[1].Position != 1 {
			t.Errorf("events %+v", events)
		}
	})
}

func TestTheSameBytesToTheSameInboxAddNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		for name, messageID := range map[string]string{"with a message id": "<once@sender.test>", "without": ""} {
			f := h.filing(mail{id: messageID})
			if messageID == "" {
				f.Copies[0].Message.RFCMessageID = ""
			}
			first, err := h.File(t.Context(), f)
			h.check(err)
			f.Copies[0].Message.ID, f.Copies[0].Event = id.New(openmail.PrefixMessage), id.New(openmail.PrefixEvent)
			again, err := h.File(t.Context(), f)
			h.check(err)
			if !again[0].Duplicate || again[0].Message != first[0].Message || again[0].Thread != first[0].Thread {
				t.Errorf("%s: filed %+v, then %+v", name, first[0], again[0])
			}
		}
		_, total, err := h.Messages(t.Context(), h.scope, h.inbox.ID, "", openmail.Page{Limit: 10})
		if total != 2 || err != nil {
			t.Errorf("%d messages, %v", total, err)
		}
	})
}

func TestPositionsHaveNoGapsUnderManyWriters(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		const writers, each = 32, 20
		stop := make(chan struct{})
		var seen []openmail.Position
		var cursor, filers sync.WaitGroup
		cursor.Go(func() {
			var at openmail.Position
			for done := false; !done; {
				select {
				case <-stop:
					done = true
				default:
				}
				for {
					events, err := h.After(t.Context(), h.scope, at, 7)
					if err != nil || len(events) == 0 {
						break
					}
					for _, e := range events {
						seen = append(seen, e.Position)
						at = e.Position
					}
				}
			}
		})
		for range writers {
			filers.Go(func() {
				for range each {
					if _, err := h.File(t.Context(), h.filing(mail{})); err != nil {
						t.Error(err)
					}
				}
			})
		}
		filers.Wait()
		close(stop)
		cursor.Wait()
		if len(seen) != writers*each || !slices.IsSorted(seen) || seen[0] != 1 || seen[len(seen)-1] != writers*each {
			t.Errorf("a cursor beside the writers saw %d of %d events", len(seen), writers*each)
		}
		if g := h.Groups(); g.Commits() >= g.Units() {
			t.Errorf("%d units took %d commits: nothing was grouped", g.Units(), g.Commits())
		}
	})
}

func TestOneUnitThatFailsDoesNotSpoilItsNeighbours(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if i%4 == 0 {
					err := h.CreateInbox(t.Context(), h.scope, openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: h.account, Address: h.inbox.Address})
					if openmail.CodeOf(err) != openmail.CodeAddressTaken {
						t.Errorf("a taken address: %v", err)
					}
					return
				}
				if _, err := h.File(t.Context(), h.filing(mail{})); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if head, err := h.Head(t.Context(), h.scope); head != 30 || err != nil {
			t.Errorf("the head is %d, %v", head, err)
		}
	})
}

func TestABirthFollowsTheRoute(t *testing.T) {
	for _, c := range []struct {
		name             string
		sockets, webhook bool
		state            openmail.State
		reason           openmail.Reason
	}{
		{"nobody", false, false, openmail.StateFailed, openmail.ReasonNoRoute},
		{"a webhook", false, true, openmail.StateDue, ""},
		{"a socket", true, false, openmail.StateArmed, ""},
		{"both", true, true, openmail.StateArmed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, h *house) {
				h.sockets = c.sockets
				if c.webhook {
					h.setWebhook()
				}
				filed := h.file(mail{})
				e := h.event(filed.Event)
				if e.Delivery.State != c.state || e.Delivery.Reason != c.reason || filed.State != c.state {
					t.Errorf("born %+v", e.Delivery)
				}
			})
		})
	}
}

func TestRepliesJoinTheThreadInBothDirectionsOfTime(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		root := h.file(mail{id: "<root@x>", subject: "Topic"})
		for name, m := range map[string]mail{
			"by In-Reply-To":        {inReplyTo: "<root@x>"},
			"by References":         {references: []string{"<root@x>"}},
			"by an older reference": {references: []string{"<root@x>", "<unknown@x>"}},
		} {
			if got := h.file(m).Thread; got != root.Thread {
				t.Errorf("%s: thread %s, want %s", name, got, root.Thread)
			}
		}
		if got := h.file(mail{inReplyTo: "<stranger@x>", subject: "Re: Topic"}).Thread; got == root.Thread {
			t.Error("an answer to something unknown joined the thread")
		}

		// The answers come first, each in a thread of its own, then their parent.
		one := h.file(mail{id: "<one@x>", inReplyTo: "<late@x>"})
		two := h.file(mail{id: "<two@x>", references: []string{"<late@x>"}})
		if one.Thread == two.Thread {
			t.Fatal("answers to a missing message were joined before it came")
		}
		late := h.file(mail{id: "<late@x>", inReplyTo: "<root@x>"})
		if late.Thread != root.Thread {
			t.Errorf("the late parent is in %s, want the oldest thread %s", late.Thread, root.Thread)
		}
		for _, old := range []string{one.Thread, two.Thread, root.Thread} {
			th, messages, err := h.Thread(t.Context(), h.scope, old)
			h.check(err)
			if th.ID != root.Thread || len(messages) != 7 || th.MessageCount != 7 {
				t.Errorf("thread %s is %s with %d messages, counted %d", old, th.ID, len(messages), th.MessageCount)
			}
		}
		threads, total, err := h.Threads(t.Context(), h.scope, h.inbox.ID, nil, openmail.Page{Limit: 10})
		if len(threads) != 2 || total != 2 || err != nil {
			t.Errorf("%d threads of %d, %v", len(threads), total, err)
		}
	})
}

func TestClaimPostSettle(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		endpoint := h.setWebhook()
		filed := h.file(mail{subject: "posted"})
		now := time.Now().Add(time.Second)

		claimed, err := h.Claim(t.Context(), h.scope, dispatch.Claim{At: now, Posts: 8, Listening: listening(false)})
		h.check(err)
		if len(claimed.Posts) != 1 || claimed.Posts[0].Event.ID != filed.Event || claimed.Posts[0].Endpoint != endpoint {
			t.Fatalf("claimed %+v", claimed)
		}
		if !strings.Contains(string(claimed.Posts[0].Event.Payload), `"subject":"posted"`) {
			t.Errorf("payload %s", claimed.Posts[0].Event.Payload)
		}
		again, err := h.Claim(t.Context(), h.scope, dispatch.Claim{At: now, Posts: 8, Listening: listening(false)})
		h.check(err)
		if len(again.Posts) != 0 {
			t.Fatal("a claimed post was claimed again")
		}
		if lease := again.Next.Sub(now); lease > delivery.Lease || lease < delivery.Lease-time.Millisecond {
			t.Errorf("the lease ends after %v", lease)
		}

		// The lease runs out: the same post is due again, and what was lost is on record.
		now = now.Add(delivery.Lease)
		claimed, err = h.Claim(t.Context(), h.scope, dispatch.Claim{At: now, Posts: 8, Listening: listening(false)})
		h.check(err)
		if len(claimed.Posts) != 1 || claimed.Posts[0].Event.Delivery.Attempts != 2 || claimed.Posts[0].Event.Delivery.Posts != 1 {
			t.Fatalf("after the lease: %+v", claimed)
		}
		h.check(h.Settle(t.Context(), h.scope, []dispatch.Settled{{
			Post: claimed.Posts[0], Attempt: openmail.Attempt{N: 2, Channel: openmail.ChannelWebhook, At: now, Took: time.Second, Status: 503, Outcome: openmail.OutcomeRefused, Response: "no"},
		}}))
		e := h.event(filed.Event)
		if e.Delivery.State != openmail.StateDue || !e.Delivery.Due.Equal(now.Add(31*time.Second).UTC().Truncate(time.Microsecond)) {
			t.Errorf("after a 503: %+v", e.Delivery)
		}
		attempts, err := h.Attempts(t.Context(), h.scope, filed.Event)
		h.check(err)
		if len(attempts) != 2 || attempts[0].Outcome != openmail.OutcomeLost || attempts[1].Status != 503 {
			t.Errorf("attempts %+v", attempts)
		}
	})
}

func TestAReceiptDeliversOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.sockets = true
		filed := h.file(mail{})
		e := h.event(filed.Event)
		r := dispatch.Receipt{Account: h.account, Position: e.Position, Attempt: 1, PushedAt: time.Now(), At: time.Now().Add(time.Millisecond), Remote: "192.0.2.9:1"}
		h.check(h.Confirm(t.Context(), h.scope, []dispatch.Receipt{r, r}))
		r.Remote = "192.0.2.9:2"
		h.check(h.Confirm(t.Context(), h.scope, []dispatch.Receipt{r}))
		if d := h.event(filed.Event).Delivery; d.State != openmail.StateDelivered || d.Channel != openmail.ChannelWebSocket || d.Attempts != 1 {
			t.Errorf("after the receipt: %+v", d)
		}
		attempts, err := h.Attempts(t.Context(), h.scope, filed.Event)
		if len(attempts) != 1 || attempts[0].Remote != "192.0.2.9:1" || err != nil {
			t.Errorf("attempts %+v, %v", attempts, err)
		}
	})
}

func TestADroppedSocketsEventFallsBackAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.sockets = true
		filed := h.file(mail{})
		e := h.event(filed.Event)
		lost := []dispatch.Receipt{{Account: h.account, Position: e.Position, Attempt: 1, PushedAt: time.Now(), At: time.Now()}}
		h.drop(lost)
		if d := h.event(filed.Event).Delivery; d.State != openmail.StateFailed || d.Reason != openmail.ReasonNoRoute {
			t.Errorf("without a webhook: %+v", d)
		}
		filed = h.file(mail{})
		h.setWebhook()
		lost[0].Position = h.event(filed.Event).Position
		h.drop(lost)
		if d := h.event(filed.Event).Delivery; d.State != openmail.StateDue || d.Due.After(time.Now()) {
			t.Errorf("with a webhook: %+v", d)
		}
	})
}

func TestAnEndpointThatIsGoneIsDisabled(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.setWebhook()
		filed := h.file(mail{})
		claimed, err := h.Claim(t.Context(), h.scope, dispatch.Claim{At: time.Now().Add(time.Second), Posts: 1, Listening: listening(false)})
		h.check(err)
		h.check(h.Settle(t.Context(), h.scope, []dispatch.Settled{{
			Post: claimed.Posts[0], Attempt: openmail.Attempt{N: 1, Channel: openmail.ChannelWebhook, At: time.Now(), Status: 410, Outcome: openmail.OutcomeGone},
		}}))
		e, err := h.Endpoint(t.Context(), h.scope, "")
		if e.Enabled || e.DisabledReason == "" || err != nil {
			t.Errorf("the endpoint is %+v, %v", e, err)
		}
		if d := h.event(filed.Event).Delivery; d.Reason != openmail.ReasonGone {
			t.Errorf("the event is %+v", d)
		}
		if d := h.event(h.file(mail{}).Event).Delivery; d.Reason != openmail.ReasonNoRoute {
			t.Errorf("the next event is %+v", d)
		}
	})
}

func TestOffersAndRedelivery(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.setWebhook()
		one, two := h.file(mail{}), h.file(mail{})
		wanted := func(e openmail.Event) bool { return e.ID == two.Event }
		offered, err := h.Offer(t.Context(), h.scope, 2, wanted, 10)
		h.check(err)
		if len(offered) != 1 || offered[0].ID != two.Event || offered[0].Delivery.State != openmail.StateArmed || len(offered[0].Payload) == 0 {
			t.Fatalf("offered %+v", offered)
		}
		if d := h.event(one.Event).Delivery; d.State != openmail.StateDue {
			t.Errorf("the other is %+v", d)
		}
		h.check(h.DeleteEndpoint(t.Context(), h.scope, ""))
		failed := h.file(mail{})
		again, err := h.Redeliver(t.Context(), h.scope, dispatch.Filter{State: openmail.StateFailed}, 0, 10, listening(true))
		h.check(err)
		if len(again) != 1 || again[0].ID != failed.Event || again[0].Delivery.State != openmail.StateArmed {
			t.Fatalf("again %+v", again)
		}
		if none, err := h.Redeliver(t.Context(), h.scope, dispatch.Filter{State: openmail.StateFailed}, again[0].Position, 10, listening(true)); len(none) != 0 || err != nil {
			t.Errorf("after the last: %+v, %v", none, err)
		}
	})
}

func TestAfterIsTheSameFromTheTailAndFromTheLog(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.sockets = true
		for range 10 {
			h.file(mail{})
		}
		fromTail, err := h.After(t.Context(), h.scope, 3, 100)
		h.check(err)
		h.check(h.Close())
		h.DB = openStore(t, h.at) // nothing is in the tail now
		fromLog, err := h.After(t.Context(), h.scope, 3, 100)
		h.check(err)
		if len(fromTail) != 7 || len(fromLog) != 7 {
			t.Fatalf("%d and %d events", len(fromTail), len(fromLog))
		}
		for i := range fromTail {
			if string(fromTail[i].Payload) != string(fromLog[i].Payload) || fromTail[i].ID != fromLog[i].ID {
				t.Errorf("event %d\ntail %s\nlog  %s", i, fromTail[i].Payload, fromLog[i].Payload)
			}
		}
	})
}

func TestWhatAMailAnswersGoesBeforeWhatItRefersTo(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		one, two := h.file(mail{id: "<one@x>"}), h.file(mail{id: "<two@x>"})
		if got := h.file(mail{inReplyTo: "<two@x>", references: []string{"<one@x>"}}).Thread; got != two.Thread {
			t.Errorf("it is in %s, want %s, not %s", got, two.Thread, one.Thread)
		}
		if got := h.file(mail{inReplyTo: "<unknown@x>", references: []string{"<one@x>", "<unknown@x>"}}).Thread; got != one.Thread {
			t.Errorf("with an unknown In-Reply-To it is in %s, want %s", got, one.Thread)
		}
		if threads, total, err := h.Threads(t.Context(), h.scope, h.inbox.ID, nil, openmail.Page{Limit: 10}); len(threads) != 2 || total != 2 || err != nil {
			t.Errorf("%d threads of %d, %v", len(threads), total, err)
		}
	})
}

func TestQuarantinedMailGoesWhenItsTimeIsOver(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.file(mail{verdict: &openmail.Verdict{Reason: openmail.ReasonBlocked}}) // for an hour
		for _, c := range []struct {
			after time.Duration
			left  int
		}{{59 * time.Minute, 1}, {61 * time.Minute, 0}} {
			_, err := h.Sweep(t.Context(), time.Now().Add(c.after))
			h.check(err)
			if _, total, err := h.Quarantined(t.Context(), h.scope, openmail.Page{Limit: 10}); total != c.left || err != nil {
				t.Errorf("after %v: %d, %v", c.after, total, err)
			}
		}
	})
}

func TestQuarantinedMailMakesNoEventUntilItIsReleased(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		f := h.filing(mail{subject: "spam", verdict: &openmail.Verdict{Reason: openmail.ReasonBlocked, Rule: "rule_1"}})
		filed, err := h.File(t.Context(), f)
		h.check(err)
		if !filed[0].Quarantined || filed[0].Event != "" {
			t.Fatalf("filed %+v", filed[0])
		}
		if _, err := h.File(t.Context(), f); err != nil { // again: nothing is added
			t.Fatal(err)
		}
		list, total, err := h.Quarantined(t.Context(), h.scope, openmail.Page{Limit: 10})
		h.check(err)
		if total != 1 || list[0].Subject != "spam" || list[0].Verdict.Rule != "rule_1" {
			t.Fatalf("quarantine %+v of %d", list, total)
		}
		held, err := h.QuarantinedMail(t.Context(), h.scope, list[0].ID)
		h.check(err)
		if string(held.Raw) != string(f.Raw) || held.Inbox.ID != h.inbox.ID || held.Envelope.MailFrom != "bounce@sender.test" {
			t.Errorf("held %+v", held)
		}
		f.Copies[0].Verdict = openmail.Verdict{Admitted: true}
		released, err := h.Release(t.Context(), h.scope, list[0].ID, f)
		h.check(err)
		if h.event(released.Event).Message != released.Message {
			t.Errorf("released %+v", released)
		}
		if _, err := h.Release(t.Context(), h.scope, list[0].ID, f); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("released twice: %v", err)
		}
	})
}

func TestNothingOfAnotherAccountIsFound(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.setWebhook()
		filed := h.file(mail{})
		quarantined := h.file(mail{verdict: &openmail.Verdict{Reason: openmail.ReasonBlocked}})
		stranger := openmail.Scope{Account: h.addAccount()}
		ctx := t.Context()
		for name, read := range map[string]func() error{
			"inbox":      func() error { _, err := h.Inbox(ctx, stranger, h.inbox.ID); return err },
			"inbox at":   func() error { _, err := h.InboxAt(ctx, stranger, h.inbox.Address); return err },
			"update":     func() error { return h.UpdateInbox(ctx, stranger, h.inbox) },
			"delete":     func() error { return h.DeleteInbox(ctx, stranger, h.inbox.ID, time.Now()) },
			"message":    func() error { _, err := h.Message(ctx, stranger, filed.Message); return err },
			"raw":        func() error { _, _, err := h.Raw(ctx, stranger, filed.Message); return err },
			"thread":     func() error { _, _, err := h.Thread(ctx, stranger, filed.Thread); return err },
			"read":       func() error { return h.SetRead(ctx, stranger, filed.Thread, true) },
			"trash":      func() error { return h.TrashThread(ctx, stranger, filed.Thread, time.Now()) },
			"remove":     func() error { return h.DeleteMessage(ctx, stranger, filed.Message) },
			"event":      func() error { _, err := h.Event(ctx, stranger, filed.Event); return err },
			"attempts":   func() error { _, err := h.Attempts(ctx, stranger, filed.Event); return err },
			"find":       func() error { _, err := h.Find(ctx, stranger, filed.Event); return err },
			"endpoint":   func() error { _, err := h.Endpoint(ctx, stranger, ""); return err },
			"quarantine": func() error { _, err := h.QuarantinedOne(ctx, stranger, quarantined.Message); return err },
			"held":       func() error { _, err := h.QuarantinedMail(ctx, stranger, quarantined.Message); return err },
			"drop held":  func() error { return h.DeleteQuarantined(ctx, stranger, quarantined.Message) },
		} {
			if err := read(); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("%s: %v", name, err)
			}
			if err := h.RevokeKey(ctx, stranger, access.Owner{}, "key_x", time.Now()); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("revoke: %v", err)
			}
		}
		if messages, total, err := h.Messages(ctx, stranger, h.inbox.ID, "", openmail.Page{Limit: 10}); len(messages)+total != 0 || err != nil {
			t.Errorf("messages: %d, %v", total, err)
		}
		if events, err := h.After(ctx, stranger, 0, 10); len(events) != 0 || err != nil {
			t.Errorf("events: %d, %v", len(events), err)
		}
	})
}

func TestAnInboxScopeSeesOnlyItsInbox(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.sockets = true
		other := h.addInbox("joe")
		mine, theirs := h.file(mail{}), h.file(mail{to: []openmail.Inbox{other}})
		scope := openmail.Scope{Account: h.account, Inbox: h.inbox.ID}
		events, err := h.After(t.Context(), scope, 0, 10)
		if len(events) != 1 || events[0].ID != mine.Event || err != nil {
			t.Errorf("events %+v, %v", events, err)
		}
		if _, err := h.Message(t.Context(), scope, theirs.Message); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("the other inbox's message: %v", err)
		}
		if head, err := h.Head(t.Context(), scope); head != 2 || err != nil {
			t.Errorf("head %d, %v", head, err)
		}
	})
}

func TestDeletingLeavesNothingBehind(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		one := h.file(mail{id: "<a@x>"})
		two := h.file(mail{inReplyTo: "<a@x>"})
		h.check(h.DeleteMessage(t.Context(), h.scope, one.Message))
		th, messages, err := h.Thread(t.Context(), h.scope, one.Thread)
		if th.MessageCount != 1 || len(messages) != 1 || err != nil {
			t.Errorf("thread %+v with %d, %v", th, len(messages), err)
		}
		h.check(h.DeleteMessage(t.Context(), h.scope, two.Message))
		for name, err := range map[string]error{
			"thread": func() error { _, _, err := h.Thread(t.Context(), h.scope, one.Thread); return err }(),
			"event":  func() error { _, err := h.Event(t.Context(), h.scope, one.Event); return err }(),
		} {
			if openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("the %s: %v", name, err)
			}
		}
		h.file(mail{pad: 100 << 10})
		h.check(h.DeleteInbox(t.Context(), h.scope, h.inbox.ID, time.Now()))
		if removed, err := h.Sweep(t.Context(), time.Now().Add(2*time.Hour)); removed != 1 || err != nil {
			t.Errorf("the sweep removed %d, %v; want the body that nothing names", removed, err)
		}
		if events, err := h.After(t.Context(), h.scope, 0, 10); len(events) != 0 || err != nil {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}

// An agent that deletes what it has dealt with still resumes where it was.
func TestThePlaceOfAnEventOutlivesItsMessage(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		other := h.addInbox("joe")
		deleted, trashed, emptied := h.file(mail{}), h.file(mail{}), h.file(mail{to: []openmail.Inbox{other}})
		h.check(h.DeleteMessage(t.Context(), h.scope, deleted.Message))
		h.check(h.TrashThread(t.Context(), h.scope, trashed.Thread, time.Now()))
		h.check(h.DeleteInbox(t.Context(), h.scope, other.ID, time.Now()))
		next := h.file(mail{})
		for want, event := range []string{deleted.Event, trashed.Event, emptied.Event, next.Event} {
			if p, err := h.Find(t.Context(), h.scope, event); p != openmail.Position(want+1) || err != nil {
				t.Errorf("event %d is found at %d, %v", want+1, p, err)
			}
			if p, err := h.Find(t.Context(), openmail.Scope{Account: "acc_other"}, event); openmail.CodeOf(err) != openmail.CodeNotFound {
				t.Errorf("a stranger finds event %d at %d, %v", want+1, p, err)
			}
		}
		_, err := h.Sweep(t.Context(), time.Now().Add(31*24*time.Hour))
		h.check(err)
		if p, err := h.Find(t.Context(), h.scope, deleted.Event); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("after its time an event is found at %d, %v", p, err)
		}
	})
}

func TestATrashedThreadIsHiddenAndAReplyStartsANewOne(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		one := h.file(mail{id: "<a@x>"})
		h.check(h.TrashThread(t.Context(), h.scope, one.Thread, time.Now()))
		if _, err := h.Message(t.Context(), h.scope, one.Message); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("the message: %v", err)
		}
		if reply := h.file(mail{inReplyTo: "<a@x>"}); reply.Thread == one.Thread {
			t.Error("the reply joined the trashed thread")
		}
		if removed, err := h.Sweep(t.Context(), time.Now().Add(31*24*time.Hour)); removed < 1 || err != nil {
			t.Errorf("the sweep removed %d, %v", removed, err)
		}
	})
}

func TestFilteredListsEndAndFindEverything(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		other := h.addInbox("joe")
		for i := range 25 {
			to := h.inbox
			if i%5 == 0 {
				to = other
			}
			h.file(mail{to: []openmail.Inbox{to}})
		}
		for name, c := range map[string]struct {
			filter dispatch.Filter
			want   int
		}{
			"all":    {dispatch.Filter{}, 25},
			"inbox":  {dispatch.Filter{Inbox: other.ID}, 5},
			"failed": {dispatch.Filter{State: openmail.StateFailed}, 25},
			"armed":  {dispatch.Filter{State: openmail.StateArmed}, 0},
			"type":   {dispatch.Filter{Type: openmail.MessageReceived}, 25},
			"future": {dispatch.Filter{Since: time.Now().Add(time.Hour)}, 0},
			"past":   {dispatch.Filter{Until: time.Now().Add(time.Hour)}, 25},
		} {
			var before openmail.Position
			n := 0
			for {
				events, next, err := h.Events(t.Context(), h.scope, c.filter, before, 4)
				h.check(err)
				n += len(events)
				if before = next; next == 0 {
					break
				}
			}
			if n != c.want {
				t.Errorf("%s: %d events, want %d", name, n, c.want)
			}
		}
	})
}

func TestLanesNameTheAccountsThatWait(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		lanes, err := h.Lanes(t.Context(), openmail.Operator())
		if len(lanes) != 0 || err != nil {
			t.Fatalf("lanes %+v, %v", lanes, err)
		}
		h.setWebhook()
		h.file(mail{})
		lanes, err = h.Lanes(t.Context(), openmail.Operator())
		due, others, late := h.Due(t.Context(), h.scope, dispatch.Lane{Account: h.account})
		if len(lanes) != 1 || lanes[0] != (dispatch.Lane{Account: h.account}) || due.IsZero() || !others.IsZero() || due.After(time.Now()) || errors.Join(err, late) != nil {
			t.Fatalf("lanes %+v, due %v, %v, %v", lanes, due, err, late)
		}
	})
}

func TestSecretsAreSealedOnDisk(t *testing.T) {
	h := newHouse(t, "")
	h.setWebhook()
	h.check(h.Close())
	for _, name := range []string{"openmail.db", "openmail.db-wal"} {
		if b, err := readFile(h.at.dir, name); err == nil && strings.Contains(b, "whsec_canary") {
			t.Errorf("%s holds the secret", name)
		}
	}
	h.DB = openStore(t, h.at)
	if e, err := h.Endpoint(t.Context(), h.scope, ""); e.Secret != "whsec_canary" || err != nil {
		t.Errorf("endpoint %+v, %v", e, err)
	}
}

func TestABodyThatIsGoneDoesNotHoldUpTheEventsBehindIt(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.setWebhook()
		gone, next := h.file(mail{pad: 100 << 10}), h.file(mail{})
		h.check(os.RemoveAll(h.at.dir + "/blobs"))
		events, err := h.After(t.Context(), h.scope, 0, 10)
		if len(events) != 2 || err != nil || events[1].ID != next.Event {
			t.Errorf("read %d events, %v", len(events), err)
		}
		c, err := h.Claim(t.Context(), h.scope, dispatch.Claim{At: time.Now(), Posts: 8, Listening: listening(false)})
		if len(c.Posts) != 2 || err != nil {
			t.Errorf("claimed %d posts, %v", len(c.Posts), err)
		}
		if m, err := h.Message(t.Context(), h.scope, gone.Message); err == nil {
			t.Errorf("the message was read as %q", m.BodyText)
		}
	})
}

func TestADatabaseOfANewerVersionIsLeftAlone(t *testing.T) {
	h := newHouse(t, "")
	h.check(h.Close())
	newer(t, h.at.dir)
	_, err := store.Open(context.Background(), store.Config{Dir: h.at.dir, FileKey: fileKey()})
	if openmail.CodeOf(err) != openmail.CodeConflict || !strings.Contains(err.Error(), "newer openmail") {
		t.Errorf("opened with %v", err)
	}
	h.DB = &store.DB{} // closed already
}

func TestAReplayIsNumberedAfterEveryAttemptBeforeIt(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		h.sockets = true
		h.setWebhook()
		filed := h.file(mail{}) // pushed: the first attempt
		later := time.Now().Add(time.Minute)
		claimed, err := h.Claim(t.Context(), h.scope, dispatch.Claim{At: later, Posts: 1, Listening: listening(true)})
		h.check(err)
		h.check(h.Settle(t.Context(), h.scope, []dispatch.Settled{{
			Post: claimed.Posts[0], Attempt: openmail.Attempt{N: 2, Channel: openmail.ChannelWebhook, At: later, Status: 200, Outcome: openmail.OutcomeDelivered},
		}}))
		for replay := 3; replay <= 4; replay++ {
			events, err := h.After(t.Context(), h.scope, 0, 10)
			h.check(err)
			if len(events) != 1 || events[0].Delivery.Attempts != replay-1 {
				t.Fatalf("before replay %d: %+v", replay, events)
			}
			r := dispatch.Receipt{Account: h.account, Position: 1, Attempt: replay, PushedAt: later, At: later.Add(time.Duration(replay))}
			h.check(h.Confirm(t.Context(), h.scope, []dispatch.Receipt{r, r}))
		}
		if d := h.event(filed.Event).Delivery; d.Channel != openmail.ChannelWebhook || d.Attempts != 4 {
			t.Errorf("in the end: %+v", d)
		}
		attempts, err := h.Attempts(t.Context(), h.scope, filed.Event)
		if len(attempts) != 3 || err != nil { // the first push never had its receipt, nor was it lost
			t.Errorf("attempts %+v, %v", attempts, err)
		}
	})
}
