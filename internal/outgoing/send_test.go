package outgoing_test

import (
	"bytes"
	"context"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
	"openmail/internal/outgoing"
)

func TestASendIsAMessageOfItsInboxInAThreadThatIsRead(t *testing.T) {
	w := newWorld(t, &remote{answer: accepts})
	sent := w.send(outgoing.Request{Inbox: w.jane.ID, To: "Bob Büchner <Bob@Bücher.Example>", CC: []string{"c@d.test"}, Subject: "Grüße", Body: "Hi.\nThere."})
	m := w.message(sent.Message)
	if m.Direction != openmail.Outbound || m.Status != openmail.StatusPending || m.From.String() != "Jane Doe <jane@openmail.test>" ||
		m.ToAddr != "Bob@xn--bcher-kva.example" || !slices.Equal(m.CC, []string{"c@d.test"}) || m.Subject != "Grüße" || m.Thread != sent.Thread ||
		m.RFCMessageID != sent.RFCMessageID || !strings.HasSuffix(m.RFCMessageID, "@openmail.test>") || m.BodyText != "Hi.\nThere." || len(m.Defects) != 0 {
		t.Errorf("stored as %+v", m)
	}
	if len(m.Deliveries) != 2 || m.Deliveries[0].Recipient != "Bob@xn--bcher-kva.example" || m.Deliveries[1].State != openmail.StatusPending || m.Deliveries[1].NextAt.IsZero() {
		t.Errorf("deliveries %+v", m.Deliveries)
	}
	thread, _, err := w.db.Thread(t.Context(), w.scope, sent.Thread)
	check(t, err)
	if !thread.IsRead || thread.Subject != "Grüße" || thread.MessageCount != 1 {
		t.Errorf("thread %+v", thread)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(w.raw(sent.Message)))
	check(t, err)
	to, err := parsed.Header.AddressList("To")
	check(t, err)
	if to[0].Name != "Bob Büchner" || parsed.Header.Get("Message-Id") != sent.RFCMessageID || parsed.Header.Get("Date") == "" || parsed.Header.Get("Bcc") != "" {
		t.Errorf("the mail says %+v", parsed.Header)
	}
}

func TestWhatCannotBeSentIsRefusedWithItsField(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		change func(*outgoing.Request)
		code   openmail.Code
		field  string
	}{
		"no recipient":        {func(r *outgoing.Request) { r.To = "" }, openmail.CodeBadRequest, "to"},
		"two recipients":      {func(r *outgoing.Request) { r.To = "a@b.test, c@d.test" }, openmail.CodeBadRequest, "to"},
		"two in one":          {func(r *outgoing.Request) { r.To = "a@b.test, C <c@d.test>" }, openmail.CodeBadRequest, "to"},
		"a header in to":      {func(r *outgoing.Request) { r.To = "a@b.test\r\nBcc: x@y.test" }, openmail.CodeBadRequest, "to"},
		"a header in a name":  {func(r *outgoing.Request) { r.To = "A\nBcc: x@y.test <a@b.test>" }, openmail.CodeBadRequest, "to"},
		"a header in cc":      {func(r *outgoing.Request) { r.CC = []string{"a@b.test\nX: y"} }, openmail.CodeBadRequest, "cc"},
		"a header in replyTo": {func(r *outgoing.Request) { r.ReplyTo = "a@b.test\rX: y" }, openmail.CodeBadRequest, "replyTo"},
		"a header in subject": {func(r *outgoing.Request) { r.Subject = "a\r\nBcc: x@y.test" }, openmail.CodeBadRequest, "subject"},
		"a file's name": {func(r *outgoing.Request) {
			r.Attachments = []outgoing.File{{Filename: "a\r\nX: y.txt"}}
		}, openmail.CodeBadRequest, "attachments"},
		"no subject":     {func(r *outgoing.Request) { r.Subject = "" }, openmail.CodeBadRequest, "subject"},
		"a long subject": {func(r *outgoing.Request) { r.Subject = strings.Repeat("ä", 999) }, openmail.CodeBadRequest, "subject"},
		"no body":        {func(r *outgoing.Request) { r.Body = "" }, openmail.CodeBadRequest, "body"},
		"a long body":    {func(r *outgoing.Request) { r.Body = strings.Repeat("ä", 100_001) }, openmail.CodeBadRequest, "body"},
		"NUL":            {func(r *outgoing.Request) { r.Body = "a\x00b" }, openmail.CodeBadRequest, "body"},
		"a long HTML":    {func(r *outgoing.Request) { r.BodyHTML = strings.Repeat("x", 500_001) }, openmail.CodeBadRequest, "bodyHtml"},
		"many copies":    {func(r *outgoing.Request) { r.CC = slices.Repeat([]string{"a@b.test"}, 51) }, openmail.CodeBadRequest, "cc"},
		"large files": {func(r *outgoing.Request) {
			r.Attachments = []outgoing.File{{Filename: "a", Data: make([]byte, 25<<20)}, {Filename: "b", Data: []byte("x")}}
		}, openmail.CodeTooLarge, "attachments"},
		"a literal":        {func(r *outgoing.Request) { r.To = "a@[192.0.2.1]" }, openmail.CodeBadRequest, "to"},
		"digits":           {func(r *outgoing.Request) { r.To = "a@192.0.2.1" }, openmail.CodeBadRequest, "to"},
		"a key":            {func(r *outgoing.Request) { r.Key = "a\nb" }, openmail.CodeBadRequest, "Idempotency-Key"},
		"an unknown inbox": {func(r *outgoing.Request) { r.Inbox = "inb_none" }, openmail.CodeNotFound, ""},
		"another's thread": {func(r *outgoing.Request) { r.Thread = "thr_none" }, openmail.CodeNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.letter("a@b.test")
			c.change(&r)
			_, err := w.out.Send(t.Context(), w.scope, r)
			e, ok := errors.AsType[*openmail.Error](err)
			if !ok || e.Code != c.code || e.Field != c.field {
				t.Errorf("%v, want %s on %q", err, c.code, c.field)
			}
		})
	}
	if all := w.messages(w.jane); len(all) != 0 {
		t.Errorf("%d messages are stored", len(all))
	}
}

