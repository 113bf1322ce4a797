package extract_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"openmail"
	"openmail/internal/extract"
)

// bombs are small files that cost their reader much.
func bombs(t testing.TB) map[string][]byte {
	ones := strings.Repeat("<w:p>", 5_000_000)
	laughs := `<!DOCTYPE w:document [<!ENTITY a "ha">` + func() (s string) {
		for c := 'b'; c < 'm'; c++ {
			s += fmt.Sprintf("<!ENTITY %c %q>", c, strings.Repeat("&"+string(c-1)+";", 10))
		}
		return s
	}() + "]>"
	return map[string][]byte{
		"page cycle.pdf": pageCycle(),
		"zlib zeros.pdf": pdfOf("/Filter /FlateDecode /Length 0", deflated(t, 1<<28, "\x00")),
		"zlib text.pdf":  pdfOf("/Filter /FlateDecode /Length 0", deflated(t, 32<<20, "BT (A) Tj ET ")),
		"parents.pdf":    pdfObjects("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>", "<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>", "<< /Length 4 0 R >>\nstream\nx\nendstream"),
		"deep.docx":      docx(t, ones),
		"zeros.docx":     docx(t, paragraph(strings.Repeat(" ", 64<<20))),
		"entries.docx":   entries(t, 100_000),
		"nested.docx":    nested(t, 6),
		"overlap.docx":   overlapping(t, 2000),
		"strings.xlsx":   archive(t, part{"xl/workbook.xml", "<x/>"}, part{"xl/_rels/workbook.xml.rels", "<x/>"}, part{"xl/sharedStrings.xml", "<sst>" + strings.Repeat("<si></si>", 3_000_000)}),
		"pixels.png":     hugePNG(),
		"pixels.jpg":     []byte("\xff\xd8\xff\xc0\x00\x11\x08\x27\x10\x27\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c"),
		"pixels.gif":     []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00"),
		"pixels.bmp":     append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x10\x27\x00\x00\x10\x27\x00\x00\x01\x00\x18\x00"), make([]byte, 64)...),
		"cycle.tif":      []byte("II*\x00\x08\x00\x00\x00\x01\x00\x00\x01\x03\x00\x01\x00\x00\x00\x10\x00\x00\x00\x08\x00\x00\x00"),
		"one line.csv":   bytes.Repeat([]byte("x,"), 5<<20),
		"deep.html":      []byte("<html>" + strings.Repeat("<div>", 1<<20) + "x"),
		"laughs.docx":    archive(t, part{"word/document.xml", laughs + `<w:document xmlns:w="x"><w:p><w:r><w:t>&l;</w:t></w:r></w:p></w:document>`}),
	}
}

// entries is an archive of many small entries.
func entries(t testing.TB, n int) []byte {
	parts := make([]part, 0, n)
	for i := range n {
		parts = append(parts, part{strconv.FormatInt(int64(i), 36), ""})
	}
	return archive(t, append(parts, part{"word/document.xml", "<x/>"})...)
}

// nested is archives within archives.
func nested(t testing.TB, depth int) []byte {
	inner := archive(t, part{"0", strings.Repeat("\x00", 16<<20)})
	for range depth {
		var parts []part
		for i := range 16 {
			parts = append(parts, part{fmt.Sprint(i, ".zip"), string(inner)})
		}
		inner = archive(t, append(parts, part{"word/document.xml", "<x/>"})...)
		if len(inner) > 5<<20 {
			break
		}
	}
	return inner
}

// overlapping is an archive whose entries all say that they are the same bytes,
// which inflate to many (as in "A better zip bomb", WOOT 2019).
func overlapping(t testing.TB, n int) []byte {
	kernel := docx(t, paragraph(strings.Repeat(" ", 8<<20)))
	z, err := zip.NewReader(bytes.NewReader(kernel), int64(len(kernel)))
	check(t, err)
	f := z.File[1]
	var b, directory bytes.Buffer
	b.Write(kernel[:bytes.LastIndex(kernel, []byte("PK\x01\x02"))])
	start := bytes.Index(kernel, []byte("word/document.xml")) - 30
	for i := range n {
		name := "word/document.xml"
		if i > 0 {
			name = fmt.Sprintf("word/footnotes%d.xml", i)
		}
		head := make([]byte, 46)
		copy(head, "PK\x01\x02\x14\x00\x14\x00\x08\x00\x08\x00")
		binary.LittleEndian.PutUint32(head[16:], f.CRC32)
		binary.LittleEndian.PutUint32(head[20:], uint32(f.CompressedSize64))
		binary.LittleEndian.PutUint32(head[24:], uint32(f.UncompressedSize64))
		binary.LittleEndian.PutUint16(head[28:], uint16(len(name)))
		binary.LittleEndian.PutUint32(head[42:], uint32(start))
		directory.Write(append(head, name...))
	}
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(directory.Len()))
	binary.LittleEndian.PutUint32(end[16:], uint32(b.Len()))
	return append(append(b.Bytes(), directory.Bytes()...), end...)
}

// hugePNG says that it has 100 million pixels, and holds none.
func hugePNG() []byte {
	chunk := []byte("IHDR\x00\x00\x27\x10\x00\x00\x27\x10\x08\x06\x00\x00\x00")
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}

// resident is how much memory this process has, in bytes.
func resident(t testing.TB) int {
	t.Helper()
	runtime.GC()
	b, err := os.ReadFile("/proc/self/status")
	check(t, err)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			n, err := strconv.Atoi(f[1])
			check(t, err)
			return n << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func TestABombCostsAChildAndNothingElse(t *testing.T) {
	all := bombs(t)
	for _, tools := range []extract.Tools{extract.FindTools(), {}} {
		p, l := newPool(t, tools)
		before := resident(t)
		for name, data := range all {
			start := time.Now()
			got := p.Read(within(t, 1500*time.Millisecond), "acc_1", file(name, data), 0)
			took := time.Since(start)
			t.Logf("%-16s %8d bytes: %-18s %6d bytes of text, %v", name, len(data), got.Method, len(got.Text), took.Round(time.Millisecond))
			if took > 5*time.Second {
				t.Errorf("%s took %v", name, took)
			}
			if len(got.Text) > 4*openmail.MaxExtractedText {
				t.Errorf("%s: %d bytes of text", name, len(got.Text))
			}
			if got := p.Read(within(t, 20*time.Second), "acc_1", file("next.csv", []byte("a,b")), 0); got.Text != "a,b" {
				t.Errorf("after %s, the next file: %+v\n%s", name, got, l)
			}
		}
		if after := resident(t); after > before+64<<20 {
			t.Errorf("this process had %d MiB, and has %d MiB", before>>20, after>>20)
		}
		if left := children(t); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
	}
}
