package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"openmail"
	"openmail/internal/delivery"
	"openmail/internal/intake"
)

// File implements intake.Store.
func (db *DB) File(ctx context.Context, f intake.Filing) ([]intake.Filed, error) {
	w, err := db.prepareFiling(ctx, f)
	if err != nil {
		return nil, err
	}
	err = db.w.write(ctx, w.fileAll, w.accounts()...)
	if err != nil {
		return nil, fmt.Errorf("file the mail: %w", err)
	}
	return w.filed, nil
}

// Release implements intake.Quarantine.
func (db *DB) Release(ctx context.Context, scope openmail.Scope, id string, f intake.Filing) (intake.Filed, error) {
	w, err := db.prepareFiling(ctx, f)
	if err != nil {
		return intake.Filed{}, err
	}
	err = db.w.write(ctx, func(t *tx) error {
		q := newQuery("delete from quarantine where id = ").arg(id).within(scope, "account_id", "inbox_id")
		if err := t.must(notFound("quarantined mail"), q.text(), q.args...); err != nil {
			return err
		}
		return w.fileAll(t)
	}, w.accounts()...)
	if err != nil {
		return intake.Filed{}, err
	}
	return w.filed[0], nil
}

// filing is a mail on its way into the tables, with what does not need the
// transaction done before it.
type filing struct {
	intake.Filing
	db       *DB
	admitted packed   // the body of the copies that become messages
	held     packed   // the body of those that go to quarantine
	texts    [][]byte // of the files, packed; nil where there is none
	filed    []intake.Filed
}

