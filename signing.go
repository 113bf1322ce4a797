package openmail

import "time"

// SigningKey is a private key that signs the mail of a domain (DKIM, RFC 6376).
type SigningKey struct {
	Domain    string // in lower case and ASCII
	Selector  string
	Algorithm string // "rsa" or "ed25519", as in the record of the public key
	Private   []byte // PKCS #8; told to nobody
	CreatedAt time.Time
}

// String names the key without telling it.
func (k SigningKey) String() string { return k.Selector + "._domainkey." + k.Domain }

// GoString is String.
func (k SigningKey) GoString() string { return k.String() }
