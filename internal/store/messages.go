package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"openmail"
)

// messageColumns is what scanMessage reads, from a table named m.
const messageColumns = `m.id, m.account_id, m.inbox_id, m.thread_id, m.direction, m.status,
	m.from_name, m.from_addr, m.to_addr, m.header_to, m.delivery_role, m.cc, m.subject,
	m.rfc_message_id, m.in_reply_to, m.refs, m.attachments, m.defects, m.hidden_text, m.partial, m.category, m.auto_replyable,
	m.mail_from, m.rcpt_to, m.envelope_role, m.remote_ip, m.helo, m.tls,
	m.size_bytes, m.text_size, m.html_size, m.body, m.blob, m.created_at`

// row is a message as it stands in the table: its body still packed.
type row struct {
	openmail.Message
	body  packed
	sizes sizes
	texts int64 // bytes of the texts of its files
}

// messageRow receives the columns of a message.
type messageRow struct {
	row
	cc, refs, attachments, defects string
	hidden, partial, answer, tls   bool
	created                        int64
}

// into are the places of messageColumns.
func (r *messageRow) into() []any {
	m := &r.Message
	return []any{
		&m.ID, &m.Account, &m.Inbox, &m.Thread, &m.Direction, &m.Status,
		&m.From.Name, &m.From.Addr, &m.ToAddr, &m.HeaderTo, &m.DeliveryRole, &r.cc, &m.Subject,
		&m.RFCMessageID, &m.InReplyTo, &r.refs, &r.attachments, &r.defects, &r.hidden, &r.partial, &m.Category, &r.answer,
		&m.Envelope.MailFrom, &m.Envelope.RcptTo, &m.EnvelopeRole, &m.Envelope.RemoteIP, &m.Envelope.Helo, &r.tls,
		&m.SizeBytes, &r.sizes.text, &r.sizes.html, &r.body.data, &r.body.blob, &r.created,
	}
}

// message finishes the message from what was scanned.
func (r *messageRow) message() (row, error) {
	m := &r.Message
	m.HiddenText, m.Partial, m.AutoReplyable, m.Envelope.TLS = r.hidden, r.partial, r.answer, r.tls
	m.CreatedAt = moment(r.created)
	m.RFCMessageID = shownID(m.RFCMessageID)
	r.sizes.raw = m.SizeBytes
	var errs [4]error
	m.CC, errs[0] = unlist[string](r.cc)
	m.References, errs[1] = unlist[string](r.refs)
	files, err := unlist[attachmentRow](r.attachments)
	m.Attachments, r.texts = attachments(files)
	errs[2] = err
	m.Defects, errs[3] = unlist[openmail.Defect](r.defects)
	if err := errors.Join(errs[:]...); err != nil {
		return row{}, fmt.Errorf("message %s: %w", m.ID, err)
	}
	return r.row, nil
}

// attachmentRow is an attachment as it stands in its message's row.
type attachmentRow struct {
	Filename    string `json:"filename"`
	ContentType string `json:"contentType"`
	ContentID   string `json:"contentId,omitempty"`
	Inline      bool   `json:"inline,omitempty"`
	SizeBytes   int64  `json:"sizeBytes"`
	Offset      int64  `json:"offset"`
	Length      int64  `json:"length"`
	Encoding    string `json:"encoding,omitempty"`
	Method      string `json:"method,omitempty"`   // how its text was read, or why not
	TextSize    int64  `json:"textSize,omitempty"` // bytes of it in attachment_text
}

func attachmentRows(files []openmail.Attachment) []attachmentRow {
	rows := make([]attachmentRow, len(files))
	for i, f := range files {
		rows[i] = attachmentRow{
			f.Filename, f.ContentType, f.ContentID, f.Inline, f.SizeBytes, f.Offset, f.Length, f.Encoding,
			string(f.Extracted.Method), int64(len(f.Extracted.Text)),
		}
	}
	return rows
}

