package reach

import (
	"errors"
	"strings"
)

// CheckName accepts the host names that are read alike everywhere: letters,
// digits, hyphens and underscores in labels, with a last label that is no
// number (WHATWG URL, "ends in a number checker"), since 0x7f.1, 017700000001
// and 2130706433 are addresses to some and names to others.
func CheckName(name string) error {
	if len(name) > 253 {
		return errors.New("a host name has at most 253 bytes")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return errors.New("the parts between its dots have 1 to 63 bytes, and no dot ends it")
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return errors.New("it has letters, digits, hyphens, underscores and dots")
		}
	}
	if last := labels[len(labels)-1]; isNumber(last) {
		return errors.New("write an address in its usual form, such as 192.0.2.1")
	}
	return nil
}

func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