func TestTheLongestTextsAreSent(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("a@b.test")
	r.Subject, r.Body, r.BodyHTML = strings.Repeat("ä", 998), strings.Repeat("ä", 100_000), strings.Repeat("ä", 500_000)
	if m := w.message(w.send(r).Message); m.Subject != r.Subject || m.BodyText != r.Body || !strings.Contains(m.BodyHTML, r.BodyHTML) {
		t.Errorf("%d bytes of subject, %d of text, %d of HTML", len(m.Subject), len(m.BodyText), len(m.BodyHTML))
	}
}

func TestWithHTMLOfItsOwnABodyIsTextWhateverItLooksLike(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("a@b.test")
	r.Body, r.BodyHTML = "<p>as it <b>stands</b></p>", "<p>Hi</p>"
	if m := w.message(w.send(r).Message); m.BodyText != r.Body || strings.TrimSpace(m.BodyHTML) != r.BodyHTML {
		t.Errorf("the text is %q, the HTML %q", m.BodyText, m.BodyHTML)
	}
}

func TestAnswersGoWhereASendSays(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("a@b.test")
	if raw := w.raw(w.send(r).Message); strings.Contains(raw, "Reply-To:") {
		t.Errorf("nobody asked for it: %s", raw)
	}
	r.ReplyTo = "Help <help@elsewhere.test>"
	parsed, err := mail.ReadMessage(strings.NewReader(w.raw(w.send(r).Message)))
	check(t, err)
	if to, err := parsed.Header.AddressList("Reply-To"); err != nil || len(to) != 1 || *to[0] != (mail.Address{Name: "Help", Address: "help@elsewhere.test"}) {
		t.Errorf("answers go to %v, %v", to, err)
	}
}

func TestAnotherAccountsInboxAndThreadAreNotThere(t *testing.T) {
	w := newWorld(t, nil)
	sent := w.send(w.letter("a@b.test"))
	other := openmail.Scope{Account: w.account()}
	theirs := w.inbox(other.Account, "eve", "")
	for _, r := range []outgoing.Request{w.letter("a@b.test"), {Inbox: theirs.ID, To: "a@b.test", Body: "x", Thread: sent.Thread}} {
		if _, err := w.out.Send(t.Context(), other, r); openmail.CodeOf(err) != openmail.CodeNotFound {
			t.Errorf("%+v: %v", r, err)
		}
	}
	own := w.inbox(w.scope.Account, "joe", "")
	w.refused(openmail.CodeNotFound, "", outgoing.Request{Inbox: own.ID, To: "a@b.test", Body: "x", Thread: sent.Thread})
	narrow := openmail.Scope{Account: w.scope.Account, Inbox: own.ID}
	if _, err := w.out.Send(t.Context(), narrow, w.letter("a@b.test")); openmail.CodeOf(err) != openmail.CodeForbidden {
		t.Errorf("a key of another inbox: %v", err)
	}
}

