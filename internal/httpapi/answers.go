package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
	"openmail/api"
)

// failures are, for each operation, the codes that it may be answered with
// besides those of every operation of its kind, which codesOf adds.
var failures = map[string][]openmail.Code{
	"createPod": {openmail.CodeClientIDTaken},
	"updatePod": {openmail.CodeClientIDTaken},
	"deletePod": {openmail.CodePodNotEmpty, openmail.CodePodHasDomains, openmail.CodeDefaultPod},

	"createDomain": {
		openmail.CodeInvalidDomain, openmail.CodeInvalidPod, openmail.CodeDomainExists, openmail.CodeDomainTaken,
		openmail.CodeDomainBlocked,
	},
	"updateDomain": {openmail.CodeInvalidPod, openmail.CodeDomainHasInboxes},
	"deleteDomain": {openmail.CodeDomainHasInboxes},
	"verifyDomain": {openmail.CodeDomainTaken},

	"createInbox": {
		openmail.CodeInvalidMailboxName, openmail.CodeInvalidDomain, openmail.CodeInvalidPod, openmail.CodeAddressTaken,
		openmail.CodeInvalidWebhookURL, openmail.CodeInboxLimit,
	},
	"updateInbox":       {openmail.CodeInvalidWebhookURL},
	"rotateInboxSecret": {openmail.CodeNoWebhookURL},
	"testInboxWebhook":  {openmail.CodeNoWebhookURL, openmail.CodeWebhookFailed},

	"createKey":      {openmail.CodeKeyLimit},
	"createPodKey":   {openmail.CodeKeyLimit},
	"createInboxKey": {openmail.CodeKeyLimit},

	"sendEmail": {
		openmail.CodeMissingKey, openmail.CodeUnsupportedField, openmail.CodeIdempotency, openmail.CodeSuppressed,
		openmail.CodeNoMX, openmail.CodeNotPermitted, openmail.CodeBanned, openmail.CodeSuspended,
		openmail.CodeColdOutreach,
	},
	"getAttachmentText": {openmail.CodeExtractionFailed},

	"getPolicy":         {openmail.CodeNotFound},
	"putPolicy":         {openmail.CodeNotFound},
	"setPolicyMode":     {openmail.CodeNotFound},
	"addRule":           {openmail.CodeNotFound, openmail.CodeRuleExists},
	"deleteRule":        {openmail.CodeInheritedRule},
	"listPolicyRecords": {openmail.CodeNotFound},

	"getWebhook":     {openmail.CodeNotFound},
	"putWebhook":     {openmail.CodeInvalidWebhookURL},
	"testWebhook":    {openmail.CodeNoWebhookURL, openmail.CodeWebhookFailed},
	"rotateSecret":   {openmail.CodeNoWebhookURL},
	"nextSecret":     {openmail.CodeNoWebhookURL},
	"activateSecret": {openmail.CodeNoWebhookURL, openmail.CodeConflict},
}

// unbounded are the operations that no key is forbidden: they tell what the
// key reaches, and what it does not reach is not there for it.
var unbounded = []string{
	"me", "createTicket", "listPods", "createFeedback",
	"getThread", "updateThread", "getMessage", "getRawMessage", "getAttachment", "getAttachmentText",
	"getEvent", "listAttempts", "redeliverEvent",
}

// codesOf are the codes that an operation may be answered with, by status.
func codesOf(op *huma.Operation) map[int][]openmail.Code {
	codes := append([]openmail.Code{openmail.CodeInternal, openmail.CodeUnavailable}, failures[op.OperationID]...)
	if len(op.Security) > 0 {
		codes = append(codes, openmail.CodeUnauthorized, openmail.CodeHTTPSRequired, openmail.CodeRateLimit)
		if !slices.Contains(unbounded, op.OperationID) {
			codes = append(codes, openmail.CodeForbidden)
		}
	}
	if op.Method != http.MethodGet {
		codes = append(codes, openmail.CodeStorageFull)
	}
	if strings.Contains(op.Path, "{") && !slices.Contains(codes, openmail.CodeNotFound) {
		codes = append(codes, openmail.CodeNotFound)
	}
	if len(op.Parameters) > 0 || op.RequestBody != nil {
		codes = append(codes, openmail.CodeBadRequest)
	}
	if op.RequestBody != nil {
		codes = append(codes, openmail.CodeTooLarge)
	}
	byStatus := map[int][]openmail.Code{}
	for _, info := range openmail.Codes() { // in the order of the catalogue
		if slices.Contains(codes, info.Code) {
			byStatus[Status(info.Code)] = append(byStatus[Status(info.Code)], info.Code)
		}
	}
	if op.RequestBody != nil && op.RequestBody.Content["multipart/form-data"] == nil { // a mail's form is read by its handler
		byStatus[http.StatusRequestTimeout] = []openmail.Code{openmail.CodeBadRequest}
		byStatus[http.StatusUnsupportedMediaType] = []openmail.Code{openmail.CodeBadRequest}
	}
	return byStatus
}

// documentErrors gives an operation a response for each status of its errors.
func documentErrors(doc *huma.OpenAPI, op *huma.Operation) {
	delete(op.Responses, "default") // huma's
	documentStatuses(doc, op, codesOf(op))
}

// documentStatuses gives an operation those responses. Operations that may be
// answered with the same codes share them.
func documentStatuses(doc *huma.OpenAPI, op *huma.Operation, byStatus map[int][]openmail.Code) {
	for status, codes := range byStatus {
		name := strconv.Itoa(status)
		for _, code := range codes {
			name += "-" + string(code)
		}
		if doc.Components.Responses[name] == nil {
			doc.Components.Responses[name] = errorResponse(status, codes)
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + name}
	}
}

// errorResponse has an example of each code.
func errorResponse(status int, codes []openmail.Code) *huma.Response {
	names, examples := make([]string, len(codes)), map[string]*huma.Example{}
	for i, code := range codes {
		names[i] = "`" + string(code) + "`"
		examples[string(code)] = &huma.Example{Value: sample(code)}
	}
	r := &huma.Response{
		Description: http.StatusText(status) + ": " + strings.Join(names, ", "),
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Error"}, Examples: examples},
		},
	}
	if status == http.StatusTooManyRequests {
		r.Headers = map[string]*huma.Param{"Retry-After": {
			Description: "Seconds to wait", Schema: &huma.Schema{Type: huma.TypeInteger}, Example: 30,
		}}
	}
	return r
}

// sample is the body of an error with that code.
func sample(code openmail.Code) api.Error {
	e := api.Error{Code: string(code), RequestID: openmail.PrefixRequest + "01jdz3k8v5x2m9q4r7t6w1y0zc"}
	for _, info := range openmail.Codes() {
		if info.Code == code {
			e.Message = info.Meaning
		}
	}
	switch code {
	case openmail.CodeSuppressed:
		e.Field, e.Type = "to", string(openmail.SuppressedBounce)
	case openmail.CodeNotPermitted:
		e.Field, e.Type, e.Recipient = "cc", openmail.ReasonUnknown, "eve@evil.example"
	case openmail.CodeColdOutreach:
		e.Scope, e.Limit, e.ResetsAt = "inbox", 20, &api.Time{Time: time.Date(2026, 2, 25, 0, 0, 0, 0, time.UTC)}
	case openmail.CodeSuspended:
		e.Type = string(openmail.SuspendedBounces)
	case openmail.CodeUnsupportedField:
		e.Field = "bcc"
	}
	return e
}
