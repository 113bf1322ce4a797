package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"openmail"
	"openmail/internal/intake"
	"openmail/internal/outgoing"
)

// keepSendKeys is how long idempotency keys are kept: longer than they count.
const keepSendKeys = 48 * time.Hour

// AcceptMail implements outgoing.Store.
func (db *DB) AcceptMail(ctx context.Context, scope openmail.Scope, a outgoing.Acceptance) (sent outgoing.Sent, err error) {
	m := a.Message
	if !scope.Covers(m.Account, a.Pod, m.Inbox) {
		return outgoing.Sent{}, notFound("inbox")
	}
	w := &filing{Filing: intake.Filing{Raw: a.Raw, Digest: a.Digest}, db: db}
	if w.admitted, err = db.pack(ctx, body{text: []byte(m.BodyText), html: []byte(m.BodyHTML), raw: a.Raw}, m.ID); err != nil {
		return outgoing.Sent{}, err
	}
	err = db.w.write(ctx, func(t *tx) error {
		sent, err = w.accept(t, scope, a)
		return err
	}, m.Account)
	if err != nil {
		return outgoing.Sent{}, fmt.Errorf("accept the mail: %w", err)
	}
	return sent, nil
}

func (w *filing) accept(t *tx, scope openmail.Scope, a outgoing.Acceptance) (outgoing.Sent, error) {
	m := a.Message
	sent := outgoing.Sent{Message: m.ID, Thread: m.Thread, Inbox: m.Inbox, RFCMessageID: m.RFCMessageID, CreatedAt: m.CreatedAt, Hash: a.Hash}
	if first, known, err := t.takeSendKey(sent, m.Account, a); known || err != nil {
		return first, err
	}
	if err := t.mayBeSent(m.Account, a.Pod, m.Inbox); err != nil {
		return outgoing.Sent{}, err
	}
	if err := t.takeQuotas(a.Quotas); err != nil {
		return outgoing.Sent{}, err
	}
	if err := t.meet(a); err != nil {
		return outgoing.Sent{}, err
	}
	var err error
	if m.Thread, err = t.threadOfSent(scope, m, a.Reply); err != nil {
		return outgoing.Sent{}, err
	}
	sent.Thread = m.Thread
	if a.Key != "" && sent.Thread != a.Message.Thread { // it was joined to another meanwhile
		if _, err := t.exec("update send_key set thread_id = $1 where account_id = $2 and idempotency_key = $3", sent.Thread, m.Account, a.Key); err != nil {
			return outgoing.Sent{}, err
		}
	}
	if err := w.insertMessage(t, m, ""); err != nil {
		return outgoing.Sent{}, fmt.Errorf("insert the message: %w", err)
	}
	return sent, t.enqueue(m, a.Queued)
}

// takeSendKey writes what a key stands for, unless it stands for something
// already: that is returned then. Whoever comes second waits here for the
// first, whose transaction holds the key.
func (t *tx) takeSendKey(sent outgoing.Sent, account string, a outgoing.Acceptance) (first outgoing.Sent, known bool, err error) {
	if a.Key == "" {
		return sent, false, nil
	}
	if _, err := t.exec("delete from send_key where account_id = $1 and idempotency_key = $2 and created_at <= $3",
		account, a.Key, micros(a.KeyAfter)); err != nil {
		return sent, false, err
	}
	n, err := t.exec(`insert into send_key (account_id, idempotency_key, hash, message_id, thread_id, inbox_id, rfc_message_id, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (account_id, idempotency_key) do nothing`,
		account, a.Key, a.Hash[:], sent.Message, sent.Thread, sent.Inbox, sent.RFCMessageID, micros(sent.CreatedAt))
	if err != nil || n == 1 {
		return sent, false, err
	}
	rows, err := t.query("select "+sendKeyColumns+" from send_key where account_id = $1 and idempotency_key = $2", account, a.Key)
	if err != nil {
		return sent, false, err
	}
	found, err := collect(rows, scanSent)
	if err == nil && len(found) == 0 {
		err = errors.New("an idempotency key is neither free nor taken")
	}
	if err != nil {
		return sent, false, err
	}
	return found[0], true, nil
}

