package mime

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"
)

func TestParseDateReadsWhatMailsHave(t *testing.T) {
	want := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for _, s := range []string{
		"Mon, 23 Nov 2026 10:00:00 +0100",
		"23 Nov 2026 09:00 GMT",
		"Mon, 23 Nov 2026 04:00:00 EST",
		"Mon, 23 Nov 2026 10:00:00 +0100 (CET)",
		"Mon (day), 23 (of) November 26 09:00:00 -0000",
		"Mon Nov 23 09:00:00 2026",
		"23-Nov-2026 10:00:00 +01:00",
		"Mon,23 Nov 2026 09:00:00.123",
		"23 Nov 2026 05:00:00 EDT",
		"23 Nov 2026 04:00:00 CDT",
		"23 Nov 2026 03:00:00 CST",
		"23 Nov 2026 03:00:00 MDT",
		"23 Nov 2026 02:00:00 MST",
		"23 Nov 2026 02:00:00 PDT",
		"23 Nov 2026 01:00:00 PST",
		"23 Nov 2026 10:00:00 CET",
		"23 Nov 2026 11:00:00 CEST",
		"23 Nov 2026 18:00:00 JST",
		"23 Nov 2026 09:00:00 UT",
		"23 Nov 2026 09:00:00 XYZ",
		"2026-11-23T10:00:00+01:00",
	} {
		if got, ok := parseDate(s); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("parseDate(%q) = %v, %v; want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"yesterday", "Mon, 32 Nov 2026 10:00:00 +0100", "23 Nov", "23 2026 10:00", "23 Nov 2026 99:00:00", "23 Nov 20260 10:00",
		"1 Jan 0001 00:00:00", "2026-11-23", "2026-13-45T10:00:00Z", "+", "((((", "23 Nov 2026 10:-1",
	} {
		if got, ok := parseDate(s); ok {
			t.Errorf("parseDate(%q) = %v; want none", s, got)
		}
	}
}

func TestSafeFilenameIsSafeOnEverySystem(t *testing.T) {
	for _, c := range []struct{ name, kind, want string }{
		{"report.pdf", "application/pdf", "report.pdf"},
		{"/etc/passwd", "", "passwd"},
		{`..\..\boot.ini`, "", "boot.ini"},
		{"..", "text/plain", "attachment.txt"},
		{"a/", "image/png", "image.png"},
		{"...hidden", "", "hidden"},
		{"NUL.txt", "", "_NUL.txt"},
		{"com¹", "", "_com¹"},
		{"com10.txt", "", "com10.txt"},
		{"a\u202egpj.exe", "", "agpj.exe"},
		{" a \r\n b\t.txt ", "", "a b.txt"},
		{"cafe\u0301", "", "caf\u00e9"},
		{"x" + strings.Repeat("é", 200) + ".tar", "", "x" + strings.Repeat("é", 97) + ".tar"},
	} {
		if got := SafeFilename(c.name, c.kind); got != c.want {
			t.Errorf("SafeFilename(%q, %q) = %q; want %q", c.name, c.kind, got, c.want)
		}
	}
}

func TestNamesAreUniqueThoughAThousandAreEqual(t *testing.T) {
	var n names
	seen := map[string]bool{}
	for i := range 1000 {
		for _, name := range []string{"a.txt", "A.TXT", fmt.Sprintf("a (%d).txt", i), strings.Repeat("n", 200)} {
			got := n.unique(name)
			if key := strings.ToLower(got); seen[key] || len(got) > maxFilename {
				t.Fatalf("unique(%q) = %q, again or too long", name, got)
			}
			seen[strings.ToLower(got)] = true
		}
	}
}

func TestDecodersReadWhatTheStandardLibraryWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for size := range 300 {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
			if random.IntN(4) == 0 {
				data[i] = " \t=\r\n"[random.IntN(5)]
			}
		}
		var quoted bytes.Buffer
		w := quotedprintable.NewWriter(&quoted)
		w.Binary = true
		_, _ = w.Write(data) // a bytes.Buffer cannot fail
		_ = w.Close()
		checkDecoder(t, encodingQuoted, quoted.Bytes(), data)
		checkDecoder(t, encodingBase64, []byte(base64.StdEncoding.EncodeToString(data)), data)
		checkDecoder(t, encodingBase64, []byte(base64.RawStdEncoding.EncodeToString(data)), data)
	}
}

// checkDecoder reads src in pieces of many sizes.
func checkDecoder(t *testing.T, encoding string, src, want []byte) {
	t.Helper()
	size, clean := decodedSize(encoding, src)
	if size != int64(len(want)) || !clean {
		t.Fatalf("%s of %q: size %d, clean %v; want %d", encoding, src, size, clean, len(want))
	}
	for _, piece := range []int{1, 2, 3, 5, 4096} {
		var got []byte
		buf := make([]byte, piece)
		for r := decoder(encoding, src); ; {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s of %q in pieces of %d: %q; want %q", encoding, src, piece, got, want)
		}
	}
}

