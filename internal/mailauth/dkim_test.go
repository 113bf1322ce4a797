package mailauth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"openmail"
	"openmail/internal/blob"
	"openmail/internal/mailauth"
	"openmail/internal/outgoing"
	"openmail/internal/store"
)

var _ outgoing.Signer = (*mailauth.Signer)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mail = "From: Agent <agent@openmail.test>\r\nTo: b@there.test\r\nSubject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n of it\r\n" +
	"Date: Tue, 24 Feb 2026 10:05:00 +0000\r\nMessage-ID: <1@openmail.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\nReferences: <0@there.test>\r\n\r\nHello,\r\n\r\n.a line\t with  spaces \r\n\r\n\r\n"

// opened is a real store; at the same folder it has the same keys.
func opened(t *testing.T, dir string) *store.DB {
	t.Helper()
	blobs, err := blob.NewFiles(dir + "/blobs")
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{Dir: dir, Blobs: blobs, FileKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), blobs.Close()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// signed signs a mail and returns it with the records that verify it.
func signed(t *testing.T, mail string) (string, map[string]string) {
	t.Helper()
	s := mailauth.NewSigner(opened(t, t.TempDir()))
	out, err := s.Sign(t.Context(), "OpenMail.test", []byte(mail))
	if err != nil {
		t.Fatal(err)
	}
	records, err := s.Records(t.Context(), "openmail.test")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, r := range records {
		if r.Type != "TXT" {
			t.Errorf("record %+v", r)
		}
		byName[r.Name] = r.Value
	}
	return string(out), byName
}

// goVerify is what go-msgauth makes of a mail: an algorithm is not told, so it
// returns how many signatures hold.
func goVerify(t *testing.T, mail string, records map[string]string) (good, all int) {
	t.Helper()
	results, err := dkim.VerifyWithOptions(strings.NewReader(mail), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return []string{records[name]}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err == nil && r.Domain == "openmail.test" {
			good++
		}
	}
	return good, len(results)
}

// othersVerify is what python3-dkim makes of it, a line for each signature.
func othersVerify(t *testing.T, mail string, records map[string]string) string {
	t.Helper()
	in, err := json.Marshal(map[string]any{"mail": mail, "records": records, "signatures": 2})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/verify.py")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v (python3-dkim and python3-nacl are needed): %s", err, out)
	}
	return string(out)
}

func TestSignaturesHoldForVerifiersOfOthers(t *testing.T) {
	for name, m := range map[string]string{
		"usual": mail, "no body": "From: a@openmail.test\r\nSubject: x\r\n\r\n", "body without an end": "From: a@openmail.test\r\n\r\nx",
		"large": mail + strings.Repeat("A line of some length that is there many times.\r\n", 20_000),
	} {
		out, records := signed(t, m)
		if !strings.HasSuffix(out, m) {
			t.Errorf("%s: the mail was changed", name)
		}
		if good, all := goVerify(t, out, records); good != 2 || all != 2 {
			t.Errorf("%s: %d of %d signatures hold", name, good, all)
		}
		if got := othersVerify(t, out, records); got != "rsa-sha256 pass\ned25519-sha256 pass\n" {
			t.Errorf("%s: python3-dkim says %q", name, got)
		}
	}
}

