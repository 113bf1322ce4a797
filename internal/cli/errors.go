package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"openmail"
	"openmail/client"
)

// problem is an error in the words of the command line.
type problem struct {
	text string
	err  error
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.err }

// explain says of an error what is wrong and what to do.
func (s *session) explain(err error) error {
	if err == nil || errors.Is(err, errTold) {
		return err
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return err
	}
	if text := s.text(err); text != "" {
		return &problem{text, err}
	}
	return err
}

// text is what to say; "" leaves the error as it is.
func (s *session) text(err error) string {
	if e, ok := errors.AsType[*openmail.Error](err); ok {
		return s.serverText(err, e)
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case isDNS && dns.IsNotFound:
		return fmt.Sprintf("there is no host %s: check OPENMAIL_BASE_URL", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no server answers at %s: start one with `openmail serve`, or set OPENMAIL_BASE_URL", s.base)
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return fmt.Sprintf("the server at %s does not answer in time: try again, or check OPENMAIL_BASE_URL", s.base)
	}
	return ""
}

// serverText explains what the server, or the client before it, found wrong.
func (s *session) serverText(err error, e *openmail.Error) string {
	message := strings.TrimSuffix(e.Message, ".")
	switch e.Code {
	case openmail.CodeUnauthorized:
		if s.key == "" && !s.named {
			return fmt.Sprintf("the folder that you are in names the server %s, which is shown no key of yours: if it is yours too, set OPENMAIL_BASE_URL in the environment", s.base)
		}
		if s.key == "" {
			return fmt.Sprintf("there is no API key for %s: set OPENMAIL_API_KEY, or run this beside the folder openmail-data of a local server", s.base)
		}
		return fmt.Sprintf("the server at %s does not know the key (from %s): set OPENMAIL_API_KEY to one that is valid", s.base, s.source.long())
	case openmail.CodeForbidden:
		return message + ": use a key of the whole account"
	case openmail.CodeNotPermitted:
		return fmt.Sprintf("%s: %s (see openmail policy get)", message, e.Recipient)
	case openmail.CodeInternal:
		if answer, ok := errors.AsType[*client.Error](err); ok && answer.RequestID != "" {
			return fmt.Sprintf("%s (the server's log has it under %s)", message, answer.RequestID)
		}
	case openmail.CodeRateLimit:
		if answer, ok := errors.AsType[*client.Error](err); ok && answer.RetryAfter > 0 {
			return fmt.Sprintf("%s: try again in %v", message, answer.RetryAfter)
		}
	}
	if e.Field != "" {
		return fmt.Sprintf("%s: %s", e.Field, message)
	}
	return message
}

func messageOf(err error) string {
	if e, ok := errors.AsType[*openmail.Error](err); ok {
		return e.Message
	}
	return err.Error()
}
