package httpapi

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"openmail"
	"openmail/api"
)

// linkLife is how long a signed link to an attachment works.
const linkLife = 15 * time.Minute

// signer signs links that work without a key.
type signer struct{ key []byte }

func newSigner(secret []byte) signer { return signer{derive(secret, "attachment links", sha256.Size)} }

// file is one attachment of an account's message.
type file struct{ account, message, name string }

// link is the path of a signed link, on whatever origin it was asked of.
func (s signer) link(links api.Links, f file, now time.Time) string {
	expires := now.Add(linkLife).Unix()
	q := url.Values{
		"account":   {f.account},
		"expires":   {strconv.FormatInt(expires, 10)},
		"signature": {s.sign(f, expires)},
	}
	path := links.Attachment(f.message, f.name)
	if u, err := url.Parse(path); err == nil {
		path = u.EscapedPath()
	}
	return path + "?" + q.Encode()
}

// valid reports whether signature is ours for that file and not yet expired.
func (s signer) valid(f file, expires int64, signature string, now time.Time) bool {
	return now.Unix() < expires && hmac.Equal([]byte(signature), []byte(s.sign(f, expires)))
}

func (s signer) sign(f file, expires int64) string {
	mac := hmac.New(sha256.New, s.key)
	fmt.Fprintf(mac, "%d:%s%d:%s%d:%s%d", len(f.account), f.account, len(f.message), f.message, len(f.name), f.name, expires)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// cursors hides positions of the event log: a cursor is one block of AES that
// holds the position and a mark of the account that it belongs to.
type cursors struct{ block cipher.Block }

func newCursors(secret []byte) cursors {
	block, err := aes.NewCipher(derive(secret, "cursors", aes.BlockSize))
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	return cursors{block}
}

func (c cursors) seal(account string, p openmail.Position) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(p))
	copy(b[8:], mark(account))
	c.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// open is the position of a cursor that seal made for the account; 0 for "".
func (c cursors) open(account, cursor string) (openmail.Position, error) {
	if cursor == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil && len(b) == aes.BlockSize {
		c.block.Decrypt(b, b)
		if subtle.ConstantTimeCompare(b[8:], mark(account)) == 1 {
			return openmail.Position(binary.BigEndian.Uint64(b)), nil
		}
	}
	return 0, openmail.FieldErrorf(openmail.CodeBadRequest, "cursor", "The cursor is not one that this list gave out.")
}

func mark(account string) []byte {
	sum := sha256.Sum256([]byte(account))
	return sum[:8]
}

// derive makes a key for one purpose out of the server's secret.
func derive(secret []byte, purpose string, size int) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "openmail "+purpose, size)
	if err != nil {
		panic(err) // only a key of more than 255 hashes is refused
	}
	return key
}
