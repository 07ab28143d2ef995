package scenario

import (
	"fmt"
	"strings"
)

// Error is one error in a scenario file, with a hint.
type Error struct {
	File      string
	Line, Col int // from 1
	What      string
	Hint      string
}

// Error is "file:line:col: what", and the hint on a line of its own.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.What)
	if e.Hint != "" {
		text += "\n    hint: " + e.Hint
	}
	return text
}

// Errors are all errors that Parse found, in the order of the file.
type Errors []*Error

const (
	// errorsMax is how many errors of one file are reported: the first ones.
	errorsMax = 20
	// errorsKept bounds how many are found, so that the first ones can be told.
	errorsKept = 10_000
)

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each error to errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// textMax bounds the text that a message quotes from the file.
const textMax = 60

// quote makes any text of a file printable in a message.
func quote(s string) string {
	runes := []rune(s)
	if len(runes) > textMax {
		s = string(runes[:textMax]) + "..."
	}
	return fmt.Sprintf("%q", s)
}
