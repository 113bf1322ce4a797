// Package mailauth makes others believe who a mail is from: it signs mail with
// DKIM (RFC 6376), by RSA and by Ed25519 (RFC 8463).
package mailauth
