package storage

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Key is a slash-separated path such as "/jobs/0001/claim". Build it with K.
type Key string

// K joins parts to a Key; each part is escaped, so that a part may hold any
// text, also a slash, and still be one path element. Order of keys is order of
// the escaped bytes, with the separator before everything else. A key is always UTF-8.
func K(parts ...string) Key {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(escapePart(p))
	}
	return Key(b.String())
}

// Parts is the inverse of K.
func (k Key) Parts() []string {
	if len(k) <= 1 {
		return nil
	}
	parts := strings.Split(string(k[1:]), "/")
	for i, p := range parts {
		parts[i] = unescapePart(p)
	}
	return parts
}

// Has reports whether k is prefix or lies below it: "/a/b" has "/a", not "/a/bc".
// Every key has "" and "/".
func (k Key) Has(prefix Key) bool {
	n := len(prefix)
	switch {
	case n == 0 || prefix == "/":
		return true
	case len(k) == n:
		return k == prefix
	default:
		return len(k) > n && k[n] == '/' && k[:n] == prefix
	}
}

// Compare is the order of keys: by part, so that a key is followed by the keys
// below it and then by its siblings.
func (k Key) Compare(other Key) int { return CompareKeys(string(k), string(other)) }

// CompareKeys is Key.Compare of the texts of two keys.
func CompareKeys(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		if b[i] != '/' && (a[i] == '/' || a[i] < b[i]) {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// MustBeKey panics for a key that K cannot have built: datastores would silently normalise it to
// another key.
func MustBeKey(k Key) {
	if !IsKey(string(k)) {
		panic(fmt.Sprintf("storage: %q is not a key: build it with K", string(k)))
	}
}

// IsKey reports whether K can have built a text.
func IsKey(s string) bool {
	if s == "" || s[0] != '/' || !utf8.ValidString(s) {
		return false
	}
	start := 1
	for i := 1; i <= len(s); i++ {
		if i < len(s) && s[i] != '/' {
			continue
		}
		if part := s[start:i]; part == "" || part == "." || part == ".." {
			return false
		}
		start = i + 1
	}
	return true
}

// An escaped byte is '%' and two hex digits; an empty part is a lone '%'.
const (
	escape    = '%'
	hexDigits = "0123456789ABCDEF"
)

func escapePart(p string) string {
	switch p {
	case "":
		return "%"
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	noUTF8 := !utf8.ValidString(p)
	if strings.IndexFunc(p, isEscaped) < 0 && !noUTF8 {
		return p
	}
	var b strings.Builder
	for i := range len(p) {
		if c := p[i]; isEscaped(rune(c)) || noUTF8 && c >= utf8.RuneSelf {
			b.Write([]byte{escape, hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isEscaped(c rune) bool { return c <= ' ' || c == '/' || c == escape || c == 0x7f }

// unescapePart keeps anything that is not an escape.
func unescapePart(p string) string {
	if strings.IndexByte(p, escape) < 0 {
		return p
	}
	if p == "%" {
		return ""
	}
	b := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if p[i] == escape && i+2 < len(p) {
			hi, lo := strings.IndexByte(hexDigits, p[i+1]), strings.IndexByte(hexDigits, p[i+2])
			if hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, p[i])
	}
	return string(b)
}