func (db *DB) prepareFiling(ctx context.Context, f intake.Filing) (*filing, error) {
	w := &filing{Filing: f, db: db}
	var err error
	for _, c := range f.Copies {
		switch {
		case c.Verdict.Admitted && !w.admitted.there():
			m := c.Message
			b := body{text: []byte(m.BodyText), html: []byte(m.BodyHTML), raw: f.Raw}
			w.texts = db.packTexts(m.Attachments)
			w.admitted, err = db.pack(ctx, b, m.ID)
		case !c.Verdict.Admitted && !w.held.there():
			w.held, err = db.pack(ctx, body{raw: f.Raw}, c.Message.ID)
		}
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

// accounts are those of the copies that take a position, or leave a record.
func (w *filing) accounts() (all []string) {
	for _, c := range w.Copies {
		if c.Verdict.Admitted || c.Refused != nil {
			all = append(all, c.Message.Account)
		}
	}
	return all
}

func (w *filing) fileAll(t *tx) error {
	w.filed = w.filed[:0]
	for _, c := range w.Copies {
		file := w.file
		if !c.Verdict.Admitted {
			file = w.quarantine
		}
		filed, err := file(t, c)
		if err != nil {
			return err
		}
		w.filed = append(w.filed, filed)
	}
	return nil
}

// file writes one copy as a message with its event.
func (w *filing) file(t *tx, c intake.Copy) (intake.Filed, error) {
	m := c.Message
	if m.RFCMessageID == "" {
		m.RFCMessageID = hashID(w.Digest)
	}
	if known, err := w.known(t, m); known != nil || err != nil {
		return intake.Filed{Account: m.Account, Inbox: m.Inbox, Message: known.message(), Thread: known.thread(), Duplicate: true}, err
	}
	var err error
	if m.Thread, err = t.thread(m); err != nil {
		return intake.Filed{}, fmt.Errorf("find the thread: %w", err)
	}
	if err := w.insertMessage(t, m, c.Event); err != nil {
		return intake.Filed{}, fmt.Errorf("insert the message: %w", err)
	}
	e, err := w.insertEvent(t, m, c.Event)
	if err != nil {
		return intake.Filed{}, fmt.Errorf("insert the event: %w", err)
	}
	if c.Bounce != nil {
		if err := t.bounced(m.Account, *c.Bounce, m.CreatedAt); err != nil {
			return intake.Filed{}, fmt.Errorf("write the bounce: %w", err)
		}
	}
	if c.Complaint != nil {
		if err := t.complained(*c.Complaint, m.CreatedAt); err != nil {
			return intake.Filed{}, fmt.Errorf("write the complaint: %w", err)
		}
	}
	t.committed(func() { w.db.remember(e, m) })
	return intake.Filed{
		Account: m.Account, Inbox: m.Inbox, Message: m.ID, Thread: m.Thread,
		Event: e.ID, State: e.Delivery.State, Lane: e.Lane,
	}, nil
}

// remember lets the tail have an event that sockets wait for.
func (db *DB) remember(e openmail.Event, m openmail.Message) {
	if e.Delivery.State != openmail.StateArmed {
		db.tail.forget(e.Account)
		return
	}
	e.Payload = db.payload(e, m)
	db.tail.add(e)
}

// payload is the event's payload; a made-up message id is not shown.
func (db *DB) payload(e openmail.Event, m openmail.Message) []byte {
	m.RFCMessageID = shownID(m.RFCMessageID)
	return db.cfg.Links.Received(e, m)
}

// A mail without a Message-ID is known by its bytes instead. No message id
// begins like this, since they begin with <.
const hashPrefix = "sha256:"

func hashID(digest [32]byte) string { return hashPrefix + hex.EncodeToString(digest[:]) }

func shownID(id string) string {
	if strings.HasPrefix(id, hashPrefix) {
		return ""
	}
	return id
}

// ref names a message that is there already; nil is none.
type ref struct{ id, threadID string }

func (r *ref) message() string {
	if r == nil {
		return ""
	}
	return r.id
}

func (r *ref) thread() string {
	if r == nil {
		return ""
	}
	return r.threadID
}

const sameBytes = " from message where inbox_id = $1 and rfc_message_id = $2 and digest = $3 and direction = 'inbound'"

// Filed implements intake.Known.
func (db *DB) Filed(ctx context.Context, scope openmail.Scope, m openmail.Message, digest [32]byte) (bool, error) {
	if !scope.Covers(m.Account, "", m.Inbox) {
		return false, nil
	}
	if m.RFCMessageID == "" {
		m.RFCMessageID = hashID(digest)
	}
	var n int
	err := db.row(ctx, "select count(*)"+sameBytes, []any{m.Inbox, m.RFCMessageID, digest[:]}, &n)
	return n > 0, err
}

// known finds the message that came in with the very same bytes to the same
// inbox: the sender did not see our 250 and came again. What the inbox sent to
// itself is another message than what it gets.
func (w *filing) known(t *tx, m openmail.Message) (*ref, error) {
	var r ref
	err := t.row("select id, thread_id"+sameBytes+" limit 1",
		[]any{m.Inbox, m.RFCMessageID, w.Digest[:]}, &r.id, &r.threadID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for a duplicate: %w", err)
	}
	return &r, nil
}

func (w *filing) insertMessage(t *tx, m openmail.Message, event string) error {
	_, err := t.exec(insertMessage,
		m.ID, m.Account, m.Inbox, m.Thread, event, string(m.Direction), string(m.Status),
		m.From.Name, m.From.Addr, m.ToAddr, m.HeaderTo, string(m.DeliveryRole), list(m.CC), m.Subject,
		m.RFCMessageID, m.InReplyTo, list(m.References), list(attachmentRows(m.Attachments)), list(m.Defects),
		flag(m.HiddenText), flag(m.Partial), string(m.Category), flag(m.AutoReplyable),
		m.Envelope.MailFrom, m.Envelope.RcptTo, string(m.EnvelopeRole), m.Envelope.RemoteIP, m.Envelope.Helo, flag(m.Envelope.TLS),
		w.Digest[:], m.SizeBytes, len(m.BodyText), len(m.BodyHTML), w.admitted.data, w.admitted.blob, micros(m.CreatedAt))
	if err != nil {
		return err
	}
	t.used(m)
	return w.insertTexts(t, m)
}

// insertTexts writes what was read out of the message's files.
func (w *filing) insertTexts(t *tx, m openmail.Message) error {
	for n, text := range w.texts {
		if text == nil {
			continue
		}
		if err := t.insertText(m.ID, n, text); err != nil {
			return err
		}
	}
	return nil
}

const insertMessage = `insert into message (
	id, account_id, inbox_id, thread_id, event_id, direction, status,
	from_name, from_addr, to_addr, header_to, delivery_role, cc, subject,
	rfc_message_id, in_reply_to, refs, attachments, defects, hidden_text, partial, category, auto_replyable,
	mail_from, rcpt_to, envelope_role, remote_ip, helo, tls,
	digest, size_bytes, text_size, html_size, body, blob, created_at, trashed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
	$22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, 0)`

// insertEvent writes the event and gives birth to its delivery.
func (w *filing) insertEvent(t *tx, m openmail.Message, id string) (openmail.Event, error) {
	e := openmail.Event{
		ID: id, Account: m.Account, Type: openmail.MessageReceived,
		Inbox: m.Inbox, Thread: m.Thread, Message: m.ID, OccurredAt: m.CreatedAt,
	}
	rules, webhook, err := t.takePosition(&e, w.db.cfg.Rules)
	if err != nil {
		return e, err
	}
	route := delivery.Route{Socket: w.Listening != nil && w.Listening(e.Account, e.Inbox, e.Type), Webhook: webhook}
	e.Delivery = rules.Born(w.At, route)
	return e, t.insertEvent(e)
}

func (t *tx) insertEvent(e openmail.Event) error {
	d := e.Delivery
	_, err := t.exec(`insert into event (account_id, seq, id, type, pod_id, inbox_id, thread_id, message_id, occurred_at,
		lane, state, reason, channel, attempts, posts, due_at, delivered_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		e.Account, int64(e.Position), e.ID, string(e.Type), e.Pod, e.Inbox, e.Thread, e.Message, micros(e.OccurredAt),
		e.Lane, string(d.State), string(d.Reason), string(d.Channel), d.Attempts, d.Posts, micros(d.Due), micros(d.DeliveredAt))
	return err
}

// takePosition gives an event the next place in its account's log and names its
// pod and lane, and tells the rules of the account and whether there is a
// webhook for it.
//
// This one line carries the whole stream. The counter belongs to the account
// and is taken inside the transaction, which holds the account's row until it
// has committed: positions become visible in their order, so a cursor that has
// seen n will never find anything new at or before n. A sequence or serial
// column does not promise that: it numbers when a row is written, not when it
// is committed (docs/decisions/0002-position.md).
//
// There is none for an inbox that was deleted since RCPT: the sender comes
// again, and is told so then.
func (t *tx) takePosition(e *openmail.Event, rules delivery.Rules) (_ delivery.Rules, webhook bool, err error) {
	var seq, deadline int64
	var lane sql.NullString
	err = t.row(`update account set seq = seq + 1 where id = $1 and exists (select 1 from inbox where id = $2 and account_id = $1)
		returning seq, receipt_deadline, (select pod_id from inbox where id = $2), `+endpointFor,
		[]any{e.Account, e.Inbox}, &seq, &deadline, &e.Pod, &lane)
	t.wrote = true
	if errors.Is(err, sql.ErrNoRows) {
		return rules, false, fmt.Errorf("take a position: the inbox %s is gone", e.Inbox)
	}
	if err != nil {
		return rules, false, fmt.Errorf("take a position: %w", err)
	}
	e.Position, e.Lane = openmail.Position(seq), lane.String
	if deadline > 0 {
		rules.Deadline = time.Duration(deadline) * time.Microsecond
	}
	return rules, lane.Valid, nil
}

// quarantine writes one copy that was turned away.
func (w *filing) quarantine(t *tx, c intake.Copy) (intake.Filed, error) {
	m := c.Message
	n, err := t.exec(`insert into quarantine (id, account_id, inbox_id, from_name, from_addr, subject, reason, rule_id,
		mail_from, rcpt_to, remote_ip, helo, tls, digest, size_bytes, body, blob, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		on conflict (inbox_id, digest) do nothing`,
		m.ID, m.Account, m.Inbox, m.From.Name, m.From.Addr, m.Subject, c.Verdict.Reason, c.Verdict.Rule,
		m.Envelope.MailFrom, m.Envelope.RcptTo, m.Envelope.RemoteIP, m.Envelope.Helo, flag(m.Envelope.TLS),
		w.Digest[:], m.SizeBytes, w.held.data, w.held.blob, micros(m.CreatedAt), micros(c.Expires))
	if err != nil {
		return intake.Filed{}, fmt.Errorf("insert the quarantined mail: %w", err)
	}
	filed := intake.Filed{Account: m.Account, Inbox: m.Inbox, Message: m.ID, Quarantined: true, Duplicate: n == 0}
	if filed.Duplicate || c.Refused == nil {
		return filed, nil
	}
	return filed, t.recordRefusal(*c.Refused)
}

// list writes a list as JSON; none is [].
func list[T any](items []T) string {
	if len(items) == 0 {
		return "[]"
	}
	b, err := json.Marshal(items)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(b)
}

// unlist reads what list wrote.
func unlist[T any](text string) ([]T, error) {
	if text == "[]" {
		return nil, nil
	}
	var items []T
	return items, json.Unmarshal([]byte(text), &items)
}