func TestTextFromHTMLShowsWhatIsSeen(t *testing.T) {
	for _, c := range []struct {
		doc, want string
		hidden    bool
	}{
		{"a <b>b</b> c", "a b c", false},
		{"a<br>b<br><br><br>c", "a\nb\n\nc", false},
		{"<p>a<p>b", "a\n\nb", false},
		{"<div style='display:none'>no", "", true},
		{"<div style='display:none'> &nbsp;&zwnj; </div>yes", "yes", false},
		{"<p style='display:none'>no<p>yes", "yes", true},
		{"<b style='display:none'><p>no</b></p>yes", "yes", true},
		{"<ul><li style='display:none'>no<li>yes</ul>", "- yes", true},
		{"<table><tr style='display:none'><td>no<td>no<tr><td>yes<td>and</table>", "yes | and", true},
		{"<table><tr><td style='display:none'>no<td>yes</table>", "yes", true},
		{"<body hidden></body>no", "", true},
		{"<style>.a.b{display:none}.c{opacity:0}</style><i class='x C'>no</i>yes", "yes", true},
		{"<style>p{display:none}</style><p style='display:block'>yes", "yes", false},
		{"<style>p{display:none !important}</style><p style='display:block'>no", "", true},
		{"<style>/*{*/.a{dis\\70 lay:none}</style><p class=a>no", "", true},
		{"<style>@media print{.a{display:none}}.b{display:none}</style><p class=a>yes<p class=b>no", "yes", true},
		{"<p>yes</p><span class=z>no</span><style>.z{visibility:hidden}</style>", "yes", true},
		{"<body bgcolor=#fff><font color=#FFFFFE>no</font>yes", "yes", true},
		{"<td bgcolor=#000000><font color=white>yes</font>", "yes", false},
		{"<a href='https://x.example/a'>x.example</a>", "x.example (https://x.example/a)", false},
		{"<a href='https://x.example/'>x.example</a>", "x.example", false},
		{"<a href='javascript:alert(1)'>x</a><a href='#top'>y</a>", "xy", false},
		{"<a href='https://x.example/'><img src=p></a>", "", false},
		{"<textarea> a\n b</textarea><select><option>c<option>d</select>", " a\n bcd", false},
		{"&lt;script&gt; &copy; &#128512;", "<script> © 😀", false},
		{"<script>no</script><title></title>yes", "yes", false},
		{"<unclosed attr='", "", false},
	} {
		if text, hidden := TextFromHTML(c.doc); text != c.want || hidden != c.hidden {
			t.Errorf("TextFromHTML(%q) = %q, %v; want %q, %v", c.doc, text, hidden, c.want, c.hidden)
		}
	}
}

func TestStylesThatHideAreToldFromThoseThatDoNot(t *testing.T) {
	for style, hides := range map[string]bool{
		"font-size:1px": true, "font-size:0.05em": true, "font-size:5%": true, "font-size:0.1rem": true, "font:0px/1 serif": true,
		"font-size:small": false, "font-size:11pt": false, "font-size:0.9em": false, "font:bold 12px/1 serif": false,
		"color:#fff": true, "color:#ffff": true, "color:#fffffff0": true, "color:rgb(100%, 100%, 100%)": true,
		"color:rgb(255 255 255 / 50%)": true, "color:#0000": true, "color:whitesmoke": true, "color:snow": true,
		"color:#777": false, "color:red": false, "color:nonsense": false, "color:inherit": false, "color:rgb(1)": false,
		"color:#fff;background:#00f url(x.png)": false, "color:#fff;background:url(x.png)": false,
		"color:#fff;background:no-repeat navy-ish #000080": false, "background:yellow;color:#ff0": true,
		"background:lime;color:#00ff00": true, "background:green;color:#008000": true, "background:gray;color:grey": true,
		"background:blue;color:#0000ff": true, "background:linear-gradient(#fff,#000);color:#fff": false,
		"position:absolute;top:-2000px": true, "position:fixed;left:-50em": true, "position:relative;left:-100vw": true,
		"position:absolute;left:-20px": false, "left:-9999px": false, "margin-left:-9999px": true, "text-indent:-2em": false,
		"clip-path:inset(50%)": true, "clip-path:circle(10px)": false, "transform:scale(1)": false,
		"height:0": false, "height:0;overflow:hidden": true, "max-width:1px;overflow:clip": true, "width:0.5em;overflow:hidden": false,
		"opacity:0%": true, "opacity:.01": true, "opacity:0.8": false, "filter:opacity(0)": true,
		"display:none;display:inline": false, "display:none!important;display:inline": true, "visibility:collapse": true,
		"visibility:inherit": false,
	} {
		text, hidden := TextFromHTML("<p style='" + style + "'>text</p>")
		if hidden != hides || (text == "") != hides {
			t.Errorf("%s: text %q, hidden %v; want hidden %v", style, text, hidden, hides)
		}
	}
}

func TestCharsetsAreFoundByTheNamesThatMailUses(t *testing.T) {
	for name, in := range map[string]string{
		"CP932": "\x82\xa0", `"sjis"`: "\x82\xa0", "Shift-JIS": "\x82\xa0", "utf-16": "\x30\x42", "utf-16le": "\x42\x30",
		"utf-32": "\x00\x00\x30\x42", "UTF8;": "\xe3\x81\x82", "": "\xe3\x81\x82", "ms936": "\xa4\xa2", "gb2312": "\xa4\xa2",
		"cp949": "\xaa\xa2", "windows-950": "\xc6\xe8", "hz-gb-2312": "~{$\"~}", "x-nobody-knows": "\xe3\x81\x82",
	} {
		got, fault := toUTF8([]byte(in), name)
		if got != "あ" || (fault != "") != (name == "x-nobody-knows") {
			t.Errorf("%s: %q, fault %q", name, got, fault)
		}
	}
	if got, fault := toUTF8([]byte("\xe9\x80"), "ANSI"); got != "é€" || fault != "" {
		t.Errorf("ansi: %q, fault %q", got, fault)
	}
}
