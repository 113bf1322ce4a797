package outgoing_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/blob"
	"openmail/internal/dispatch"
	"openmail/internal/id"
	"openmail/internal/intake"
	"openmail/internal/outgoing"
	"openmail/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const home = "openmail.test"

// offer is one offer as the other server saw it.
type offer struct {
	outgoing.Parcel
	at time.Time
}

// remote stands in for the servers of other domains: it answers as the test
// says.
type remote struct {
	mu     sync.Mutex
	offers []offer
	now    map[string]int // conversations by domain
	most   map[string]int
	answer func(ctx context.Context, p outgoing.Parcel) outgoing.Answer // for each recipient the same
}

func (r *remote) Send(ctx context.Context, p outgoing.Parcel) []outgoing.Answer {
	r.mu.Lock()
	r.offers = append(r.offers, offer{p, time.Now()})
	r.now[p.Domain]++
	r.most[p.Domain] = max(r.most[p.Domain], r.now[p.Domain])
	r.mu.Unlock()
	a := r.answer(ctx, p)
	r.mu.Lock()
	r.now[p.Domain]--
	r.mu.Unlock()
	return slices.Repeat([]outgoing.Answer{a}, len(p.To))
}

func (r *remote) seen() []offer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.offers)
}

func says(fate outgoing.Fate, code int, enhanced, text string) func(context.Context, outgoing.Parcel) outgoing.Answer {
	return func(context.Context, outgoing.Parcel) outgoing.Answer {
		return outgoing.Answer{Fate: fate, Code: code, Enhanced: enhanced, Text: text, Server: "mx.other.test [192.0.2.1]"}
	}
}

var accepts = says(outgoing.FateAccepted, 250, "2.0.0", "ok")

// world is the room over the real store and the real intake.
type world struct {
	t        *testing.T
	db       *store.DB
	intake   *intake.Intake
	out      *outgoing.Outgoing
	carrier  *outgoing.Carrier
	remote   *remote // nil: no way to other domains
	queue    outgoing.Queue
	held     outgoing.Held
	mails    outgoing.Mails
	scope    openmail.Scope
	jane     openmail.Inbox
	settings outgoing.Config
	maxHeld  int64
	stop     context.CancelFunc
	stopped  sync.WaitGroup
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld has an account with the inbox jane; the carrier does not run yet.
func newWorld(t *testing.T, r *remote) *world {
	t.Helper()
	dir := t.TempDir()
	blobs, err := blob.NewFiles(dir)
	check(t, err)
	db, err := store.Open(context.Background(), store.Config{Dir: dir, Blobs: blobs, FileKey: make([]byte, 32), Links: api.Links{PublicURL: "http://test"}})
	check(t, err)
	w := &world{t: t, db: db, remote: r, queue: db, held: db, mails: db}
	listeners := dispatch.NewListeners()
	w.intake = intake.New(intake.Config{
		Store: db, Quarantine: db, Bell: quiet{}, Dispatcher: quiet{}, Listening: listeners.Wanted,
		MaxBytes: 36 << 20, Keep: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { check(t, db.Close()); check(t, blobs.Close()) })
	w.scope = openmail.Scope{Account: w.account()}
	w.jane = w.inbox(w.scope.Account, "jane", "Jane Doe")
	w.build()
	return w
}

type quiet struct{}

func (quiet) Ring(string)                          {}
func (quiet) Filed(string, string, openmail.State) {}

// build makes the room anew, as a start of the process would.
func (w *world) build() {
	ours := func(_ context.Context, domain string) (bool, error) { return domain == home, nil }
	var transport outgoing.Transport
	if w.remote != nil {
		w.remote.now, w.remote.most = map[string]int{}, map[string]int{}
		transport = w.remote
	}
	w.carrier = outgoing.NewCarrier(outgoing.CarrierConfig{
		Queue: w.queue, Held: w.held, Mails: w.mails, Local: w.intake, Transport: transport, Ours: ours, Hostname: "mx." + home, Logger: slog.New(slog.DiscardHandler), MaxHeld: w.maxHeld,
	})
	w.settings = outgoing.Config{
		Inboxes: w.db, Store: w.db, Rules: w.db, Quotas: w.db, Ours: ours, Relayed: transport != nil, Wake: w.carrier.Wake, MaxBytes: 36 << 20,
	}
	w.out = outgoing.New(w.settings)
}

// start lets the carrier run. It must be called in a bubble; halt it there.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.stopped.Go(func() { check(w.t, w.carrier.Run(ctx)) })
	synctest.Wait()
}

func (w *world) halt() {
	w.stop()
	w.stopped.Wait()
}

func (w *world) account() string {
	w.t.Helper()
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), CreatedAt: time.Now()}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: time.Now()}
	check(w.t, w.db.CreateAccount(context.Background(), openmail.Operator(), a, k, sha256.Sum256([]byte(a.ID))))
	return a.ID
}

