package openmail

// Extraction tells how the text of an attachment was read, or why it was not.
// The zero value says that nobody has tried.
type Extraction string

// The methods by which text is read.
const (
	ExtractionPDF    Extraction = "pdf"
	ExtractionOCR    Extraction = "ocr"
	ExtractionOffice Extraction = "office"
	ExtractionCSV    Extraction = "csv"
	ExtractionText   Extraction = "text"
)

// The reasons for which there is no text.
const (
	ExtractionUnsupported Extraction = "unsupported"
	ExtractionTooLarge    Extraction = "skipped_too_large"
	ExtractionPDFError    Extraction = "pdf_error"
	ExtractionOCRError    Extraction = "ocr_error"
	ExtractionOfficeError Extraction = "office_error"
	ExtractionCSVError    Extraction = "csv_error"
	ExtractionTextError   Extraction = "text_error"
	// What follows may be otherwise the next time.
	ExtractionTimeout Extraction = "timeout"
	ExtractionTooMany Extraction = "skipped_too_many"
	ExtractionFailed  Extraction = "failed" // the fault was ours
)

// Limits of what is read out of attachments.
const (
	// MaxExtracted is the largest attachment that is read, in bytes.
	MaxExtracted = 10 << 20
	// MaxExtractedText is the most text of one attachment, in characters.
	MaxExtractedText = 50_000
	// MaxExtractedMail is the most text that is kept of all attachments of one
	// mail, in bytes.
	MaxExtractedMail = 1 << 20
)

// HasText reports whether the attachment was read.
func (e Extraction) HasText() bool {
	switch e {
	case ExtractionPDF, ExtractionOCR, ExtractionOffice, ExtractionCSV, ExtractionText:
		return true
	}
	return false
}

// Final reports whether another attempt would end in the same way.
func (e Extraction) Final() bool {
	switch e {
	case "", ExtractionTimeout, ExtractionTooMany, ExtractionFailed:
		return false
	}
	return true
}

// Why is the reason in words; "" where there is text.
func (e Extraction) Why() string {
	switch e {
	case ExtractionUnsupported:
		return "No text is read out of files of this type."
	case ExtractionTooLarge:
		return "The file, or the picture in it, is too large to be read."
	case ExtractionPDFError, ExtractionOCRError, ExtractionOfficeError, ExtractionCSVError, ExtractionTextError:
		return "The file is damaged, encrypted, or larger than it seems."
	case ExtractionTimeout:
		return "The file was not read in time: ask again later."
	case ExtractionTooMany:
		return "The mail has more text in its files than is kept: ask for each file."
	case ExtractionFailed, "":
		return "The file has not been read: ask again later."
	}
	return ""
}

// Extracted is what was read out of a file: its text, where the method has
// one. The text is valid UTF-8 without NUL, MaxExtractedText characters at
// most.
type Extracted struct {
	Method Extraction
	Text   string
}