func TestAKeyStandsForOneMail(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("a@b.test")
	r.Key = "k"
	first := w.send(r)
	// What would stop a new mail does not stop the answer to an old one.
	w.suppress("a@b.test")
	again := w.send(r)
	if !again.Replayed || again.Message != first.Message || again.Thread != first.Thread || again.RFCMessageID != first.RFCMessageID || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("first %+v, then %+v", first, again)
	}
	for _, change := range []func(*outgoing.Request){
		func(r *outgoing.Request) { r.Body += "!" },
		func(r *outgoing.Request) { r.Subject += "!" },
		func(r *outgoing.Request) { r.To = "b@b.test" },
		func(r *outgoing.Request) { r.CC = []string{"b@b.test"} },
		func(r *outgoing.Request) { r.Attachments = []outgoing.File{{Filename: "a.txt", Data: []byte("x")}} },
		func(r *outgoing.Request) { r.Inbox = w.inbox(w.scope.Account, "joe"+r.Key, "").ID },
	} {
		other := r
		change(&other)
		w.refused(openmail.CodeIdempotency, "Idempotency-Key", other)
	}
	if all := w.messages(w.jane); len(all) != 1 {
		t.Errorf("%d messages", len(all))
	}
	elsewhere := openmail.Scope{Account: w.account()}
	theirs := w.inbox(elsewhere.Account, "eve", "")
	if sent, err := w.out.Send(t.Context(), elsewhere, outgoing.Request{Inbox: theirs.ID, To: "a@b.test", Subject: "x", Body: "y", Key: "k"}); err != nil || sent.Replayed {
		t.Errorf("another account's key: %+v, %v", sent, err)
	}
}

func TestAKeyLivesForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		r := w.letter("a@b.test")
		r.Key = "k"
		first := w.send(r)
		time.Sleep(24*time.Hour - time.Second)
		if again := w.send(r); !again.Replayed || again.Message != first.Message {
			t.Errorf("before a day was over: %+v", again)
		}
		time.Sleep(2 * time.Second)
		r.Body = "Another one."
		if next := w.send(r); next.Replayed || next.Message == first.Message {
			t.Errorf("after it: %+v", next)
		}
	})
}

func TestAKeyOfAnotherPodGetsNoOldAnswer(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("a@b.test")
	r.Key = "k"
	w.send(r)
	if sent, err := w.out.Send(t.Context(), w.scope.InPod("pod_other"), r); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("%+v, %v", sent, err)
	}
	jane, err := w.db.Inbox(t.Context(), w.scope, w.jane.ID)
	check(t, err)
	if sent, err := w.out.Send(t.Context(), w.scope.InPod(jane.Pod), r); jane.Pod == "" || err != nil || !sent.Replayed {
		t.Errorf("its own: %+v, %v", sent, err)
	}
}

// suppress has an address refuse mail for good, as a server would.
func (w *world) suppress(addr string) {
	w.t.Helper()
	sent := w.send(w.letter(addr))
	_, domain, _ := strings.Cut(addr, "@")
	_, err := w.db.ResumeMail(w.t.Context(), openmail.Operator(), sent.CreatedAt, 10)
	check(w.t, err)
	c, err := w.db.ClaimMail(w.t.Context(), openmail.Operator(), domain, sent.CreatedAt)
	check(w.t, err)
	for len(c.Due) > 0 {
		var settled []outgoing.Settled
		for _, d := range c.Due {
			settled = append(settled, outgoing.Settled{Due: d, Next: outgoing.Next{State: openmail.StatusFailed, Suppress: true}, Answer: outgoing.Answer{Text: "no such user"}})
		}
		check(w.t, w.db.SettleMail(w.t.Context(), openmail.Operator(), c, settled, sent.CreatedAt))
		c, err = w.db.ClaimMail(w.t.Context(), openmail.Operator(), domain, sent.CreatedAt)
		check(w.t, err)
	}
	check(w.t, w.db.DeleteMessage(w.t.Context(), w.scope, sent.Message))
}

