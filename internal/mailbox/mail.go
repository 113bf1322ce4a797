package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"openmail"
	"openmail/internal/mime"
)

// Messages returns a page of an inbox's messages, newest first, and how many
// there are. An empty direction means both.
func (m *Mailbox) Messages(ctx context.Context, scope openmail.Scope, inbox string, d openmail.Direction, p openmail.Page) ([]openmail.Message, int, error) {
	if _, err := m.Inbox(ctx, scope, inbox); err != nil {
		return nil, 0, err
	}
	return m.c.Mail.Messages(ctx, scope, inbox, d, page(p))
}

// Threads returns a page of an inbox's threads, newest message first, and how
// many there are; read is nil for all.
func (m *Mailbox) Threads(ctx context.Context, scope openmail.Scope, inbox string, read *bool, p openmail.Page) ([]openmail.Thread, int, error) {
	if _, err := m.Inbox(ctx, scope, inbox); err != nil {
		return nil, 0, err
	}
	return m.c.Mail.Threads(ctx, scope, inbox, read, page(p))
}

// Thread returns a thread with its messages, oldest first. Reading does not
// mark it read.
func (m *Mailbox) Thread(ctx context.Context, scope openmail.Scope, thread string) (openmail.Thread, []openmail.Message, error) {
	return m.c.Mail.Thread(ctx, scope, thread)
}

// Message returns one.
func (m *Mailbox) Message(ctx context.Context, scope openmail.Scope, message string) (openmail.Message, error) {
	return m.c.Mail.Message(ctx, scope, message)
}

// SetRead marks a thread as read or unread.
func (m *Mailbox) SetRead(ctx context.Context, scope openmail.Scope, thread string, read bool) error {
	return m.c.Changes.SetRead(ctx, scope, thread, read)
}

// TrashThread hides a thread and its messages; the trash is emptied later.
func (m *Mailbox) TrashThread(ctx context.Context, scope openmail.Scope, thread string) error {
	if err := scope.NeedPod("delete a thread"); err != nil {
		return err
	}
	return m.c.Changes.TrashThread(ctx, scope, thread, time.Now())
}

// DeleteMessage removes a message for good.
func (m *Mailbox) DeleteMessage(ctx context.Context, scope openmail.Scope, message string) error {
	if err := scope.NeedPod("delete a message"); err != nil {
		return err
	}
	return m.c.Changes.DeleteMessage(ctx, scope, message)
}

// Raw opens the bytes of a message as they were received, size of them. The
// caller closes it.
func (m *Mailbox) Raw(ctx context.Context, scope openmail.Scope, message string) (raw io.ReadCloser, size int64, err error) {
	return m.c.Raws.Raw(ctx, scope, message)
}

// Attachment returns the attachment of that name, and its decoded bytes,
// SizeBytes of them, which the caller closes. Names are only compared: they
// never become a path. The error is openmail.CodeRateLimit when too much is
// open already.
func (m *Mailbox) Attachment(ctx context.Context, scope openmail.Scope, message, filename string) (openmail.Attachment, io.ReadCloser, error) {
	a, err := m.AttachmentInfo(ctx, scope, message, filename)
	if err != nil {
		return openmail.Attachment{}, nil, err
	}
	if err := m.held.take(scope.Account, a.Length); err != nil {
		return openmail.Attachment{}, nil, err
	}
	release := sync.OnceFunc(func() { m.held.give(scope.Account, a.Length) })
	part, err := m.part(ctx, scope, message, a)
	if err != nil {
		release()
		return openmail.Attachment{}, nil, fmt.Errorf("read an attachment of %s: %w", message, err)
	}
	here := a
	here.Offset = 0
	return a, &heldReader{mime.Open(part, here), release}, nil
}

// AttachmentInfo is Attachment without its bytes.
func (m *Mailbox) AttachmentInfo(ctx context.Context, scope openmail.Scope, message, filename string) (openmail.Attachment, error) {
	_, a, err := m.find(ctx, scope, message, filename)
	return a, err
}

// part reads the encoded body of an attachment, and nothing else of the mail
// into memory.
func (m *Mailbox) part(ctx context.Context, scope openmail.Scope, message string, a openmail.Attachment) (_ []byte, err error) {
	raw, size, err := m.c.Raws.Raw(ctx, scope, message)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	if a.Offset < 0 || a.Length < 0 || a.Offset > size || a.Length > size-a.Offset {
		return nil, fmt.Errorf("it lies outside of the %d bytes of the mail", size)
	}
	if _, err := io.CopyN(io.Discard, raw, a.Offset); err != nil {
		return nil, err
	}
	part := make([]byte, a.Length)
	_, err = io.ReadFull(raw, part)
	return part, err
}

// Quarantined returns a page of the mail that rules turned away, newest first,
// and how much there is.
func (m *Mailbox) Quarantined(ctx context.Context, scope openmail.Scope, p openmail.Page) ([]openmail.Quarantined, int, error) {
	if err := scope.NeedAccount("see the quarantine"); err != nil {
		return nil, 0, err
	}
	return m.c.Quarantine.Quarantined(ctx, scope, page(p))
}

// QuarantinedOne returns one mail of it.
func (m *Mailbox) QuarantinedOne(ctx context.Context, scope openmail.Scope, held string) (openmail.Quarantined, error) {
	if err := scope.NeedAccount("see the quarantine"); err != nil {
		return openmail.Quarantined{}, err
	}
	return m.c.Quarantine.QuarantinedOne(ctx, scope, held)
}

// DeleteQuarantined removes one for good.
func (m *Mailbox) DeleteQuarantined(ctx context.Context, scope openmail.Scope, held string) error {
	if err := scope.NeedAccount("empty the quarantine"); err != nil {
		return err
	}
	return m.c.Quarantine.DeleteQuarantined(ctx, scope, held)
}
