package httpapi_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/api"
	"openmail/internal/httpapi"
)

// withFiles is a mail with one attachment of each type.
func withFiles(types map[string]string) string {
	var b strings.Builder
	b.WriteString("From: a@b.example\r\nMessage-ID: <files@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n")
	for _, name := range slices.Sorted(maps.Keys(types)) {
		b.WriteString("--cut\r\nContent-Type: " + types[name] + "\r\nContent-Disposition: attachment; filename*=utf-8''" + url.PathEscape(name) +
			"\r\nContent-Transfer-Encoding: base64\r\n\r\nPHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\r\n")
	}
	b.WriteString("--cut--\r\n")
	return b.String()
}

const script = "<script>alert(1)</script>"

func (w *world) filed(types map[string]string) api.Message {
	w.t.Helper()
	filed := w.mail(w.inbox("jane"), withFiles(types), time.Now(), admitted())
	return want[api.Message](w, 200, http.MethodGet, "/v1/messages/"+filed.Message, nil)
}

// local is the path and query of an URL.
func local(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

func TestAttachmentRedirectsToALinkThatNeedsNoKey(t *testing.T) {
	w := newWorld(t)
	m := w.filed(map[string]string{"rechnung März & co.pdf": "application/pdf"})
	if len(m.Attachments) != 1 {
		t.Fatalf("attachments: %+v", m.Attachments)
	}
	path := local(t, m.Attachments[0].URL)
	got := w.do(http.MethodGet, path, w.token, nil)
	location := got.header.Get("Location")
	if got.status != http.StatusFound || !strings.HasPrefix(location, "/v1/attachments/") {
		t.Fatalf("%d to %q", got.status, location)
	}
	file := w.do(http.MethodGet, location, "", nil)
	if file.status != 200 || string(file.body) != script || file.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("%d %q as %s", file.status, file.body, file.header.Get("Content-Type"))
	}
	wantHarmless(t, file.header)
	if d := file.header.Get("Content-Disposition"); !strings.Contains(d, "M%C3%A4rz") {
		t.Errorf("Content-Disposition: %s", d)
	}
	if head := w.do(http.MethodHead, location, "", nil); head.status != 200 || head.header.Get("Content-Length") != "25" {
		t.Errorf("HEAD: %d, %s bytes", head.status, head.header.Get("Content-Length"))
	}
}

func TestAttachmentIsNeverServedAsActiveContent(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.InlineAttachments = true })
	safe := map[string]string{"a.pdf": "application/pdf", "a.png": "image/png", "a.txt": "text/plain", "a.csv": "text/csv"}
	types := map[string]string{
		"a.html": "text/html", "a.svg": "image/svg+xml", "a.xml": "text/xml", "b.xml": "application/xml",
		"a.xhtml": "application/xhtml+xml", "a.js": "text/javascript", "a.swf": "application/x-shockwave-flash",
	}
	for name, contentType := range safe {
		types[name] = contentType
	}
	m := w.filed(types)
	for _, a := range m.Attachments {
		got := w.do(http.MethodGet, local(t, a.URL), w.token, nil)
		wantType := safe[a.Filename]
		if wantType == "" {
			wantType = "application/octet-stream"
		}
		if got.status != 200 || got.header.Get("Content-Type") != wantType {
			t.Errorf("%s: %d as %s", a.Filename, got.status, got.header.Get("Content-Type"))
		}
		wantHarmless(t, got.header)
	}
	if len(m.Attachments) < len(safe)+6 {
		t.Errorf("only %d attachments were looked at", len(m.Attachments))
	}
}

func TestSignedLinkOpensNothingElse(t *testing.T) {
	w := newWorld(t)
	m := w.filed(map[string]string{"a.txt": "text/plain", "b.txt": "text/plain"})
	link := w.do(http.MethodGet, "/v1/attachments/"+m.ID+"/a.txt", w.token, nil).header.Get("Location")
	for what, change := range map[string]func(string, url.Values) string{
		"another file":    func(p string, _ url.Values) string { return strings.Replace(p, "a.txt", "b.txt", 1) },
		"another message": func(p string, _ url.Values) string { return strings.Replace(p, m.ID, "msg_other", 1) },
		"another account": func(p string, q url.Values) string { q.Set("account", w.otherAccount); return p },
		"a later end":     func(p string, q url.Values) string { q.Set("expires", "99999999999"); return p },
		"no signature":    func(p string, q url.Values) string { q.Del("signature"); return p },
		"half of it":      func(p string, q url.Values) string { q.Set("signature", q.Get("signature")[:20]); return p },
	} {
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		path := change(u.EscapedPath(), q)
		t.Log("the link with", what)
		w.fails(401, openmail.CodeUnauthorized, "", http.MethodGet, path+"?"+q.Encode(), "", nil)
	}
}

func TestSignedLinkEndsAfterFifteenMinutes(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(c *httpapi.Config) { c.Now = func() time.Time { return now } })
	m := w.filed(map[string]string{"a.txt": "text/plain"})
	link := w.do(http.MethodGet, "/v1/attachments/"+m.ID+"/a.txt", w.token, nil).header.Get("Location")
	now = now.Add(14 * time.Minute)
	if got := w.do(http.MethodGet, link, "", nil); got.status != 200 {
		t.Errorf("after 14 minutes: %d", got.status)
	}
	now = now.Add(time.Minute)
	w.fails(401, openmail.CodeUnauthorized, "", http.MethodGet, link, "", nil)
	w.do(http.MethodDelete, "/v1/messages/"+m.ID, w.token, nil)
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/attachments/"+m.ID+"/a.txt", w.token, nil)
}

func TestAttachmentNameNeverBecomesAPath(t *testing.T) {
	w := newWorld(t)
	m := w.filed(map[string]string{"a.txt": "text/plain"})
	for _, name := range []string{
		"b.txt", "..%2f..%2fetc%2fpasswd", "%2e%2e%2fa.txt", "..%5ca.txt", "a.txt%00", "%00", ".%2fa.txt", "A.TXT",
		"file:%2f%2f%2fetc%2fpasswd", strings.Repeat("a", 900),
	} {
		got := w.do(http.MethodGet, "/v1/attachments/"+m.ID+"/"+name, w.token, nil)
		if got.status != 404 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	w.fails(404, openmail.CodeNotFound, "", http.MethodGet, "/v1/attachments/..%2f"+m.ID+"/a.txt", w.token, nil)
}

func TestSlowReadersOfAttachmentsHoldABoundedAmountOfMemory(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.InlineAttachments = true })
	const size, bound = 30 << 20, 128 << 20 // of its encoded form, of an account
	raw := "From: a@b.example\r\nMessage-ID: <large@x>\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n" +
		strings.Repeat(strings.Repeat("x", 1022)+"\r\n", size/1024)
	path := "/v1/attachments/" + w.mail(w.inbox("jane"), raw, time.Now(), admitted()).Message + "/a.pdf"
	var open []*http.Response
	fetch := func() *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.http.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.token)
		resp, err := w.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
		return resp
	}
	for range bound / size {
		if resp := fetch(); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s", resp.Status)
		}
	}
	if resp := fetch(); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("past the bound: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	n, err := io.Copy(io.Discard, open[0].Body)
	if err != nil || n < size-1024 {
		t.Errorf("%d bytes, %v", n, err)
	}
	for _, resp := range open {
		resp.Body.Close()
	}
}