// attachments are the files without their texts, and how many bytes those have.
func attachments(rows []attachmentRow) (files []openmail.Attachment, texts int64) {
	if len(rows) == 0 {
		return nil, 0
	}
	files = make([]openmail.Attachment, len(rows))
	for i, r := range rows {
		files[i] = openmail.Attachment{
			Filename: r.Filename, ContentType: r.ContentType, ContentID: r.ContentID, Inline: r.Inline,
			SizeBytes: r.SizeBytes, Offset: r.Offset, Length: r.Length, Encoding: r.Encoding,
			Extracted: openmail.Extracted{Method: openmail.Extraction(r.Method)},
		}
		texts += r.TextSize
	}
	return files, texts
}

func scanMessage(s scanner) (row, error) {
	var r messageRow
	if err := s.Scan(r.into()...); err != nil {
		return row{}, err
	}
	return r.message()
}

// whole returns the message with its text and HTML, and the texts of its files.
func (db *DB) whole(ctx context.Context, r row) (openmail.Message, error) {
	b, err := db.unpack(ctx, r.body, r.sizes.text+r.sizes.html)
	if err != nil {
		return openmail.Message{}, fmt.Errorf("message %s: %w", r.ID, err)
	}
	r.BodyText, r.BodyHTML = string(b[:r.sizes.text]), string(b[r.sizes.text:])
	return r.Message, db.addTexts(ctx, &r)
}

// maxListed is how many bytes of bodies and of texts of files a list holds, so that neither strangers
// who send large mails nor long threads decide how much memory a list takes.
// The largest message fits.
const maxListed = 16 << 20

// messages runs a select of messageColumns and returns whole messages, but for
// the bodies that exceed maxListed: those of the oldest are left out.
func (db *DB) messages(ctx context.Context, q *query) ([]openmail.Message, error) {
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, err
	}
	found, err := collect(rows, scanMessage)
	if err != nil {
		return nil, err
	}
	all, left := make([]openmail.Message, len(found)), int64(maxListed)
	for _, i := range newestFirst(found) {
		r := found[i]
		size := r.sizes.text + r.sizes.html + r.texts
		if size > left {
			all[i], all[i].BodyOmitted = r.Message, true
			continue
		}
		left -= size
		if all[i], err = db.whole(ctx, r); err != nil {
			return nil, err
		}
	}
	return all, db.addDeliveries(ctx, all)
}

// newestFirst is the indices of rows, that of the newest message first.
func newestFirst(rows []row) []int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rows[b].CreatedAt.Compare(rows[a].CreatedAt) })
	return order
}

// Messages implements mailbox.Mail.
func (db *DB) Messages(ctx context.Context, scope openmail.Scope, inbox string, d openmail.Direction, p openmail.Page) ([]openmail.Message, int, error) {
	where := func(q *query) *query {
		q.and(" from message m where m.trashed_at = 0 and m.inbox_id = ").arg(inbox).inPod(scope, "m.account_id", podOf("$1"), "m.inbox_id")
		if d != "" {
			q.and(" and m.direction = ").arg(string(d))
		}
		return q
	}
	total, err := db.count(ctx, where(newQuery("select count(*)")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the messages: %w", err)
	}
	all, err := db.messages(ctx, where(newQuery("select "+messageColumns)).and(" order by m.id desc").page(p))
	if err != nil {
		return nil, 0, fmt.Errorf("list the messages: %w", err)
	}
	return all, total, nil
}

func (db *DB) count(ctx context.Context, q *query) (n int, err error) {
	return n, db.row(ctx, q.text(), q.args, &n)
}

// message reads one row, or the error for none.
func (db *DB) message(ctx context.Context, scope openmail.Scope, id string) (row, error) {
	q := newQuery("select "+messageColumns+" from message m where m.trashed_at = 0 and m.id = ").arg(id).within(scope, "m.account_id", "m.inbox_id")
	return only("message", scanMessage)(db.query(ctx, q.text(), q.args...))
}

// Message implements mailbox.Mail.
func (db *DB) Message(ctx context.Context, scope openmail.Scope, id string) (openmail.Message, error) {
	r, err := db.message(ctx, scope, id)
	if err != nil {
		return openmail.Message{}, err
	}
	m, err := db.whole(ctx, r)
	if err != nil {
		return openmail.Message{}, err
	}
	one := []openmail.Message{m}
	err = db.addDeliveries(ctx, one)
	return one[0], err
}

// Raw implements mailbox.Raws.
func (db *DB) Raw(ctx context.Context, scope openmail.Scope, message string) (io.ReadCloser, int64, error) {
	r, err := db.message(ctx, scope, message)
	if err != nil {
		return nil, 0, err
	}
	before := r.sizes.text + r.sizes.html
	if r.body.blob == "" {
		all, err := db.unpack(ctx, r.body, before+r.sizes.raw)
		if err != nil {
			return nil, 0, fmt.Errorf("message %s: %w", message, err)
		}
		return io.NopCloser(bytes.NewReader(all[before:])), r.sizes.raw, nil
	}
	body, err := db.openBody(ctx, r.body)
	if err != nil {
		return nil, 0, err
	}
	if _, err := io.CopyN(io.Discard, body, before); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("message %s: a body is damaged: %w", message, err), body.Close())
	}
	return body, r.sizes.raw, nil
}

