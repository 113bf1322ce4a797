package mime

import (
	"strconv"
	"strings"
	"time"
)

// parseDate reads a date as mails have it (RFC 5322 section 3.3), and nearly
// so: without a weekday, with a month's full name, a year of two digits, the
// order of C's asctime, dashes for blanks, no seconds, no zone; and as RFC
// 3339. The time is in UTC; an unknown zone is taken as UTC.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 10 && s[4] == '-' && s[7] == '-' {
		t, err := time.Parse(time.RFC3339, s)
		return inRange(t.UTC(), err == nil)
	}
	d := dateParts{day: -1, year: -1, hour: -1}
	for s != "" {
		var token string
		token, s = dateToken(s)
		if token != "" && !d.take(token) {
			return time.Time{}, false
		}
	}
	if d.day < 1 || d.day > 31 || d.month == 0 || d.year < 0 {
		return time.Time{}, false
	}
	hour := max(d.hour, 0)
	t := time.Date(d.year, d.month, d.day, hour, d.minute, d.second, 0, time.UTC).Add(-d.offset)
	return inRange(t, true)
}

// inRange refuses the years that no mail can be of.
func inRange(t time.Time, ok bool) (time.Time, bool) {
	if !ok || t.Year() < 1900 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// dateToken cuts the next word off s; a comment counts as none.
func dateToken(s string) (token, rest string) {
	s = strings.TrimLeft(s, " \t,.;")
	if strings.HasPrefix(s, "(") {
		_, rest, _ = strings.Cut(s, ")")
		return "", rest
	}
	i := 0
	for i < len(s) && !strings.ContainsRune(" \t,;(", rune(s[i])) && (i == 0 || s[i] != '+' && s[i] != '-') {
		i++
	}
	// 01-Jan-2006: a dash between words is no sign.
	if len(s) > 1 && s[0] == '-' && (!isDigits(s[1:i]) || i != 5) {
		return s[1:i], s[i:]
	}
	return s[:i], s[i:]
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// dateParts are the parts of a date found so far.
type dateParts struct {
	day, year            int // -1 until found
	month                time.Month
	hour, minute, second int // hour is -1 until found
	offset               time.Duration
}

// take puts a word where it belongs. It is false for a number that belongs
// nowhere.
func (d *dateParts) take(w string) bool {
	switch {
	case w[0] == '+' || w[0] == '-':
		return d.zone(w)
	case strings.IndexByte(w, ':') > 0:
		return d.clock(w)
	case isDigits(w):
		return d.number(w)
	}
	if m := monthOf(w); m != 0 && d.month == 0 {
		d.month = m
	} else {
		d.offset += namedZone(w)
	}
	return true
}

func (d *dateParts) number(w string) bool {
	n, err := strconv.Atoi(w)
	if err != nil {
		return false
	}
	switch {
	case d.day < 0 && len(w) <= 2:
		d.day = n
	case d.year < 0 && len(w) <= 4:
		d.year = fullYear(n, len(w))
	default:
		return false
	}
	return true
}

// fullYear reads the years of RFC 5322 section 4.3.
func fullYear(n, digits int) int {
	switch {
	case digits == 3, digits == 2 && n >= 50:
		return n + 1900
	case digits <= 2:
		return n + 2000
	}
	return n
}

func (d *dateParts) clock(w string) bool {
	for i, part := range strings.SplitN(w, ":", 3) {
		part, _, _ = strings.Cut(part, ".")
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 60 || i == 0 && n > 24 {
			return false
		}
		*[]*int{&d.hour, &d.minute, &d.second}[i] = n
	}
	return true
}

func (d *dateParts) zone(w string) bool {
	if d.hour < 0 && d.year < 0 { // 23-November-2026
		return isDigits(w[1:]) && d.number(w[1:])
	}
	digits := strings.ReplaceAll(w[1:], ":", "")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		return w == "-" || w == "+"
	}
	if n > 1459 || n%100 > 59 {
		return true // senseless: UTC
	}
	d.offset = time.Duration(n/100)*time.Hour + time.Duration(n%100)*time.Minute
	if w[0] == '-' {
		d.offset = -d.offset
	}
	return true
}

func monthOf(w string) time.Month {
	if len(w) < 3 {
		return 0
	}
	for m := time.January; m <= time.December; m++ {
		if strings.EqualFold(m.String()[:3], w[:3]) {
			return m
		}
	}
	return 0
}

// namedZone is the offset of the zones of RFC 5322 section 4.3.
func namedZone(w string) time.Duration {
	switch strings.ToUpper(w) {
	case "EDT":
		return -4 * time.Hour
	case "EST", "CDT":
		return -5 * time.Hour
	case "CST", "MDT":
		return -6 * time.Hour
	case "MST", "PDT":
		return -7 * time.Hour
	case "PST":
		return -8 * time.Hour
	case "BST", "CET", "MET":
		return time.Hour
	case "CEST", "MEST", "EET":
		return 2 * time.Hour
	case "JST":
		return 9 * time.Hour
	}
	return 0
}
