package dreamland

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// terminal writes lines for people who look at a window: none is wider than that, and
// what is good or bad has a colour. What goes anywhere else is never changed.
type terminal struct {
	out     io.Writer
	columns func() int
	colours bool
	line    []byte // not ended yet
}

// narrowest is the width below which lines are not wrapped.
const narrowest = 20

// forPeople returns out, or, if file is a terminal, one that wraps and colours. end
// must be called at the end.
func forPeople(out io.Writer, file io.Writer) (w io.Writer, end func()) {
	f, is := file.(*os.File)
	if !is {
		return out, func() {}
	}
	if _, is := windowColumns(f); !is {
		return out, func() {}
	}
	t := &terminal{out: out, colours: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", columns: func() int {
		n, _ := windowColumns(f)
		return n
	}}
	return t, t.end
}

// Write implements io.Writer: a line is written when it is whole.
func (t *terminal) Write(data []byte) (int, error) {
	written := len(data)
	for {
		before, after, whole := bytes.Cut(data, []byte("\n"))
		t.line = append(t.line, before...)
		if !whole {
			return written, nil
		}
		if err := t.put("\n"); err != nil {
			return 0, err
		}
		data = after
	}
}

func (t *terminal) put(end string) error {
	text := wrapped(string(t.line), t.columns())
	if t.colours {
		text = coloured(text)
	}
	t.line = t.line[:0]
	_, err := io.WriteString(t.out, text+end)
	return err
}

func (t *terminal) end() {
	if len(t.line) > 0 {
		_ = t.put("") // the writer below remembers that it failed
	}
}

// asIs are lines that are for copying, or for machines.
var asIs = regexp.MustCompile(`^(digest   |replay   |  replay: |run it: |\{|\[)`)

// wrapped breaks a line between words; what goes on begins below the last column that
// begins in the left half.
func wrapped(line string, columns int) string {
	if columns < narrowest || utf8.RuneCountInString(line) <= columns || asIs.MatchString(line) {
		return line
	}
	indent := strings.Repeat(" ", hanging(line, columns))
	body := strings.TrimLeft(line, " ")
	out := strings.Builder{}
	at, begun := min(len(line)-len(body), columns/2), false
	out.WriteString(line[:at])
	for len(body) > 0 {
		gap := len(body) - len(strings.TrimLeft(body, " "))
		word, rest := body[:gap], body[gap:]
		end := strings.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		word += rest[:end]
		body = rest[end:]
		size := utf8.RuneCountInString(word)
		if begun && at+size > columns {
			out.WriteString("\n" + indent)
			word = word[gap:]
			at, size = len(indent), size-gap
		}
		out.WriteString(word)
		at, begun = at+size, true
	}
	return out.String()
}

// hanging is by how much the second line is indented.
func hanging(line string, columns int) int {
	indent := len(line) - len(strings.TrimLeft(line, " ")) + 2
	runes := []rune(line)
	for i := 2; i < len(runes) && i <= columns/2; i++ {
		if runes[i] != ' ' && runes[i-1] == ' ' && runes[i-2] == ' ' {
			indent = max(indent, i)
		}
	}
	return min(indent, columns/2)
}

// colours are of the first group of what they match.
var colours = []struct {
	of   *regexp.Regexp
	code string
}{
	{regexp.MustCompile(`(?m)\b(FAILED)\b`), "1;31"},
	{regexp.MustCompile(`(?m)^verdict  (failed.*|.*held, [^\n]*)$`), "1"},
	{regexp.MustCompile(`(?m)^(?:verdict)?  (held)\b`), "32"},
	{regexp.MustCompile(`^(held)  `), "32"},
	{regexp.MustCompile(`(?m)^  (unproven|not asked)\b`), "33"},
	{regexp.MustCompile(`(?m)^  [0-9.hms]+ +(FAULT)\b`), "33"},
	{regexp.MustCompile(`^(expectations|exercised|faults|figures|took longest|the story of .*|how it came to this:|what was believed at the end|what was not heard|who had last heard|what if)`), "1"},
}

func coloured(text string) string {
	for _, c := range colours {
		at := c.of.FindStringSubmatchIndex(text)
		if at == nil || strings.Contains(text[at[2]:at[3]], "\x1b") {
			continue
		}
		text = text[:at[2]] + "\x1b[" + c.code + "m" + text[at[2]:at[3]] + "\x1b[0m" + text[at[3]:]
	}
	return text
}
