package mailbox

import (
	"context"

	"openmail"
)

// Reader reads the text of attachments.
type Reader interface {
	// Mail reads the files of one mail, which are attachments of raw, until
	// the deadline of ctx, and returns them with what was read. It cannot
	// fail: what was not read says why. Whatever stands in the files costs
	// this process neither memory nor time beyond that.
	Mail(ctx context.Context, account string, raw []byte, files []openmail.Attachment) []openmail.Attachment
}

// Text is what was read out of an attachment, with the inbox of its message. An
// attachment that has not been read yet is read now, once for all who ask, and
// what is found is kept. Where there is no text the error is
// openmail.CodeExtractionFailed and says why.
func (m *Mailbox) Text(ctx context.Context, scope openmail.Scope, message, filename string) (a openmail.Attachment, inbox string, err error) {
	msg, a, err := m.find(ctx, scope, message, filename)
	if err != nil {
		return a, "", err
	}
	if !a.Extracted.Method.Final() {
		if a.Extracted, err = m.readOnce(ctx, scope, msg, a); err != nil {
			return a, "", err
		}
	}
	if !a.Extracted.Method.HasText() {
		return a, "", openmail.Errorf(openmail.CodeExtractionFailed, "%s (%s)", a.Extracted.Method.Why(), a.Extracted.Method)
	}
	return a, msg.Inbox, nil
}

// readOnce reads an attachment, unless somebody is reading it: then it waits
// for what they find. Whoever asked first may leave; the others still get it.
func (m *Mailbox) readOnce(ctx context.Context, scope openmail.Scope, msg openmail.Message, a openmail.Attachment) (openmail.Extracted, error) {
	if m.c.Reader == nil {
		return openmail.Extracted{}, openmail.Errorf(openmail.CodeExtractionFailed, "This server does not read attachments.")
	}
	result := m.reading.DoChan(msg.Account+"\x00"+msg.ID+"\x00"+a.Filename, func() (any, error) {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.c.ReadTime)
		defer cancel()
		return m.readAttachment(within, scope, msg, a)
	})
	select {
	case r := <-result:
		e, _ := r.Val.(openmail.Extracted)
		return e, r.Err
	case <-ctx.Done():
		return openmail.Extracted{}, ctx.Err()
	}
}

// readAttachment reads an attachment, and keeps what is final. It looks again
// first: who asked while the last one was ending finds what that has kept.
func (m *Mailbox) readAttachment(ctx context.Context, scope openmail.Scope, msg openmail.Message, a openmail.Attachment) (openmail.Extracted, error) {
	_, a, err := m.find(ctx, scope, msg.ID, a.Filename)
	if err != nil || a.Extracted.Method.Final() {
		return a.Extracted, err
	}
	if err := m.held.take(msg.Account, a.Length); err != nil {
		return openmail.Extracted{}, err
	}
	defer m.held.give(msg.Account, a.Length)
	part, err := m.part(ctx, scope, msg.ID, a)
	if err != nil {
		return openmail.Extracted{}, err
	}
	here := a
	here.Offset = 0
	e := m.c.Reader.Mail(ctx, msg.Account, part, []openmail.Attachment{here})[0].Extracted
	if !e.Method.Final() {
		return e, nil
	}
	return e, m.c.Texts.KeepText(context.WithoutCancel(ctx), scope, msg.ID, a.Filename, e)
}

// find finds an attachment by its name.
func (m *Mailbox) find(ctx context.Context, scope openmail.Scope, message, filename string) (openmail.Message, openmail.Attachment, error) {
	msg, err := m.c.Mail.Message(ctx, scope, message)
	if err != nil {
		return msg, openmail.Attachment{}, err
	}
	for _, a := range msg.Attachments {
		if a.Filename == filename {
			return msg, a, nil
		}
	}
	return msg, openmail.Attachment{}, openmail.Errorf(openmail.CodeNotFound, "The message has no attachment of that name.")
}