const sendKeyColumns = "hash, message_id, thread_id, inbox_id, rfc_message_id, created_at"

func scanSent(s scanner) (sent outgoing.Sent, err error) {
	var hash []byte
	var created int64
	err = s.Scan(&hash, &sent.Message, &sent.Thread, &sent.Inbox, &sent.RFCMessageID, &created)
	copy(sent.Hash[:], hash)
	sent.CreatedAt = moment(created)
	return sent, err
}

// SentBefore implements outgoing.Store.
func (db *DB) SentBefore(ctx context.Context, scope openmail.Scope, key string, after time.Time) (outgoing.Sent, error) {
	// The key belongs to the account, whoever of it used it.
	return only("idempotency key", scanSent)(db.query(ctx, "select "+sendKeyColumns+" from send_key where account_id = $1 and idempotency_key = $2 and created_at > $3",
		scope.Account, key, micros(after)))
}

func sweepSendKeys(t *tx, before int64) (int64, error) {
	return t.exec("delete from send_key where (account_id, idempotency_key) in (select account_id, idempotency_key from send_key where created_at < $1 limit $2)", before, sweepBatch)
}

// threadOfSent counts a mail of the inbox's own into its thread, which is read
// by it, or begins one.
func (t *tx) threadOfSent(scope openmail.Scope, m openmail.Message, reply bool) (thread string, err error) {
	if !reply {
		return m.Thread, t.must(notFound("inbox"), `insert into thread (id, account_id, inbox_id, subject, is_read, message_count, last_message_at, created_at, joined_to, trashed_at)
			select $1, account_id, id, $2, 1, 1, $3, $3, '', 0 from inbox where id = $4 and account_id = $5`,
			m.Thread, m.Subject, micros(m.CreatedAt), m.Inbox, m.Account)
	}
	if thread, _, err = t.resolve(scope, m.Thread); err != nil {
		return "", err
	}
	return thread, t.must(notFound("thread"), `update thread set message_count = message_count + 1, is_read = 1,
		last_message_at = case when last_message_at < $1 then $1 else last_message_at end
		where id = $2 and inbox_id = $3 and trashed_at = 0 and exists (select 1 from inbox where id = $3)`,
		micros(m.CreatedAt), thread, m.Inbox)
}

// enqueue writes the recipients of a message.
func (t *tx) enqueue(m openmail.Message, queued []outgoing.Queued) error {
	for n, q := range queued {
		if _, err := t.exec(`insert into mail_delivery (message_id, n, recipient, domain, state, attempts, began_at, due_at, leased,
			last_at, code, enhanced, answer, server, tls) values ($1, $2, $3, $4, 'pending', 0, $5, $6, 0, 0, 0, '', $7, '', '')`,
			m.ID, n, q.Recipient, q.Domain, micros(m.CreatedAt), micros(q.Due), q.Note); err != nil {
			return fmt.Errorf("queue the mail: %w", err)
		}
		if !q.Due.IsZero() {
			t.relane(q.Domain)
		}
	}
	return nil
}

// newestIDs is how many Message-IDs of a long thread a reply may need, beside
// the first.
const newestIDs = 100

// Conversation implements outgoing.Store.
func (db *DB) Conversation(ctx context.Context, scope openmail.Scope, inbox, thread string) (c outgoing.Conversation, err error) {
	if c.Thread, err = db.threadAlone(ctx, scope, inbox, thread); err != nil {
		return c, err
	}
	if c.IDs, err = db.threadIDs(ctx, c.Thread.ID); err != nil {
		return c, fmt.Errorf("read the thread: %w", err)
	}
	const notReport = " and not (m.direction = 'inbound' and m.mail_from = '')"
	last, found, err := db.newestOf(ctx, c.Thread.ID, notReport)
	if err != nil {
		return c, fmt.Errorf("read the thread: %w", err)
	}
	if found {
		if c.Last, err = db.whole(ctx, last); err != nil {
			return c, err
		}
	}
	in, _, err := db.newestOf(ctx, c.Thread.ID, " and m.direction = 'inbound'"+notReport)
	c.Inbound = in.Message
	return c, err
}

