package mailauth

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"openmail"
)

// Keys keeps the keys that sign the mail of domains.
type Keys interface {
	// SigningKeys returns the keys of a domain, sorted by selector; none when
	// it has none.
	SigningKeys(ctx context.Context, scope openmail.Scope, domain string) ([]openmail.SigningKey, error)
	// PutSigningKeys gives keys to a domain that has none, and returns those
	// that it has now: whoever comes second gets the first one's.
	PutSigningKeys(ctx context.Context, scope openmail.Scope, domain string, keys []openmail.SigningKey) ([]openmail.SigningKey, error)
}

// The two keys of a domain. RSA is what everybody checks, Ed25519 what is left
// when RSA of this size no longer counts.
const (
	rsaSelector     = "openmail"
	ed25519Selector = "openmail-ed25519"
	rsaBits         = 2048 // the record of a longer one fits no longer into what many DNS panels take
)

// pair is a key that can sign.
type pair struct {
	selector, algorithm string
	signer              crypto.Signer
}

// makeKeys makes the keys of a domain.
func makeKeys(domain string, now time.Time) ([]openmail.SigningKey, error) {
	r, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("make an RSA key: %w", err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	keys := []openmail.SigningKey{
		{Domain: domain, Selector: rsaSelector, Algorithm: "rsa", CreatedAt: now},
		{Domain: domain, Selector: ed25519Selector, Algorithm: "ed25519", CreatedAt: now},
	}
	for i, private := range []any{r, e} {
		if keys[i].Private, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
			return nil, fmt.Errorf("write a key: %w", err)
		}
	}
	return keys, nil
}

// parseKeys makes stored keys ready to sign.
func parseKeys(keys []openmail.SigningKey) ([]pair, error) {
	var pairs []pair
	for _, k := range keys {
		private, err := x509.ParsePKCS8PrivateKey(k.Private)
		signer, ok := private.(crypto.Signer)
		if err != nil || !ok {
			return nil, fmt.Errorf("the key %v cannot be read", k)
		}
		pairs = append(pairs, pair{k.Selector, k.Algorithm, signer})
	}
	if len(pairs) == 0 {
		return nil, errors.New("a domain has no signing keys")
	}
	return pairs, nil
}

// record is the value of the TXT record that tells the public key (RFC 6376
// section 3.6.1, RFC 8463 section 4).
func (p pair) record() (string, error) {
	public := p.signer.Public()
	data, ok := public.(ed25519.PublicKey)
	if !ok {
		var err error
		if data, err = x509.MarshalPKIXPublicKey(public); err != nil {
			return "", fmt.Errorf("write a public key: %w", err)
		}
	}
	return "v=DKIM1; k=" + p.algorithm + "; p=" + base64.StdEncoding.EncodeToString(data), nil
}
