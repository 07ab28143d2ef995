package tracefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// diffContext is how many lines are shown before the first that differs, and of
	// each trace from there on.
	diffContext = 6
	// diffChain is how many causes are shown of a line that differs.
	diffChain = 12
)

// Difference is where two traces part.
type Difference struct {
	// Line is the number of the first line that differs, from 1; 0: none does.
	Line int
	// Before are the lines before it, in both traces; A and B what follows in each,
	// nothing where a trace has ended.
	Before, A, B []string
	// CausesA and CausesB are the events that led to the first of A and B, the last
	// first.
	CausesA, CausesB []Event
}

// side is one of two traces that are compared.
type side struct {
	reader  *Reader
	history *History
	line    Line
	ended   bool
}

func newSide(in io.Reader) *side { return &side{reader: NewReader(in), history: NewHistory()} }

// next reads the next line that counts; what does not is no difference.
func (s *side) next() error {
	for {
		err := s.reader.Next(&s.line)
		if err == io.EOF {
			s.ended = true
			return nil
		} else if err != nil {
			return err
		}
		s.history.Add(&s.line)
		if s.line.Kind == KindTrace || Canonical(s.reader.Raw()) != nil {
			return nil
		}
	}
}

// empty is an error if the trace has no line.
func (s *side) empty() error {
	if s.ended && s.reader.Number() == 0 {
		return ErrEmpty
	}
	return nil
}

// canonical is what is compared: of the first line all of it.
func (s *side) canonical() []byte {
	switch {
	case s.ended:
		return nil
	case s.line.Kind == KindTrace:
		return s.reader.Raw()
	}
	return Canonical(s.reader.Raw())
}

// Diff finds the first line that differs, of what counts for the digest.
func Diff(inA, inB io.Reader) (Difference, error) {
	a, b := newSide(inA), newSide(inB)
	var before []string
	for {
		if err := errors.Join(named("the first trace", a.next()), named("the second trace", b.next())); err != nil {
			return Difference{}, err
		}
		if err := errors.Join(named("the first trace", a.empty()), named("the second trace", b.empty())); err != nil {
			return Difference{}, err
		}
		if !bytes.Equal(a.canonical(), b.canonical()) {
			break
		}
		if a.ended {
			return Difference{}, nil
		}
		if before = append(before, a.line.Text()); len(before) > diffContext {
			before = before[1:]
		}
	}
	d := Difference{Line: max(a.reader.Number(), b.reader.Number()), Before: before}
	var err, errToo error
	d.CausesA, d.CausesB = a.causes(), b.causes()
	d.A, err = a.rest()
	d.B, errToo = b.rest()
	return d, errors.Join(named("the first trace", err), named("the second trace", errToo))
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// causes are those of the line: what led to an event, and the event in whose turn
// anything else came.
func (s *side) causes() []Event {
	if s.ended || s.line.Kind == KindTrace {
		return nil
	}
	id := s.line.ID
	if s.line.Kind != KindFact && s.line.Kind != KindLog && s.line.Kind != KindMissed {
		id = s.line.Cause
	}
	return s.history.Chain(id, diffChain)
}

func (s *side) rest() (lines []string, err error) {
	for !s.ended && len(lines) < diffContext {
		lines = append(lines, s.line.Text())
		if err := s.next(); err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// Write says for people where two traces part, and what led to it.
func (d *Difference) Write(out io.Writer) {
	if d.Line == 0 {
		fmt.Fprintln(out, "the traces are equal")
		return
	}
	fmt.Fprintf(out, "the traces differ from line %d on\n", d.Line)
	for _, l := range d.Before {
		fmt.Fprintln(out, "  both   ", l)
	}
	for _, side := range []struct {
		name   string
		lines  []string
		causes []Event
	}{{"first ", d.A, d.CausesA}, {"second", d.B, d.CausesB}} {
		for _, l := range side.lines {
			fmt.Fprintf(out, "  %s  %s\n", side.name, l)
		}
		if len(side.lines) < diffContext {
			fmt.Fprintf(out, "  %s  (the trace ends)\n", side.name)
		}
		if len(side.causes) > 0 {
			fmt.Fprintf(out, "  what led to the first of these lines\n")
		}
		for _, e := range side.causes {
			fmt.Fprintf(out, "    #%-7d %-12s %-10s %s\n", e.ID, clockText(e.At), Printable(e.Node), e.Says())
		}
	}
}
