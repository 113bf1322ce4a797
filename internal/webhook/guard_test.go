package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foxcpp/go-mockdns"

	"openmail"
	"openmail/internal/reach/reachtest"
	"openmail/internal/webhook"
)

// forbiddenURLs are URLs that are wrong whatever their host; %d is the port of
// the counter.
func forbiddenURLs() []string {
	return []string{
		"", "/", "127.0.0.1:%d", "//127.0.0.1:%d/", "http:127.0.0.1:%d", "http:/127.0.0.1:%d", "http:///hook", "http://:%d/",
		"ftp://127.0.0.1:%d/", "file:///etc/passwd", "gopher://127.0.0.1:%d/_", "ws://127.0.0.1:%d/", "javascript:alert(1)",
		"unix:///var/run/docker.sock", "http+unix://%%2Fvar%%2Frun/", "HTTP:\\\\127.0.0.1:%d",
		"http://user@127.0.0.1:%d/", "http://user:pass@hooks.test:%d/", "http://hooks.test@127.0.0.1:%d/", "http://@hooks.test:%d/",
		"http://hooks.test:%d@127.0.0.1/", "http://127.0.0.1:%d\\@hooks.test/", "http://hooks.test:%d#", "http://hooks.test:%d/#@127.0.0.1",
		"http://hooks.test:%d /", " http://hooks.test:%d/", "http://hooks.test:%d/\r\nX-Evil: 1", "http://hooks.test:%d/?a b", "http://hooks.test:%d/\x00",
		"http://hooks.test:0/", "http://hooks.test:65536/", "http://hooks.test:-1/", "http://hooks.test:%d%d/", "http://hooks.test:http/",
		"http://hooks.test:22/", "http://hooks.test:25/", "http://hooks.test:3306/", "http://hooks.test:6379/", "http://hooks.test:7999/",
		"http://hooks.test:9000/", "https://hooks.test:8/", "http://8.8.8.8:53/", "http://[2606:4700:4700::1111]:53/",
		"http://[127.0.0.1]:%d/", "http://[::1:%d/", "http://::1:%d/", "http://hooks..test:%d/", "http://.hooks.test:%d/", "http://hooks.test.:%d/",
		"http://hooks!.test:%d/", "http://hooks.test,127.0.0.1:%d/", "http://absent.test:%d/",
		"http://" + strings.Repeat("a", 64) + ".test:%d/", "http://" + strings.Repeat("a.", 130) + "test:%d/",
		"http://hooks.test:%d/" + strings.Repeat("a", 2048),
	}
}

// zones is the world of the resolver. hooks.test is public; nothing here
// connects to it.
func zones() map[string]mockdns.Zone {
	return map[string]mockdns.Zone{
		"hooks.test.":     {A: []string{"93.184.215.14"}, AAAA: []string{"2606:2800:21f:cb07:6820:80da:af6b:8b2c"}},
		"loopback.test.":  {A: []string{"127.0.0.1"}},
		"sneaky.test.":    {CNAME: "loopback.test."},
		"six.test.":       {AAAA: []string{"::1"}},
		"mixed.test.":     {A: []string{"93.184.215.14", "127.0.0.1"}},
		"metadata.test.":  {A: []string{"169.254.169.254"}},
		"localhost.test.": {A: []string{"127.0.0.1"}},
	}
}

// resolve answers a resolver's questions from the zones.
func resolve(t *testing.T, zones map[string]mockdns.Zone) *mockdns.Server {
	t.Helper()
	srv, err := mockdns.NewServerWithLogger(zones, silent{}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// resolver asks whatever server dns returns.
func resolver(dns func() *mockdns.Server) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, dns().LocalAddr().String())
	}}
}

// counter listens on both loopback addresses, on a port that webhooks may use,
// and counts the connections that come.
func counter(t *testing.T) (port int, count *atomic.Int32) {
	t.Helper()
	count = &atomic.Int32{}
	for port := 8000; port <= 8999; port++ {
		v4, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		serveCount(t, v4, count)
		if v6, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(port))); err == nil {
			serveCount(t, v6, count)
		}
		return port, count
	}
	t.Fatal("every port from 8000 to 8999 is taken")
	return 0, nil
}

func serveCount(t *testing.T, ln net.Listener, count *atomic.Int32) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			count.Add(1)
		}
	}
	_ = srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
}

