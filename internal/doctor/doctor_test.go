package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"openmail"
	"openmail/internal/doctor"
	"openmail/internal/reach"
	"openmail/internal/reach/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "v=DKIM1; k=rsa; p=QUJD"

// good is the DNS of a server that lacks nothing.
const good = `ours.example. 60 IN MX 10 mx.ours.example.
ours.example. 60 IN TXT "v=spf1 mx -all"
openmail._domainkey.ours.example. 60 IN TXT "v=DKIM1; k=rsa; p=QUJD"
_dmarc.ours.example. 60 IN TXT "v=DMARC1; p=none"
_mta-sts.ours.example. 60 IN TXT "v=STSv1; id=1;"
mx.ours.example. 60 IN A 192.0.2.1
1.2.0.192.in-addr.arpa. 60 IN PTR mx.ours.example.
there.example. 60 IN MX 10 mx.there.example.`

// world is a server as doctor meets it.
type world struct {
	t      *testing.T
	config doctor.Config
	mail   net.Listener
	policy string
	shut   map[string]bool // addresses that nobody answers at
}

func newWorld(t *testing.T, records string) *world {
	t.Helper()
	w := &world{t: t, shut: map[string]bool{}, policy: "version: STSv1\r\nmode: enforce\r\nmx: *.ours.example\r\nmax_age: 86400\r\n"}
	cert, roots := certificate(t, "mx.ours.example", time.Now().Add(90*24*time.Hour))
	w.mail = w.serve(cert)
	w.config = doctor.Config{
		Server: doctor.Server{
			Domain: "ours.example", Hostname: "mx.ours.example", SMTP: "0.0.0.0:25", Leaves: true, SPF: "a:mx.ours.example",
			DKIM: []openmail.DNSRecord{{Type: "TXT", Name: "openmail._domainkey.ours.example", Value: key}},
		},
		Data: t.TempDir(), Names: reach.NewDNS([]string{nameServer(t, records)}), Web: w, Probe: "there.example", Roots: roots, Dial: w.dial,
	}
	return w
}

// dial leads every address to the server.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if w.shut[address] {
		return nil, errors.New("nobody is there")
	}
	return new(net.Dialer).DialContext(ctx, network, w.mail.Addr().String())
}

// Get implements doctor.Documents.
func (w *world) Get(_ context.Context, url string, _ int64) (string, []byte, error) {
	if url != "https://mta-sts.ours.example/.well-known/mta-sts.txt" || w.policy == "" {
		return "", nil, fmt.Errorf("get %s: status 404", url)
	}
	return "text/plain", []byte(w.policy), nil
}

// serve is an SMTP server as far as STARTTLS.
func (w *world) serve(cert tls.Certificate) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { talk(conn, cert) })
		}
	})
	w.t.Cleanup(func() { _ = ln.Close(); all.Wait() })
	return ln
}

