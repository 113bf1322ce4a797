package openmail

import "time"

// Content is what a mail's bytes say, as mime.Read finds it. Every string is
// valid UTF-8 without NUL.
type Content struct {
	From       []Address
	To         []Address
	CC         []Address
	ReplyTo    []Address
	Subject    string
	MessageID  string    // with its angle brackets; "" when absent or senseless
	InReplyTo  []string  // message ids, with brackets
	References []string  // message ids, with brackets, oldest first
	Date       time.Time // zero when absent or unreadable

	Text string // the plain text; made from the HTML when there is no other
	HTML string // as it was sent, decoded; "" when there is none
	// HiddenText reports that text which HTML would not have shown was cut
	// out of Text.
	HiddenText bool

	Attachments []Attachment
	Defects     []Defect // what is wrong with the mail; at most 100
	// Partial reports that a limit was reached: something of the mail stands
	// in its raw bytes only.
	Partial bool

	Category      Category
	AutoReplyable bool // a program may answer it, as far as its header says
}

// Category is what kind of mail it is, by its header alone. It says nothing of
// whether the header is true.
type Category string

// The categories.
const (
	CategoryPersonal  Category = "personal"
	CategoryAutomated Category = "automated" // sent by a program, or to a list
	CategoryMarketing Category = "marketing" // to many, who can unsubscribe
	CategoryBounce    Category = "bounce"    // a report on another mail
)

// Attachment is one file of a mail. Its bytes stay where they are, encoded in
// the raw mail: mime.Open reads them.
type Attachment struct {
	Filename    string // safe as a path segment, unique within the mail
	ContentType string // type/subtype in lower case, without parameters
	ContentID   string // without its angle brackets; "" when absent
	Inline      bool   // Content-Disposition: inline, or referred to by the HTML
	SizeBytes   int64  // after decoding

	// Offset and Length are where its encoded body stands in the raw mail;
	// Encoding is the transfer encoding, in lower case.
	Offset, Length int64
	Encoding       string

	// Extracted is what was read out of it. In a list, and where the mail has
	// more than is kept, the text may be left out though its method has one.
	Extracted Extracted
}

// Defect is one fault of a mail: a stable name such as "missing_boundary".
type Defect string

// Direction tells who sent a message.
type Direction string

// The directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Status is where a message stands on its way.
type Status string

// The statuses of a message.
const (
	StatusReceived Status = "received"
	StatusPending  Status = "pending"
	StatusSent     Status = "sent"
	StatusFailed   Status = "failed"
)

// Message is one mail in one inbox.
type Message struct {
	ID        string
	Account   string
	Inbox     string
	Thread    string
	Direction Direction
	Status    Status

	From         Address
	ToAddr       string // inbound: the inbox's address; outbound: the recipient
	HeaderTo     string // the To header's addresses, comma separated; inbound only
	DeliveryRole Role   // RoleTo or RoleCC; inbound only
	CC           []string
	Subject      string

	BodyText    string
	BodyHTML    string
	BodyOmitted bool // in a list that had no room for both bodies: they are empty there
	HiddenText  bool
	Attachments []Attachment
	Defects     []Defect
	Partial     bool

	RFCMessageID string // "" when the mail had none
	InReplyTo    string
	References   []string

	Envelope     MessageEnvelope
	EnvelopeRole Role

	Category      Category // "" of outbound mail
	AutoReplyable bool     // a program may answer it (RFC 3834); inbound only

	// Deliveries are the recipients of an outbound message, the To first.
	Deliveries []MailDelivery

	SizeBytes int64 // of the raw mail
	CreatedAt time.Time
}

// MessageEnvelope is the part of the envelope that concerns one inbox: the
// other recipients of the mail are nobody's business.
type MessageEnvelope struct {
	MailFrom string
	RcptTo   string // as the sender wrote it, with a tag
	RemoteIP string
	Helo     string
	TLS      bool
}
