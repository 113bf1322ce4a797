package smtpout_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"openmail/internal/outgoing"
	"openmail/internal/reach/dnstest"
	"openmail/internal/smtpout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a name server's world. Names are fully qualified, in lower case.
type names struct {
	mu      sync.Mutex
	records map[string][]dns.RR
	fail    map[string]bool // questions, "name TYPE", that get SERVFAIL
	signed  bool            // whether answers say that they were validated
	asked   []string        // questions
	udp     bool            // answers by datagram are cut short
}

// startNames serves records in their text form.
func startNames(t *testing.T, records ...string) (*names, string) {
	t.Helper()
	n := &names{records: map[string][]dns.RR{}, fail: map[string]bool{}}
	n.add(t, records...)
	return n, dnstest.Serve(t, n)
}

func (n *names) add(t *testing.T, records ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		n.records[rr.Header().Name] = append(n.records[rr.Header().Name], rr)
	}
}

// change runs f while nobody is answered.
func (n *names) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *names) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	question := name + " " + dns.TypeToString[kind]
	n.asked = append(n.asked, question)
	m := new(dns.Msg).SetReply(q)
	m.AuthenticatedData = n.signed
	switch _, exists := n.records[name]; {
	case n.fail[question]:
		m.Rcode = dns.RcodeServerFailure
	case !exists:
		m.Rcode = dns.RcodeNameError
	default:
		m.Answer = n.answer(name, kind)
	}
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok && n.udp {
		m.Answer, m.Truncated = nil, true
	}
	_ = w.WriteMsg(m)
}

func (n *names) answer(name string, kind uint16) (all []dns.RR) {
	for _, rr := range n.records[name] {
		if rr.Header().Rrtype == kind {
			all = append(all, rr)
		}
		if alias, ok := rr.(*dns.CNAME); ok && kind != dns.TypeCNAME {
			all = append(all, rr)
			if alias.Target == name {
				return all
			}
			all = append(all, n.answer(alias.Target, kind)...)
		}
	}
	return all
}

// server is a mail server of a test. Its fields are set before it is started.
type server struct {
	greeting   string   // "": 220
	extensions []string // of EHLO
	replies    map[string]string
	tls        *tls.Config
	implicit   bool   // TLS from the first byte
	end        string // reply to the mail; "": 250
	raw        func(net.Conn)

	mu    sync.Mutex
	lines []string // commands
	mails []string
	conns int
}

// port is one that is free on several loopback addresses.
func port(t *testing.T) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return uint16(ln.Addr().(*net.TCPAddr).Port)
}

// start serves at an address and ends with the test.
func (s *server) start(t *testing.T, ip string, port uint16) *server {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(int(port))))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var open []net.Conn
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			open, s.conns = append(open, conn), s.conns+1
			s.mu.Unlock()
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	if s.raw != nil {
		s.raw(conn)
		return
	}
	if s.implicit {
		conn = tls.Server(conn, s.tls)
	}
	say := func(reply string) { _, _ = conn.Write([]byte(reply + "\r\n")) }
	if s.greeting != "" {
		say(s.greeting)
	} else {
		say("220 mx.test ESMTP")
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		reply := s.reply(line)
		switch {
		case reply == "drop":
			return
		case strings.HasPrefix(reply, "220") && line == "STARTTLS":
			say(reply)
			secure := tls.Server(conn, s.tls)
			if secure.Handshake() != nil {
				return
			}
			conn, r = secure, bufio.NewReader(secure)
			continue
		case strings.HasPrefix(reply, "354"):
			say(reply)
			mail, err := readMail(r)
			if err != nil {
				return
			}
			if s.end == "drop" {
				return
			}
			s.mu.Lock()
			s.mails = append(s.mails, mail)
			s.mu.Unlock()
			reply = "250 2.0.0 taken as 42"
			if s.end != "" {
				reply = s.end
			}
		}
		say(reply)
		if line == "QUIT" || strings.HasPrefix(reply, "421") {
			return
		}
	}
}

// reply is what is said to a command: as set for the whole line, or its verb.
func (s *server) reply(line string) string {
	verb, _, _ := strings.Cut(line, " ")
	for _, key := range []string{line, verb} {
		if r, ok := s.replies[key]; ok {
			return r
		}
	}
	switch verb {
	case "EHLO":
		extensions := slices.Clone(s.extensions)
		if s.tls != nil && !s.implicit {
			extensions = append(extensions, "STARTTLS")
		}
		reply := "250-mx.test at your service"
		for _, e := range extensions {
			reply += "\r\n250-" + e
		}
		return reply + "\r\n250 HELP"
	case "STARTTLS":
		return "220 go ahead"
	case "DATA":
		return "354 go ahead"
	case "QUIT":
		return "221 bye"
	case "MAIL", "RCPT", "HELO", "RSET":
		return "250 ok"
	case "AUTH":
		return "235 2.7.0 ok"
	}
	return "500 what?"
}

func readMail(r *bufio.Reader) (string, error) {
	var mail strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return mail.String(), err
		}
		mail.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (s *server) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *server) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// sender reaches servers on this machine, with some patience.
func sender(t *testing.T, c smtpout.Config) *smtpout.Sender {
	t.Helper()
	c.Hostname = "out.openmail.test"
	c.Allow = append(c.Allow, "127.0.0.0/8")
	if c.Patience == (smtpout.Patience{}) {
		c.Patience = smtpout.Patience{Connect: 30 * time.Second, Greeting: 30 * time.Second, Command: 30 * time.Second, Block: 30 * time.Second, End: 30 * time.Second}
	}
	s, err := smtpout.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const testMail = "From: a@openmail.test\r\nSubject: x\r\n\r\nhello\r\n.\r\n..two\r\nend\r\n"

func parcel(to ...string) outgoing.Parcel {
	return outgoing.Parcel{From: "agent@openmail.test", To: to, Domain: "there.test", Mail: []byte(testMail)}
}

// single is the usual world: there.test with one server, mx.there.test, at
// 127.0.0.1.
func single(t *testing.T, s *server) (*smtpout.Sender, *names) {
	t.Helper()
	p := port(t)
	s.start(t, "127.0.0.1", p)
	n, dns := startNames(t, "there.test. MX 10 mx.there.test.", "mx.there.test. A 127.0.0.1")
	return sender(t, smtpout.Config{Port: p, DNS: []string{dns}}), n
}

// one sends a parcel of one recipient.
func one(t *testing.T, s *smtpout.Sender) outgoing.Answer {
	t.Helper()
	answers := s.Send(t.Context(), parcel("b@there.test"))
	if len(answers) != 1 {
		t.Fatalf("answers %+v", answers)
	}
	return answers[0]
}

func checkAnswer(t *testing.T, got outgoing.Answer, fate outgoing.Fate, code int, enhanced, text string) {
	t.Helper()
	if got.Fate != fate || got.Code != code || got.Enhanced != enhanced || !strings.Contains(got.Text, text) {
		t.Errorf("answer %+v, want %s %d %s %q", got, fate, code, enhanced, text)
	}
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = makeCert(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	return a
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// server makes what a server of these names needs, its authority's certificate
// included.
func (a *authority) server(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	cert, key := makeCert(t, &x509.Certificate{DNSNames: names}, a.cert, a.key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}}}
}

// serverAt is server for an address.
func (a *authority) serverAt(t *testing.T, ip string) *tls.Config {
	t.Helper()
	cert, key := makeCert(t, &x509.Certificate{IPAddresses: []net.IP{net.ParseIP(ip)}}, a.cert, a.key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}}}
}

func makeCert(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
