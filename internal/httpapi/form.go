package httpapi

import (
	"errors"
	"io"
	"mime/multipart"
	"strings"

	"openmail"
	"openmail/internal/outgoing"
)

// Limits of a form.
const (
	maxFormParts = 300
	maxFormField = 4 << 20 // bytes of a field that is no file: 500,000 characters fit
)

// form is a mail as a form has it, filled part by part.
type form struct {
	outgoing.Request
	bcc   bool
	fault error // of a field: told when the whole form is read
	files int64 // bytes
}

// readForm reads all parts of a form (RFC 7578), in whatever order they come.
func readForm(r io.Reader, boundary string) (outgoing.Request, error) {
	var f form
	parts := multipart.NewReader(r, boundary)
	for n := 0; ; n++ {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return outgoing.Request{}, err
		}
		if n == maxFormParts {
			return outgoing.Request{}, openmail.Errorf(openmail.CodeBadRequest, "A form has at most %d parts.", maxFormParts)
		}
		if err := f.add(p); err != nil {
			return outgoing.Request{}, err
		}
	}
	if f.bcc {
		return outgoing.Request{}, noBCC()
	}
	return f.Request, f.fault
}

func (f *form) add(p *multipart.Part) error {
	name := strings.TrimSuffix(p.FormName(), "[]")
	if p.FileName() != "" || name == "attachments" {
		return f.file(p)
	}
	b, err := io.ReadAll(io.LimitReader(p, maxFormField+1))
	if err != nil {
		return err
	}
	if len(b) > maxFormField {
		return openmail.Errorf(openmail.CodeTooLarge, "A field of the form is larger than %d bytes.", maxFormField)
	}
	if !storable(string(b)) {
		return notStorable(name)
	}
	f.set(name, string(b))
	return nil
}

func (f *form) file(p *multipart.Part) error {
	b, err := io.ReadAll(io.LimitReader(p, outgoing.MaxAttachments+1-f.files))
	if err != nil {
		return err
	}
	if f.files += int64(len(b)); f.files > outgoing.MaxAttachments {
		return &openmail.Error{Code: openmail.CodeTooLarge, Field: "attachments", Message: "The attachments of a mail have at most 25 MB in all."}
	}
	f.Attachments = append(f.Attachments, outgoing.File{Filename: p.FileName(), ContentType: p.Header.Get("Content-Type"), Data: b})
	return nil
}

func (f *form) set(name, value string) {
	switch name {
	case "to":
		f.To = value
	case "cc":
		if value != "" {
			f.CC = append(f.CC, value)
		}
	case "bcc":
		f.bcc = f.bcc || value != ""
	case "replyTo":
		f.ReplyTo = value
	case "subject":
		f.Subject = value
	case "body":
		f.Body = value
	case "bodyHtml":
		f.BodyHTML = value
	case "threadId":
		f.Thread = value
	case "includeQuote":
		switch strings.ToLower(value) {
		case "true", "1", "":
			f.NoQuote = false
		case "false", "0":
			f.NoQuote = true
		default:
			f.fault = openmail.FieldErrorf(openmail.CodeBadRequest, name, "includeQuote is true or false.")
		}
	}
}
