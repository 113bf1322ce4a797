package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"openmail"
	"openmail/api"
)

// Error is an answer that is not 2xx. It unwraps to an *openmail.Error, which
// has the code, the message and the field at fault.
type Error struct {
	Status     int           // of HTTP
	RequestID  string        // finds the request in the server's log; "" when the server gave none
	RetryAfter time.Duration // how long to wait before the next try; 0 when the server did not say
	Err        *openmail.Error
}

func (e *Error) Error() string {
	if e.RequestID == "" {
		return fmt.Sprintf("%v (HTTP %d)", e.Err, e.Status)
	}
	return fmt.Sprintf("%v (HTTP %d, request %s)", e.Err, e.Status, e.RequestID)
}

func (e *Error) Unwrap() error { return e.Err }

// readError makes the error of an answer. What is not OpenMail's own error, such
// as a proxy's page, is classed by its status and not shown.
func readError(resp *http.Response) *Error {
	e := &Error{
		Status:     resp.StatusCode,
		RequestID:  resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After")),
	}
	var body api.Error
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err == nil && json.Unmarshal(b, &body) == nil && body.Code != "" {
		e.Err = &openmail.Error{Code: openmail.Code(body.Code), Message: body.Message, Field: body.Field, Type: body.Type, Recipient: body.Recipient}
		if body.Scope != "" && body.ResetsAt != nil {
			e.Err.Quota = &openmail.Quota{Code: e.Err.Code, Scope: body.Scope, Most: body.Limit, Until: body.ResetsAt.Time, Message: body.Message}
		}
		return e
	}
	if to, err := resp.Location(); err == nil {
		e.Err = openmail.Errorf(openmail.CodeBadRequest, "the server has moved to %s://%s: use that as the base URL", to.Scheme, to.Host)
		return e
	}
	e.Err = openmail.Errorf(codeOfStatus(resp.StatusCode), "the answer was %s, and not in OpenMail's words", resp.Status)
	return e
}

func codeOfStatus(status int) openmail.Code {
	switch status {
	case http.StatusUnauthorized:
		return openmail.CodeUnauthorized
	case http.StatusForbidden:
		return openmail.CodeForbidden
	case http.StatusNotFound:
		return openmail.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		return openmail.CodeTooLarge
	case http.StatusTooManyRequests:
		return openmail.CodeRateLimit
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return openmail.CodeUnavailable
	}
	if status < http.StatusInternalServerError {
		return openmail.CodeBadRequest
	}
	return openmail.CodeInternal
}

// retryAfter reads whole seconds (RFC 9110 section 10.2.3), at most a day.
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}
