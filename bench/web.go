package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"openmail"
	"openmail/api"
	"openmail/client"
	"openmail/internal/reach/reachtest"
)

// Where the hostile web of the proof is.
const (
	hostileHost = "127.0.0.9" // the one address that the operator has opened
	publicHost  = "93.184.215.14"
	wan         = "wan" // the way out, which swallows everything
	hostileEach = 12    // endpoints of each kind
	slotFree    = 15_500 * time.Millisecond
)

// Faults of a server on the hostile web.
const (
	faultTaken    = "forbidden URLs that were taken"
	faultDialled  = "connections to forbidden addresses of this machine"
	faultPackets  = "packets on the way out"
	faultFollowed = "redirects that were followed"
	faultReached  = "events that a forbidden or hostile endpoint counts as having taken"
	faultBlind    = "counters that do not count"
)

// proveWeb has webhooks lead to where they must not, and to receivers that do all they can to hold a server up.
func proveWeb(ctx context.Context, b *bench) (err error) {
	if err := loopbackOnly(ctx); err != nil {
		return err
	}
	w := &hostileWeb{b: b, faults: map[string]int{}}
	if err := w.setUp(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if w.s, err = b.startWith(ctx, "--webhook-allow", hostileHost+"/32"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.s.stop()) }()
	if w.c, err = w.s.client(); err != nil {
		return err
	}
	defer w.c.Close()
	return w.run(ctx)
}

// hostileWeb is one run of the proof.
type hostileWeb struct {
	b       *bench
	s       *server
	c       *client.Client
	names   *dns.Server
	counter net.Listener // where this machine must not be reached
	dialled atomic.Int64
	rebound atomic.Bool // names that were public lead to this machine now
	hostile []net.Listener
	faults  map[string]int
	cases   int
}

// setUp makes a way out that leads nowhere, a name server, and a listener that must not hear from the server.
func (w *hostileWeb) setUp(ctx context.Context) error {
	resolv, err := os.CreateTemp(w.b.dir, "resolv-")
	if err != nil {
		return err
	}
	if _, err := resolv.WriteString("nameserver 127.0.0.1\n"); err != nil {
		return err
	}
	err = errors.Join(
		resolv.Close(),
		runIP(ctx, "mount", "--bind", resolv.Name(), "/etc/resolv.conf"),
		ip(ctx, "link", "add", wan, "type", "veth", "peer", "name", "void"),
		ip(ctx, "link", "set", "void", "addrgenmode", "none", "up"), ip(ctx, "link", "set", wan, "addrgenmode", "none", "arp", "off", "up"),
		ip(ctx, "addr", "add", "192.0.2.2/24", "dev", wan), ip(ctx, "route", "add", "default", "dev", wan),
		ip(ctx, "addr", "add", "2001:db8::2/64", "dev", wan, "nodad"), ip(ctx, "-6", "route", "add", "default", "dev", wan),
	)
	if err != nil {
		return err
	}
	if w.counter, err = net.Listen("tcp", "[::]:8080"); err != nil {
		return err
	}
	go acceptAll(w.counter, func(c net.Conn) {
		w.dialled.Add(1)
		closeAll(c)
	})
	return w.serveNames()
}

// acceptAll has each connection handled until the listener is closed.
func acceptAll(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go handle(c)
	}
}

// serveNames answers for rebound-N.test: public at first, and later what N stands for.
func (w *hostileWeb) serveNames() error {
	pc, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		return err
	}
	w.names = &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(out dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if label, rest, _ := strings.Cut(q.Question[0].Name, "."); rest == "test." && strings.HasPrefix(label, "rebound-") {
			n, _ := strconv.Atoi(strings.TrimPrefix(label, "rebound-"))
			m.Answer = w.answer(q.Question[0], n)
		} else {
			m.SetRcode(q, dns.RcodeNameError)
		}
		_ = out.WriteMsg(m) // who asks asks again
	})}
	go func() { _ = w.names.ActivateAndServe() }()
	return nil
}

// reboundTo are addresses that a name leads to once its URL is saved.
func reboundTo() []string {
	return []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0", "64:ff9b::7f00:1",
		"2002:7f00:1::", "fd00:ec2::254", "100.100.100.200",
	}
}

func (w *hostileWeb) answer(q dns.Question, n int) []dns.RR {
	addr := net.ParseIP(publicHost)
	if w.rebound.Load() {
		addr = net.ParseIP(reboundTo()[n%len(reboundTo())])
	}
	head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET}
	switch v4 := addr.To4(); {
	case q.Qtype == dns.TypeA && v4 != nil:
		return []dns.RR{&dns.A{Hdr: head, A: v4}}
	case q.Qtype == dns.TypeAAAA && v4 == nil:
		return []dns.RR{&dns.AAAA{Hdr: head, AAAA: addr}}
	}
	return nil
}

