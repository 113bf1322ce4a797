package mime

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// SafeFilename makes a name that a sender chose safe as one segment of a path
// on every system: the last part of a path, without control, direction and
// invisible characters, without what Windows refuses, never "." or "..", and
// of 200 bytes at most with its extension kept. A name of which nothing is
// left gives way to a default for the content type.
func SafeFilename(name, contentType string) string {
	name = norm.NFC.String(cutString(name, maxLine))
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(safeRune, name)
	name = strings.Join(strings.Fields(name), " ")
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	if name == "" {
		return defaultName(contentType)
	}
	if reserved(name) {
		name = "_" + name
	}
	return shorten(name, "")
}

// safeRune drops a character, replaces it by "_", or keeps it.
func safeRune(c rune) rune {
	switch {
	case unicode.IsSpace(c):
		return ' '
	case unicode.Is(unicode.C, c), invisible(c), c == unicode.ReplacementChar:
		return -1
	case strings.ContainsRune(`<>:"|?*`, c):
		return '_'
	}
	return c
}

// reserved reports whether Windows takes a name for a device.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	stem = strings.TrimSpace(stem)
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	rest, com := strings.CutPrefix(stem, "COM")
	if !com {
		rest, com = strings.CutPrefix(stem, "LPT")
	}
	return com && len([]rune(rest)) == 1 && strings.Contains("0123456789¹²³", rest)
}

// shorten cuts a name to maxFilename bytes; its extension and the suffix put
// before that stay.
func shorten(name, suffix string) string {
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 20 {
		stem, ext = name[:i], name[i:]
	}
	stem = cutString(stem, maxFilename-len(suffix)-len(ext))
	return strings.TrimRight(stem, " ") + suffix + ext
}

// defaultName names a file of which only the type is known.
func defaultName(contentType string) string {
	switch contentType {
	case "message/rfc822", "message/global", "message/partial":
		return "message.eml"
	case "message/delivery-status":
		return "delivery-status.txt"
	case "text/rfc822-headers":
		return "headers.txt"
	case "text/calendar":
		return "invite.ics"
	case "text/plain":
		return "attachment.txt"
	case "application/ms-tnef", "application/vnd.ms-tnef":
		return "winmail.dat"
	case "application/pgp-signature":
		return "signature.asc"
	case "application/pkcs7-signature", "application/x-pkcs7-signature":
		return "smime.p7s"
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		return "smime.p7m"
	case "application/octet-stream":
		return "attachment.bin"
	case "image/jpeg":
		return "image.jpg"
	case "image/svg+xml":
		return "image.svg"
	case "application/pdf", "application/zip", "application/json", "application/xml",
		"text/html", "text/csv", "text/xml", "image/png", "image/gif", "image/webp", "image/tiff", "image/bmp":
		kind, ext, _ := strings.Cut(contentType, "/")
		if kind == "image" {
			return "image." + ext
		}
		return "attachment." + ext
	}
	return "attachment"
}

// names makes the names of one mail's files unique, also where case does not
// count.
type names struct {
	taken map[string]bool
	next  map[string]int // by name, the number to try next
}

func (n *names) unique(name string) string {
	if n.taken == nil {
		n.taken, n.next = map[string]bool{}, map[string]int{}
	}
	key := strings.ToLower(name)
	free := name
	for n.taken[strings.ToLower(free)] {
		n.next[key]++
		free = shorten(name, fmt.Sprintf(" (%d)", n.next[key]))
	}
	n.taken[strings.ToLower(free)] = true
	return free
}
