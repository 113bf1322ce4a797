package mailbox

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"openmail"
)

// checkText checks a text that a person reads and that may end in a header: at
// most limit characters, none of them a control character or a line break.
func checkText(field, text string, limit int) error {
	switch {
	case !utf8.ValidString(text):
		return openmail.FieldErrorf(openmail.CodeBadRequest, field, "%s is not valid UTF-8.", field)
	case utf8.RuneCountInString(text) > limit:
		return openmail.FieldErrorf(openmail.CodeBadRequest, field, "%s has at most %d characters.", field, limit)
	case strings.ContainsFunc(text, breaksLine):
		return openmail.FieldErrorf(openmail.CodeBadRequest, field, "%s has no control characters or line breaks.", field)
	}
	return nil
}

func breaksLine(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp)
}
