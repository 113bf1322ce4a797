package smtpout

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"openmail/internal/reach"
)

// Documents are what the web has.
type Documents interface {
	// Get returns a document of at most limit bytes and its media type. It
	// takes https only, with a certificate that is valid for the host, follows
	// no redirect, and reaches no address that is not public. Everything but
	// status 200 is an error.
	Get(ctx context.Context, url string, limit int64) (mediaType string, body []byte, err error)
}

// Bounds of MTA-STS (RFC 8461).
const (
	maxPolicy   = 64 << 10                   // bytes of a document; section 3.3
	maxPolicies = 10_000                     // domains that are remembered
	maxAge      = 31_557_600 * time.Second   // section 3.2
	stsRetry    = 5 * time.Minute            // after a fetch that failed; section 3.3
	stsRefresh  = 24 * time.Hour             // after one that did not
	stsPath     = "/.well-known/mta-sts.txt" // section 3.3
)

// policy is what a domain says of its mail servers (RFC 8461 section 3.2).
type policy struct {
	enforce bool
	age     time.Duration
	mx      []string // patterns
}

// remembered is what is known of a domain.
type remembered struct {
	id      string // of the policy
	policy  policy
	expires time.Time // zero: there is no policy
	next    time.Time // not fetched again before, while the id is the same
	failed  time.Time // a fetch
}

// sts finds the policies of domains, and remembers them: a policy that was seen
// once holds until it expires, whatever happens to the record and the document
// that it came from (RFC 8461 section 3.3). It is safe for concurrent use.
type sts struct {
	ask func(ctx context.Context, name string, kind uint16) (reach.Found, error)
	web Documents // nil: there are no policies
	log *slog.Logger

	mu      sync.Mutex
	domains map[string]remembered
}

// enforced returns the policy that a domain enforces, if it has one.
func (s *sts) enforced(ctx context.Context, domain string) (policy, bool) {
	if s.web == nil || !isHostName(domain) {
		return policy{}, false
	}
	r := s.remembered(domain)
	if id := s.id(ctx, domain); r.stale(id, time.Now()) {
		p, err := s.fetch(ctx, domain)
		r = s.remember(domain, id, p, err)
		if err != nil {
			s.log.DebugContext(ctx, "mail.sts", "domain", domain, "fault", err)
		}
	}
	return r.policy, r.policy.enforce && time.Now().Before(r.expires)
}

// stale reports whether the document is to be fetched for a record with that id;
// "" is no record.
func (r remembered) stale(id string, now time.Time) bool {
	if id == "" || now.Before(r.failed.Add(stsRetry)) {
		return false
	}
	return id != r.id || now.After(r.next) || now.After(r.expires)
}

func (s *sts) remembered(domain string) remembered {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.domains[domain]
}

// remember keeps what a fetch has brought: a failed one changes no policy.
func (s *sts) remember(domain, id string, p policy, err error) remembered {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	r := s.domains[domain]
	if err != nil {
		r.failed = now
	} else {
		r = remembered{id: id, policy: p, expires: now.Add(p.age), next: now.Add(stsRefresh)}
	}
	if _, known := s.domains[domain]; !known {
		s.makeRoom(now)
	}
	s.domains[domain] = r
	return r
}

// makeRoom forgets domains until there is room for one: those without a policy
// first.
func (s *sts) makeRoom(now time.Time) {
	if len(s.domains) < maxPolicies {
		return
	}
	for domain, r := range s.domains {
		if now.After(r.expires) && now.After(r.failed.Add(stsRetry)) {
			delete(s.domains, domain)
		}
	}
	for domain := range s.domains {
		if len(s.domains) < maxPolicies {
			return
		}
		delete(s.domains, domain)
	}
}

// id reads the record of a domain; "" when there is none, or more than one
// (RFC 8461 section 3.1).
func (s *sts) id(ctx context.Context, domain string) string {
	f, err := s.ask(ctx, "_mta-sts."+domain, dns.TypeTXT)
	if err != nil {
		return ""
	}
	var ids []string
	for _, rr := range f.Records {
		if text := strings.Join(rr.(*dns.TXT).Txt, ""); strings.HasPrefix(text, "v=STSv1;") {
			ids = append(ids, idOf(text))
		}
	}
	if len(ids) != 1 {
		return ""
	}
	return ids[0]
}

func idOf(record string) string {
	for field := range strings.SplitSeq(record, ";") {
		if id, ok := strings.CutPrefix(strings.TrimSpace(field), "id="); ok {
			id = strings.TrimSpace(id)
			return id[:min(len(id), 32)]
		}
	}
	return ""
}

func (s *sts) fetch(ctx context.Context, domain string) (policy, error) {
	kind, body, err := s.web.Get(ctx, "https://mta-sts."+domain+stsPath, maxPolicy)
	if err != nil {
		return policy{}, err
	}
	if media, _, err := mime.ParseMediaType(kind); err != nil || media != "text/plain" {
		return policy{}, errors.New("the policy is not text/plain")
	}
	return parsePolicy(string(body))
}

// parsePolicy reads a document (RFC 8461 section 3.2). Fields that it does not
// know are ignored, and the first of those that may stand once counts.
func parsePolicy(text string) (policy, error) {
	var p policy
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "mx" {
			p.mx = append(p.mx, strings.ToLower(value))
		}
		if _, twice := fields[key]; !twice {
			fields[key] = value
		}
	}
	seconds, err := strconv.ParseUint(fields["max_age"], 10, 32)
	mode := fields["mode"]
	switch {
	case fields["version"] != "STSv1":
		return policy{}, errors.New("the policy is of no known version")
	case err != nil:
		return policy{}, errors.New("the policy does not say how long it holds")
	case mode != "enforce" && mode != "testing" && mode != "none":
		return policy{}, errors.New("the policy is of no known mode")
	case mode != "none" && len(p.mx) == 0:
		return policy{}, errors.New("the policy names no mail server")
	}
	p.enforce, p.age = mode == "enforce", min(time.Duration(seconds)*time.Second, maxAge)
	return p, nil
}

// names reports whether the policy names a mail server (RFC 8461 section 4.1).
func (p policy) names(host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	for _, pattern := range p.mx {
		if rest, wild := strings.CutPrefix(pattern, "*."); pattern == host || wild && rest == parent {
			return true
		}
	}
	return false
}