func TestNothingForbiddenIsAcceptedOrDialled(t *testing.T) {
	port, count := counter(t)
	dns := resolve(t, zones())
	s := newSender(t, webhook.Config{Timeout: 5 * time.Second, Resolver: resolver(func() *mockdns.Server { return dns })})

	for _, host := range reachtest.Forbidden() {
		url := fmt.Sprintf("http://%s:%d/", host, port)
		checkRefused(t, s, url)
		if host != "mixed.test" { // one of its addresses is public, and none of a test's business
			postRefused(t, s, url)
		}
		checkRefused(t, s, "https://"+host+"/hook")
		if count.Load() != 0 {
			// This machine comes first in the list: beyond it are
			// networks that a broken guard must not reach in a test.
			t.Fatalf("%s was dialled", url)
		}
	}
	for _, pattern := range forbiddenURLs() {
		url := strings.ReplaceAll(strings.ReplaceAll(pattern, "%d", strconv.Itoa(port)), "%%", "%")
		checkRefused(t, s, url)
		postRefused(t, s, url)
	}
	if n := count.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	if n := len(reachtest.Forbidden()) + len(forbiddenURLs()); n < 120 {
		t.Errorf("only %d cases", n)
	}
}

func checkRefused(t *testing.T, s *webhook.Sender, url string) {
	t.Helper()
	err := s.Check(t.Context(), url)
	e, ok := errors.AsType[*openmail.Error](err)
	if !ok || e.Code != openmail.CodeInvalidWebhookURL || e.Field != "url" {
		t.Errorf("Check(%q) = %v", url, err)
	}
}

func postRefused(t *testing.T, s *webhook.Sender, url string) {
	t.Helper()
	a, _ := s.Post(t.Context(), testPost(url), time.Now())
	if a.Outcome != openmail.OutcomeError || a.Error == "" || a.Remote != "" || a.Status != 0 {
		t.Errorf("Post to %q: %+v", url, a)
	}
}

func TestCheckAcceptsWhatIsPublic(t *testing.T) {
	dns := resolve(t, zones())
	s := newSender(t, webhook.Config{Resolver: resolver(func() *mockdns.Server { return dns })})
	for _, url := range []string{
		"https://hooks.test", "http://hooks.test/", "HTTPS://Hooks.Test/Path?q=1&r=%20", "https://hooks.test:443/",
		"http://hooks.test:8000/", "http://hooks.test:8999/", "https://8.8.8.8/", "https://[2606:4700:4700::1111]:8443/",
		"https://[::ffff:8.8.8.8]/", "https://hooks.test/" + strings.Repeat("a", 2048-len("https://hooks.test/")),
	} {
		if err := s.Check(t.Context(), url); err != nil {
			t.Errorf("Check(%.60q) = %v", url, err)
		}
	}
}

func TestCheckBlamesNobodyForAResolverThatFails(t *testing.T) {
	s := newSender(t, webhook.Config{Resolver: &net.Resolver{
		PreferGo: true,
		Dial:     func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") },
	}})
	if err := s.Check(t.Context(), "https://hooks.test/"); openmail.CodeOf(err) != openmail.CodeUnavailable {
		t.Errorf("Check = %v", err)
	}
	a, _ := s.Post(t.Context(), testPost("https://hooks.test/"), time.Now())
	if a.Error != "the host name could not be looked up" {
		t.Errorf("attempt %+v", a)
	}
}

