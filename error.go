package openmail

import (
	"errors"
	"fmt"
)

// Code is a machine-readable name of an error, the contract's error codes.
type Code string

// The catalogue of codes. Codes has what each means.
const (
	CodeBadRequest         Code = "bad_request"
	CodeInvalidMailboxName Code = "invalid_mailbox_name"
	CodeInvalidDomain      Code = "invalid_domain"
	CodeInvalidPod         Code = "invalid_pod"
	CodeInvalidWebhookURL  Code = "invalid_webhook_url"
	CodeNoWebhookURL       Code = "no_webhook_url"
	CodeMissingKey         Code = "missing_idempotency_key"
	CodeUnsupportedField   Code = "unsupported_field"
	CodeUnauthorized       Code = "unauthorized"
	CodeForbidden          Code = "forbidden"
	CodeBanned             Code = "account_banned"
	CodeSuspended          Code = "reputation_suspended"
	CodeHTTPSRequired      Code = "https_required"
	CodeNotFound           Code = "not_found"
	CodeAddressTaken       Code = "address_taken"
	CodeClientIDTaken      Code = "client_id_taken"
	CodePodNotEmpty        Code = "pod_not_empty"
	CodePodHasDomains      Code = "pod_has_domains"
	CodeDefaultPod         Code = "default_pod"
	CodeDomainExists       Code = "domain_exists"
	CodeDomainTaken        Code = "domain_taken"
	CodeDomainBlocked      Code = "domain_blocked"
	CodeDomainHasInboxes   Code = "domain_has_inboxes"
	CodeRuleExists         Code = "rule_exists"
	CodeInheritedRule      Code = "inherited_rule"
	CodeNotPermitted       Code = "recipient_not_permitted"
	CodeConflict           Code = "conflict"
	CodeIdempotency        Code = "idempotency_conflict"
	CodeKeyLimit           Code = "api_key_limit_reached"
	CodeInboxLimit         Code = "inbox_limit_reached"
	CodeSuppressed         Code = "recipient_suppressed"
	CodeNoMX               Code = "no_mx_records"
	CodeTooLarge           Code = "too_large"
	CodeRateLimit          Code = "rate_limit_exceeded"
	CodeColdOutreach       Code = "cold_outreach_limit"
	CodeExtractionFailed   Code = "extraction_failed"
	CodeWebhookFailed      Code = "webhook_failed"
	CodeStorageFull        Code = "storage_full"
	CodeUnavailable        Code = "unavailable"
	CodeInternal           Code = "internal_error"
)

// CodeInfo describes one code for people.
type CodeInfo struct {
	Code    Code
	Meaning string
}

// Codes is the catalogue: every code that a caller can be answered with.
func Codes() []CodeInfo {
	return []CodeInfo{
		{CodeBadRequest, "The request is malformed or a value is out of range; `field` names the value."},
		{CodeInvalidMailboxName, "A mailbox name has 3 to 30 lower-case letters, digits, dots or hyphens, and starts and ends with a letter or digit."},
		{CodeInvalidDomain, "The domain is not a domain name, or no inbox can be on it: it is not the server's, nor a verified one of yours that the pod may use."},
		{CodeInvalidPod, "There is no pod with that id or clientId."},
		{CodeInvalidWebhookURL, "The webhook URL is malformed, or leads to an address that webhooks may not reach."},
		{CodeNoWebhookURL, "There is no webhook to test or rotate: set one first."},
		{CodeMissingKey, "A send needs the header Idempotency-Key where the server is set to demand one."},
		{CodeUnsupportedField, "The request has a field that is not supported, such as `bcc`; `field` names it."},
		{CodeUnauthorized, "The key is missing, unknown or revoked."},
		{CodeForbidden, "The key is valid but does not reach this far."},
		{CodeBanned, "The operator of the server has banned the account: it receives, and may not send."},
		{CodeSuspended, "The operator of the server has suspended the inbox, or its pod: it receives, and may not send; `type` says why."},
		{CodeHTTPSRequired, "The port is not encrypted and the server has one that is: use HTTPS, and revoke a key that was sent in clear."},
		{CodeNotFound, "There is no such thing, or it belongs to another account."},
		{CodeAddressTaken, "Another inbox has this address."},
		{CodeClientIDTaken, "Another pod of the account has this clientId."},
		{CodePodNotEmpty, "The pod has inboxes: delete them first."},
		{CodePodHasDomains, "A domain is bound to the pod: bind it to another, or delete it."},
		{CodeDefaultPod, "The default pod of an account cannot be deleted."},
		{CodeDomainExists, "The account has this domain already."},
		{CodeDomainTaken, "Another account of this server has proved that the domain is its own."},
		{CodeDomainBlocked, "Nobody can bring this domain: it is a public suffix, the server's own, or not a name of the internet."},
		{CodeDomainHasInboxes, "There are inboxes on the domain that keep it where it is: delete them first."},
		{CodeRuleExists, "The same rule is there already."},
		{CodeInheritedRule, "The rule belongs to a wider level of the policy: remove it there."},
		{CodeNotPermitted, "The outbound policy refuses an address of the mail, `recipient`; nothing was sent to anybody."},
		{CodeConflict, "The request contradicts what is stored."},
		{CodeIdempotency, "The Idempotency-Key was used for another request in the last 24 hours."},
		{CodeKeyLimit, "There are as many active keys as allowed: revoke one first."},
		{CodeInboxLimit, "The account has as many inboxes as it may: delete one first."},
		{CodeSuppressed, "A recipient is on the suppression list; `type` says why, `field` which."},
		{CodeNoMX, "No mail can reach the domain of a recipient: it does not exist, takes no mail, or has no server; `field` says which."},
		{CodeTooLarge, "The request or the mail is larger than the limit."},
		{CodeRateLimit, "Too many requests: wait for as long as Retry-After says."},
		{CodeColdOutreach, "Too many people today who have never exchanged mail with the inbox; `scope` says whose limit it is (`inbox`, or `customer` for the account), `limit` how many, `resetsAt` when it begins anew."},
		{CodeExtractionFailed, "No text can be read out of the attachment, or not now; the message says why."},
		{CodeWebhookFailed, "The endpoint did not answer the test with 2xx."},
		{CodeStorageFull, "The disk is full: nothing can be written until there is room."},
		{CodeUnavailable, "The server is starting or stopping: try again."},
		{CodeInternal, "The server failed; the request id finds it in the log."},
	}
}

// Error is an error whose meaning is known and may be told to the caller.
// Everything that is not one is our own fault and is told to nobody.
type Error struct {
	Code    Code
	Message string // one sentence for a person, without secrets
	Field   string // the field at fault, as the wire spells it; "" when it is none
	Type    string // which kind of it, where the code has several; "" otherwise
	// Recipient is the address that was refused; "" when it is none.
	Recipient string
	Quota     *Quota // the one that is spent; nil when it is none
	Err       error  // the cause, for the log only; nil when there is none
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error from a format, as fmt.Sprintf does.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// FieldErrorf is Errorf for a fault of one field, named as the wire spells it.
func FieldErrorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ErrSync is wrapped by the error of a failed fsync. Nobody knows then what is
// on disk, and asking again would only hide it: the process must end and start
// again, and acknowledge nothing before.
var ErrSync = errors.New("fsync failed")

// CodeOf is the code of the Error within err, CodeInternal when there is none,
// and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