func (w *hostileWeb) close() error {
	for _, l := range w.hostile {
		closeAll(l)
	}
	return errors.Join(w.counter.Close(), w.names.Shutdown())
}

// sent is how many packets have left by the way out.
func sent() (int, error) {
	text, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if name, counts, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == wan {
			if fields := strings.Fields(counts); len(fields) > 9 {
				return strconv.Atoi(fields[9])
			}
		}
	}
	return 0, errors.New("/proc/net/dev does not tell how many packets left")
}

func (w *hostileWeb) run(ctx context.Context) error {
	if err := rest(ctx, 2*time.Second); err != nil { // the kernel greets its new network
		return err
	}
	before, err := sent()
	if err != nil {
		return err
	}
	w.b.progress.say("URLs that lead where they must not")
	for _, host := range reachtest.Forbidden() {
		for _, url := range []string{"http://" + host + ":8080/", "https://" + host + "/hook", "http://user@" + host + ":8080/"} {
			if err := w.refused(ctx, url); err != nil {
				return err
			}
		}
	}
	if err := w.rebind(ctx); err != nil {
		return err
	}
	if err := w.redirect(ctx); err != nil {
		return err
	}
	after, err := sent()
	if err != nil {
		return err
	}
	w.faults[faultPackets] = after - before
	w.faults[faultDialled] = int(w.dialled.Load())
	if err := w.control(ctx, after); err != nil {
		return err
	}
	if err := w.hold(ctx); err != nil {
		return err
	}
	w.b.report.add("URLs, names and redirects that lead where they must not", "", atLeast(120), float64(w.cases))
	for _, name := range []string{faultTaken, faultFollowed, faultReached, faultDialled, faultPackets, faultBlind} {
		w.b.report.add(name, "", atMost(0), float64(w.faults[name]))
	}
	return nil
}

// refused has a URL saved, which must be refused.
func (w *hostileWeb) refused(ctx context.Context, url string) error {
	w.cases++
	_, err := w.c.PutWebhook(ctx, api.WebhookPut{URL: url})
	if err == nil {
		w.faults[faultTaken]++
		w.b.report.note("taken: %q", url)
		return w.c.DeleteWebhook(ctx)
	}
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status >= 400 && answer.Status < 500 {
		return nil
	}
	return fmt.Errorf("%q: %w", url, err)
}

// rebind saves names that are public, has them lead elsewhere, and sends mail.
func (w *hostileWeb) rebind(ctx context.Context) error {
	w.b.progress.say("names that lead elsewhere once they are saved")
	var inboxes []api.Inbox
	for n := range reboundTo() {
		url := fmt.Sprintf("http://rebound-%d.test:8080/", n)
		in, err := w.c.CreateInbox(ctx, api.InboxCreate{MailboxName: "rebound" + strconv.Itoa(n), WebhookURL: &url})
		if err != nil {
			return err
		}
		inboxes = append(inboxes, in)
	}
	w.rebound.Store(true)
	w.cases += len(inboxes)
	_, err := w.attempts(ctx, inboxes, time.Minute) // where something is dialled that says nothing
	return err
}

// redirect has receivers that are allowed send the server on to where it must not go.
func (w *hostileWeb) redirect(ctx context.Context) error {
	w.b.progress.say("redirects")
	var inboxes []api.Inbox
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308} {
		for _, to := range []string{"http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:8080/", "//[::1]:8080/"} {
			in, err := w.endpoint(ctx, fmt.Sprintf("redirect%d", len(inboxes)), func(c net.Conn) {
				readPost(c)
				fmt.Fprintf(c, "HTTP/1.1 %d Go on\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, to)
			})
			if err != nil {
				return err
			}
			inboxes = append(inboxes, in)
		}
	}
	w.cases += len(inboxes)
	all, err := w.attempts(ctx, inboxes, 10*time.Second)
	for _, a := range all {
		if a.Status < 300 || a.Status > 399 { // the answer of another
			w.faults[faultFollowed]++
		}
	}
	return err
}

// endpoint makes an inbox whose events go to a receiver that does so.
func (w *hostileWeb) endpoint(ctx context.Context, name string, handle func(net.Conn)) (api.Inbox, error) {
	l, err := net.Listen("tcp", hostileHost+":0")
	if err != nil {
		return api.Inbox{}, err
	}
	w.hostile = append(w.hostile, l)
	go acceptAll(l, func(c net.Conn) {
		defer closeAll(c)
		handle(c)
	})
	url := "http://" + l.Addr().String() + "/"
	if strings.HasPrefix(name, "tls") {
		url = "https" + strings.TrimPrefix(url, "http")
	}
	return w.c.CreateInbox(ctx, api.InboxCreate{MailboxName: name, WebhookURL: &url})
}

