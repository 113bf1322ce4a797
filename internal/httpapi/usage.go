package httpapi

import (
	"context"
	"net/http"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/mailbox"
)

func (s *Server) usageRoutes() {
	const usage, feedback = "Usage", "Feedback"
	add(s, route{method: http.MethodGet, path: "/v1/usage", id: "getUsage", tag: usage, summary: "Get what the inboxes received, sent and store"}, s.getUsage)
	add(s, route{method: http.MethodPost, path: "/v1/feedback", id: "createFeedback", tag: feedback, summary: "Say what is wrong, tedious or missing", status: http.StatusCreated}, s.createFeedback)
	add(s, route{method: http.MethodGet, path: "/v1/feedback", id: "listFeedback", tag: feedback, summary: "List what was said with keys of the account, newest first"}, s.listFeedback)
}

type usageInput struct {
	Caller
	From    string `query:"from" maxLength:"40" doc:"A date or a time (ISO 8601), whose day is counted whole; left out: 30 days before to"`
	To      string `query:"to" maxLength:"40" doc:"Likewise, of the last day but the first moment: a date is its beginning; left out: now. At most 92 days after from"`
	GroupBy string `query:"group_by" default:"inbox" enum:"inbox,account" doc:"account: only the totals"`
	Limit   int    `query:"limit" default:"10000" minimum:"1" doc:"At most 10,000 inboxes are listed, whatever is asked for"`
	Offset  int    `query:"offset" minimum:"0"`
}

const byAccount = "account"

func (s *Server) getUsage(ctx context.Context, in *usageInput) (*reply[api.Usage], error) {
	q := mailbox.UsageQuery{Page: openmail.Page{Limit: in.Limit, Offset: in.Offset}}
	if in.GroupBy == byAccount {
		q.Page = openmail.Page{}
	}
	var err error
	if q.From, err = moment("from", in.From); err != nil {
		return nil, err
	}
	if q.To, err = moment("to", in.To); err != nil {
		return nil, err
	}
	u, err := s.c.Mailbox.Usage(ctx, in.scope(), q)
	if err != nil {
		return nil, err
	}
	return body(usageJSON(u, in.GroupBy)), nil
}

// moment reads a time, or the date that begins with it in UTC; "" is none.
func moment(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, openmail.FieldErrorf(openmail.CodeBadRequest, field, "It is a date like 2026-02-24, or a time like 2026-02-24T10:00:00Z.")
}

func usageJSON(u mailbox.Usage, groupBy string) api.Usage {
	return api.Usage{
		From: at(u.From), To: at(u.To), GroupBy: groupBy, Total: u.Count, Totals: api.UsageCounts(u.Totals),
		Inboxes: each(u.Inboxes, func(x mailbox.InboxUsage) api.InboxUsage {
			return api.InboxUsage{InboxID: x.Inbox, Address: x.Address, UsageCounts: api.UsageCounts(x.Counts)}
		}),
	}
}

type feedbackInput struct {
	Caller
	Body api.FeedbackCreate
}

func (s *Server) createFeedback(ctx context.Context, in *feedbackInput) (*reply[api.OK], error) {
	f := mailbox.Feedback{Type: mailbox.FeedbackType(in.Body.Type), Message: in.Body.Message}
	if c := in.Body.Context; c != nil {
		f.Endpoint, f.ErrorCode, f.RequestID = c.Endpoint, c.ErrorCode, c.RequestID
	}
	if err := s.c.Mailbox.GiveFeedback(ctx, in.key, f); err != nil {
		return nil, err
	}
	return body(api.OK{OK: true}), nil
}

func (s *Server) listFeedback(ctx context.Context, in *listInput) (*reply[api.List[api.Feedback]], error) {
	all, total, err := s.c.Mailbox.Feedback(ctx, in.scope(), in.page())
	if err != nil {
		return nil, err
	}
	return body(list(all, total, feedbackJSON)), nil
}

func feedbackJSON(f mailbox.Feedback) api.Feedback {
	out := api.Feedback{
		ID: f.ID, FeedbackCreate: api.FeedbackCreate{Type: string(f.Type), Message: f.Message},
		PodID: orNull(f.By.Pod), InboxID: orNull(f.By.Inbox), KeyID: f.Key, CreatedAt: at(f.CreatedAt),
	}
	if c := (api.FeedbackContext{Endpoint: f.Endpoint, ErrorCode: f.ErrorCode, RequestID: f.RequestID}); c != (api.FeedbackContext{}) {
		out.Context = &c
	}
	return out
}
