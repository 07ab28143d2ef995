package site

import (
	"fmt"
	"strings"
)

// Range is a Range field (RFC 9110, section 14.2) as net/http reads it, for a file of so many bytes; "" if it is to be ignored: of another unit than bytes, of several
// parts - the whole is as good an answer - or none at all.
func Range(field string, size int64) string {
	unit, set, found := strings.Cut(field, "=")
	first, last, ok := strings.Cut(strings.TrimSpace(set), "-")
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	switch {
	case !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || !ok || !digits(first) || !digits(last) || first+last == "":
		return ""
	case first == "" && strings.Trim(last, "0") == "": // the last 0 bytes are none
		return fmt.Sprintf("bytes=%d-", size)
	case first == "":
		return "bytes=-" + atMost(last, size)
	case last != "" && less(last, first):
		return ""
	}
	if last != "" {
		last = atMost(last, size)
	}
	if first = atMost(first, size); last != "" && less(last, first) {
		last = first // behind the end
	}
	return "bytes=" + first + "-" + last
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// less compares numbers of any length.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return len(a) < len(b) || len(a) == len(b) && a < b
}

// atMost is a number, and no more than size.
func atMost(n string, size int64) string {
	if most := fmt.Sprint(size); less(most, n) {
		return most
	}
	return n
}
