package extract

import (
	"bytes"
	"path"
	"strings"
	"unicode/utf8"

	"openmail"
)

// kind is what reads a file.
type kind int

const (
	kindNone kind = iota
	kindPDF
	kindImage
	kindZip // DOCX, XLSX, PPTX or ODT, or any other archive: its inside tells
	kindCSV
	kindHTML
	kindText
)

// headSize is how much of a file tells its kind.
const headSize = 1024

// kindOf tells what reads a file that begins with head. What the bytes say goes
// before what the sender says of them.
func kindOf(head []byte, filename, contentType string) kind {
	head = head[:min(len(head), headSize)]
	switch {
	case bytes.Contains(head, []byte("%PDF-")):
		return kindPDF
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return kindZip
	case pictureOf(head) != "":
		return kindImage
	case !texty(head) || bytes.HasPrefix(head, []byte(`{\rtf`)):
		return kindNone
	}
	start := strings.ToLower(string(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))))
	if strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html") {
		return kindHTML
	}
	return declared(filename, contentType)
}

// pictureOf is the format of a picture that tesseract reads; "" for none.
func pictureOf(head []byte) string {
	has := func(at int, magic string) bool { return len(head) > at && bytes.HasPrefix(head[at:], []byte(magic)) }
	switch {
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "png"
	case has(0, "\xff\xd8\xff"):
		return "jpeg"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "gif"
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return "tiff"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "webp"
	case has(0, "BM") && has(14, "\x28\x00\x00\x00"):
		return "bmp"
	}
	return ""
}

// texty reports whether bytes can be the start of a text: no NUL without a byte
// order mark, and next to no control characters.
func texty(head []byte) bool {
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return true
	}
	controls := 0
	for _, c := range head {
		switch {
		case c == 0:
			return false
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b:
			controls++
		}
	}
	return controls*50 <= len(head)
}

// declared is the kind of a text by its type, else by its name.
func declared(filename, contentType string) kind {
	if k := byType(contentType); k != kindNone {
		if named := byName(filename); named != kindNone && k == kindText {
			return named // text/plain says less than .csv
		}
		return k
	}
	return byName(filename)
}

func byType(contentType string) kind {
	switch contentType {
	case "text/csv", "text/tab-separated-values", "application/csv", "text/comma-separated-values":
		return kindCSV
	case "text/html", "application/xhtml+xml":
		return kindHTML
	case "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/x-ndjson":
		return kindText
	}
	if strings.HasPrefix(contentType, "text/") || strings.HasSuffix(contentType, "+json") || strings.HasSuffix(contentType, "+xml") {
		return kindText
	}
	return kindNone
}

func byName(filename string) kind {
	switch strings.ToLower(path.Ext(filename)) {
	case ".csv", ".tsv":
		return kindCSV
	case ".html", ".htm", ".xhtml":
		return kindHTML
	case ".txt", ".text", ".md", ".markdown", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".log", ".ics", ".vcf":
		return kindText
	}
	return kindNone
}

// method is how a file of the kind is read.
func (k kind) method() openmail.Extraction {
	switch k {
	case kindPDF:
		return openmail.ExtractionPDF
	case kindImage:
		return openmail.ExtractionOCR
	case kindZip:
		return openmail.ExtractionOffice
	case kindCSV:
		return openmail.ExtractionCSV
	case kindHTML, kindText:
		return openmail.ExtractionText
	}
	return openmail.ExtractionUnsupported
}

// fault is the reason when a file of the kind cannot be read.
func (k kind) fault() openmail.Extraction {
	switch k {
	case kindPDF:
		return openmail.ExtractionPDFError
	case kindImage:
		return openmail.ExtractionOCRError
	case kindZip:
		return openmail.ExtractionOfficeError
	case kindCSV:
		return openmail.ExtractionCSVError
	case kindHTML, kindText:
		return openmail.ExtractionTextError
	}
	return openmail.ExtractionUnsupported
}

// valid reports whether what a child says can be true of a file of the kind.
func (k kind) valid(e openmail.Extracted) bool {
	if e.Method.HasText() {
		return e.Method == k.method() && utf8.ValidString(e.Text) && strings.IndexByte(e.Text, 0) < 0 &&
			utf8.RuneCountInString(e.Text) <= openmail.MaxExtractedText
	}
	switch e.Method {
	case k.fault(), openmail.ExtractionUnsupported, openmail.ExtractionTooLarge, openmail.ExtractionTimeout:
		return e.Text == ""
	}
	return false
}
