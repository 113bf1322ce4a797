package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"openmail"
	"openmail/api"
)

// statuses is the HTTP status of each code: the only place that knows.
var statuses = map[openmail.Code]int{
	openmail.CodeBadRequest:         http.StatusBadRequest,
	openmail.CodeInvalidMailboxName: http.StatusBadRequest,
	openmail.CodeInvalidDomain:      http.StatusBadRequest,
	openmail.CodeInvalidPod:         http.StatusBadRequest,
	openmail.CodeNoWebhookURL:       http.StatusBadRequest,
	openmail.CodeMissingKey:         http.StatusBadRequest,
	openmail.CodeUnsupportedField:   http.StatusBadRequest,
	openmail.CodeUnauthorized:       http.StatusUnauthorized,
	openmail.CodeForbidden:          http.StatusForbidden,
	openmail.CodeBanned:             http.StatusForbidden,
	openmail.CodeSuspended:          http.StatusForbidden,
	openmail.CodeHTTPSRequired:      http.StatusForbidden,
	openmail.CodeInheritedRule:      http.StatusForbidden,
	openmail.CodeNotPermitted:       http.StatusForbidden,
	openmail.CodeNotFound:           http.StatusNotFound,
	openmail.CodeAddressTaken:       http.StatusConflict,
	openmail.CodeClientIDTaken:      http.StatusConflict,
	openmail.CodePodNotEmpty:        http.StatusConflict,
	openmail.CodePodHasDomains:      http.StatusConflict,
	openmail.CodeDefaultPod:         http.StatusConflict,
	openmail.CodeDomainExists:       http.StatusConflict,
	openmail.CodeDomainTaken:        http.StatusConflict,
	openmail.CodeRuleExists:         http.StatusConflict,
	openmail.CodeConflict:           http.StatusConflict,
	openmail.CodeIdempotency:        http.StatusConflict,
	openmail.CodeTooLarge:           http.StatusRequestEntityTooLarge,
	openmail.CodeInvalidWebhookURL:  http.StatusUnprocessableEntity,
	openmail.CodeDomainBlocked:      http.StatusUnprocessableEntity,
	openmail.CodeDomainHasInboxes:   http.StatusUnprocessableEntity,
	openmail.CodeKeyLimit:           http.StatusUnprocessableEntity,
	openmail.CodeInboxLimit:         http.StatusUnprocessableEntity,
	openmail.CodeExtractionFailed:   http.StatusUnprocessableEntity,
	openmail.CodeSuppressed:         http.StatusUnprocessableEntity,
	openmail.CodeNoMX:               http.StatusUnprocessableEntity,
	openmail.CodeRateLimit:          http.StatusTooManyRequests,
	openmail.CodeColdOutreach:       http.StatusTooManyRequests,
	openmail.CodeInternal:           http.StatusInternalServerError,
	openmail.CodeWebhookFailed:      http.StatusBadGateway,
	openmail.CodeUnavailable:        http.StatusServiceUnavailable,
	openmail.CodeStorageFull:        http.StatusInsufficientStorage,
}

