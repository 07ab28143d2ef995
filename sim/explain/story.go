package explain

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/tracefile"
)

// Story is what happened to one object.
type Story struct {
	// Object is its id, Field what the facts call it: "job".
	Object, Field string
	// Nodes are those that reported something of it, in that order.
	Nodes []string
	// Verdict, if not empty, ends the story.
	Verdict string

	rows       []row
	began      bool
	begin, end time.Duration
	trace      *Trace
	// differ has for each field how many facts of the object have it, all with one value; -1 else.
	differ map[string]int
}

// row is a line of the story; more is how many equal ones follow it, the last of them at last.
type row struct {
	tracefile.Line
	fault bool
	more  int
	last  time.Duration
}

var (
	words = regexp.MustCompile(`[\w-]{4,}`)
	// nodeWords are words that may be names of nodes: short ones with a digit, t-2, which no
	// word of a sentence has.
	nodeWords = regexp.MustCompile(`[\w-]{4,}|[\w-]*[0-9][\w-]*`)
)

// ObjectOf finds the object that sentences are about: the longest word that is the value of a
// fact's field and no node, else the node that is named first. A number is no object, whatever
// facts count. "" if there is none.
func (t *Trace) ObjectOf(sentences ...string) string {
	candidates := map[string]bool{}
	for _, s := range sentences {
		for _, w := range words.FindAllString(s, -1) {
			candidates[w] = false
		}
	}
	nodes := map[string]bool{}
	for i := range t.lines {
		l := &t.lines[i]
		nodes[l.Node] = true
		for _, f := range l.Fields {
			if _, found := candidates[f.Value]; found && f.Text && l.Kind == tracefile.KindFact {
				candidates[f.Value] = true
			}
		}
	}
	best := ""
	for _, w := range slices.Sorted(maps.Keys(candidates)) {
		switch {
		case candidates[w] && !nodes[w] && strings.ContainsAny(w, "0123456789") && len(w) > len(best):
			best = w
		}
	}
	if best != "" {
		return best
	}
	for _, w := range nodeWords.FindAllString(strings.Join(sentences, " "), -1) {
		if nodes[w] {
			return w
		}
	}
	return ""
}

