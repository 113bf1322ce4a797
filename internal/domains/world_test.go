package domains_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"openmail"
	"openmail/api"
	"openmail/internal/blob"
	"openmail/internal/domains"
	"openmail/internal/id"
	"openmail/internal/mailauth"
	"openmail/internal/reach"
	"openmail/internal/reach/dnstest"
	"openmail/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hostname = "mx.ours.example"

// zone is a name server, by datagram and by stream.
type zone struct {
	mu      sync.Mutex
	records map[string][]dns.RR // by fully qualified name
	mute    bool                // it fails
	asked   int
}

func startZone(t *testing.T) (*zone, string) {
	t.Helper()
	z := &zone{records: map[string][]dns.RR{}}
	return z, dnstest.Serve(t, z)
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	m := new(dns.Msg).SetReply(q)
	rrs, exists := z.records[strings.ToLower(q.Question[0].Name)]
	switch {
	case z.mute:
		m.Rcode = dns.RcodeServerFailure
	case !exists:
		m.Rcode = dns.RcodeNameError
	}
	for _, rr := range rrs {
		if rr.Header().Rrtype == q.Question[0].Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok && m.Len() > 1232 {
		m.Answer, m.Truncated = nil, true
	}
	_ = w.WriteMsg(m)
}

func (z *zone) silence(mute bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.mute = mute
}

// txt publishes a text at a name, in strings of 255 bytes.
func (z *zone) txt(name, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET}}
	for len(value) > 255 {
		rr.Txt, value = append(rr.Txt, value[:255]), value[255:]
	}
	rr.Txt = append(rr.Txt, value)
	z.records[rr.Hdr.Name] = append(z.records[rr.Hdr.Name], rr)
}

func (z *zone) mx(name, host string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	rr := &dns.MX{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeMX, Class: dns.ClassINET}, Preference: 10, Mx: dns.Fqdn(host)}
	z.records[rr.Hdr.Name] = append(z.records[rr.Hdr.Name], rr)
}

// remove takes away what there is of a type at a name.
func (z *zone) remove(name, kind string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	var left []dns.RR
	for _, rr := range z.records[dns.Fqdn(name)] {
		if dns.TypeToString[rr.Header().Rrtype] != kind {
			left = append(left, rr)
		}
	}
	z.records[dns.Fqdn(name)] = left
}

// publish publishes records as they are shown.
func (z *zone) publish(records []openmail.DomainRecord) {
	for _, r := range records {
		if r.Type == "MX" {
			z.mx(r.Name, r.Value)
		} else {
			z.txt(r.Name, r.Value)
		}
	}
}

// world is the room over the real store, with two accounts and a name server.
type world struct {
	*domains.Domains
	t          *testing.T
	db         *store.DB
	zone       *zone
	one, other openmail.Scope
	config     domains.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	blobs, err := blob.NewFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Blobs: blobs, Links: api.Links{PublicURL: "http://ours"}, FileKey: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, db: db}
	var addr string
	w.zone, addr = startZone(t)
	w.config = domains.Config{
		Store: db, Due: db, Pods: db, Names: reach.NewDNS([]string{addr}), Keys: mailauth.NewSigner(db),
		Hostname: hostname, Own: []string{"ours.example", hostname}, SPF: "a:" + hostname, Logger: slog.New(slog.DiscardHandler),
	}
	w.Domains = domains.New(w.config)
	w.one, w.other = w.account(), w.account()
	return w
}

func (w *world) account() openmail.Scope {
	w.t.Helper()
	a := openmail.Account{ID: id.New(openmail.PrefixAccount), Name: "one", ReceiptDeadline: 10 * time.Second, CreatedAt: time.Now()}
	k := openmail.Key{ID: id.New(openmail.PrefixKey), Account: a.ID, CreatedAt: time.Now()}
	w.check(w.db.CreateAccount(w.t.Context(), openmail.Operator(), a, k, sha256.Sum256([]byte(a.ID))))
	return openmail.Scope{Account: a.ID}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) add(scope openmail.Scope, name string) domains.Shown {
	w.t.Helper()
	d, err := w.Add(w.t.Context(), scope, name, "")
	w.check(err)
	return d
}

func (w *world) verify(scope openmail.Scope, name string) domains.Shown {
	w.t.Helper()
	d, err := w.Verify(w.t.Context(), scope, name)
	w.check(err)
	return d
}

// record is the domain's record of that purpose, the first of them.
func record(t *testing.T, d domains.Shown, purpose string) openmail.DomainRecord {
	t.Helper()
	for _, r := range d.Records {
		if r.Purpose == purpose {
			return r
		}
	}
	t.Fatalf("%s has no %s record", d.Name, purpose)
	return openmail.DomainRecord{}
}
