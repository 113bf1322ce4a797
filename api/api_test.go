package api_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
)

// nasty are strings that JSON encoders write in different ways.
var nasty = []string{
	"", "plain", `quote " and \ backslash`, "<b>&amp;</b>", "tab\tnewline\nreturn\r", "\b\f\x00\x01\x1f\x7f",
	"line\u2028separator\u2029", "grüße, 日本, 🙂", "\ufeffbom", "bad \xff utf-8 \xed\xa0\x80", "/slash", "\u00a0",
}

func event() (openmail.Event, openmail.Message) {
	at := time.Date(2026, 2, 24, 10, 5, 0, 12_345_678, time.UTC)
	m := openmail.Message{
		ID: "msg_1", RFCMessageID: "<a@b>", From: openmail.Address{Name: "Ann", Addr: "ann@x"}, ToAddr: "jane@y", CC: nasty,
		Subject: strings.Join(nasty, " "), BodyText: strings.Join(nasty, "\n"), CreatedAt: at,
		Attachments: []openmail.Attachment{{
			Filename: "a b/ü.pdf", ContentType: "application/pdf", SizeBytes: 34210,
			Extracted: openmail.Extracted{Method: openmail.ExtractionText, Text: strings.Join(nasty, "\n")},
		}},
		Envelope: openmail.MessageEnvelope{MailFrom: "bounce@x", RcptTo: "jane+t@y"}, EnvelopeRole: openmail.RoleTo,
	}
	return openmail.Event{ID: "evt_1", Type: openmail.MessageReceived, Inbox: "inb_1", Thread: "thr_1", Message: "msg_1", OccurredAt: at}, m
}

func TestAPayloadIsWhatJSONStringifyPrints(t *testing.T) {
	e, m := event()
	payload := api.Stamp(nil, api.Links{PublicURL: "https://mail.test"}.Received(e, m), e.OccurredAt.Add(time.Second), 3)
	node := exec.Command("node", "-e", `
		let text = ""; process.stdin.setEncoding("utf8");
		process.stdin.on("data", (d) => text += d).on("end", () => process.stdout.write(JSON.stringify(JSON.parse(text))));`)
	node.Stdin = bytes.NewReader(payload)
	again, err := node.Output()
	if err != nil {
		t.Fatalf("node is needed for this test: %v", err)
	}
	if !bytes.Equal(again, payload) {
		t.Errorf("JSON.stringify prints\n%s\nthe payload is\n%s", again, payload)
	}
}

func TestAPayloadHasTheFieldsOfTheContractInTheirOrder(t *testing.T) {
	e, m := event()
	m.CC, m.Subject, m.BodyText = nil, "Re: Your order", "Thanks"
	m.BodyHTML = "<p>Thanks</p>" // which no event has
	m.Category, m.AutoReplyable = openmail.CategoryPersonal, true
	m.Attachments[0].Extracted = openmail.Extracted{Method: openmail.ExtractionPDF}
	m.Attachments = append(m.Attachments, openmail.Attachment{Filename: "b", Extracted: openmail.Extracted{Method: openmail.ExtractionTimeout}}, openmail.Attachment{Filename: "c"})
	got := string(api.Stamp(nil, api.Links{PublicURL: "https://mail.test"}.Received(e, m), e.OccurredAt.Add(time.Millisecond), 1))
	want := `{"event":"message.received","event_id":"evt_1","occurred_at":"2026-02-24T10:05:00.012Z","delivered_at":"2026-02-24T10:05:00.013Z","attempt":1,` +
		`"inbox_id":"inb_1","thread_id":"thr_1","message":{"id":"msg_1","rfc_message_id":"<a@b>","from":"ann@x","to":"jane@y","cc":[],` +
		`"subject":"Re: Your order","body_text":"Thanks","attachments":[{"filename":"a b/ü.pdf","contentType":"application/pdf","sizeBytes":34210,` +
		`"url":"https://mail.test/v1/attachments/msg_1/a%20b%2F%C3%BC.pdf","parsedText":"","extractionMethod":"pdf"},` +
		`{"filename":"b","contentType":"","sizeBytes":0,"url":"https://mail.test/v1/attachments/msg_1/b","extractionMethod":"timeout"},` +
		`{"filename":"c","contentType":"","sizeBytes":0,"url":"https://mail.test/v1/attachments/msg_1/c"}],"received_at":"2026-02-24T10:05:00.012Z",` +
		`"category":"personal","auto_replyable":true,"envelope":{"mail_from":"bounce@x","rcpt_to":"jane+t@y","role":"to"}}}`
	if got != want {
		t.Errorf("the payload is\n%s\nwant\n%s", got, want)
	}
}