func TestARefusedSendIsNotRemembered(t *testing.T) {
	w := newWorld(t, nil)
	r := w.letter("a@b.test")
	r.Key, r.Subject = "k", ""
	w.refused(openmail.CodeBadRequest, "subject", r)
	r.Subject = "now there is one"
	if sent := w.send(r); sent.Replayed {
		t.Error("it was remembered")
	}
}

func TestTwinsInFlightAreOneMail(t *testing.T) {
	w := newWorld(t, nil)
	w.settings.PerDay = 1 // which the first of them spends
	w.out = outgoing.New(w.settings)
	r := w.letter("a@b.test")
	r.Key = "k"
	var wg sync.WaitGroup
	sent := make([]outgoing.Sent, 20)
	errs := make([]error, 20)
	for i := range sent {
		wg.Go(func() { sent[i], errs[i] = w.out.Send(t.Context(), w.scope, r) })
	}
	wg.Wait()
	check(t, errors.Join(errs...))
	firsts := 0
	for _, s := range sent {
		if s.Message != sent[0].Message || s.Thread != sent[0].Thread {
			t.Errorf("%+v and %+v", s, sent[0])
		}
		if !s.Replayed {
			firsts++
		}
	}
	if all := w.messages(w.jane); len(all) != 1 || firsts != 1 {
		t.Errorf("%d messages, %d firsts", len(all), firsts)
	}
}

func TestASetServerDemandsAKey(t *testing.T) {
	w := newWorld(t, nil)
	w.settings.NeedKey = true
	w.out = outgoing.New(w.settings)
	w.refused(openmail.CodeMissingKey, "Idempotency-Key", w.letter("a@b.test"))
	r := w.letter("a@b.test")
	r.Key = "k"
	w.send(r)
}

func TestAReplyContinuesTheThread(t *testing.T) {
	w := newWorld(t, nil)
	one := w.arrives("jane@openmail.test", "From: Ann <ann@other.test>\nTo: jane@openmail.test\nMessage-ID: <1@other.test>\nSubject: Order 7\n\nWhere is it?\n> quoted\n")
	two := w.arrives("jane@openmail.test", "From: Ann <ann@other.test>\nTo: jane@openmail.test\nMessage-ID: <2@other.test>\nIn-Reply-To: <1@other.test>\nSubject: Re: Order 7\n\nHello?\n")
	sent := w.send(outgoing.Request{Inbox: w.jane.ID, To: one.From.String(), Subject: "is passed over\r\n", Body: "On its way.", Thread: two.Thread})
	m := w.message(sent.Message)
	if m.Thread != one.Thread || m.Subject != "Re: Order 7" || m.InReplyTo != "<2@other.test>" || !slices.Equal(m.References, []string{"<1@other.test>", "<2@other.test>"}) {
		t.Errorf("the reply is %+v", m)
	}
	if !strings.HasPrefix(m.BodyText, "On its way.\n\nOn ") || !strings.HasSuffix(m.BodyText, "UTC, Ann <ann@other.test> wrote:\n> Hello?") {
		t.Errorf("its text is %q", m.BodyText)
	}
	thread, _, err := w.db.Thread(t.Context(), w.scope, one.Thread)
	check(t, err)
	if !thread.IsRead || thread.MessageCount != 3 || thread.Subject != "Order 7" {
		t.Errorf("the thread is %+v", thread)
	}
	next := w.message(w.send(outgoing.Request{Inbox: w.jane.ID, To: "ann@other.test", Body: "And one more.", Thread: one.Thread, NoQuote: true}).Message)
	if next.InReplyTo != sent.RFCMessageID || next.BodyText != "And one more." || len(next.References) != 3 {
		t.Errorf("the next is %+v", next)
	}
}

func TestAQuoteCannotBreakOutOfItsBlock(t *testing.T) {
	w := newWorld(t, nil)
	in := w.arrives("jane@openmail.test", "From: \"</blockquote><b>x\" <eve@other.test>\nTo: jane@openmail.test\nMessage-ID: <1@other.test>\nSubject: x\n\n</blockquote><script>alert(1)</script><!-- &lt;\n")
	m := w.message(w.send(outgoing.Request{Inbox: w.jane.ID, To: "eve@other.test", Body: "<html><body><p>Hi</p></body></html>", Thread: in.Thread}).Message)
	if strings.Count(m.BodyHTML, "</blockquote>") != 1 || strings.Contains(m.BodyHTML, "<script") || strings.Contains(m.BodyHTML, "<!--") || strings.Contains(m.BodyHTML, "<b>") ||
		strings.Index(m.BodyHTML, "</blockquote>") > strings.Index(m.BodyHTML, "</body>") {
		t.Errorf("the HTML is %s", m.BodyHTML)
	}
	if !strings.Contains(m.BodyHTML, "&lt;/blockquote&gt;&lt;script&gt;") || !strings.Contains(m.BodyHTML, "&amp;lt;") {
		t.Errorf("the text is not quoted: %s", m.BodyHTML)
	}
}