// deleteMessage removes the message $1 with what hangs on it, but for its event.
func deleteMessage() []string {
	return []string{
		"delete from attachment_text where message_id = $1",
		"delete from mail_delivery where message_id = $1",
		"delete from message where id = $1",
	}
}

// DeleteMessage implements mailbox.MailChanges.
func (db *DB) DeleteMessage(ctx context.Context, scope openmail.Scope, id string) error {
	return db.w.write(ctx, func(t *tx) error {
		var account, thread, event string
		q := newQuery("select account_id, thread_id, event_id from message where trashed_at = 0 and id = ").arg(id).within(scope, "account_id", "inbox_id")
		if err := t.row(q.text(), q.args, &account, &thread, &event); err != nil {
			return orNotFound(err, "message")
		}
		t.forget(account)
		return t.each([]any{id}, deleteMessage()...).
			then([]any{event}, deleteEvents("$1")...).
			then([]any{thread}, afterRemoval()...).err
	})
}

// afterRemoval is what follows, once for each thread, when messages of it are
// gone: $1 is its id. A thread that is empty goes, with its other names.
func afterRemoval() []string {
	const empty = " and not exists (select 1 from message m where m.thread_id = $1)"
	return []string{
		`update thread set
			message_count = (select count(*) from message m where m.thread_id = thread.id),
			last_message_at = coalesce((select m.created_at from message m where m.thread_id = thread.id order by m.id desc limit 1), last_message_at)
			where id = $1`,
		"delete from mention where thread_id = $1" + empty,
		"delete from thread where joined_to = $1 and joined_to <> ''" + empty,
		"delete from thread where id = $1" + empty,
	}
}

// steps runs statements until one fails.
type steps struct {
	t   *tx
	err error
}

// each executes statements with the same parameters.
func (t *tx) each(args []any, statements ...string) *steps {
	return (&steps{t: t}).then(args, statements...)
}

func (s *steps) then(args []any, statements ...string) *steps {
	for _, statement := range statements {
		if s.err == nil {
			_, s.err = s.t.exec(statement, args...)
		}
	}
	return s
}

func orNotFound(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(what)
	}
	return err
}

const threadColumns = "id, account_id, inbox_id, subject, is_read, message_count, last_message_at, created_at"

func scanThread(s scanner) (th openmail.Thread, err error) {
	var last, created int64
	err = s.Scan(&th.ID, &th.Account, &th.Inbox, &th.Subject, &th.IsRead, &th.MessageCount, &last, &created)
	th.LastMessageAt, th.CreatedAt = moment(last), moment(created)
	return th, err
}