func (db *DB) threadAlone(ctx context.Context, scope openmail.Scope, inbox, thread string) (openmail.Thread, error) {
	q := newQuery("select "+threadColumns+" from thread where trashed_at = 0 and id = (select case when joined_to = '' then id else joined_to end from thread where id = ").
		arg(thread).and(") and inbox_id = ").arg(inbox).within(scope, "account_id", "inbox_id")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return openmail.Thread{}, err
	}
	found, err := collect(rows, scanThread)
	if err != nil {
		return openmail.Thread{}, err
	}
	if len(found) == 0 {
		return openmail.Thread{}, notFound("thread")
	}
	return found[0], nil
}

// threadIDs are the Message-IDs of a thread that lies within the asker's scope,
// oldest first: the first and the newest.
func (db *DB) threadIDs(ctx context.Context, thread string) ([]string, error) {
	rows, err := db.query(ctx, `select id, rfc_message_id from (
		select * from (select id, rfc_message_id from message where thread_id = $1 order by id limit 1) oldest
		union select * from (select id, rfc_message_id from message where thread_id = $1 order by id desc limit $2) newest
		) ends order by id`, thread, newestIDs)
	if err != nil {
		return nil, err
	}
	var ids []string
	_, err = collect(rows, func(s scanner) (struct{}, error) {
		var id, rfc string
		err := s.Scan(&id, &rfc)
		if rfc = shownID(rfc); rfc != "" {
			ids = append(ids, rfc)
		}
		return struct{}{}, err
	})
	return ids, err
}

// newestOf is the newest message of a thread that meets a condition.
func (db *DB) newestOf(ctx context.Context, thread, condition string) (_ row, found bool, err error) {
	q := newQuery("select " + messageColumns + " from message m where m.thread_id = ").arg(thread).and(condition + " order by m.id desc limit 1")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return row{}, false, err
	}
	all, err := collect(rows, scanMessage)
	if err != nil || len(all) == 0 {
		return row{}, false, err
	}
	return all[0], true, nil
}

// deliveriesAtOnce is for how many messages deliveries are asked for at a time.
const deliveriesAtOnce = 64

const mailDeliveryColumns = "message_id, n, recipient, state, attempts, began_at, due_at, leased, last_at, code, enhanced, answer, server, tls"

// deliveryRow is a recipient as it stands in the table.
type deliveryRow struct {
	outgoing.Due
	message string
	due     int64
	leased  bool
}

func scanMailDelivery(s scanner) (r deliveryRow, err error) {
	var began, last int64
	err = s.Scan(&r.message, &r.N, &r.Recipient, &r.State, &r.Attempts, &began, &r.due, &r.leased, &last,
		&r.Code, &r.Enhanced, &r.Answer, &r.Server, &r.TLS)
	r.Began, r.LastAt = moment(began), moment(last)
	if r.State == openmail.StatusPending {
		r.NextAt = moment(r.due)
	}
	return r, err
}

// addDeliveries adds the recipients to the outbound ones among messages.
func (db *DB) addDeliveries(ctx context.Context, messages []openmail.Message) error {
	at := map[string]int{}
	var ids []string
	for i, m := range messages {
		if m.Direction == openmail.Outbound {
			at[m.ID] = i
			ids = append(ids, m.ID)
		}
	}
	for some := range slices.Chunk(ids, deliveriesAtOnce) {
		found, err := db.deliveriesOf(ctx, some)
		if err != nil {
			return fmt.Errorf("read the deliveries: %w", err)
		}
		for _, r := range found {
			m := &messages[at[r.message]]
			m.Deliveries = append(m.Deliveries, r.MailDelivery)
		}
	}
	return nil
}

func (db *DB) deliveriesOf(ctx context.Context, ids []string) ([]deliveryRow, error) {
	q := newQuery("select " + mailDeliveryColumns + " from mail_delivery where message_id in (").some(ids).and(") order by message_id, n")
	rows, err := db.query(ctx, q.text(), q.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanMailDelivery)
}

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