func TestAReplyToACopyAlsoGoesToWhoeverSentIt(t *testing.T) {
	const before = "From: Ann <ann@other.test>\nTo: bob@other.test\nCc: jane@openmail.test\nMessage-ID: <1@other.test>\nSubject: x\n\nHi\n"
	for name, c := range map[string]struct {
		mail string
		to   string
		cc   []string
		want []string
	}{
		"named in Cc":           {before, "bob@other.test", nil, []string{"ann@other.test"}},
		"with others":           {before, "bob@other.test", []string{"eve@other.test"}, []string{"eve@other.test", "ann@other.test"}},
		"asked for already":     {before, "bob@other.test", []string{"Ann <ANN@other.test>"}, []string{"ANN@other.test"}},
		"the recipient already": {before, "ann@other.test", nil, []string{}},
		"named in To":           {strings.NewReplacer("To: bob", "Cc: bob", "Cc: jane", "To: jane").Replace(before), "bob@other.test", nil, []string{}},
		"from the inbox itself": {strings.Replace(before, "ann@other.test", "jane@openmail.test", 1), "bob@other.test", []string{"jane@openmail.test"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			in := w.arrives("jane@openmail.test", c.mail)
			m := w.message(w.send(outgoing.Request{Inbox: w.jane.ID, To: c.to, CC: c.cc, Body: "ok", Thread: in.Thread}).Message)
			if !slices.Equal(m.CC, c.want) && len(m.CC)+len(c.want) > 0 {
				t.Errorf("copies to %v, want %v", m.CC, c.want)
			}
		})
	}
}

func TestASuppressedRecipientStopsASend(t *testing.T) {
	w := newWorld(t, nil)
	w.suppress("gone@other.test")
	if e := w.refused(openmail.CodeSuppressed, "to", w.letter("Gone <GONE@Other.test>")); e.Type != "bounce" {
		t.Errorf("type %q", e.Type)
	}
	w.refused(openmail.CodeSuppressed, "to", outgoing.Request{Inbox: w.inbox(w.scope.Account, "joe", "").ID, To: "gone@other.test", Subject: "x", Body: "y"})
	r := w.letter("a@other.test")
	r.CC = []string{"gone@other.test"}
	w.refused(openmail.CodeSuppressed, "cc", r)
	// Whom only the rule for copies adds is left out.
	in := w.arrives("jane@openmail.test", "From: gone@other.test\nTo: bob@other.test\nCc: jane@openmail.test\nMessage-ID: <1@other.test>\nSubject: x\n\nHi\n")
	if m := w.message(w.send(outgoing.Request{Inbox: w.jane.ID, To: "bob@other.test", Body: "ok", Thread: in.Thread}).Message); len(m.CC) != 0 {
		t.Errorf("copies to %v", m.CC)
	}
	all, total, err := w.db.Suppressions(t.Context(), w.scope, openmail.Page{Limit: 10})
	if err != nil || total != 1 || all[0].Address != "gone@other.test" || all[0].Type != openmail.SuppressedBounce || all[0].Reason != "no such user" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := w.db.DeleteSuppression(t.Context(), openmail.Scope{Account: w.account()}, "gone@other.test"); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("another account: %v", err)
	}
	check(t, w.db.DeleteSuppression(t.Context(), w.scope, "Gone@other.test"))
	w.send(w.letter("gone@other.test"))
}

