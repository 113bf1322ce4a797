package httpapi

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
	"openmail/api"
)

// attachmentInput is a request with a key, or one by a signed link.
type attachmentInput struct {
	Caller
	MessageID string `path:"messageId" maxLength:"200"`
	Filename  string `path:"filename" maxLength:"1000"`
	Account   string `query:"account" hidden:"true"`
	Expires   int64  `query:"expires" hidden:"true"`
	Signature string `query:"signature" hidden:"true"`
}

// attachmentOutput is the redirect, or the bytes.
type attachmentOutput struct {
	Location string `header:"Location"`
	Body     func(huma.Context)
}

// linkOrKey lets through what carries a signature, for the handler to check;
// all else needs a key.
func (s *Server) linkOrKey(ctx huma.Context, next func(huma.Context)) {
	if ctx.Query("signature") != "" {
		next(ctx)
		return
	}
	s.authenticate(ctx, next)
}

func (s *Server) getAttachment(ctx context.Context, in *attachmentInput) (*attachmentOutput, error) {
	switch {
	case in.Signature != "":
		return s.byLink(ctx, in)
	case s.c.InlineAttachments:
		return s.attachment(ctx, in.scope(), in)
	}
	scope := in.scope()
	if _, err := s.c.Mailbox.AttachmentInfo(ctx, scope, in.MessageID, in.Filename); err != nil {
		return nil, err
	}
	return &attachmentOutput{
		Location: s.links.link(s.c.Links, file{scope.Account, in.MessageID, in.Filename}, s.c.Now()),
		Body:     func(c huma.Context) { c.SetStatus(http.StatusFound) },
	}, nil
}

// byLink serves what a link was signed for, whoever follows it.
func (s *Server) byLink(ctx context.Context, in *attachmentInput) (*attachmentOutput, error) {
	if !s.links.valid(file{in.Account, in.MessageID, in.Filename}, in.Expires, in.Signature, s.c.Now()) {
		return nil, openmail.Errorf(openmail.CodeUnauthorized, "The link is not valid, or not any more: ask for the attachment again.")
	}
	return s.attachment(ctx, openmail.Scope{Account: in.Account}, in)
}

func (s *Server) attachment(ctx context.Context, scope openmail.Scope, in *attachmentInput) (*attachmentOutput, error) {
	a, r, err := s.c.Mailbox.Attachment(ctx, scope, in.MessageID, in.Filename)
	if err != nil {
		return nil, err
	}
	return &attachmentOutput{Body: func(c huma.Context) {
		defer r.Close() // it only gives memory back
		s.download(c, harmless(a.ContentType), a.Filename, a.SizeBytes, r)
	}}, nil
}

type attachmentTextInput struct {
	Caller
	MessageID string `path:"messageId" maxLength:"200"`
	Filename  string `path:"filename" maxLength:"1000"`
}

func (s *Server) getAttachmentText(ctx context.Context, in *attachmentTextInput) (*reply[api.AttachmentText], error) {
	a, inbox, err := s.c.Mailbox.Text(ctx, in.scope(), in.MessageID, in.Filename)
	if err != nil {
		return nil, err
	}
	return body(api.AttachmentText{
		InboxID: inbox, Filename: a.Filename, ContentType: a.ContentType,
		ExtractionMethod: string(a.Extracted.Method), Text: a.Extracted.Text,
	}), nil
}

// saveAs sets the headers of a file that a stranger wrote.
func saveAs(h http.Header, contentType, filename string, size int64) {
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": filename})
	if disposition == "" {
		disposition = "attachment"
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", disposition)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// harmless is contentType where no program runs what is in such a file by
// opening it, and else the type that says nothing.
func harmless(contentType string) string {
	kind, _, _ := strings.Cut(contentType, "/")
	switch contentType {
	case "text/plain", "text/csv", "text/calendar", "text/markdown",
		"application/pdf", "application/json", "application/zip", "application/gzip",
		"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation",
		"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet",
		"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/heic":
		return contentType
	case "video/mp4", "video/webm", "video/quicktime":
		return contentType
	}
	if kind == "audio" && !strings.ContainsFunc(contentType, notToken) {
		return contentType
	}
	return "application/octet-stream"
}

func notToken(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("/.+-", r))
}

func incomplete(n, size int64, err error) error {
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, size, err)
	}
	return fmt.Errorf("%d bytes where %d were announced", n, size)
}
