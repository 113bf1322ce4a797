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

// within adds the condition that a row lies within a scope. An empty inbox
// column means that the rows belong to the account as a whole: a scope that is
// limited to one inbox finds none of them.
func (q *query) within(scope openmail.Scope, account, inbox string) *query {
	switch {
	case scope.IsOperator():
		return q
	case scope.Inbox != "" && inbox == "":
		return q.and(" and 1 = 0")
	}
	q.and(" and " + account + " = ").arg(scope.Account)
	if scope.Inbox != "" {
		q.and(" and " + inbox + " = ").arg(scope.Inbox)
	}
	return q
}

// page adds the end of a list.
func (q *query) page(p openmail.Page) *query {
	return q.and(" limit ").arg(p.Limit).and(" offset ").arg(p.Offset)
}

// notFound is the error for what is absent or belongs to somebody else.
func notFound(what string) error {
	return openmail.Errorf(openmail.CodeNotFound, "There is no such %s.", what)
}
