// Package extract reads the text of attachments: what strangers chose to send,
// read by parsers that strangers know.
//
// Text does the reading, and is for a child process only: a bomb takes time and
// memory there, and nothing else. Pool starts those children, which are this
// same program (Child), under limits that they set themselves before they read
// a byte, and gives each no longer than it is allowed.
package extract

import (
	"context"
	"fmt"
	"strings"

	"openmail"
	"openmail/internal/mime"
)

// Tools are the programs of others that read what we cannot, by their paths;
// "" where there is none. Without pdftotext PDF is read by a library, without
// tesseract pictures are not read.
type Tools struct{ PDFToText, Tesseract string }

// Text reads the text of a file. What kind of file it is is decided by its
// first bytes, and by its declared type and its name only where those say
// nothing. It never fails: the method says what is wrong. It is not bounded in
// memory, nor in time where a library does not heed ctx: that is for the
// process around it to do.
func (t Tools) Text(ctx context.Context, filename, contentType string, data []byte) (out openmail.Extracted) {
	k := kindOf(data, filename, contentType)
	defer func() {
		if recover() != nil { // a library's
			out = openmail.Extracted{Method: k.fault()}
		}
	}()
	if k != kindNone && len(data) > openmail.MaxExtracted {
		return openmail.Extracted{Method: openmail.ExtractionTooLarge}
	}
	text, err := t.read(ctx, k, data)
	if err != nil {
		return openmail.Extracted{Method: k.failure(ctx, err)}
	}
	return openmail.Extracted{Method: k.method(), Text: finish(text)}
}

// finish brings what a parser found to what Extracted promises.
func finish(text string) string {
	return strings.TrimRight(mime.CutRunes(mime.CleanText(text), openmail.MaxExtractedText), " \n\t\f")
}

func (t Tools) read(ctx context.Context, k kind, data []byte) (string, error) {
	switch k {
	case kindPDF:
		return t.pdf(ctx, data)
	case kindImage:
		return t.image(ctx, data)
	case kindZip:
		return office(data)
	case kindHTML:
		return mime.DecodeHTML(data), nil
	case kindCSV, kindText:
		return mime.DecodeText(data), nil
	}
	return "", errUnsupported
}

// fault is an error with a method of its own.
type fault openmail.Extraction

func (f fault) Error() string { return string(f) }

const (
	errUnsupported = fault(openmail.ExtractionUnsupported)
	errTooLarge    = fault(openmail.ExtractionTooLarge)
)

// failure is the reason that an error stands for.
func (k kind) failure(ctx context.Context, err error) openmail.Extraction {
	if f, ok := err.(fault); ok {
		return openmail.Extraction(f)
	}
	if ctx.Err() != nil {
		return openmail.ExtractionTimeout
	}
	return k.fault()
}

// builder gathers text until there is as much as is kept.
type builder struct{ strings.Builder }

// maxBuilt is how many bytes of text are gathered: enough for as many
// characters as are kept, however they are written.
const maxBuilt = 4 * (openmail.MaxExtractedText + 1)

func (b *builder) full() bool { return b.Len() >= maxBuilt }

// add appends s, or as much of it as there is room for.
func (b *builder) add(s string) { b.WriteString(s[:min(len(s), maxBuilt-b.Len())]) }

// line ends a line, unless nothing stands on it.
func (b *builder) line() {
	if s := b.String(); s != "" && s[len(s)-1] != '\n' {
		b.add("\n")
	}
}

func wrap(err error, doing string) error { return fmt.Errorf("%s: %w", doing, err) }
