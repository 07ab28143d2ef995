package tracefile

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// number is 0 for what is none.
func number(value []byte) int64 {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// scanner takes JSON off the front; bad is sticky.
type scanner struct {
	rest []byte
	bad  bool
}

// object calls each for the members of an object. The value of one that is an object
// itself is "{", and each must take it with object.
func (s *scanner) object(each func(name string, value []byte, text bool)) {
	if s.take('{'); s.peek('}') {
		s.take('}')
		return
	}
	for !s.bad {
		name := s.text()
		s.take(':')
		switch {
		case s.bad:
		case s.peek('"'):
			each(string(name), s.text(), true)
		case s.peek('{'):
			each(string(name), s.rest[:1], false)
		default:
			each(string(name), s.word(), false)
		}
		if s.peek('}') {
			s.take('}')
			return
		}
		s.take(',')
	}
}

func (s *scanner) peek(c byte) bool {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
	return len(s.rest) > 0 && s.rest[0] == c
}

func (s *scanner) take(c byte) {
	if s.bad || !s.peek(c) {
		s.bad = true
		return
	}
	s.rest = s.rest[1:]
}

// word is a number, true, false or null.
func (s *scanner) word() []byte {
	n := 0
	for n < len(s.rest) && s.rest[n] != ',' && s.rest[n] != '}' && s.rest[n] != ' ' {
		n++
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	s.bad = s.bad || !json.Valid(word) || word[0] == '['
	return word
}

func (s *scanner) unescaped(raw []byte) []byte {
	var text string
	if json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &text) != nil {
		s.bad = true
	}
	return []byte(text)
}

// text is a string without its quotes.
func (s *scanner) text() []byte {
	s.take('"')
	for i := 0; i < len(s.rest) && !s.bad; i++ {
		switch c := s.rest[i]; {
		case c < ' ':
			s.bad = true
		case c == '\\':
			i++
		case c == '"':
			raw := s.rest[:i]
			s.rest = s.rest[i+1:]
			if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
				return raw
			}
			return s.unescaped(raw)
		}
	}
	s.bad = true
	return nil
}
