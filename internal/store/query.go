package store

import (
	"strconv"
	"strings"

	"openmail"
)

// query builds a statement whose conditions depend on what is asked. Its
// parameters are numbered in the order in which they are first used, which both
// databases understand alike.
type query struct {
	b    strings.Builder
	args []any
}

func newQuery(text string) *query {
	q := &query{}
	q.b.WriteString(text)
	return q
}

func (q *query) text() string { return q.b.String() }

// and adds text as it is: it never holds anything from outside.
func (q *query) and(text string) *query {
	q.b.WriteString(text)
	return q
}

// arg adds a parameter.
func (q *query) arg(v any) *query {
	q.args = append(q.args, v)
	q.b.WriteByte('$')
	q.b.WriteString(strconv.Itoa(len(q.args)))
	return q
}

// within adds the condition that a row lies within a scope, for a table whose
// rows name their inbox but not its pod. The column must be qualified where it
// is called id. An empty inbox column means that the rows belong to the account
// as a whole: a narrower scope finds none of them.
func (q *query) within(scope openmail.Scope, account, inbox string) *query {
	if inbox == "" {
		return q.inPod(scope, account, "", "")
	}
	return q.inPod(scope, account, podOf(inbox), inbox)
}

// podOf is the pod of the inbox that an expression names, which is found by its
// id alone.
func podOf(inbox string) string { return "(select i.pod_id from inbox i where i.id = " + inbox + ")" }

// inPod is within for a table whose rows name their pod as well. An empty
// column means that the rows belong to what is wider: a scope that is limited by
// that column finds none of them.
func (q *query) inPod(scope openmail.Scope, account, pod, inbox string) *query {
	switch {
	case scope.IsOperator():
		return q
	case scope.Pod != "" && pod == "", scope.Inbox != "" && inbox == "":
		return q.and(" and 1 = 0")
	}
	q.and(" and " + account + " = ").arg(scope.Account)
	if scope.Pod != "" {
		q.and(" and " + pod + " = ").arg(scope.Pod)
	}
	if scope.Inbox != "" {
		q.and(" and " + inbox + " = ").arg(scope.Inbox)
	}
	return q
}

// inLog is inPod for events.
func (q *query) inLog(scope openmail.Scope) *query {
	account := "e.account_id"
	if scope.Pod != "" {
		// Not a column, so that no database reads the whole account's log by
		// its primary key where the pod's stretch of it will do.
		account += " || ''"
	}
	return q.inPod(scope, account, "e.pod_id", "e.inbox_id")
}

// ofLog begins the conditions on events: those of the scope's account, in the
// order of their positions, that lie within the scope.
func (q *query) ofLog(scope openmail.Scope) *query {
	if scope.Pod == "" {
		q.and(" where e.account_id = ").arg(scope.Account)
	} else {
		q.and(" where e.pod_id = ").arg(scope.Pod)
	}
	return q.inLog(scope)
}

// page adds the end of a list.
func (q *query) page(p openmail.Page) *query {
	return q.and(" limit ").arg(p.Limit).and(" offset ").arg(p.Offset)
}

// notFound is the error for what is absent or belongs to somebody else.
func notFound(what string) error {
	return openmail.Errorf(openmail.CodeNotFound, "There is no such %s.", what)
}