func TestAMailWithFilesIsReadBackWhole(t *testing.T) {
	w := newWorld(t, nil)
	data := bytes.Repeat([]byte("0123456789abcdef\x00\xff"), 30_000)
	r := w.letter("a@other.test")
	r.BodyHTML = "<p>Ünï</p>"
	r.Attachments = []outgoing.File{
		{Filename: "../../ä\u00a0b.PDF", ContentType: "Application/PDF; name=x", Data: data},
		{Filename: "", ContentType: "message/rfc822", Data: []byte("From: x\r\n\r\n.")},
		{Filename: "empty.txt", ContentType: "nonsense", Data: nil},
	}
	m := w.message(w.send(r).Message)
	if len(m.Attachments) != 3 || m.Attachments[0].Filename != "ä b.PDF" || m.Attachments[0].ContentType != "application/pdf" || m.Attachments[0].SizeBytes != int64(len(data)) ||
		m.Attachments[1].ContentType != "application/octet-stream" || m.Attachments[2].SizeBytes != 0 || m.BodyText != "How are you?" || m.BodyHTML != "<p>Ünï</p>\r\n" || len(m.Defects) != 0 {
		t.Errorf("%+v", m)
	}
	for i, line := range strings.Split(w.raw(m.ID), "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' && r != '\t' }) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
}

// signer puts a field on top, as DKIM does.
type signer struct{ err error }

func (s signer) Sign(_ context.Context, domain string, mail []byte) ([]byte, error) {
	return append([]byte("X-Signed: "+domain+"\r\n"), mail...), s.err
}

func TestMailIsSignedOnceBeforeItIsStored(t *testing.T) {
	w := newWorld(t, nil)
	w.settings.Signer = signer{}
	w.out = outgoing.New(w.settings)
	if raw := w.raw(w.send(w.letter("a@other.test")).Message); !strings.HasPrefix(raw, "X-Signed: openmail.test\r\n") {
		t.Errorf("the mail begins %.80q", raw)
	}
	w.settings.Signer = signer{errors.New("no key")}
	w.out = outgoing.New(w.settings)
	if _, err := w.out.Send(t.Context(), w.scope, w.letter("a@other.test")); openmail.CodeOf(err) != openmail.CodeInternal {
		t.Errorf("unsigned: %v", err)
	}
	if all := w.messages(w.jane); len(all) != 1 {
		t.Errorf("%d messages", len(all))
	}
}

func TestAnInboxSendsSoManyInAMinuteAndADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.settings.PerMinute, w.settings.PerDay = 2, 5
		w.out = outgoing.New(w.settings)
		r := w.letter("a@b.test")
		r.Key = "k"
		first := w.send(r)
		w.send(w.letter("a@b.test"))
		e := w.refused(openmail.CodeRateLimit, "", w.letter("a@b.test"))
		if e.Message != "Max 2 sends per minute per inbox" || e.Quota == nil || time.Until(e.Quota.Until) != time.Minute {
			t.Errorf("%+v", e)
		}
		// What was sent before is answered, another inbox sends, and a
		// restart forgets nothing.
		if again := w.send(r); again.Message != first.Message {
			t.Errorf("replayed as %+v", again)
		}
		joe := w.inbox(w.scope.Account, "joe", "")
		w.send(outgoing.Request{Inbox: joe.ID, To: "a@b.test", Subject: "x", Body: "y"})
		w.out = outgoing.New(w.settings)
		w.refused(openmail.CodeRateLimit, "", w.letter("a@b.test"))
		for range 3 {
			time.Sleep(time.Minute)
			w.send(w.letter("a@b.test"))
		}
		time.Sleep(time.Minute)
		if e := w.refused(openmail.CodeRateLimit, "", w.letter("a@b.test")); e.Message != "Max 5 sends per day per inbox" || e.Quota.Until.Format("15:04 MST") != "00:00 UTC" {
			t.Errorf("%+v", e)
		}
		time.Sleep(24 * time.Hour)
		w.send(w.letter("a@b.test"))
		// A refused send counts nowhere, and nothing of it is stored.
		if n := len(w.messages(w.jane)); n != 6 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestManyAtATimeAreNoMoreThanTheQuota(t *testing.T) {
	w := newWorld(t, nil)
	w.settings.PerDay = 7
	w.out = outgoing.New(w.settings)
	var wg sync.WaitGroup
	var sent, refused atomic.Int32
	for range 30 {
		wg.Go(func() {
			_, err := w.out.Send(t.Context(), w.scope, w.letter("a@b.test"))
			switch openmail.CodeOf(err) {
			case "":
				sent.Add(1)
			case openmail.CodeRateLimit:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if sent.Load() != 7 || refused.Load() != 23 || len(w.messages(w.jane)) != 7 {
		t.Errorf("%d sent, %d refused, %d stored", sent.Load(), refused.Load(), len(w.messages(w.jane)))
	}
}