// Threads implements mailbox.Mail.
func (db *DB) Threads(ctx context.Context, scope openmail.Scope, inbox string, read *bool, p openmail.Page) ([]openmail.Thread, int, error) {
	where := func(q *query) *query {
		q.and(" from thread where joined_to = '' and trashed_at = 0 and inbox_id = ").arg(inbox).inPod(scope, "account_id", podOf("$1"), "inbox_id")
		if read != nil {
			q.and(" and is_read = ").arg(flag(*read))
		}
		return q
	}
	total, err := db.count(ctx, where(newQuery("select count(*)")))
	if err != nil {
		return nil, 0, fmt.Errorf("count the threads: %w", err)
	}
	q := where(newQuery("select " + threadColumns)).and(" order by last_message_at desc, id desc").page(p)
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the threads: %w", err)
	}
	all, err := collect(rows, scanThread)
	return all, total, err
}

// Thread implements mailbox.Mail.
func (db *DB) Thread(ctx context.Context, scope openmail.Scope, id string) (openmail.Thread, []openmail.Message, error) {
	q := newQuery("select "+threadColumns+" from thread where trashed_at = 0 and id = (select case when joined_to = '' then id else joined_to end from thread where id = ").
		arg(id).and(")").within(scope, "account_id", "inbox_id")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return openmail.Thread{}, nil, err
	}
	found, err := collect(rows, scanThread)
	if err != nil {
		return openmail.Thread{}, nil, err
	}
	if len(found) == 0 {
		return openmail.Thread{}, nil, notFound("thread")
	}
	// The thread lies within the scope, hence its messages do: to ask that of
	// each would only lead the database to another index.
	all, err := db.messages(ctx, newQuery("select "+messageColumns+" from message m where m.thread_id = ").arg(found[0].ID).
		and(" order by m.created_at, m.id"))
	return found[0], all, err
}

// resolve finds a thread that the scope covers, by any of its names.
func (t *tx) resolve(scope openmail.Scope, thread string) (id, account string, err error) {
	q := newQuery("select case when joined_to = '' then id else joined_to end, account_id from thread where trashed_at = 0 and id = ").
		arg(thread).within(scope, "account_id", "inbox_id")
	err = t.row(q.text(), q.args, &id, &account)
	return id, account, orNotFound(err, "thread")
}

// SetRead implements mailbox.MailChanges.
func (db *DB) SetRead(ctx context.Context, scope openmail.Scope, thread string, read bool) error {
	return db.w.write(ctx, func(t *tx) error {
		id, _, err := t.resolve(scope, thread)
		if err != nil {
			return err
		}
		return t.must(notFound("thread"), "update thread set is_read = $1 where id = $2 and trashed_at = 0", flag(read), id)
	})
}

// TrashThread implements mailbox.MailChanges.
func (db *DB) TrashThread(ctx context.Context, scope openmail.Scope, thread string, at time.Time) error {
	return db.w.write(ctx, func(t *tx) error {
		id, account, err := t.resolve(scope, thread)
		if err != nil {
			return err
		}
		if err := t.must(notFound("thread"), "update thread set trashed_at = $1 where id = $2 and trashed_at = 0", micros(at), id); err != nil {
			return err
		}
		t.forget(account)
		return t.each([]any{id}, deleteEvents("select event_id from message where thread_id = $1")...).
			then([]any{id}, "delete from mention where thread_id = $1").
			then([]any{micros(at), id}, "update message set trashed_at = $1, event_id = '' where thread_id = $2").err
	})
}

// deleteEvents removes the events whose ids are given, for an event is not
// handed over when its message can no longer be read. Their places are kept:
// whoever has seen one of them may go on from there.
func deleteEvents(ids string) []string {
	return []string{
		"delete from attempt where event_id in (" + ids + ")",
		"insert into event_gone (id, account_id, seq, pod_id, inbox_id, occurred_at) select id, account_id, seq, pod_id, inbox_id, occurred_at from event where id in (" + ids + ")",
		"delete from event where id in (" + ids + ")",
	}
}
