package tracefile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Line is one line of a trace. What a kind has not is zero.
type Line struct {
	// At is virtual time.
	At   time.Duration
	Kind string
	// Node whose line it is, "" for the world.
	Node, Service string
	// Name is what the line says: the name of a fact, the label of an event, the text
	// of a warning, what a state says.
	Name string
	// About is what a state is about.
	About string
	// Level is that of a warning.
	Level string
	// Fields are those of a fact, in the order in which they were given; of the first
	// line, all that it has.
	Fields []Field
	// Size is that of a frame, in bytes.
	Size int
	// ID is the number of the event that goes on, Cause that of the event in whose turn
	// this one was caused; 0 is before the first.
	ID, Cause uint64
	// Source is where in the code a fact was reported, "file:line".
	Source string
	// What a frame is ("request", "response", "note", ...), of which method, and the
	// number that requests and their responses share.
	What, Method string
	Call         uint64
}

// Field is a value of a fact as text. Text: it was one, and no number and no truth value.
type Field struct {
	Name, Value string
	Text        bool
}

// durations are the fields that hold one by convention, in nanoseconds as all do in a trace.
var durations = []string{"for", "took"}

// Shown is the value for people: a duration with its units, 24h0m0s.
func (f Field) Shown() string {
	if f.Text || !slices.Contains(durations, f.Name) {
		return f.Value
	}
	nanos, err := strconv.ParseInt(f.Value, 10, 64)
	if err != nil {
		return f.Value
	}
	return time.Duration(nanos).String()
}

// Get is the value of a field, "" if there is none.
func (l *Line) Get(name string) string {
	for _, f := range l.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// lineLenMax bounds a line, in bytes.
const lineLenMax = 16 << 20

// Reader reads a trace line by line.
type Reader struct {
	in     *bufio.Reader
	raw    []byte
	number int
	names  map[string]string // those that come again and again
}

// NewReader returns a reader of a trace.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 1<<20), names: map[string]string{}}
}

// Number is that of the line that was read last, from 1.
func (r *Reader) Number() int { return r.number }

// Raw is the line that was read last, with its newline; it is valid until the next.
func (r *Reader) Raw() []byte { return r.raw }

// Next reads the next line into l, io.EOF after the last. The first line must name a
// version that this package knows. What is unknown in a line is skipped.
func (r *Reader) Next(l *Line) error {
	if err := r.read(); err != nil {
		return err
	}
	*l = Line{}
	if r.cut() {
		return &Cut{Line: r.number}
	}
	if err := r.parse(l); err != nil {
		return fmt.Errorf("line %d of the trace: %w", r.number, err)
	}
	if r.number > 1 {
		return nil
	}
	if version := l.Get("version"); l.Kind != KindTrace || version != strconv.Itoa(Version) {
		return fmt.Errorf("line 1 of the trace: expected {\"t\":0,\"k\":\"trace\",\"version\":%d,...}, as dreamland sim --trace writes it", Version)
	}
	return nil
}

// Cut is that a trace ends before its last line does, as that of a run that was killed: the
// lines before are whole.
type Cut struct{ Line int }

// Error implements error.
func (c *Cut) Error() string {
	return fmt.Sprintf("the trace ends in the middle of line %d: its run was killed, or only a part of the file is here", c.Line)
}

// cut reports whether the line has no end: what is left of a window that the run had not
// filled is zeros.
func (r *Reader) cut() bool {
	if bytes.HasSuffix(r.raw, []byte("\n")) {
		return false
	}
	line := bytes.TrimRight(r.raw, "\x00")
	if len(line) < len(r.raw) || r.number == 1 {
		return len(line) < len(r.raw)
	}
	err := json.NewDecoder(bytes.NewReader(line)).Decode(&json.RawMessage{})
	return errors.Is(err, io.ErrUnexpectedEOF) // anything else is wrong in another way
}

func (r *Reader) read() error {
	r.raw = r.raw[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.raw = append(r.raw, part...)
		switch {
		case len(r.raw) > lineLenMax:
			return fmt.Errorf("line %d of the trace has more than %d bytes", r.number+1, lineLenMax)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && len(r.raw) == 0:
			return err
		case err != nil && err != io.EOF:
			return err
		}
		r.number++
		return nil
	}
}

// parse reads an object of texts, numbers, truth values and objects of such.
func (r *Reader) parse(l *Line) error {
	s := scanner{rest: bytes.TrimRight(r.raw, "\r\n")}
	s.object(func(name string, value []byte, text bool) {
		if string(value) == "{" && !text {
			s.object(func(inner string, value []byte, text bool) {
				if !text && len(value) == 1 && value[0] == '{' {
					s.bad = true // nothing is nested deeper
				}
				r.inner(l, name, inner, value, text)
			})
			return
		}
		r.set(l, name, value)
	})
	if s.bad || len(s.rest) > 0 {
		return errors.New("expected one JSON object, without lists, and at most one object deep")
	}
	return nil
}

func (r *Reader) set(l *Line, name string, value []byte) {
	switch name {
	case "t":
		l.At = time.Duration(number(value))
	case "k":
		l.Kind = r.name(value)
	case "n":
		l.Node = r.name(value)
	case "s":
		l.Service = r.name(value)
	case "l", "f":
		l.Name = r.name(value)
	case "msg", "says":
		l.Name = string(value)
	case "about":
		l.About = r.name(value)
	case "level":
		l.Level = r.name(value)
	case "size":
		l.Size = int(number(value))
	case "version", "scenario", "seed":
		l.Fields = append(l.Fields, Field{Name: name, Value: string(value)})
	}
}

func (r *Reader) inner(l *Line, of, name string, value []byte, text bool) {
	if of == "v" {
		l.Fields = append(l.Fields, Field{r.name([]byte(name)), r.name(value), text})
	}
	if of != "x" {
		return
	}
	switch name {
	case "id":
		l.ID = uint64(number(value))
	case "cause":
		l.Cause = uint64(number(value))
	case "call":
		l.Call = uint64(number(value))
	case "src":
		l.Source = r.name(value)
	case "what":
		l.What = r.name(value)
	case "method":
		l.Method = r.name(value)
	}
}

const (
	nameLenMax = 64
	namesMax   = 1 << 16
)

// name is a text of which there is one in memory if it is short.
func (r *Reader) name(value []byte) string {
	if known, found := r.names[string(value)]; found {
		return known
	}
	text := string(value)
	if len(text) <= nameLenMax && len(r.names) < namesMax {
		r.names[text] = text
	}
	return text
}
