package extract

import (
	"bytes"
	"context"

	"github.com/ledongthuc/pdf"
)

// pdf reads a PDF in reading order, by pdftotext where it is installed. A PDF
// that is nothing but pictures has no text.
func (t Tools) pdf(ctx context.Context, data []byte) (string, error) {
	if t.PDFToText != "" {
		return run(ctx, data, t.PDFToText, "-q", "-enc", "UTF-8", "-eol", "unix", "-", "-")
	}
	r, err := pdf.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "", wrap(err, "open the PDF")
	}
	var b builder
	for i := 1; i <= r.NumPage() && !b.full(); i++ {
		text, err := r.Page(i).GetPlainText(nil)
		if err != nil {
			return "", wrap(err, "read a page of the PDF")
		}
		b.add(text)
		b.line()
	}
	return b.String(), nil
}
