package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"openmail"
	"openmail/internal/reach"
)

// MaxURL is the longest webhook URL, in bytes.
const MaxURL = 2048

// target is where a URL leads, as far as the URL alone tells.
type target struct {
	url  *url.URL
	host string     // a name in lower case; "" when it is an address
	addr netip.Addr // invalid when it is a name
	port uint16
}

// parseTarget reads a webhook URL. It demands the plain spelling of a host, so
// that no two programs can disagree on where it leads. Its errors have
// openmail.CodeInvalidWebhookURL.
func parseTarget(raw string) (target, error) {
	if len(raw) > MaxURL {
		return target{}, invalid("A webhook URL has at most %d bytes.", MaxURL)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return target{}, invalid("A webhook URL is printable ASCII: an international name in its xn-- form, the rest percent-encoded.")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's own words would quote the URL, and with it what
		// secrets it holds.
		return target{}, invalid("This is not a URL.")
	}
	if err := checkParts(raw, u); err != nil {
		return target{}, err
	}
	t := target{url: u}
	if t.port, err = portOf(u); err != nil {
		return target{}, err
	}
	return t.withHost(u)
}

func checkParts(raw string, u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return invalid("A webhook URL starts with https:// or http://.")
	case u.Hostname() == "":
		return invalid("The URL names no host.")
	case u.User != nil:
		return invalid("A webhook URL holds no user name or password.")
	case strings.Contains(raw, "#"):
		return invalid("A webhook URL has no fragment.")
	}
	return nil
}

func portOf(u *url.URL) (uint16, error) {
	text := u.Port()
	switch {
	case text == "" && u.Scheme == "http":
		return 80, nil
	case text == "":
		return 443, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, invalid("The port is a number from 1 to 65535.")
	}
	return uint16(n), nil
}

func (t target) withHost(u *url.URL) (target, error) {
	host := strings.ToLower(u.Hostname())
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return target{}, invalid("An address with a zone leads nowhere from here.")
		}
		t.addr = ip.Unmap()
		return t, nil
	}
	if err := reach.CheckName(host); err != nil {
		return target{}, invalid("The host is malformed: %v.", err)
	}
	t.host = host
	return t, nil
}

// Check reports whether events may be posted to the URL, by the rules that a
// post obeys: it resolves a name, and every address found must be one that
// webhooks may reach. The error has openmail.CodeInvalidWebhookURL, or
// openmail.CodeUnavailable when the name could not be looked up just now.
func (s *Sender) Check(ctx context.Context, rawURL string) error {
	t, err := parseTarget(rawURL)
	if err != nil {
		return err
	}
	if s.dialer.Guard.OpensName(t.host, t.port) {
		return nil
	}
	addrs, err := s.addrs(ctx, t)
	if err != nil {
		return err
	}
	for _, ip := range addrs {
		if err := s.dialer.Guard.Permit(netip.AddrPortFrom(ip, t.port)); err != nil {
			return invalid("The URL cannot be used: %v.", err)
		}
	}
	return nil
}

// addrs lists the addresses of the target, at least one.
func (s *Sender) addrs(ctx context.Context, t target) ([]netip.Addr, error) {
	if t.addr.IsValid() {
		return []netip.Addr{t.addr}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	addrs, err := s.dialer.Resolver.LookupNetIP(ctx, "ip", t.host)
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound || err == nil && len(addrs) == 0 {
		return nil, invalid("The host name does not exist.")
	}
	if err != nil {
		return nil, &openmail.Error{
			Code: openmail.CodeUnavailable, Field: urlField, Err: err,
			Message: "The host name could not be looked up just now: try again.",
		}
	}
	return addrs, nil
}

// urlField is the URL's name on the wire.
const urlField = "url"

func invalid(format string, args ...any) error {
	return openmail.FieldErrorf(openmail.CodeInvalidWebhookURL, urlField, format, args...)
}