func TestWhatIsChangedOnTheWayIsFound(t *testing.T) {
	out, records := signed(t, mail)
	head, body, _ := strings.Cut(out, "\r\n\r\n")
	for name, changed := range map[string]string{
		"a second From":         "From: boss@there.test\r\n" + out,
		"a second Subject":      "Subject: pay at once\r\n" + out,
		"a second To":           "To: c@there.test\r\n" + out,
		"a second Date":         "Date: Tue, 24 Feb 2026 11:05:00 +0000\r\n" + out,
		"a second Message-ID":   "Message-ID: <2@there.test>\r\n" + out,
		"a second Content-Type": "Content-Type: text/html\r\n" + out,
		"a Cc":                  head + "\r\nCc: c@there.test\r\n\r\n" + body,
		"a Reply-To":            "Reply-To: thief@there.test\r\n" + out,
		"an In-Reply-To":        "In-Reply-To: <x@there.test>\r\n" + out,
		"a word more":           out + "more\r\n",
		"another subject":       strings.Replace(out, " of it", " of us", 1),
	} {
		if good, all := goVerify(t, changed, records); good != 0 || all != 2 {
			t.Errorf("%s: %d of %d signatures hold", name, good, all)
		}
		if got := othersVerify(t, changed, records); strings.Contains(got, "pass") {
			t.Errorf("%s: python3-dkim says %q", name, got)
		}
	}
	// What relays do to lines, relaxed signatures bear.
	unharmed := strings.Replace(strings.Replace("Received: by there.test\r\n"+out, "Subject: ", "subject:   ", 1), "with  spaces \r\n", "with spaces\r\n", 1)
	if good, _ := goVerify(t, unharmed, records); good != 2 {
		t.Errorf("%d signatures hold after a relay", good)
	}
}

func TestRecordsTellThePublicKeysOnly(t *testing.T) {
	_, records := signed(t, mail)
	for name, prefix := range map[string]string{
		"openmail._domainkey.openmail.test":         "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
		"openmail-ed25519._domainkey.openmail.test": "v=DKIM1; k=ed25519; p=",
	} {
		if !strings.HasPrefix(records[name], prefix) {
			t.Errorf("%s is %q", name, records[name])
		}
	}
	if n := len(records["openmail-ed25519._domainkey.openmail.test"]); n != len("v=DKIM1; k=ed25519; p=")+44 {
		t.Errorf("%d bytes of Ed25519", n)
	}
	k := openmail.SigningKey{Domain: "openmail.test", Selector: "openmail", Private: []byte("secret")}
	for _, shown := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k)} {
		if shown != "openmail._domainkey.openmail.test" {
			t.Errorf("a key is shown as %s", shown)
		}
	}
}

func TestADomainHasOneSetOfKeysWhoeverAsksFirst(t *testing.T) {
	dir := t.TempDir()
	db := opened(t, dir)
	var got [8][]openmail.DNSRecord
	var all sync.WaitGroup
	for i := range got {
		s := mailauth.NewSigner(db) // as on another node
		all.Go(func() {
			if i%2 == 0 {
				if _, err := s.Sign(t.Context(), "openmail.test", []byte(mail)); err != nil {
					t.Error(err)
				}
			}
			var err error
			if got[i], err = s.Records(t.Context(), "openmail.test"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, records := range got {
		if len(records) != 2 || !reflect.DeepEqual(records, got[0]) {
			t.Errorf("%+v beside %+v", records, got[0])
		}
	}
	other, err := mailauth.NewSigner(db).Records(t.Context(), "other.test")
	if err != nil || other[0].Value == got[0][0].Value {
		t.Errorf("another domain has %+v, %v", other, err)
	}
}

func TestAMailThatCannotBeSignedIsAnErrorAndLeavesNothingBehind(t *testing.T) {
	s := mailauth.NewSigner(opened(t, t.TempDir()))
	for _, m := range []string{"", "no header"} {
		if out, err := s.Sign(t.Context(), "openmail.test", []byte(m)); err == nil {
			t.Errorf("%q was signed: %q", m, out)
		}
	}
	keys := openmail.SigningKey{Domain: "bad.test", Selector: "openmail", Algorithm: "rsa", Private: []byte("damaged"), CreatedAt: time.Now()}
	db := opened(t, t.TempDir())
	if _, err := db.PutSigningKeys(t.Context(), openmail.Operator(), "bad.test", []openmail.SigningKey{keys}); err != nil {
		t.Fatal(err)
	}
	if _, err := mailauth.NewSigner(db).Sign(t.Context(), "bad.test", []byte(mail)); err == nil || strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}
}