func TestATestOfAWebhookHasTheFieldsOfTheContractInTheirOrder(t *testing.T) {
	at := time.Date(2026, 2, 24, 10, 5, 0, 0, time.UTC)
	const want = `{"event":"setup.test","event_id":"evt_1","occurred_at":"2026-02-24T10:05:00.000Z","delivered_at":"2026-02-24T10:05:00.000Z","attempt":1,"inbox_id":`
	for inbox, end := range map[string]string{"inb_1": `"inb_1"}`, "": "null}"} { // "" for the account's webhook
		if got := string(api.Test("evt_1", inbox, at)); got != want+end {
			t.Errorf("the test is %s", got)
		}
	}
}

func TestOnlyDeliveredAtAndAttemptChangeBetweenHandOvers(t *testing.T) {
	e, m := event()
	payload := api.Links{}.Received(e, m)
	first, second := map[string]any{}, map[string]any{}
	for n, into := range []*map[string]any{&first, &second} {
		if err := json.Unmarshal(api.Stamp(nil, payload, e.OccurredAt.Add(time.Duration(n)*time.Hour), n+1), into); err != nil {
			t.Fatal(err)
		}
	}
	for name := range first {
		same := asJSON(t, first[name]) == asJSON(t, second[name])
		if changes := name == "delivered_at" || name == "attempt"; same == changes {
			t.Errorf("%s: %v, then %v", name, first[name], second[name])
		}
	}
}