// attempts sends a mail to each inbox and waits for the first attempt to hand its event over, of which none may count.
func (w *hostileWeb) attempts(ctx context.Context, inboxes []api.Inbox, patience time.Duration) ([]api.Attempt, error) {
	all := make([]api.Attempt, len(inboxes))
	g, ctx := errgroup.WithContext(ctx)
	for i, in := range inboxes {
		g.Go(func() error {
			if _, err := sendTrial(ctx, w.s.smtp, in, i); err != nil {
				return err
			}
			return w.s.waitFor(ctx, patience, func() bool {
				page, err := w.c.EventPage(ctx, client.EventFilter{InboxID: in.ID})
				if err != nil || len(page.Data) == 0 {
					return false
				}
				tried, err := w.c.Attempts(ctx, page.Data[0].ID)
				if err != nil || len(tried) == 0 {
					_ = rest(ctx, 50*time.Millisecond)
					return false
				}
				all[i] = tried[0]
				return true
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, a := range all {
		if openmail.Outcome(a.Outcome) == openmail.OutcomeDelivered {
			w.faults[faultReached]++
		}
	}
	return all, nil
}

// control sees that the counters count.
func (w *hostileWeb) control(ctx context.Context, before int) error {
	var d net.Dialer
	for _, addr := range []string{"127.0.0.1:8080", "[::1]:8080"} {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, c)
		closeAll(c)
	}
	if int(w.dialled.Load()) != w.faults[faultDialled]+2 {
		w.faults[faultBlind]++
	}
	for _, addr := range []string{publicHost + ":9", "[2606:2800:21f:cb07::1]:9"} {
		c, err := d.DialContext(ctx, "udp", addr)
		if err != nil {
			return err
		}
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		closeAll(c)
	}
	after, err := sent()
	if err != nil {
		return err
	}
	if after < before+2 {
		w.faults[faultBlind]++
	}
	return nil
}

// hold has a hundred hostile receivers hold posts at once.
func (w *hostileWeb) hold(ctx context.Context) error {
	each := hostileEach
	if w.b.short {
		each = 2
	}
	var inboxes []api.Inbox
	kinds := hostileKinds()
	for i := range each * len(kinds) {
		k := kinds[i%len(kinds)]
		in, err := w.endpoint(ctx, fmt.Sprintf("%s%d", k.name, i), k.handle)
		if err != nil {
			return err
		}
		inboxes = append(inboxes, in)
	}
	w.b.progress.say("%d receivers that hold what they get", len(inboxes))
	before, err := residentKB(w.s.pid())
	if err != nil {
		return err
	}
	peak := w.s.watchMemory(ctx)
	all, err := w.attempts(ctx, inboxes, time.Minute)
	most := peak()
	if err != nil {
		return err
	}
	longest := 0.0
	for _, a := range all {
		longest = max(longest, float64(a.TookMS)/1000)
	}
	r := w.b.report
	r.add("hostile receivers at once", "", bar{}, float64(len(inboxes)))
	r.add("longest that one held a post", "s", atMost(slotFree.Seconds()), longest)
	r.add("more memory for each", "KiB", atMost(5*1024), (most-before)/float64(len(inboxes)))
	r.add("more memory for all of them", "MiB", bar{}, (most-before)/1024)
	return nil
}

// readPost reads a request as far as one reads it who only wants to answer.
func readPost(c net.Conn) { _, _ = c.Read(make([]byte, 16<<10)) }

// hostileKind is a receiver that holds what it gets. One whose name begins with tls is asked for by HTTPS.
type hostileKind struct {
	name   string
	handle func(net.Conn)
}

// hostileKinds are receivers of which none says that it has taken an event.
func hostileKinds() []hostileKind {
	pour := func(c net.Conn, start, more string) {
		readPost(c)
		_, err := io.WriteString(c, start)
		for err == nil {
			_, err = io.WriteString(c, more)
		}
	}
	drip := func(c net.Conn, start string) {
		readPost(c)
		_, err := io.WriteString(c, start)
		for err == nil {
			time.Sleep(time.Second)
			_, err = io.WriteString(c, "x")
		}
	}
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	const no = "HTTP/1.1 500 No\r\n"
	return []hostileKind{
		{"silent", silent},
		{"tlssilent", silent},
		{"tlsdrip", func(c net.Conn) { drip(c, "\x16\x03\x03\x40\x00") }},
		{"endless", func(c net.Conn) { pour(c, no+"\r\n", strings.Repeat("x", 64<<10)) }},
		{"gzip", func(c net.Conn) {
			pour(c, no+"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", strings.Repeat("\xec\xc1\x01\x01\x00", 10_000))
		}},
		{"drip", func(c net.Conn) { drip(c, no+"Content-Length: 1000000\r\n\r\n") }},
		{"headers", func(c net.Conn) { pour(c, no, "A: "+strings.Repeat("x", 10_000)+"\r\n") }},
		{"chunks", func(c net.Conn) {
			pour(c, no+"Transfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("e", 1000)+"\r\nx\r\n")
		}},
		{"dripline", func(c net.Conn) { drip(c, "HTTP/1.1 500 N") }},
	}
}