// Status is the HTTP status that a code is answered with; 500 for one that is
// not in the catalogue.
func Status(code openmail.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// statusGone is what the log calls the answer to a client that has left.
const statusGone = 499

// problem is the answer that err means, and notes what only the log may know.
func (x *exchange) problem(err error) (int, api.Error) {
	e, known := errors.AsType[*openmail.Error](err)
	switch {
	case known:
	case x.r.Context().Err() != nil && errors.Is(err, context.Canceled):
		return statusGone, api.Error{Code: string(openmail.CodeUnavailable), Message: "The request was given up."}
	case errors.Is(err, context.DeadlineExceeded):
		e = openmail.Errorf(openmail.CodeUnavailable, "It took too long: try again.")
	default:
		e = openmail.Errorf(openmail.CodeInternal, "The server failed; the request id finds it in the log.")
	}
	status := Status(e.Code)
	if status >= http.StatusInternalServerError && e.Code != openmail.CodeWebhookFailed { // which is not ours
		x.cause = err
	}
	switch {
	case e.Quota != nil:
		x.spent(*e.Quota)
	case status == http.StatusUnauthorized:
		x.Header().Set("WWW-Authenticate", "Bearer")
	case status == http.StatusTooManyRequests && x.Header().Get("Retry-After") == "":
		x.Header().Set("Retry-After", "1")
	}
	out := api.Error{Code: string(e.Code), Message: e.Message, Field: e.Field, Type: e.Type, Recipient: e.Recipient, RequestID: x.id}
	if q := e.Quota; q != nil && q.Scope != "" {
		resets := at(q.Until)
		out.Scope, out.Limit, out.ResetsAt = q.Scope, q.Most, &resets
	}
	return status, out
}

// spent tells when a quota begins anew.
func (x *exchange) spent(q openmail.Quota) {
	wait := max(time.Until(q.Until), 0).Truncate(time.Second) + time.Second
	h := x.Header()
	h.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	h.Set("X-RateLimit-Limit", strconv.Itoa(q.Most))
	h.Set("X-RateLimit-Remaining", "0")
	h.Set("X-RateLimit-Reset", strconv.FormatInt(q.Until.Unix(), 10))
}

// failure takes the error of a handler through huma to translate.
type failure struct{ err error }

func (f *failure) Error() string  { return f.err.Error() }
func (f *failure) Unwrap() error  { return f.err }
func (f *failure) GetStatus() int { return http.StatusInternalServerError }

// translate turns every error, a handler's or huma's own, into our shape.
func translate(ctx huma.Context, _ string, v any) (any, error) {
	c := ctx.(*call)
	var status int
	var body api.Error
	switch e := v.(type) {
	case *failure:
		status, body = c.x.problem(e.err)
	case *huma.ErrorModel:
		status, body = invalid(e)
		body.RequestID = c.x.id
	default:
		return v, nil
	}
	c.status = status
	c.SetHeader("Content-Type", "application/json")
	return body, nil
}

// invalid is what huma found wrong with a request. It repeats no value.
func invalid(e *huma.ErrorModel) (int, api.Error) {
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		return e.Status, api.Error{Code: string(openmail.CodeTooLarge), Message: "The request is larger than this path takes."}
	case http.StatusRequestTimeout:
		return e.Status, api.Error{Code: string(openmail.CodeBadRequest), Message: "The request did not arrive in time."}
	case http.StatusUnsupportedMediaType:
		return e.Status, api.Error{Code: string(openmail.CodeBadRequest), Message: "The body has to be application/json."}
	}
	body := api.Error{Code: string(openmail.CodeBadRequest), Message: "The body is missing, or is not JSON."}
	for _, d := range e.Errors {
		if field, found := strings.CutPrefix(d.Message, nulIn); found {
			return http.StatusBadRequest, api.Error{Code: string(openmail.CodeBadRequest), Field: field, Message: noStore}
		}
	}
	if e.Status == http.StatusUnprocessableEntity && len(e.Errors) > 0 {
		body.Field, body.Message = fault(e.Errors[0])
	}
	return http.StatusBadRequest, body
}

// fault is the field that a detail names, and a sentence on it.
func fault(d *huma.ErrorDetail) (field, message string) {
	if _, text := d.Value.(string); d.Location == "body" && text {
		return "", "The body is not JSON of the expected shape." // the detail quotes it
	}
	_, field, _ = strings.Cut(d.Location, ".")
	if name, ok := absent(d); ok {
		field = strings.TrimPrefix(field+"."+name, ".")
		return field, field + " is missing."
	}
	if len(field) > 100 {
		field = ""
	}
	if field == "" {
		return "", d.Message + "."
	}
	return field, field + ": " + d.Message + "."
}

// absent is the property that a detail says is not there: its schema's name.
func absent(d *huma.ErrorDetail) (name string, ok bool) {
	before, after, _ := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	if name, ok = strings.CutPrefix(d.Message, before); ok {
		name, ok = strings.CutSuffix(name, after)
	}
	return name, ok
}
