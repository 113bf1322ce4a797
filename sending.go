package openmail

import "time"

// MailDelivery is one recipient of an outbound message, and where it stands.
type MailDelivery struct {
	Recipient string // local-part@domain; the domain in lower case and ASCII
	State     Status // StatusPending, StatusSent or StatusFailed
	Attempts  int
	// Code, Enhanced and Answer are what the last attempt ended with, or why
	// none is made: Code is that of the SMTP reply, 0 when there was none;
	// Enhanced is of RFC 3463, "" when there was no attempt.
	Code     int
	Enhanced string
	Answer   string
	Server   string    // who gave the answer; "" when nobody did
	TLS      string    // how the connection was protected; "" when it was not
	LastAt   time.Time // of the last attempt; zero: none yet
	NextAt   time.Time // of the next one; zero: none is planned
}

// SuppressionType tells why an address gets no more mail.
type SuppressionType string

// The types of suppressions. SuppressedUnsub is reserved: nothing makes one yet.
const (
	SuppressedBounce    SuppressionType = "bounce"
	SuppressedComplaint SuppressionType = "complaint"
	SuppressedUnsub     SuppressionType = "unsub"
)

// Suppression is an address to which an account's inboxes send no more mail.
type Suppression struct {
	Account   string
	Address   string // in lower case
	Type      SuppressionType
	Reason    string // the answer that caused it
	CreatedAt time.Time
}
