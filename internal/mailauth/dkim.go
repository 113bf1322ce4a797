package mailauth

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"openmail"
)

// maxCached is for how many domains keys are kept in memory.
const maxCached = 1000

// Signer implements outgoing.Signer. It is safe for concurrent use.
type Signer struct {
	keys Keys

	mu     sync.Mutex
	cached map[string][]pair // keys of a domain never change
}

// NewSigner makes a Signer.
func NewSigner(keys Keys) *Signer {
	return &Signer{keys: keys, cached: map[string][]pair{}}
}

// Records returns the records that tell the public keys of a domain. A domain
// that has no keys yet gets them, so that they can be published before the first
// mail leaves.
func (s *Signer) Records(ctx context.Context, domain string) ([]openmail.DNSRecord, error) {
	domain = strings.ToLower(domain)
	pairs, err := s.pairs(ctx, domain)
	if err != nil {
		return nil, err
	}
	var records []openmail.DNSRecord
	for _, p := range pairs {
		value, err := p.record()
		if err != nil {
			return nil, err
		}
		records = append(records, openmail.DNSRecord{Type: "TXT", Name: p.selector + "._domainkey." + domain, Value: value})
	}
	return records, nil
}

// Sign implements outgoing.Signer. Each key of the domain puts a signature of its
// own on top; none covers another's.
func (s *Signer) Sign(ctx context.Context, domain string, mail []byte) ([]byte, error) {
	domain = strings.ToLower(domain)
	pairs, err := s.pairs(ctx, domain)
	if err != nil {
		return nil, err
	}
	var signed bytes.Buffer
	signed.Grow(len(mail) + len(pairs)*1024)
	for _, p := range pairs {
		signature, err := sign(domain, p, mail)
		if err != nil {
			return nil, fmt.Errorf("sign for %s: %w", domain, err)
		}
		signed.WriteString(signature)
	}
	signed.Write(mail)
	return signed.Bytes(), nil
}

// signedHeaders are the fields under a signature. Those named twice are there
// once, and signing that there is no second keeps anybody from putting one on
// top of it, which readers would show (RFC 6376 section 8.15). The others may be
// absent, and then may not be added.
func signedHeaders() []string {
	return []string{
		"From", "From", "Subject", "Subject", "To", "To", "Date", "Date", "Message-ID", "Message-ID", "Content-Type", "Content-Type",
		"Cc", "Reply-To", "In-Reply-To", "References", "MIME-Version", "Content-Transfer-Encoding",
	}
}

// sign makes one signature, the whole header field.
func sign(domain string, p pair, mail []byte) (string, error) {
	signer, err := dkim.NewSigner(&dkim.SignOptions{
		Domain: domain, Selector: p.selector, Signer: p.signer, HeaderKeys: signedHeaders(),
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		return "", err
	}
	_, written := signer.Write(mail)
	if err := signer.Close(); err != nil {
		return "", err
	}
	if written != nil {
		return "", written
	}
	return signer.Signature(), nil
}

// pairs returns the keys of a domain, and makes them when it has none.
func (s *Signer) pairs(ctx context.Context, domain string) ([]pair, error) {
	if pairs := s.known(domain); pairs != nil {
		return pairs, nil
	}
	keys, err := s.keys.SigningKeys(ctx, openmail.Operator(), domain)
	if err == nil && len(keys) == 0 {
		keys, err = s.make(ctx, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("signing keys of %s: %w", domain, err)
	}
	pairs, err := parseKeys(keys)
	if err != nil {
		return nil, err
	}
	s.remember(domain, pairs)
	return pairs, nil
}

func (s *Signer) make(ctx context.Context, domain string) ([]openmail.SigningKey, error) {
	keys, err := makeKeys(domain, time.Now())
	if err != nil {
		return nil, err
	}
	return s.keys.PutSigningKeys(ctx, openmail.Operator(), domain, keys)
}

func (s *Signer) known(domain string) []pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cached[domain]
}

func (s *Signer) remember(domain string, pairs []pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.cached {
		if len(s.cached) < maxCached {
			break
		}
		delete(s.cached, other)
	}
	s.cached[domain] = pairs
}
