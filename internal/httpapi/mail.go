package httpapi

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
	"openmail/api"
)

func (s *Server) mailRoutes() {
	const threads, messages = "Threads", "Messages"
	add(s, route{method: http.MethodGet, path: "/v1/inboxes/{id}/messages", id: "listMessages", tag: messages, summary: "List an inbox's messages, newest first"}, s.listMessages)
	add(s, route{method: http.MethodGet, path: "/v1/inboxes/{id}/threads", id: "listThreads", tag: threads, summary: "List an inbox's threads, newest message first"}, s.listThreads)
	add(s, route{method: http.MethodGet, path: "/v1/threads/{id}/messages", id: "getThread", tag: threads, summary: "Get a thread with its messages, oldest first"}, s.getThread)
	add(s, route{method: http.MethodPatch, path: "/v1/threads/{id}", id: "updateThread", tag: threads, summary: "Mark a thread read or unread"}, s.updateThread)
	add(s, route{method: http.MethodDelete, path: "/v1/threads/{id}", id: "deleteThread", tag: threads, summary: "Move a thread to the trash", status: http.StatusNoContent}, s.deleteThread)
	add(s, route{method: http.MethodGet, path: "/v1/messages/{id}", id: "getMessage", tag: messages, summary: "Get a message"}, s.getMessage)
	add(s, route{method: http.MethodDelete, path: "/v1/messages/{id}", id: "deleteMessage", tag: messages, summary: "Delete a message for good"}, s.deleteMessage)
	add(s, route{
		method: http.MethodGet, path: "/v1/messages/{id}/raw", id: "getRawMessage", tag: messages, summary: "Get the bytes of a message as they were received",
		responses: map[string]*huma.Response{"200": bytesOf(rawType)},
	}, s.getRaw)
	add(s, route{
		method: http.MethodGet, path: "/v1/attachments/{messageId}/{filename}", id: "getAttachment", tag: messages, auth: s.linkOrKey,
		summary: "Get an attachment, by a redirect to a link that works for 15 minutes without a key", status: http.StatusFound,
		responses: map[string]*huma.Response{"200": bytesOf("*/*"), "302": {Description: "The link, on the same origin"}},
	}, s.getAttachment)
	add(s, route{
		method: http.MethodGet, path: "/v1/attachments/{messageId}/{filename}/text", id: "getAttachmentText", tag: messages,
		summary: "Get the text in an attachment; one that was not read when it came in is read now",
	}, s.getAttachmentText)
}

type listMessagesInput struct {
	Named
	Paging
	Direction string `query:"direction" enum:"inbound,outbound" doc:"Left out: both"`
}

func (s *Server) listMessages(ctx context.Context, in *listMessagesInput) (*reply[api.List[api.Message]], error) {
	messages, total, err := s.c.Mailbox.Messages(ctx, in.scope(), in.ID, openmail.Direction(in.Direction), in.page())
	if err != nil {
		return nil, err
	}
	return body(list(messages, total, s.messageJSON)), nil
}

type listThreadsInput struct {
	Named
	Paging
	IsRead string `query:"is_read" enum:"true,false" doc:"Left out: all"`
	Also   string `query:"isRead" enum:"true,false" doc:"Another spelling of is_read"`
}

func (in *listThreadsInput) read() *bool {
	for _, text := range []string{in.IsRead, in.Also} {
		if text != "" {
			read := text == "true"
			return &read
		}
	}
	return nil
}

func (s *Server) listThreads(ctx context.Context, in *listThreadsInput) (*reply[api.List[api.Thread]], error) {
	threads, total, err := s.c.Mailbox.Threads(ctx, in.scope(), in.ID, in.read(), in.page())
	if err != nil {
		return nil, err
	}
	return body(list(threads, total, threadJSON)), nil
}

func (s *Server) getThread(ctx context.Context, in *Named) (*reply[api.ThreadMessages], error) {
	thread, messages, err := s.c.Mailbox.Thread(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(api.ThreadMessages{
		ThreadID: thread.ID, InboxID: thread.Inbox, Subject: thread.Subject, IsRead: thread.IsRead,
		Data: each(messages, s.messageJSON),
	}), nil
}

type updateThreadInput struct {
	Named
	Body api.ThreadUpdate
}

func (s *Server) updateThread(ctx context.Context, in *updateThreadInput) (*reply[api.OK], error) {
	read := in.Body.IsRead
	if read == nil {
		read = in.Body.IsReadSnake
	}
	if read == nil {
		return nil, openmail.FieldErrorf(openmail.CodeBadRequest, "is_read", "is_read is missing.")
	}
	if err := s.c.Mailbox.SetRead(ctx, in.scope(), in.ID, *read); err != nil {
		return nil, err
	}
	return body(api.OK{OK: true}), nil
}

func (s *Server) deleteThread(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Mailbox.TrashThread(ctx, in.scope(), in.ID)
}

func (s *Server) getMessage(ctx context.Context, in *Named) (*reply[api.Message], error) {
	message, err := s.c.Mailbox.Message(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return body(s.messageJSON(message)), nil
}

func (s *Server) deleteMessage(ctx context.Context, in *Named) (*nothing, error) {
	return nil, s.c.Mailbox.DeleteMessage(ctx, in.scope(), in.ID)
}

// rawType is the media type of a mail (RFC 2046 section 5.2.1).
const rawType = "message/rfc822"

// stream is an answer that is not JSON.
type stream struct{ Body func(huma.Context) }

func (s *Server) getRaw(ctx context.Context, in *Named) (*stream, error) {
	raw, size, err := s.c.Mailbox.Raw(ctx, in.scope(), in.ID)
	if err != nil {
		return nil, err
	}
	return &stream{func(c huma.Context) {
		defer raw.Close() // read only: what it could still say was said by Read
		s.download(c, rawType, in.ID+".eml", size, raw)
	}}, nil
}

// download answers with size bytes that came by mail. No browser is to see
// anything in them but a file to be saved: whoever wrote them is a stranger.
func (s *Server) download(c huma.Context, contentType, filename string, size int64, r io.Reader) {
	x := c.(*call).x
	saveAs(x.Header(), contentType, filename, size)
	x.writeWithin(streamTime)
	x.WriteHeader(http.StatusOK)
	if n, err := io.Copy(x, r); !x.gone && (err != nil || n != size) {
		x.cause = incomplete(n, size, err)
		panic(http.ErrAbortHandler)
	}
}
