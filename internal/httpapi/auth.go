package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
)

// authenticate lets only a good key through, within its account's rate.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	x := ctx.(*call).x
	key, err := s.keyOf(ctx.Context(), x)
	if err != nil {
		x.fail(err)
		return
	}
	x.key = key
	if err := s.withinRate(x); err != nil {
		x.fail(err)
		return
	}
	next(ctx)
}

// keyOf is the key that a request carries. An address that sent many bad ones
// gets no more of them looked up; keys known to be good still are, since
// others may stand behind the same address.
func (s *Server) keyOf(ctx context.Context, x *exchange) (openmail.Key, error) {
	token := bearer(x.r)
	from, now := network(s.c.RemoteAddr(x.r)), s.c.Now()
	if s.failures.limit > 0 && s.failures.reached(from, now) && !s.c.Access.Familiar(token) {
		return openmail.Key{}, tooMany(x, now, "Too many requests with a bad key came from this address.")
	}
	key, err := s.c.Access.Authenticate(ctx, token)
	if openmail.CodeOf(err) == openmail.CodeUnauthorized {
		s.failures.take(from, now)
	}
	return key, err
}

// bearer is the token of the Authorization header (RFC 6750 section 2.1), ""
// when there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// withinRate counts the request for its account, and tells it how many are
// left.
func (s *Server) withinRate(x *exchange) error {
	if s.requests.limit == 0 {
		return nil
	}
	now := s.c.Now()
	left, ok := s.requests.take(x.key.Account, now)
	h := x.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.requests.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(nextMinute(now).Unix(), 10))
	if !ok {
		return tooMany(x, now, "Max "+strconv.Itoa(s.requests.limit)+" requests per minute per account")
	}
	return nil
}

func tooMany(x *exchange, now time.Time, message string) error {
	wait := nextMinute(now).Sub(now).Truncate(time.Second) + time.Second
	x.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	return openmail.Errorf(openmail.CodeRateLimit, "%s", message)
}

// network is what one party can be supposed to own: an IPv4 address, or an
// IPv6 /64.
func network(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.WithZone("").Prefix(64) // an IPv6 address has 64 bits
	return prefix.String()
}