// IDs are what facts of the run are about, in order: nodes, and the values of fields that
// look like an id.
func (t *Trace) IDs() []string {
	ids := map[string]bool{}
	for i := range t.lines {
		l := &t.lines[i]
		if l.Kind != tracefile.KindFact {
			continue
		}
		ids[l.Node] = true
		for _, f := range l.Fields {
			if f.Text && strings.ContainsAny(f.Value, "0123456789") && !strings.ContainsAny(f.Value, " /") {
				ids[f.Value] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// Tell tells the story of an object until the end of a run, with the faults of the
// run that could concern it.
func (t *Trace) Tell(object string, end time.Duration, faults []fault.Fault) *Story {
	s := &Story{Object: object, end: end, trace: t}
	s.meet()
	wanted := map[string]bool{}
	for _, f := range faults {
		if fault.Concerns(f, s.Nodes) {
			wanted[f.String()] = true
		}
	}
	for i := range t.lines {
		l := &t.lines[i]
		if !s.began && s.about(l) {
			s.began, s.begin = true, l.At
			s.forget()
		}
		switch {
		case s.about(l), l.Kind == tracefile.KindLog && slices.Contains(s.Nodes, l.Node),
			l.Kind == tracefile.KindFact && (l.Service == "node" || l.Name == failpointActs) && slices.Contains(s.Nodes, l.Node):
			s.add(row{Line: *l})
		case l.Kind == tracefile.KindWorld && (wanted[strings.TrimPrefix(l.Name, "end: ")] || l.Name == "heal everything"):
			if !s.began { // forget tells them apart
				s.rows = append(s.rows, row{Line: *l, fault: true})
				continue
			}
			s.add(row{Line: *l, fault: true})
		}
	}
	return s
}

// failpointActs is the fact that a failpoint does something on a node.
const failpointActs = "failpoint"

// Known reports whether a fact of the run names the object.
func (s *Story) Known() bool { return s.began }

// about reports whether a line is a fact of the object.
func (s *Story) about(l *tracefile.Line) bool {
	return l.Kind == tracefile.KindFact && l.Names(s.Object)
}

// meet finds the nodes that reported something of the object, and what it is.
func (s *Story) meet() {
	for i := range s.trace.lines {
		l := &s.trace.lines[i]
		if !s.about(l) {
			continue
		}
		if !slices.Contains(s.Nodes, l.Node) {
			s.Nodes = append(s.Nodes, l.Node)
		}
		for _, f := range l.Fields {
			if f.Text && f.Value == s.Object && s.Field == "" {
				s.Field = f.Name
			}
		}
	}
}

// forget drops faults that ended before the story begins: of equal ones the first.
func (s *Story) forget() {
	ended := map[string]int{}
	for i := range s.rows {
		if name, end := strings.CutPrefix(s.rows[i].Name, "end: "); end && s.rows[i].fault {
			ended[name]++
		}
	}
	s.rows = slices.DeleteFunc(s.rows, func(r row) bool {
		switch {
		case !r.fault:
			return r.Name == "started" || r.Name == failpointActs
		case strings.HasPrefix(r.Name, "end: "):
			return true
		}
		ended[r.Name]--
		return ended[r.Name] >= 0
	})
}

// add folds a line that equals an earlier one of the same node: others ask repeatedly,
// and failpoints are set repeatedly.
func (s *Story) add(r row) {
	for i := len(s.rows) - 1; i >= 0; i-- {
		near := i >= len(s.rows)-foldWithin || r.Get("by") != "" || r.fault
		if near && s.same(&s.rows[i], &r) {
			s.rows[i].more++
			s.rows[i].last = r.At
			return
		}
	}
	s.rows = append(s.rows, r)
}

// same compares two lines. Answers are equal whoever was asked, and however.
func (s *Story) same(o, r *row) bool {
	switch {
	case o.fault != r.fault || o.Node != r.Node || o.Service != r.Service || o.Name != r.Name:
		return false
	case r.fault:
		return strings.HasPrefix(strings.TrimPrefix(r.Name, "end: "), "failpoint ")
	case r.Get("by") == "" || o.Get("by") == "":
		return s.text(&o.Line) == s.text(&r.Line)
	}
	return answer(&o.Line) == answer(&r.Line)
}

// asking are the fields that say who was asked, and for what part of an answer.
var asking = []string{"by", "took", "sweep", "limit", "after", "more", "ids"}

// answer is the fields of a fact without those.
func answer(l *tracefile.Line) string {
	var text strings.Builder
	for _, f := range l.Fields {
		if !slices.Contains(asking, f.Name) {
			text.WriteString(f.Name + "=" + f.Value + " ")
		}
	}
	return text.String()
}

// foldWithin is how many lines back an equal one is looked for, if it is neither an
// answer nor a failpoint.
const foldWithin = 12

// text is the fields of a fact, without the object itself and durations of answers.
func (s *Story) text(r *tracefile.Line) string {
	var parts, same []string
	long := 0
	for _, f := range r.Fields {
		if f.Value == s.Object || f.Value == "" || f.Name == "took" || r.Kind != tracefile.KindFact {
			continue
		}
		value := f.Shown()
		if r.Name != "started" {
			value = s.trace.named(value)
		}
		if len(value) > valueLenMax { // ids differ at their ends
			value = value[:valueLenMax/2] + "..." + value[len(value)-valueLenMax/2:]
		}
		part := f.Name + "=" + value
		parts, long = append(parts, part), long+len(part)+1
		if s.never(f) {
			same = append(same, part)
		}
	}
	if long <= fieldsLenMax {
		return strings.Join(parts, " ")
	}
	for _, part := range same { // what all facts of the object say alike says the least
		if long > fieldsLenMax-len(" ...") {
			parts, long = slices.DeleteFunc(parts, func(p string) bool { return p == part }), long-len(part)-1
		}
	}
	if len(same) > 0 {
		parts = append(parts, "...")
	}
	return strings.Join(parts, " ")
}

// never reports whether a field never differs between the facts of the object, of which several
// have it.
func (s *Story) never(f tracefile.Field) bool {
	if s.differ == nil {
		s.differ = map[string]int{}
		first := map[string]string{}
		for i := range s.trace.lines {
			if l := &s.trace.lines[i]; s.about(l) {
				s.compare(l, first)
			}
		}
	}
	return s.differ[f.Name] > 1
}

// compare counts the facts that have a field; -1 is for one that differs.
func (s *Story) compare(l *tracefile.Line, first map[string]string) {
	for _, f := range l.Fields {
		switch value, known := first[f.Name]; {
		case known && value != f.Value:
			s.differ[f.Name] = -1
		case s.differ[f.Name] >= 0:
			first[f.Name] = f.Value
			s.differ[f.Name]++
		}
	}
}

// valueLenMax bounds what is shown of a value; with more than fieldsLenMax of all, fields in
// which no facts differ are left out. Those that differ are always shown.
const (
	valueLenMax  = 24
	fieldsLenMax = 110
)

// Write prints the story, at most rowsMax lines of it: the first ones and, of
// the rest, the last. 0 is all.
func (s *Story) Write(out io.Writer, rowsMax int) {
	if len(s.rows) == 0 {
		fmt.Fprintf(out, "the story of %s: no fact names it\n", s.Object)
		return
	}
	what := s.Object
	if s.trace.nodes[s.Object] {
		what = "node " + what
	} else if s.Field != "" && s.Field != s.Object {
		what = s.Field + " " + what
	}
	fmt.Fprintf(out, "the story of %s, on %s\n", what, strings.Join(s.Nodes, ", "))
	first, skipped := len(s.rows), 0
	if rowsMax > 0 && len(s.rows) > rowsMax {
		first = rowsMax / 3
		skipped = len(s.rows) - rowsMax
	}
	width := 0
	for i := range s.rows {
		width = max(width, len(s.rows[i].Node))
	}
	for i := range s.rows {
		if i >= first && i < first+skipped {
			if i == first {
				fmt.Fprintf(out, "  ... %d lines (--explain shows them)\n", skipped)
			}
			continue
		}
		s.rows[i].write(out, s, width)
	}
	if s.Verdict != "" {
		at := max(s.end, s.rows[len(s.rows)-1].At) // the end is known to the millisecond
		fmt.Fprintf(out, "  %-10s %-*s  FAILED %s\n", at.Round(time.Millisecond), width, "", s.Verdict)
	}
	s.writeHeard(out)
}

func (r *row) write(out io.Writer, s *Story, width int) {
	at := r.At.Round(time.Millisecond)
	if r.fault {
		fmt.Fprintf(out, "  %-10s %-*s  FAULT %s\n", at, width, "", r.Name+r.again())
		return
	}
	text := strings.TrimSpace(s.text(&r.Line) + r.again())
	fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-10s %-*s  %s  %s", at, width, r.Node, strings.TrimSpace(r.Service+" "+r.Name+" "+text), r.Source), " "))
}

// again says how often a line comes once more, "" if it does not.
func (r *row) again() string {
	if r.more == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d times until %s)", r.more, r.last.Round(time.Millisecond))
}

// writeHeard prints when the nodes of the story last received something from each other.
func (s *Story) writeHeard(out io.Writer) {
	var lines []string
	for _, to := range s.Nodes {
		var parts []string
		for _, from := range s.Nodes {
			if at, heard := s.trace.lastHeard(from, to, s.end); heard && from != to {
				parts = append(parts, fmt.Sprintf("%s %s before", from, (s.end-at).Round(time.Millisecond)))
			}
		}
		if len(parts) > 0 {
			lines = append(lines, fmt.Sprintf("  %s from %s", to, strings.Join(parts, ", ")))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(out, "who had last heard from whom at the end, %s\n%s\n", s.end.Round(time.Millisecond), strings.Join(lines, "\n"))
	}
}

// lastHeard is when a node last received something from another one, up to a moment.
func (t *Trace) lastHeard(from, to string, until time.Duration) (at time.Duration, heard bool) {
	for _, x := range t.heard[[2]string{from, to}] {
		if x <= until {
			at, heard = x, true
		}
	}
	return at, heard
}
