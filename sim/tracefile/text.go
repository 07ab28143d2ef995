package tracefile

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Filter says which lines are wanted. What is zero leaves out nothing.
type Filter struct {
	// Node: its own lines, and the frames that it sent.
	Node string
	// Service: its facts and beliefs, its timers, and frames of its methods.
	Service string
	// Object: facts that name it, and what is believed of it.
	Object string
	// From and To are moments; To is included.
	From, To time.Duration
	// All: also the steps of the simulator itself, such as tasks that go on.
	All bool
}

// quiet are the kinds that say little to whoever does not look for them.
var quiet = []string{KindStart, KindWake, KindTimer, KindFlush, "enter", "dial", "dialed", "closed"}

// quietFrames are those that keep a conn going.
var quietFrames = []string{"ask", "ack", "credit", "hello", "retire", "part", "drop", "decline"}

// Wants reports whether a line passes.
func (f *Filter) Wants(l *Line) bool {
	switch {
	case l.At < f.From || f.To > 0 && l.At > f.To:
		return false
	case !f.All && (slices.Contains(quiet, l.Kind) || l.What != "" && slices.Contains(quietFrames, l.What)):
		return false
	case f.Node != "" && l.Node != f.Node && !onLink(l.Name, f.Node):
		return false
	case f.Service != "" && l.Service != f.Service && !strings.HasPrefix(l.Method, f.Service+"/") && !(l.Kind == KindTimer && l.Name == f.Service):
		return false
	case f.Object != "" && !l.Names(f.Object):
		return false
	}
	return true
}

func onLink(label, node string) bool {
	from, to, is := strings.Cut(label, ">")
	return is && (from == node || to == node)
}

// Names reports whether a line says something of an object: a field that is text has it
// as its value, as a word of it or as the end of a path, or a service believes something
// of it.
func (l *Line) Names(object string) bool {
	return l.About == object || l.Kind == KindFact && l.Node == object ||
		l.Kind == KindFact && slices.ContainsFunc(l.Fields, func(f Field) bool {
			return f.Text && f.Value == object || f.Text && len(f.Value) > len(object) &&
				(strings.HasSuffix(f.Value, "/"+object) || slices.Contains(strings.Fields(f.Value), object))
		})
}

// Text is a line for people, without a newline.
func (l *Line) Text() string {
	who := fmt.Sprintf("%-12s %-10s", clockText(l.At), Printable(l.Node))
	switch l.Kind {
	case KindTrace:
		return "trace of format " + l.Get("version") + ", scenario " + Printable(l.Get("scenario")) + ", seed " + Printable(l.Get("seed"))
	case KindFact:
		return strings.TrimRight(fmt.Sprintf("%s %s %s%s  %s", who, Printable(l.Service), Printable(l.Name), l.fieldsText(), Printable(l.Source)), " ")
	case KindLog:
		return fmt.Sprintf("%s %s %s", who, Printable(l.Level), Printable(l.Name))
	case KindState:
		if l.Name == "" {
			return fmt.Sprintf("%s %s believes nothing of %s any more", who, Printable(l.Service), Printable(l.About))
		}
		return fmt.Sprintf("%s %s believes of %s: %s", who, Printable(l.Service), Printable(l.About), Printable(l.Name))
	case KindMissed:
		return fmt.Sprintf("%s the frame before is not heard: %s", who, Printable(l.Name))
	}
	e := Event{ID: l.ID, Cause: l.Cause, At: l.At, Kind: l.Kind, Node: l.Node, Name: l.Name, What: l.What, Method: l.Method}
	return fmt.Sprintf("%s %s  #%d after #%d", who, e.Says(), l.ID, l.Cause)
}

// Says is an event without its time and node.
func (e Event) Says() string {
	name := Printable(e.Name)
	switch e.Kind {
	case KindWorld:
		return strings.ToUpper(KindWorld) + " " + name
	case KindFrame, KindResend:
		from, to, _ := strings.Cut(name, ">")
		text := strings.TrimSpace(from + " -> " + to + "  " + strings.TrimSpace(Printable(e.What)+" "+Printable(e.Method)))
		if e.Kind == KindResend {
			text += " (it had waited)"
		}
		if e.Missed != "" {
			text += " (not heard)"
		}
		return text
	case KindWake:
		return "task " + name + " goes on"
	case KindStart, "enter":
		return "task " + name + " begins"
	case KindTimer:
		return "timer of " + name
	case KindFlush:
		return "the disk has written"
	}
	return strings.TrimSpace(e.Kind + " " + name)
}

func (l *Line) fieldsText() string {
	var out strings.Builder
	for _, f := range l.Fields {
		value := Printable(f.Shown())
		if value == "" || strings.ContainsRune(value, ' ') {
			value = fmt.Sprintf("%q", value)
		}
		out.WriteString(" " + Printable(f.Name) + "=" + value)
	}
	return out.String()
}

// clockText is a moment to the microsecond.
func clockText(at time.Duration) string {
	return fmt.Sprintf("%d.%06d", at/time.Second, at%time.Second/time.Microsecond)
}

// Printable is a text that cannot move the cursor of a terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// Show writes the lines that a filter wants: for people, or as they are in the file.
// It returns how many there are. That the trace knows nothing by a name of the filter is
// an [Unknown].
func Show(in io.Reader, out io.Writer, f Filter, raw bool) (shown int, err error) {
	r := NewReader(in)
	k := newKnown(f)
	var l Line
	for {
		if err := r.Next(&l); err == io.EOF {
			return shown, k.missing(r.Number())
		} else if err != nil {
			return shown, err
		}
		k.add(&l)
		if l.Kind == KindTrace && !raw || l.Kind != KindTrace && !f.Wants(&l) {
			continue
		}
		if l.Kind != KindTrace {
			shown++
		}
		if raw {
			_, err = out.Write(r.Raw())
		} else {
			_, err = fmt.Fprintln(out, l.Text())
		}
		if err != nil {
			return shown, err
		}
	}
}
