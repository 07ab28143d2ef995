package yamltree

import (
	"fmt"
	"strings"
	"unicode"
)

// Error is one error in a file, with a hint.
type Error struct {
	File      string
	Line, Col int // from 1
	What      string
	Hint      string
	// Source is the line of the file, "" if it is not to be shown.
	Source string
}

// Error is "file:line:col: what", then the line with a caret below the column if there is one, and the
// hint on a line of its own.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", strings.Map(seen, e.File), e.Line, e.Col, e.What)
	if e.Source != "" {
		text += "\n" + excerpt(e.Source, e.Col)
	}
	if e.Hint != "" {
		text += "\n    hint: " + e.Hint
	}
	return text
}

// Of a line as much is shown as fits: excerptMax runes, the column among them, excerptBefore before it if there is
// more than that.
const excerptMax, excerptBefore = 100, 60

// seen is a character as it is shown: a space for what would do something to a terminal, or to the order of what stands around it.
func seen(r rune) rune {
	if control(r) || turns(r) {
		return ' '
	}
	return r
}

// control reports whether a character is a control, of ASCII or of what came after it.
func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// turns reports whether a character changes the direction of writing: a text with one does not say what it shows.
func turns(r rune) bool {
	return unicode.Is(unicode.Bidi_Control, r) && r != 0x200e && r != 0x200f && r != 0x061c
}

// excerpt is a line and below it a caret at a column, both indented.
func excerpt(line string, col int) string {
	runes, col := []rune(strings.TrimRight(line, "\r\n")), col-1
	col = min(max(col, 0), len(runes))
	start := 0
	if len(runes) > excerptMax {
		start = max(0, col-excerptBefore)
	}
	runes, col = runes[start:min(len(runes), start+excerptMax)], col-start
	return "    | " + strings.Map(seen, string(runes)) + "\n    | " + strings.Repeat(" ", col) + "^"
}

// Errors are all errors of a file, or of several, in order.
type Errors []*Error

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
