package access

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// TokenPrefix begins every token that this server makes.
const TokenPrefix = "om_"

// A token is om_ and 58 characters of base32 (RFC 4648 section 6, lower case,
// unpadded): 32 random bytes, then the CRC-32 of those (IEEE, big-endian). A
// scanner of leaked secrets looks for om_[a-z2-7]{58} and asks WellFormed.
const (
	secretBytes = 32
	tokenBytes  = secretBytes + crc32.Size
)

// NewToken makes the text of a key.
func NewToken() string {
	var b [tokenBytes]byte
	rand.Read(b[:secretBytes]) // never fails (Go 1.24)
	binary.BigEndian.PutUint32(b[secretBytes:], crc32.ChecksumIEEE(b[:secretBytes]))
	return TokenPrefix + strings.ToLower(encoding().EncodeToString(b[:]))
}

// WellFormed reports whether token looks like one that NewToken made. It says
// nothing about whether it is valid: only Authenticate does.
func WellFormed(token string) bool {
	text, ok := strings.CutPrefix(token, TokenPrefix)
	if !ok || text != strings.ToLower(text) {
		return false
	}
	b, err := encoding().DecodeString(strings.ToUpper(text))
	return err == nil && len(b) == tokenBytes &&
		binary.BigEndian.Uint32(b[secretBytes:]) == crc32.ChecksumIEEE(b[:secretBytes])
}

func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

// hint is what a person may see of a token, to tell keys apart.
func hint(token string) (prefix, last4 string) {
	const shown = len(TokenPrefix) + 2
	return token[:shown] + "..", token[len(token)-4:]
}
