// Package webhook is the signed post: one event, one POST, one attempt to tell
// of. It holds the only HTTP client of the server that reaches out to where a
// stranger points, through the guard of the package reach, which says where that may be.
//
// # Signatures
//
// A post carries two sets of headers over the same body; a receiver checks
// either.
//
//	X-Event-Id         the event's id, the same in every attempt
//	X-Timestamp        Unix seconds of the attempt
//	X-Signature        hex(HMAC-SHA256(secret, X-Timestamp + "." + body))
//	X-Signature-Next   the same with the next secret, during a rotation
//
//	webhook-id         the event's id
//	webhook-timestamp  Unix seconds of the attempt
//	webhook-signature  "v1," + base64(HMAC-SHA256(key, id + "." + timestamp + "." + body)),
//	                   during a rotation a second one with the next secret, after a space
//
// The second set is Standard Webhooks. A secret is text: "whsec_" and the
// base64 of 32 random bytes. X-Signature takes the whole text as its key, as
// the verifiers of the contract do; webhook-signature takes the bytes that the
// base64 stands for, as the libraries of Standard Webhooks do. A secret of any
// other form is its own bytes in both.
package webhook
