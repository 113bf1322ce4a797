package mime

import "openmail"

// The defects that Read lists. Each is listed once, however often it occurs.
// Beside them stands "duplicate_" with a field's name, such as duplicate_from,
// for a field that RFC 5322 section 3.6 allows once.
const (
	defectMissingFrom      openmail.Defect = "missing_from"
	defectMissingDate      openmail.Defect = "missing_date"
	defectInvalidDate      openmail.Defect = "invalid_date"
	defectInvalidAddress   openmail.Defect = "invalid_address"
	defectInvalidMessageID openmail.Defect = "invalid_message_id"
	defectJunkHeader       openmail.Defect = "junk_header_line"
	defectMissingBlank     openmail.Defect = "missing_blank_line"
	defectInvalidWord      openmail.Defect = "invalid_encoded_word"
	defectInvalidType      openmail.Defect = "invalid_content_type"

	defectMissingBoundary   openmail.Defect = "missing_boundary"
	defectBoundaryNotFound  openmail.Defect = "boundary_not_found"
	defectUnclosedMultipart openmail.Defect = "unclosed_multipart"

	defectUnknownEncoding openmail.Defect = "unknown_transfer_encoding"
	defectInvalidBase64   openmail.Defect = "invalid_base64"
	defectInvalidQuoted   openmail.Defect = "invalid_quoted_printable"
	defectUnknownCharset  openmail.Defect = "unknown_charset"
	defectGuessedCharset  openmail.Defect = "undeclared_charset"
	defectInvalidChars    openmail.Defect = "invalid_characters"

	// These go with Content.Partial.
	defectHeaderTooLarge openmail.Defect = "header_too_large"
	defectTooManyFields  openmail.Defect = "too_many_header_fields"
	defectTooManyAddrs   openmail.Defect = "too_many_addresses"
	defectTooDeep        openmail.Defect = "nested_too_deep"
	defectTooManyParts   openmail.Defect = "too_many_parts"
	defectTextTooLarge   openmail.Defect = "text_too_large"
)