func TestALifecyclePayloadHasTheFieldsOfTheContractAndNoOthers(t *testing.T) {
	at := time.Date(2026, 2, 24, 10, 5, 0, 0, time.UTC)
	for want, payload := range map[string][]byte{
		`{"event":"inbox.suspended","event_id":"evt_1","occurred_at":"2026-02-24T10:05:00.000Z","inbox_id":"inb_1","inbox_address":"a@b","pod_id":"pod_1","reason":"abuse"}`: api.Lifecycle(
			openmail.Event{ID: "evt_1", Type: openmail.InboxSuspended, Inbox: "inb_1", Pod: "pod_1", OccurredAt: at}, openmail.Lifecycle{InboxAddress: "a@b", Reason: openmail.SuspendedAbuse}),
		`{"event":"pod.reactivated","event_id":"evt_2","occurred_at":"2026-02-24T10:05:00.000Z","inbox_id":null,"inbox_address":null,"pod_id":"pod_1","reason":null}`: api.Lifecycle(
			openmail.Event{ID: "evt_2", Type: openmail.PodReactivated, Pod: "pod_1", OccurredAt: at}, openmail.Lifecycle{}),
	} {
		if got := string(api.Stamp(nil, payload, at, 3)); got != want || string(payload) != want {
			t.Errorf("the payload is\n%s\nstamped\n%s\nwant\n%s", payload, got, want)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestALongBodyIsCutInTheEventAtAWholeCharacter(t *testing.T) {
	e, m := event()
	const most = 1 << 20
	m.BodyText = "x" + strings.Repeat("é", most)
	var got struct {
		Message struct {
			Text string `json:"body_text"`
			Cut  bool   `json:"body_text_truncated"`
		} `json:"message"`
	}
	if err := json.Unmarshal(api.Links{}.Received(e, m), &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.Message.Text); !got.Message.Cut || n > most || n < most-1 || strings.ContainsRune(got.Message.Text, '\ufffd') {
		t.Errorf("cut %v to %d bytes", got.Message.Cut, n)
	}
}

// Published clients end a connection over which a larger message comes, and come
// back to the same event again and again.
func TestAnEventIsNoLargerThanClientsTake(t *testing.T) {
	const most = 8 << 20
	for name, char := range map[string]string{"control characters": "\x01", "quotation marks": `"`, "letters": "x", "not UTF-8": "\xff"} {
		e, m := event()
		m.BodyText = strings.Repeat(char, 1<<20)
		m.Attachments = nil
		for range 20 {
			m.Attachments = append(m.Attachments, openmail.Attachment{
				Filename: "a", Extracted: openmail.Extracted{Method: openmail.ExtractionText, Text: strings.Repeat(char, openmail.MaxExtractedMail/20)},
			})
		}
		payload := api.Links{}.Received(e, m)
		var got struct {
			Message struct {
				Text  string           `json:"body_text"`
				Cut   bool             `json:"body_text_truncated"`
				Files []api.Attachment `json:"attachments"`
			}
		}
		if err := json.Unmarshal(payload, &got); err != nil || len(payload) > most {
			t.Errorf("%s: %d bytes, %v", name, len(payload), err)
		}
		fits := char == "x" || char == `"`
		if whole := !got.Message.Cut && got.Message.Text == m.BodyText; whole != fits {
			t.Errorf("%s: %d bytes of the body, cut: %v", name, len(got.Message.Text), got.Message.Cut)
		}
		for i, a := range got.Message.Files {
			if has := a.ParsedText != nil; has != (a.ExtractionMethod == "text") || !has && a.ExtractionMethod != "skipped_too_many" || fits && !has {
				t.Errorf("%s: attachment %d has a text: %v, and %s", name, i, has, a.ExtractionMethod)
			}
		}
	}
}

func TestStringsAreReadBackAsTheyWere(t *testing.T) {
	for _, s := range nasty {
		var back string
		// A conversion to runes makes U+FFFD of each byte that is not UTF-8.
		if err := json.Unmarshal(api.AppendString(nil, s), &back); err != nil || back != string([]rune(s)) {
			t.Errorf("%q came back as %q, %v", s, back, err)
		}
	}
}

func TestTimesAreUTCWithMillisecondsOrNull(t *testing.T) {
	at := time.Date(2026, 2, 24, 12, 0, 0, 999_999, time.FixedZone("", 7200))
	for in, want := range map[api.Time]string{{Time: at}: `"2026-02-24T10:00:00.000Z"`, {}: "null"} {
		b, err := json.Marshal(in)
		if err != nil || string(b) != want {
			t.Errorf("%v is written %s, %v", in, b, err)
		}
		var back api.Time
		if err := json.Unmarshal(b, &back); err != nil || back.IsZero() != in.IsZero() {
			t.Errorf("%s is read as %v, %v", b, back, err)
		}
	}
}

func TestAFieldLeftOutIsNotAFieldThatIsNull(t *testing.T) {
	for in, want := range map[string]string{`{}`: "left out", `{"displayName":null}`: "null", `{"displayName":"x"}`: "x"} {
		var u api.InboxUpdate
		if err := json.Unmarshal([]byte(in), &u); err != nil {
			t.Fatal(err)
		}
		got := "left out"
		switch {
		case u.DisplayName.Set && u.DisplayName.Value == nil:
			got = "null"
		case u.DisplayName.Set:
			got = *u.DisplayName.Value
		}
		if got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
		if out := asJSON(t, u); out != in {
			t.Errorf("%s is written %s", in, out)
		}
	}
}
