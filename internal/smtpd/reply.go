package smtpd

import "openmail"

// Replies that are said in more than one place, with their enhanced status
// codes (RFC 3463). No text of ours depends on what a stranger sent.
const (
	replyOK           = "250 2.0.0 Ok"
	replyNoMail       = "503 5.5.1 MAIL first"
	replyNoRecipients = "554 5.5.1 No valid recipients"
	replyBadBDAT      = "501 5.5.4 Syntax: BDAT size [LAST]"
	replyNonASCII     = "553 5.6.7 A non-ASCII address needs SMTPUTF8"
	replyTooBig       = "552 5.3.4 The mail is larger than we take"
	replyBusy         = "452 4.3.1 Too much mail at once, try again later"
	replyLater        = "451 4.3.0 We failed, try again later"
	replyStopping     = "421 4.3.2 The server is stopping, try again later"
	replyTooMany      = "421 4.7.0 Too many connections, try again later"
	replyTooManyOfYou = "421 4.7.0 Too many connections from your address, try again later"
	replyTimeout      = "421 4.4.2 We waited too long"
)

// violation ends the session; its text is the last reply.
type violation string

func (v violation) Error() string { return string(v) }

// hostile reports whether it is the client's doing, and worth an operator's look.
func (v violation) hostile() bool {
	return v != "" && v != errStopping && v != errTimeout && v != errOurFailure
}

const (
	errEarly      = violation("554 5.5.0 The server speaks first")
	errBareLine   = violation("500 5.5.2 Commands end with CRLF, and only with that")
	errLongLine   = violation("500 5.5.2 The command line is too long")
	errForeign    = violation("554 5.5.0 This is not that protocol")
	errInjection  = violation("554 5.5.1 Nothing may follow STARTTLS")
	errBare       = violation("550 5.6.0 A bare CR or LF in the mail (RFC 5321 section 2.3.8)")
	errEndless    = violation("552 5.3.4 The mail is far larger than we take")
	errLostChunk  = violation("501 5.5.4 Syntax: BDAT size [LAST]; the chunk is lost")
	errBadCmds    = violation("421 4.7.0 Too many errors")
	errBadRcpts   = violation("421 4.7.0 Too many bad recipients")
	errIdle       = violation("421 4.7.0 Too many commands without a mail")
	errStopping   = violation(replyStopping)
	errTimeout    = violation(replyTimeout)
	errOurFailure = violation("421 4.3.0 We failed, try again later")
)

// refusal fails one mail; the session goes on after its text.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errTooBig   = refusal(replyTooBig)
	errMailLine = refusal("552 5.3.4 A line of the mail is longer than we take")
	errBusy     = refusal(replyBusy)
)

// sentinel is an error that has no reply of its own.
type sentinel string

func (s sentinel) Error() string { return string(s) }

const (
	errQuit    = sentinel("quit")
	errHangup  = sentinel("hangup")
	errEnd     = sentinel("smtpd: end of the mail")
	errAborted = sentinel("smtpd: the client gave the mail up")
	errUnread  = sentinel("smtpd: accepted without reading the mail to its end")
)

// replyTo is what a sender is told of an error of the Receiver. Refused for
// good is only what its code says so of: everything else is our own fault, and
// its text is for nobody.
func replyTo(err error) string {
	switch openmail.CodeOf(err) {
	case openmail.CodeNotFound:
		return "550 5.1.1 No such mailbox"
	case openmail.CodeInvalidDomain:
		return "550 5.7.1 We do not relay"
	case openmail.CodeTooLarge:
		return replyTooBig
	case openmail.CodeStorageFull:
		return "452 4.3.1 No room, try again later"
	case openmail.CodeRateLimit:
		return "450 4.7.1 Too much mail, try again later"
	case openmail.CodeUnavailable:
		return "451 4.3.2 Starting or stopping, try again later"
	default:
		return replyLater
	}
}