func (w *world) inbox(account, name, display string) openmail.Inbox {
	w.t.Helper()
	in := openmail.Inbox{ID: id.New(openmail.PrefixInbox), Account: account, Address: name + "@" + home, DisplayName: display, CreatedAt: time.Now()}
	check(w.t, w.db.CreateInbox(context.Background(), openmail.Scope{Account: account}, in))
	return in
}

// letter is a small mail of jane's.
func (w *world) letter(to string) outgoing.Request {
	return outgoing.Request{Inbox: w.jane.ID, To: to, Subject: "Hello", Body: "How are you?"}
}

func (w *world) send(r outgoing.Request) outgoing.Sent {
	w.t.Helper()
	sent, err := w.out.Send(w.t.Context(), w.scope, r)
	check(w.t, err)
	return sent
}

func (w *world) refused(code openmail.Code, field string, r outgoing.Request) *openmail.Error {
	w.t.Helper()
	_, err := w.out.Send(w.t.Context(), w.scope, r)
	e, ok := errors.AsType[*openmail.Error](err)
	if !ok || e.Code != code || e.Field != field {
		w.t.Fatalf("%v, want %s on %q", err, code, field)
	}
	return e
}

func (w *world) message(messageID string) openmail.Message {
	w.t.Helper()
	m, err := w.db.Message(w.t.Context(), w.scope, messageID)
	check(w.t, err)
	return m
}

func (w *world) raw(messageID string) string {
	w.t.Helper()
	r, _, err := w.db.Raw(w.t.Context(), openmail.Operator(), messageID)
	check(w.t, err)
	b, err := io.ReadAll(r)
	check(w.t, err)
	check(w.t, r.Close())
	return string(b)
}

// messages are those of an inbox, what it sent first. In a bubble whole
// conversations take no time, so that nothing else tells which was first.
func (w *world) messages(in openmail.Inbox) []openmail.Message {
	w.t.Helper()
	all, _, err := w.db.Messages(w.t.Context(), openmail.Scope{Account: in.Account}, in.ID, "", openmail.Page{Limit: 1000})
	check(w.t, err)
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b openmail.Message) int { return -strings.Compare(string(a.Direction), string(b.Direction)) })
	return all
}

// arrives has a mail come in for an address of ours.
func (w *world) arrives(to, raw string) openmail.Message {
	w.t.Helper()
	r, err := w.intake.Route(w.t.Context(), to)
	check(w.t, err)
	messageID, err := w.intake.Accept(w.t.Context(), openmail.Envelope{MailFrom: "x@other.test", Rcpts: []openmail.Recipient{r}}, strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")))
	check(w.t, err)
	m, err := w.db.Message(w.t.Context(), openmail.Operator(), messageID)
	check(w.t, err)
	return m
}

// events counts the events of a message.
func (w *world) events(message string) (n int) {
	w.t.Helper()
	all, _, err := w.db.Events(w.t.Context(), w.scope, dispatch.Filter{}, 0, 100)
	check(w.t, err)
	for _, e := range all {
		if e.Message == message {
			n++
		}
	}
	return n
}
