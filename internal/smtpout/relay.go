package smtpout

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"openmail/internal/outgoing"
	"openmail/internal/reach"
)

// Relay is a server that takes all outgoing mail. The zero Relay is none.
type Relay struct {
	host           string
	port           uint16
	implicit       bool // TLS from the first byte (RFC 8314 section 3.3)
	user, password string
}

// ParseRelay reads smtp://host:587 or smtps://host:465, either with a user and a
// password in front of the host: smtp://user:password@host:587. Without a port
// it is the one shown here. Its errors do not repeat what they are about: that
// may hold a password.
func ParseRelay(s string) (Relay, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Relay{}, errors.New("this is not a URL such as smtp://user:password@mail.example.com:587 (in a password, write / as %2F, @ as %40, : as %3A)")
	}
	r := Relay{host: strings.ToLower(u.Hostname())}
	switch u.Scheme {
	case "smtp":
		r.port = 587
	case "smtps":
		r.port, r.implicit = 465, true
	default:
		return Relay{}, errors.New("a relay begins with smtp:// or smtps://")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return Relay{}, errors.New("after the host and its port nothing may follow (in a password, write / as %2F, ? as %3F, # as %23)")
	}
	if err := r.setHost(u.Port()); err != nil {
		return Relay{}, err
	}
	return r, r.setUser(u.User)
}

func (r *Relay) setHost(port string) error {
	_, err := netip.ParseAddr(r.host)
	if err != nil && !isHostName(r.host) {
		return errors.New("the relay names no host, or one that cannot exist")
	}
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return errors.New("the port of the relay is a number from 1 to 65535")
	}
	r.port = uint16(n)
	return nil
}

func (r *Relay) setUser(u *url.Userinfo) error {
	if u == nil {
		return nil
	}
	r.user = u.Username()
	r.password, _ = u.Password()
	if r.user == "" || r.password == "" {
		return errors.New("a relay with a user has a password too: smtp://user:password@host:587")
	}
	if strings.ContainsFunc(r.user+r.password, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return errors.New("the user and the password of the relay hold no control characters")
	}
	return nil
}

// String is the relay without its password.
func (r Relay) String() string {
	if r.host == "" {
		return ""
	}
	u := url.URL{Scheme: "smtp", Host: r.Addr()}
	if r.implicit {
		u.Scheme = "smtps"
	}
	if r.user != "" {
		u.User = url.User(r.user)
	}
	return u.String()
}

// GoString is String.
func (r Relay) GoString() string { return r.String() }

// Addr is where the relay listens, host:port.
func (r Relay) Addr() string { return net.JoinHostPort(r.host, strconv.Itoa(int(r.port))) }

// local reports whether the relay is on this machine, by its spelling: then
// nobody stands between.
func (r Relay) local() bool {
	ip, err := netip.ParseAddr(r.host)
	return r.host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// relaySecurity is what a relay is trusted with: credentials only go over TLS with a
// certificate that is valid for its name, unless it is on this machine.
func (s *Sender) relaySecurity() security {
	r := s.relay
	switch needed := r.implicit || r.user != ""; {
	case needed && !r.local():
		return s.verified(r.host, "verified", "the relay is set up to be used with it")
	case r.implicit:
		sec := opportunistic(r.host)
		sec.required = true
		return sec
	}
	return opportunistic(r.host)
}

// byRelay offers the mail to the relay. What goes wrong before it has heard of
// the mail is a matter between it and us, and costs nobody his mail.
func (s *Sender) byRelay(ctx context.Context, o *offer) {
	h := hop{name: s.relay.host, addr: s.relay.Addr(), security: s.relaySecurity(), relay: s.relay, dialer: reach.Dialer{}}
	s.toHop(ctx, o, h)
}

// ours is an answer that is our fault: not for good.
func ours(a outgoing.Answer) outgoing.Answer {
	if a.Fate == outgoing.FateRefused {
		a.Fate, a.Enhanced = outgoing.FateDeferred, "4"+a.Enhanced[1:]
	}
	return a
}

// logIn presents the credentials of a relay that has some (RFC 4954).
func (c *conversation) logIn(r Relay) *fault {
	if r.user == "" {
		return nil
	}
	if c.tls == "" && !r.local() {
		return c.unlogged("the relay offers no TLS, without which the password is not sent", reply{})
	}
	var err error
	var answer reply
	mechanisms := strings.Fields(strings.ToUpper(c.extensions["AUTH"]))
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		answer, err = c.ask("AUTH PLAIN " + encode("\x00"+r.user+"\x00"+r.password)) // RFC 4616
	case slices.Contains(mechanisms, "LOGIN"):
		answer, err = c.dialogue("AUTH LOGIN", encode(r.user), encode(r.password))
	default:
		return c.unlogged("the relay offers no way to log in that is known here (PLAIN, LOGIN)", reply{})
	}
	switch {
	case err != nil:
		return c.lost(err, true)
	case !answer.done():
		// What it says may repeat what it was told.
		return c.unlogged(fmt.Sprintf("the relay did not accept the user and the password: %d", answer.code), answer)
	}
	return nil
}

// dialogue says lines one by one, for as long as the server wants more.
func (c *conversation) dialogue(lines ...string) (r reply, err error) {
	for _, line := range lines {
		if r, err = c.ask(line); err != nil || !r.more() {
			break
		}
	}
	return r, err
}

func (c *conversation) unlogged(text string, r reply) *fault {
	a := c.signed(deferred("4.7.8", text))
	a.Code = r.code
	return &fault{answer: *a, talked: true}
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
