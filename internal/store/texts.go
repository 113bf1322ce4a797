package store

import (
	"context"
	"fmt"

	"openmail"
)

// The texts of files, in attachment_text: one row for each file that has one.

// maxText is what one text of a file may have, in bytes, when it is read back.
const maxText = 4 * openmail.MaxExtractedText

// packTexts compresses the texts of a message's files, in their order; nil for
// a file without.
func (db *DB) packTexts(files []openmail.Attachment) [][]byte {
	var texts [][]byte
	for n, f := range files {
		if f.Extracted.Text == "" {
			continue
		}
		if texts == nil {
			texts = make([][]byte, len(files))
		}
		texts[n] = db.encoder.EncodeAll([]byte(f.Extracted.Text), nil)
	}
	return texts
}

func (t *tx) insertText(message string, n int, packed []byte) error {
	_, err := t.exec("insert into attachment_text (message_id, n, body) values ($1, $2, $3)", message, n, packed)
	return err
}

// addTexts reads the texts of a message's files into it. It asks only where
// there are some.
func (db *DB) addTexts(ctx context.Context, r *row) error {
	if r.texts == 0 {
		return nil
	}
	type text struct {
		n    int
		body []byte
	}
	rows, err := db.query(ctx, "select n, body from attachment_text where message_id = $1", r.ID)
	if err != nil {
		return fmt.Errorf("read the texts of %s: %w", r.ID, err)
	}
	found, err := collect(rows, func(s scanner) (x text, err error) { return x, s.Scan(&x.n, &x.body) })
	if err != nil {
		return fmt.Errorf("read the texts of %s: %w", r.ID, err)
	}
	for _, x := range found {
		all, err := db.decoder.DecodeAll(x.body, nil)
		if err != nil || len(all) > maxText || x.n < 0 || x.n >= len(r.Attachments) {
			return fmt.Errorf("the text of file %d of %s is damaged: %w", x.n, r.ID, err)
		}
		r.Attachments[x.n].Extracted.Text = string(all)
	}
	return nil
}

// KeepText implements mailbox.Texts.
func (db *DB) KeepText(ctx context.Context, scope openmail.Scope, message, filename string, e openmail.Extracted) error {
	packed := db.packTexts([]openmail.Attachment{{Extracted: e}})
	return db.w.write(ctx, func(t *tx) error {
		var account, files string
		q := newQuery("select account_id, attachments from message where trashed_at = 0 and id = ").arg(message).within(scope, "account_id", "inbox_id")
		if err := t.row(q.text(), q.args, &account, &files); err != nil {
			return orNotFound(err, "message")
		}
		rows, err := unlist[attachmentRow](files)
		if err != nil {
			return fmt.Errorf("message %s: %w", message, err)
		}
		n := settle(rows, filename, e)
		if n < 0 {
			return nil
		}
		t.forget(account)
		// What another process has kept meanwhile stays.
		changed, err := t.exec("update message set attachments = $1 where id = $2 and attachments = $3", list(rows), message, files)
		if err != nil || changed == 0 || packed == nil {
			return err
		}
		return t.insertText(message, n, packed[0])
	})
}

// settle notes in the rows of a message's files what was read of one. It
// returns its place, or -1 where nothing is to be kept: there is no such file,
// its text is there already, or there is no room for more.
func settle(rows []attachmentRow, filename string, e openmail.Extracted) int {
	at, total := -1, int64(len(e.Text))
	for n, r := range rows {
		total += r.TextSize
		if r.Filename == filename && !openmail.Extraction(r.Method).Final() {
			at = n
		}
	}
	if at < 0 || total > openmail.MaxExtractedMail {
		return -1
	}
	rows[at].Method, rows[at].TextSize = string(e.Method), int64(len(e.Text))
	return at
}
