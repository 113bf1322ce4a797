package intake

import (
	"context"
	"time"

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

// Known tells what has been filed.
type Known interface {
	// Filed reports whether the inbox of m has a message of the very same bytes.
	// It may miss one that is being filed now.
	Filed(ctx context.Context, scope openmail.Scope, m openmail.Message, digest [32]byte) (bool, error)
}

// readFiles reads the text of the mail's files into those of its copies that
// become messages, before anything is written: the event is complete when it
// is. A mail without files pays nothing for it, and neither does one that comes
// again because its sender did not see our 250. It tells how long it took.
func (in *Intake) readFiles(ctx context.Context, f *Filing) (time.Duration, error) {
	first, err := in.wanting(ctx, f)
	if first == nil || err != nil {
		return 0, err
	}
	start := time.Now()
	within, cancel := context.WithTimeout(ctx, in.ReadTime)
	defer cancel()
	files := in.Reader.Mail(within, first.Message.Account, f.Raw, first.Message.Attachments)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for i := range f.Copies {
		f.Copies[i].Message.Attachments = files
	}
	return time.Since(start), nil
}

// wanting is the first copy that becomes a message and has files to be read;
// nil for none.
func (in *Intake) wanting(ctx context.Context, f *Filing) (*Copy, error) {
	if in.Reader == nil {
		return nil, nil
	}
	for i := range f.Copies {
		c := &f.Copies[i]
		if !c.Verdict.Admitted || len(c.Message.Attachments) == 0 {
			continue
		}
		known, err := in.Known.Filed(ctx, openmail.Scope{Account: c.Message.Account}, c.Message, f.Digest)
		if !known || err != nil {
			return c, err
		}
	}
	return nil, nil
}
