package sandbox

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lineMax is what a line has at most, in bytes: a longer one is cut into several.
const lineMax = 4 << 10

// lines passes on what is written to it line by line, until it was more than room bytes: then over is called, once.
type lines struct {
	room  int64
	line  func(string)
	over  func()
	begun bytes.Buffer
}

// Write implements io.Writer. It takes all, whatever becomes of it, so that nobody who writes is held up.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	if l.room < 0 {
		return n, nil
	}
	if l.room -= int64(n); l.room < 0 {
		l.over()
		p = p[:max(0, int64(n)+l.room)]
	}
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part, ended := p, false
		if end >= 0 {
			part, ended = p[:end], true
		}
		if free := lineMax - l.begun.Len(); len(part) > free {
			part, ended = part[:free], false
			l.begun.Write(part)
			l.flush()
			p = p[len(part):]
			continue
		}
		l.begun.Write(part)
		p = p[len(part):]
		if ended {
			p = p[1:]
			l.flush()
		}
	}
	return n, nil
}

// flush passes on what was begun, even if it is empty.
func (l *lines) flush() {
	text := l.begun.String()
	l.begun.Reset()
	if l.line != nil {
		l.line(plain(text))
	}
}

// end passes on a last line that has no end.
func (l *lines) end() {
	if l.begun.Len() > 0 {
		l.flush()
	}
}

// plain is a text that does nothing to a terminal: no escape sequences, no other control characters but tabs, valid UTF-8.
func plain(text string) string {
	text = strings.TrimSuffix(text, "\r")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}
