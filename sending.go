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

// BounceTag is in the local part of the address to which other servers report
// about one mail; what stands before it is the inbox.
const BounceTag = "+bounce."

// NoSuchRecipient reports whether an enhanced status code says that the address
// is one to which no mail will ever come (RFC 3463 sections 3.2 and 3.3, RFC 7505
// section 4.2). Other refusals concern the mail, the sender, or today.
func NoSuchRecipient(enhanced string) bool {
	switch enhanced {
	case "5.1.1", // bad destination mailbox address
		"5.1.2",  // bad destination system address
		"5.1.3",  // bad destination mailbox address syntax
		"5.1.6",  // the mailbox has moved
		"5.1.10", // the domain takes no mail at all
		"5.2.1":  // the mailbox is disabled
		return true
	}
	return false
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
	Reason    string // the answer, or the report, that caused it
	CreatedAt time.Time
}
