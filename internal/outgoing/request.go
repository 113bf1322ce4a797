package outgoing

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"
	"unicode/utf8"

	"openmail"
	"openmail/internal/mime"
)

// Bounds of what is sent.
const (
	maxSubject     = 998     // characters
	maxBody        = 100_000 // characters
	maxHTML        = 500_000 // characters
	maxName        = 200     // characters of a name that stands before an address
	maxCC          = 50      // addresses
	maxFiles       = 100
	maxKey         = 255 // characters of an idempotency key
	MaxAttachments = 25 << 20
)

// Request is a mail that a client wants sent.
type Request struct {
	Inbox       string // who sends it
	To          string // Name <addr>, or the bare addr
	CC          []string
	ReplyTo     string
	Subject     string // passed over in a reply
	Body        string // plain text or HTML, which is found out
	BodyHTML    string // "": made of Body where that is HTML
	Thread      string // the thread that it answers; "": it begins one
	NoQuote     bool   // a reply without the message that it answers
	Attachments []File
	Key         string // of idempotency; "" when none was given
	By          string // the id of the key that asks
}

// File is an attachment on its way out.
type File struct {
	Filename, ContentType string
	Data                  []byte
}

// letter is a request that was checked.
type letter struct {
	Request
	to      openmail.Address
	cc      []openmail.Address
	replyTo []openmail.Address // none or one
	files   []File
}

// check looks at everything that can be said of a request without knowing what
// is stored.
func check(r Request) (letter, error) {
	l := letter{Request: r}
	for _, step := range []func() error{l.addresses, l.texts, l.attachments} {
		if err := step(); err != nil {
			return letter{}, err
		}
	}
	return l, nil
}

func (l *letter) addresses() (err error) {
	if l.To == "" {
		return bad("to", "to is missing.")
	}
	if l.to, err = parseAddress("to", l.To); err != nil {
		return err
	}
	if len(l.CC) > maxCC {
		return bad("cc", "cc has at most %d addresses.", maxCC)
	}
	for _, text := range l.CC {
		a, err := parseAddress("cc", text)
		if err != nil {
			return err
		}
		l.cc = append(l.cc, a)
	}
	if l.ReplyTo != "" {
		a, err := parseAddress("replyTo", l.ReplyTo)
		l.replyTo = []openmail.Address{a}
		return err
	}
	return nil
}

func (l *letter) texts() error {
	if l.Thread == "" {
		if err := checkLength("subject", l.Subject, 1, maxSubject); err != nil {
			return err
		}
		if strings.ContainsFunc(l.Subject, control) {
			return bad("subject", "subject has no control characters or line breaks.")
		}
	}
	if err := checkLength("body", l.Body, 1, maxBody); err != nil {
		return err
	}
	return checkLength("bodyHtml", l.BodyHTML, 0, maxHTML)
}

// checkLength checks a text in characters; it is UTF-8 without NUL.
func checkLength(field, text string, least, most int) error {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		return bad(field, "%s is missing.", field)
	case n > most:
		return bad(field, "%s has at most %d characters.", field, most)
	case !utf8.ValidString(text):
		return bad(field, "%s is not valid UTF-8.", field)
	case strings.ContainsRune(text, 0):
		return bad(field, "%s has no NUL.", field)
	}
	return nil
}

func (l *letter) attachments() error {
	if len(l.Attachments) > maxFiles {
		return bad("attachments", "A mail has at most %d attachments.", maxFiles)
	}
	total := 0
	for _, f := range l.Attachments {
		if total += len(f.Data); total > MaxAttachments {
			return &openmail.Error{Code: openmail.CodeTooLarge, Field: "attachments", Message: "The attachments of a mail have at most 25 MB in all."}
		}
		if !utf8.ValidString(f.Filename) || strings.ContainsFunc(f.Filename, control) || len(f.Filename) > maxSubject {
			return bad("attachments", "The name of an attachment is valid UTF-8 without control characters.")
		}
		kind := mediaType(f.ContentType)
		l.files = append(l.files, File{Filename: mime.SafeFilename(f.Filename, kind), ContentType: kind, Data: f.Data})
	}
	return nil
}

// bad is the error for a field that is not as it has to be.
func bad(field, format string, args ...any) error {
	return openmail.FieldErrorf(openmail.CodeBadRequest, field, format, args...)
}

// checkKey checks an idempotency key.
func checkKey(key string) error {
	if len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return bad("Idempotency-Key", "An Idempotency-Key has at most %d printable ASCII characters.", maxKey)
	}
	return nil
}

// hash is a digest of what was asked for, in the form in which it was
// understood: two requests with the same are the same.
func (l letter) hash() [32]byte {
	d := digest{sha256.New()}
	d.text("openmail send 1", l.Inbox, l.Thread, l.to.String())
	if l.Thread == "" {
		d.text(l.Subject)
	}
	d.list(l.cc)
	d.list(l.replyTo)
	d.text(l.Body, l.BodyHTML)
	if l.NoQuote && l.Thread != "" {
		d.text("without a quote")
	}
	for _, f := range l.files {
		sum := sha256.Sum256(f.Data)
		d.text(f.Filename, f.ContentType, string(sum[:]))
	}
	var sum [32]byte
	d.Sum(sum[:0])
	return sum
}

type digest struct{ hash.Hash }

// text writes each text behind its length, so that none can pass for two.
func (d digest) text(texts ...string) {
	for _, t := range texts {
		d.Write(binary.BigEndian.AppendUint64(nil, uint64(len(t))))
		d.Write([]byte(t))
	}
}

func (d digest) list(addrs []openmail.Address) {
	d.Write(binary.BigEndian.AppendUint64(nil, uint64(len(addrs))))
	for _, a := range addrs {
		d.text(a.String())
	}
}
