package httpapi

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"openmail"
)

// storable reports whether a text can be kept by every store: PostgreSQL takes
// neither U+0000 nor what is not UTF-8.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

const noStore = "A text holds U+0000 or is not UTF-8."

func notStorable(field string) error {
	return openmail.FieldErrorf(openmail.CodeBadRequest, field, noStore)
}

// storableURL checks the path and the query.
func storableURL(u *url.URL) error {
	if !storable(u.Path) {
		return noRoute()
	}
	query, _ := url.ParseQuery(u.RawQuery) // what is malformed its route refuses
	for name, values := range query {
		for _, v := range values {
			if !storable(v) {
				return notStorable(name)
			}
		}
	}
	return nil
}

// jsonFormat is huma's, but for texts that are not storable.
var jsonFormat = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}

// nulError is the field, of those of a body, that holds U+0000.
type nulError string

// nulIn is how huma is told of a nulError: it keeps only the words.
const nulIn = "U+0000 in "

func (field nulError) Error() string { return nulIn + string(field) }

// unmarshal is json.Unmarshal, which mends what is not UTF-8, without U+0000. The
// error is then a nulError.
func unmarshal(b []byte, v any) error {
	if bytes.Contains(b, []byte(`\u0000`)) {
		var all any
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
		if field, found := nul(all); found {
			return nulError(field)
		}
	}
	return json.Unmarshal(b, v)
}

// nul returns the field of a value that holds U+0000, "" for the value itself.
func nul(v any) (field string, found bool) {
	switch v := v.(type) {
	case string:
		return "", strings.ContainsRune(v, 0)
	case []any:
		for _, item := range v {
			if _, found = nul(item); found {
				return "", true
			}
		}
	case map[string]any:
		for name, item := range v {
			if strings.ContainsRune(name, 0) {
				return "", true
			}
			if _, found = nul(item); found {
				return name, true
			}
		}
	}
	return "", false
}