func talk(conn net.Conn, cert tls.Certificate) {
	defer conn.Close()
	text := textproto.NewConn(conn)
	_ = text.PrintfLine("220 mx.ours.example ESMTP")
	for {
		line, err := text.ReadLine()
		switch {
		case err != nil:
			return
		case strings.HasPrefix(line, "EHLO"):
			_ = text.PrintfLine("250-mx.ours.example\r\n250 STARTTLS")
		case line == "STARTTLS":
			_ = text.PrintfLine("220 go on")
			text = textproto.NewConn(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
		default:
			_ = text.PrintfLine("221 bye")
			return
		}
	}
}

// certificate is one for a name, and what vouches for it.
func certificate(t *testing.T, name string, until time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-100 * 24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// nameServer serves records, a line each; without any, it fails.
func nameServer(t *testing.T, records string) string {
	t.Helper()
	var all []dns.RR
	for line := range strings.Lines(records) {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return dnstest.Serve(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		for _, rr := range all {
			if strings.EqualFold(rr.Header().Name, q.Question[0].Name) && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if records == "" {
			m.Rcode = dns.RcodeServerFailure
		}
		_ = w.WriteMsg(m)
	}))
}

// told is what was found of everything, as lines.
func (w *world) told() string {
	var b strings.Builder
	for _, c := range doctor.Examine(w.t.Context(), w.config) {
		fmt.Fprintf(&b, "%s %s %s\n", c.Status, c.Name, c.Message)
	}
	return b.String()
}

func TestAServerThatLacksNothingIsTold(t *testing.T) {
	w := newWorld(t, good)
	var names []string
	for _, c := range doctor.Examine(t.Context(), w.config) {
		if c.Status != doctor.OK && c.Name != "disk" { // whose disk is the tester's
			t.Errorf("%+v", c)
		}
		names = append(names, c.Name)
	}
	want := "disk smtp certificate port address inbound reverse mx spf dkim dmarc mta-sts outbound"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("looked at %s, want %s", got, want)
	}
}

func TestEveryFaultIsToldWithItsRemedy(t *testing.T) {
	without := func(line string) string {
		return strings.Join(strings.FieldsFunc(strings.Replace(good, line, "", 1), func(r rune) bool { return r == '\n' }), "\n")
	}
	for name, c := range map[string]struct {
		records string
		change  func(w *world)
		want    []string
	}{
		"another MX":     {strings.Replace(good, "10 mx.ours", "10 mx.old", 1), nil, []string{"fail mx MX ours.example: The MX record leads to mx.old.example", "It should be: 10 mx.ours.example"}},
		"no SPF":         {without(`ours.example. 60 IN TXT "v=spf1 mx -all"`), nil, []string{"fail spf TXT ours.example: Not found yet. It should be: v=spf1 a:mx.ours.example ~all"}},
		"another key":    {strings.Replace(good, "QUJD", "REVG", 1), nil, []string{"fail dkim", "Another key is published", "It should be: " + key}},
		"no DMARC":       {without(`_dmarc.ours.example. 60 IN TXT "v=DMARC1; p=none"`), nil, []string{"warn dmarc", "It should be: v=DMARC1; p=none;"}},
		"no address":     {without("mx.ours.example. 60 IN A 192.0.2.1"), nil, []string{"fail address mx.ours.example has no address: publish an A record"}},
		"a private one":  {strings.Replace(good, "192.0.2.1\n", "10.0.0.1\n", 1), nil, []string{"fail address 10.0.0.1 is no address of the internet"}},
		"no name":        {without("1.2.0.192.in-addr.arpa. 60 IN PTR mx.ours.example."), nil, []string{"fail reverse 192.0.2.1 has no name", "set its reverse DNS (PTR) to mx.ours.example"}},
		"another name":   {strings.Replace(good, "PTR mx.ours", "PTR host.isp", 1), nil, []string{"warn reverse 192.0.2.1 is named host.isp.example"}},
		"no policy":      {without(`_mta-sts.ours.example. 60 IN TXT "v=STSv1; id=1;"`), nil, []string{"ok mta-sts ours.example does not demand TLS"}},
		"a lost policy":  {good, func(w *world) { w.policy = "" }, []string{"warn mta-sts", "cannot be read", "status 404"}},
		"a wrong policy": {good, func(w *world) { w.policy = strings.Replace(w.policy, "*.ours", "mx.old", 1) }, []string{"fail mta-sts the policy does not name mx.ours.example"}},
		"a tested one": {good, func(w *world) {
			w.policy = strings.NewReplacer("enforce", "testing", "*.ours", "mx.old").Replace(w.policy)
		}, []string{"warn mta-sts the policy does not name"}},
		"no policy at all": {good, func(w *world) { w.policy = "<html>" }, []string{"warn mta-sts", "no version"}},
		"no DNS":           {"", nil, []string{"warn address", "warn mx", "Could not be checked", "warn spf", "warn dkim", "warn mta-sts", "warn outbound"}},
		"port closed in":   {good, func(w *world) { w.shut["192.0.2.1:25"] = true }, []string{"warn inbound 192.0.2.1:25 does not answer from here", "open port 25 in the firewall"}},
		"port closed out":  {good, func(w *world) { w.shut["mx.there.example:25"] = true }, []string{"fail outbound mx.there.example:25 cannot be reached", "ask your host to open it, or use a --relay"}},
		"a lost relay":     {good, func(w *world) { w.config.Server.Relay = "relay.example:587"; w.shut["relay.example:587"] = true }, []string{"fail outbound relay.example:587"}},
		"a relay, no SPF": {without(`ours.example. 60 IN TXT "v=spf1 mx -all"`), func(w *world) {
			w.config.Server.Relay, w.config.Server.SPF = "relay.example:587", ""
		}, []string{"fail spf ours.example has 0 SPF records", "ok outbound"}},
		"a relay":          {good, func(w *world) { w.config.Server.Relay, w.config.Server.SPF = "relay.example:587", "" }, []string{"ok spf ours.example has an SPF record"}},
		"not running":      {good, func(w *world) { w.shut["127.0.0.1:25"] = true }, []string{"fail smtp no mail is taken at 127.0.0.1:25", "is the server running?"}},
		"not at port 25":   {good, func(w *world) { w.config.Server.SMTP = "0.0.0.0:2525" }, []string{"warn port the server listens at port 2525"}},
		"for itself":       {good, func(w *world) { w.config.Server.SMTP = "127.0.0.1:25" }, []string{"warn port", "for this machine only"}},
		"elsewhere":        {good, func(w *world) { w.config.Server.SMTP = "198.51.100.7:25" }, []string{"fail smtp", "no address of this machine"}},
		"nobody vouches":   {good, func(w *world) { w.config.Roots = x509.NewCertPool() }, []string{"warn certificate nobody vouches"}},
		"of another name":  {good, func(w *world) { w.show("mail.ours.example", 90) }, []string{"warn certificate the certificate is not for mx.ours.example"}},
		"ended":            {good, func(w *world) { w.show("mx.ours.example", -1) }, []string{"fail certificate the certificate ended on"}},
		"ends soon":        {good, func(w *world) { w.show("mx.ours.example", 3) }, []string{"warn certificate", "has not been renewed"}},
		"HTTPS not there":  {good, func(w *world) { w.config.Server.HTTPS = "127.0.0.1:443"; w.shut["127.0.0.1:443"] = true }, []string{"fail https nobody answers at 127.0.0.1:443"}},
		"no folder":        {good, func(w *world) { w.config.Data = "/nowhere" }, []string{"warn disk the data folder cannot be looked at"}},
		"no way out":       {good, func(w *world) { w.config.Server.Leaves = false }, []string{"ok outbound mail to other domains waits here", "ok mx"}},
		"this machine's":   {good, func(w *world) { w.config.Server.Domain = "openmail.localhost" }, []string{"ok dns openmail.localhost needs no records", "ok smtp"}},
		"an unknown probe": {good, func(w *world) { w.config.Probe = "nobody.example" }, []string{"warn outbound the mail servers of nobody.example were not found"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.records)
			if c.change != nil {
				c.change(w)
			}
			got := w.told()
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("not told: %s\nbut:\n%s", want, got)
				}
			}
		})
	}
}

// show has the server show a certificate that ends after so many days.
func (w *world) show(name string, days int) {
	cert, roots := certificate(w.t, name, time.Now().Add(time.Duration(days)*24*time.Hour))
	w.mail, w.config.Roots = w.serve(cert), roots
}

func TestHTTPSIsLookedAtAsABrowserWould(t *testing.T) {
	cert, roots := certificate(t, "mx.ours.example", time.Now().Add(90*24*time.Hour))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-served })
	w := newWorld(t, good)
	w.config.Dial, w.config.Server.HTTPS, w.config.Server.Site = nil, ln.Addr().String(), "mx.ours.example"
	w.config.Server.Domain, w.config.Server.Leaves = "openmail.localhost", false
	for _, c := range []struct {
		roots *x509.CertPool
		want  string
	}{{roots, "ok https the certificate for mx.ours.example is good until"}, {x509.NewCertPool(), "fail https nobody vouches"}} {
		w.config.Roots = c.roots
		if got := w.told(); !strings.Contains(got, c.want) {
			t.Errorf("not told: %s\nbut:\n%s", c.want, got)
		}
	}
}
