// Package outgoing is the room where one mail goes out: whether it may, what
// its bytes are, who it is for, and when each recipient's server is asked
// again until that has answered for good.
package outgoing

import "context"

// Transport hands a mail to the server of another domain.
type Transport interface {
	// Send offers a mail once to the server of its recipients' domain, and
	// returns an Answer for each recipient, in their order. It never returns
	// without one: what went wrong before a server was asked is an Answer too.
	// ctx bounds the whole conversation.
	Send(ctx context.Context, p Parcel) []Answer
}

// Ours reports whether mail to a domain, in lower case and ASCII, stays on this
// server.
type Ours func(ctx context.Context, domain string) (bool, error)

// Signer signs mail.
type Signer interface {
	// Sign returns mail with DKIM signatures of that domain put on top
	// (RFC 6376). The domain gets its keys when it has none.
	Sign(ctx context.Context, domain string, mail []byte) ([]byte, error)
}

// Parcel is a mail on its way to recipients of one domain.
type Parcel struct {
	From   string   // the reverse-path; "" for a notification (RFC 5321 section 4.5.5)
	To     []string // the recipients, all of them of Domain
	Domain string   // in lower case and ASCII
	Mail   []byte   // RFC 5322, with CRLF at the ends of lines, signed

	// Taken, unless it is nil, is called as soon as a server has taken the
	// mail, with those of To for whom, by their places, and before anything
	// else is said or asked anywhere: what is not written down by then is
	// offered again after a crash. Send waits for it, and returns the same
	// answer for them in the end.
	Taken func(who []int, a Answer)
}

// Answer is what became of one recipient.
type Answer struct {
	Fate     Fate
	Code     int    // of the SMTP reply; 0 when there was none
	Enhanced string // the enhanced status code, such as "5.1.1" (RFC 3463); never ""
	Text     string // what the server said, or what went wrong: valid UTF-8 without control characters, at most 1 KiB
	Server   string // the host that answered, "mx.example.com [192.0.2.1]"; "" when none did
	TLS      string // how the connection was protected: "", "opportunistic", "verified" (a relay), "mta-sts", "dane"
}

// Fate is how an offer ended for one recipient.
type Fate string

// The fates.
const (
	FateAccepted Fate = "accepted" // the server has taken responsibility
	FateDeferred Fate = "deferred" // not now: ask again later
	FateRefused  Fate = "refused"  // never: asking again would be refused again
)
