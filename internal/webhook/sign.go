package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"openmail"
)

const secretPrefix = "whsec_"

// NewSecret returns a secret that nobody has yet: whsec_ and the base64 of 32
// random bytes.
func NewSecret() string {
	var key [32]byte
	rand.Read(key[:]) // never fails (Go 1.24)
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// sign sets the headers by which the receiver of body knows that it is ours.
// Keys are written as http.Header keeps them.
func sign(h http.Header, e openmail.Endpoint, eventID string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h["X-Event-Id"] = []string{eventID}
	h["X-Timestamp"] = []string{stamp}
	h["X-Signature"] = []string{signature(e.Secret, stamp, body)}
	standard := standardSignature(e.Secret, eventID, stamp, body)
	if e.NextSecret != "" {
		h["X-Signature-Next"] = []string{signature(e.NextSecret, stamp, body)}
		standard += " " + standardSignature(e.NextSecret, eventID, stamp, body)
	}
	h["Webhook-Id"] = h["X-Event-Id"]
	h["Webhook-Timestamp"] = h["X-Timestamp"]
	h["Webhook-Signature"] = []string{standard}
}

// signature is the contract's.
func signature(secret, stamp string, body []byte) string {
	return hex.EncodeToString(sum([]byte(secret), stamp+".", body))
}

// standardSignature is one entry of the list that Standard Webhooks sends.
func standardSignature(secret, id, stamp string, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(sum(standardKey(secret), id+"."+stamp+".", body))
}

// standardKey is the key that the libraries of Standard Webhooks make of a secret.
func standardKey(secret string) []byte {
	if text, ok := strings.CutPrefix(secret, secretPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(text); err == nil {
			return key
		}
	}
	return []byte(secret)
}

func sum(key []byte, head string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(head)) // a hash never fails to write
	mac.Write(body)
	return mac.Sum(nil)
}
