package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"openmail"
)

// maxLookups bounds how many of a mail's references are looked up, nearest
// first.
const maxLookups = 20

// maxJoined bounds how many threads one mail joins: those that are oldest.
const maxJoined = 50

// thread finds the thread that a message belongs to, in both directions of
// time, and counts the message in: the thread of the message that it answers,
// by In-Reply-To and then by References; or that of messages that came before
// it although they answer it; or a new one, under the id in m.Thread. Where two
// threads turn out to be one they are joined.
func (t *tx) thread(m openmail.Message) (string, error) {
	parent, missing, err := t.parent(m)
	if err != nil {
		return "", err
	}
	children, err := t.children(m)
	if err != nil {
		return "", err
	}
	related := children
	if parent != "" {
		related = append(related, parent)
	}
	// Ids sort by age: the oldest thread has been shown for longest.
	slices.Sort(related)
	related = slices.Compact(related)
	if len(related) == 0 {
		return m.Thread, errors.Join(t.newThread(m), t.mention(m, m.Thread, missing))
	}
	into := related[0]
	for _, other := range related[1:] {
		if err := t.join(other, into); err != nil {
			return "", err
		}
	}
	if parent != "" {
		missing = nil // the chain is known: what else it names hangs on the parent
	}
	return into, errors.Join(t.countIn(m, into), t.mention(m, into, missing))
}

// parent is the thread of the nearest message that m answers, and the message
// ids looked for in vain on the way.
func (t *tx) parent(m openmail.Message) (thread string, missing []string, err error) {
	for _, id := range lineage(m) {
		err = t.row("select thread_id from message where inbox_id = $1 and rfc_message_id = $2 and trashed_at = 0 limit 1",
			[]any{m.Inbox, id}, &thread)
		if err == nil {
			return thread, missing, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return "", nil, err
		}
		missing = append(missing, id)
	}
	return "", missing, nil
}

// lineage lists what a message answers, nearest first: In-Reply-To, then
// References from the last to the first.
func lineage(m openmail.Message) []string {
	var ids []string
	add := func(id string) {
		if id != "" && id != m.RFCMessageID && !slices.Contains(ids, id) && len(ids) < maxLookups {
			ids = append(ids, id)
		}
	}
	add(m.InReplyTo)
	for _, id := range slices.Backward(m.References) {
		add(id)
	}
	return ids
}

// children are the threads that refer to m, which has been missing until now.
func (t *tx) children(m openmail.Message) ([]string, error) {
	rows, err := t.query(`select t.id from mention n join thread t on t.id = n.thread_id
		where n.inbox_id = $1 and n.rfc_message_id = $2 and t.trashed_at = 0 order by t.id limit $3`, m.Inbox, m.RFCMessageID, maxJoined)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(s scanner) (id string, err error) { return id, s.Scan(&id) })
}

// mention remembers which ids a thread waits for.
func (t *tx) mention(m openmail.Message, thread string, ids []string) error {
	for _, id := range ids {
		if _, err := t.exec("insert into mention (inbox_id, rfc_message_id, thread_id) values ($1, $2, $3) on conflict do nothing",
			m.Inbox, id, thread); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) newThread(m openmail.Message) error {
	_, err := t.exec(`insert into thread (id, account_id, inbox_id, subject, is_read, message_count, last_message_at, created_at, joined_to, trashed_at)
		values ($1, $2, $3, $4, 0, 1, $5, $5, '', 0)`, m.Thread, m.Account, m.Inbox, m.Subject, micros(m.CreatedAt))
	return err
}

// countIn adds a new message to a thread, which becomes unread by it.
func (t *tx) countIn(m openmail.Message, thread string) error {
	_, err := t.exec("update thread set message_count = message_count + 1, last_message_at = $1, is_read = 0 where id = $2",
		micros(m.CreatedAt), thread)
	return err
}

// join moves everything of a thread into another. The id that is given up stays
// as another name of the thread: agents may have kept it.
func (t *tx) join(from, into string) error {
	var count, read int64
	if err := t.row("select message_count, is_read from thread where id = $1", []any{from}, &count, &read); err != nil {
		return err
	}
	for _, move := range []struct {
		sql  string
		args []any
	}{
		{"update message set thread_id = $1 where thread_id = $2", []any{into, from}},
		{"update thread set joined_to = $1 where joined_to = $2 and joined_to <> ''", []any{into, from}},
		{"update thread set joined_to = $1, message_count = 0 where id = $2", []any{into, from}},
		{"insert into mention (inbox_id, rfc_message_id, thread_id) select inbox_id, rfc_message_id, $1 from mention where thread_id = $2 on conflict do nothing", []any{into, from}},
		{"delete from mention where thread_id = $1", []any{from}},
		{"update thread set message_count = message_count + $1, is_read = case when is_read = 1 and $2 = 1 then 1 else 0 end where id = $3", []any{count, read, into}},
	} {
		if _, err := t.exec(move.sql, move.args...); err != nil {
			return err
		}
	}
	return nil
}

// scanner is a row to be read.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		x, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, rows.Err()
}

// only makes of a query's rows the first, or openmail.CodeNotFound that names what
// is not there.
func only[T any](what string, scan func(scanner) (T, error)) func(*sql.Rows, error) (T, error) {
	return func(rows *sql.Rows, err error) (none T, _ error) {
		if err != nil {
			return none, fmt.Errorf("read the %s: %w", what, err)
		}
		found, err := collect(rows, scan)
		if err != nil {
			return none, fmt.Errorf("read the %s: %w", what, err)
		}
		if len(found) == 0 {
			return none, notFound(what)
		}
		return found[0], nil
	}
}
