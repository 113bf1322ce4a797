package extract_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
)

// The documents of the tests, made here: nothing in them is anybody's.

// part is one entry of an archive.
type part struct{ name, text string }

func archive(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		method := zip.Deflate
		if p.text == "" {
			method = zip.Store
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: method})
		check(t, err)
		_, err = w.Write([]byte(p.text))
		check(t, err)
	}
	check(t, z.Close())
	return b.Bytes()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`

func docx(t testing.TB, body string) []byte {
	return archive(t, part{"[Content_Types].xml", "<Types/>"}, part{"word/document.xml", xmlHead + `<w:document xmlns:w="x"><w:body>` + body + `</w:body></w:document>`})
}

func paragraph(text string) string { return `<w:p><w:r><w:t>` + text + `</w:t></w:r></w:p>` }

func xlsx(t testing.TB) []byte {
	return archive(
		t,
		part{"xl/workbook.xml", xmlHead + `<workbook xmlns:r="x"><sheets><sheet name="Ums&#228;tze" sheetId="1" r:id="rId1"/><sheet name="Secret" state="hidden" sheetId="2" r:id="rId2"/></sheets></workbook>`},
		part{"xl/_rels/workbook.xml.rels", xmlHead + `<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>`},
		part{"xl/sharedStrings.xml", xmlHead + `<sst><si><t>Customer</t></si><si><r><t>Mül</t></r><r><t>ler</t></r><rPh sb="0" eb="1"><t>aloud</t></rPh></si></sst>`},
		part{"xl/styles.xml", xmlHead + `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></styleSheet>`},
		part{"xl/worksheets/sheet1.xml", xmlHead + `<worksheet><sheetData>
			<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>Note</t></is></c></row>
			<row r="2"><c r="A2" t="s"><v>1</v></c><c r="B2" s="1"><v>45296</v></c><c r="C2"><f>SUM(A1)</f><v>0.30000000000000004</v></c><c r="D2" t="b"><v>1</v></c><c r="E2" s="2"><v>45296.5</v></c></row>
			<row r="3" hidden="1"><c r="A3"><v>999</v></c></row>
			<row r="4"><c r="A4" t="e"><v>#DIV/0!</v></c></row>
		</sheetData></worksheet>`},
		part{"xl/worksheets/sheet2.xml", xmlHead + `<worksheet><sheetData><row><c><v>4711</v></c></row></sheetData></worksheet>`},
	)
}

func pptx(t testing.TB) []byte {
	slide := func(text string) string {
		return xmlHead + `<p:sld xmlns:p="x" xmlns:a="y"><p:txBody><a:p><a:r><a:t>` + text + `</a:t></a:r></a:p></p:txBody></p:sld>`
	}
	return archive(
		t,
		part{"ppt/presentation.xml", "<x/>"},
		part{"ppt/slides/slide10.xml", slide("the tenth")}, part{"ppt/slides/slide2.xml", slide("the second")},
		part{"ppt/slides/slide3.xml", strings.Replace(slide("not shown"), "<p:sld ", `<p:sld show="0" `, 1)},
		part{"ppt/notesSlides/notesSlide1.xml", slide("a note")},
	)
}

func odt(t testing.TB) []byte {
	return archive(
		t,
		part{"mimetype", "application/vnd.oasis.opendocument.text"},
		part{"content.xml", xmlHead + `<office:document-content><office:body><office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>
			<text:h>Bericht</text:h><text:p>One<text:tab/>two<text:s text:c="3"/>three</text:p>
			<table:table><table:table-row><table:table-cell><text:p>left</text:p></table:table-cell><table:table-cell><text:p>right</text:p></table:table-cell></table:table-row></table:table>
			</office:text></office:body></office:document-content>`},
	)
}

// pdf is a document of one page that shows lines of text, by hand (ISO 32000-1
// section 7.5).
func pdf(lines ...string) []byte {
	var s strings.Builder
	s.WriteString("BT /F1 24 Tf 72 720 Td 30 TL\n")
	for _, l := range lines {
		s.WriteString("(" + l + ") Tj T*\n")
	}
	s.WriteString("ET")
	return pdfOf("/Length "+fmt.Sprint(s.Len()), s.String())
}

func pdfOf(dict, stream string) []byte {
	return pdfObjects(
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		"<< "+dict+" >>\nstream\n"+stream+"\nendstream",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
	)
}

func pdfObjects(objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, xref)
	return b.Bytes()
}

// pageCycle is a page tree that contains itself.
func pageCycle() []byte {
	return []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R]/Count 9>>endobj\nxref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \ntrailer<</Size 3/Root 1 0 R>>\nstartxref\n101\n%%EOF\n")
}

// deflated is text, many times over, by zlib.
func deflated(t testing.TB, times int, text string) string {
	t.Helper()
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	check(t, err)
	block := []byte(strings.Repeat(text, 1<<20/len(text)))
	for range times / (1 << 20 / len(text)) {
		_, err := z.Write(block)
		check(t, err)
	}
	check(t, z.Close())
	return b.String()
}

// glyphs are the letters that the pictures of the tests are written with.
func glyphs() map[rune][7]string {
	return map[rune][7]string{
		'I': {" ### ", "  #  ", "  #  ", "  #  ", "  #  ", "  #  ", " ### "},
		'N': {"#   #", "##  #", "##  #", "# # #", "#  ##", "#  ##", "#   #"},
		'V': {"#   #", "#   #", "#   #", "#   #", " # # ", " # # ", "  #  "},
		'O': {" ### ", "#   #", "#   #", "#   #", "#   #", "#   #", " ### "},
		'C': {" ### ", "#   #", "#    ", "#    ", "#    ", "#   #", " ### "},
		'E': {"#####", "#    ", "#    ", "#### ", "#    ", "#    ", "#####"},
		'T': {"#####", "  #  ", "  #  ", "  #  ", "  #  ", "  #  ", "  #  "},
		'A': {"  #  ", " # # ", "#   #", "#   #", "#####", "#   #", "#   #"},
		'L': {"#    ", "#    ", "#    ", "#    ", "#    ", "#    ", "#####"},
	}
}

// picture draws a text as a PNG.
func picture(t testing.TB, text string) []byte {
	t.Helper()
	const scale = 8
	img := image.NewGray(image.Rect(0, 0, (len(text)*7+10)*scale, 17*scale))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for n, c := range text {
		for y, row := range glyphs()[c] {
			for x, dot := range row {
				for p := range scale * scale {
					if dot == '#' {
						img.SetGray((5+n*7+x)*scale+p%scale, (5+y)*scale+p/scale, color.Gray{})
					}
				}
			}
		}
	}
	var b bytes.Buffer
	check(t, png.Encode(&b, img))
	return b.Bytes()
}