// TestANameThatIsReboundIsRefused: public while the URL is saved, this machine
// when it is posted to.
func TestANameThatIsReboundIsRefused(t *testing.T) {
	port, count := counter(t)
	for _, rebound := range []mockdns.Zone{
		{A: []string{"127.0.0.1"}},
		{AAAA: []string{"::1"}},
		{AAAA: []string{"::ffff:127.0.0.1"}},
		{A: []string{"127.0.0.1", "169.254.169.254"}, AAAA: []string{"::1"}},
		{CNAME: "localhost.test."},
	} {
		world := zones()
		world["hooks.test."] = rebound
		var now atomic.Pointer[mockdns.Server]
		now.Store(resolve(t, zones()))
		s := newSender(t, webhook.Config{Resolver: resolver(now.Load)})
		url := fmt.Sprintf("http://hooks.test:%d/", port)
		if err := s.Check(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		now.Store(resolve(t, world))
		a, _ := s.Post(t.Context(), testPost(url), time.Now())
		if a.Error != "the address is not one that webhooks may reach" {
			t.Errorf("rebound to %v: %+v", rebound, a)
		}
	}
	if n := count.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	port, count := counter(t)
	s := newSender(t, webhook.Config{Allow: loopback})
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308} {
		for _, location := range []string{
			"http://169.254.169.254/latest/meta-data/", fmt.Sprintf("http://127.0.0.1:%d/", port),
			fmt.Sprintf("//127.0.0.1:%d/", port), "/elsewhere", "", "file:///etc/passwd",
		} {
			var requests atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			}))
			a, _ := s.Post(t.Context(), testPost(srv.URL), time.Now())
			if a.Status != status || a.Outcome != openmail.OutcomeRefused || a.Error != "redirects are not followed" || requests.Load() != 1 {
				t.Errorf("%d to %q: %+v after %d requests", status, location, a, requests.Load())
			}
			srv.Close()
		}
	}
	if n := count.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestTheOperatorOpensDestinations(t *testing.T) {
	dns := resolve(t, zones())
	for _, c := range []struct {
		allow, url string
		ok         bool
	}{
		{"127.0.0.0/8", "http://127.9.9.9:3000/", true},
		{"127.0.0.0/8", "http://[::ffff:127.0.0.1]:3000/", true},
		{"127.0.0.0/8", "http://[::1]:3000/", true},
		{"127.0.0.0/8", "http://loopback.test:3000/", true},
		{"127.0.0.0/8", "http://10.0.0.1/", false},
		{"127.0.0.0/8", "http://0x7f.1:3000/", false},
		{"127.0.0.2", "http://127.0.0.1/", false},
		{"127.0.0.2", "http://[::1]/", false},
		{"127.0.0.1:3000", "http://127.0.0.1:3000/", true},
		{"127.0.0.1:3000", "http://127.0.0.1:3001/", false},
		{"[::1]:3000", "http://[::1]:3000/", true},
		{"::1", "http://[::1]:9/", true},
		{"::ffff:10.0.0.0/104", "http://10.1.2.3/", true},
		{"0.0.0.0/0", "http://169.254.169.254/", true},
		{"0.0.0.0/0", "http://[fd00::1]/", false},
		{"fd00::/8", "http://[fd00:1::1]:81/", true},
		{"loopback.test", "http://LoopBack.test:25/", true},
		{"Loopback.test:3000", "http://loopback.test:3000/", true},
		{"loopback.test:3000", "http://loopback.test:3001/", false},
		{"loopback.test", "http://sneaky.test:8000/", false},
		{"loopback.test", "http://127.0.0.1:8000/", false},
		{"loopback.test", "http://sub.loopback.test:8000/", false},
		{"absent.test", "http://absent.test/", true}, // it may exist tomorrow
		// A gateway that is open does not open what lies behind it.
		{"64:ff9b::/96", "http://[64:ff9b::8.8.8.8]/", true},
		{"64:ff9b::/96", "http://[64:ff9b::127.0.0.1]/", false},
		{"64:ff9b::/96", "http://[64:ff9b::169.254.169.254]/", false},
		{"64:ff9b:1::/48", "http://[64:ff9b:1:808:8:800::]/", true},
		{"64:ff9b:1::/48", "http://[64:ff9b:1::8.8.8.8]/", true},
		{"64:ff9b:1::/48", "http://[64:ff9b:1:7f00:0:100::]/", false},
		{"64:ff9b:1::/48", "http://[64:ff9b:1::10.0.0.1]/", false},
		{"64:ff9b:1::/48", "http://[64:ff9b:1::]/", false},
		{"::/0", "http://[2002:7f00:1::1]/", false},
		{"::/0", "http://[2002:808:808::1]/", true},
		{"::/0", "http://[2001:0:808:808:0:0:80ff:fffe]/", false},
		{"::/0", "http://[2001:0:808:808:0:0:f7f7:f7f7]/", true},
		{"::/0", "http://[::ffff:0:127.0.0.1]/", false},
		{"::/0", "http://[::10.0.0.1]/", false},
		{"2600::/12", "http://[2600::5efe:10.0.0.1]:3000/", false},
	} {
		s := newSender(t, webhook.Config{Allow: []string{c.allow}, Resolver: resolver(func() *mockdns.Server { return dns })})
		if err := s.Check(t.Context(), c.url); err == nil != c.ok {
			t.Errorf("with %s open, Check(%s) = %v", c.allow, c.url, err)
		}
	}
}

func TestAnOpenNameIsPostedTo(t *testing.T) {
	url, _ := receiver(t, http.StatusOK, "")
	dns := resolve(t, zones())
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	s := newSender(t, webhook.Config{Allow: []string{"loopback.test"}, Resolver: resolver(func() *mockdns.Server { return dns })})
	a, _ := s.Post(t.Context(), testPost("http://Loopback.Test:"+port+"/"), time.Now())
	if a.Outcome != openmail.OutcomeDelivered {
		t.Errorf("attempt %+v", a)
	}
}

func TestNewRefusesAnOpeningThatItCannotRead(t *testing.T) {
	for _, allow := range []string{"", "10.0.0.0/33", "http://intra.test", "intra.test:0", "intra.test:70000", "a b", "0x7f.1", "intra.test."} {
		if _, err := webhook.New(webhook.Config{Allow: []string{allow}}); err == nil {
			t.Errorf("%q was taken", allow)
		}
	}
}
