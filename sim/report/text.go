package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faultsShown is how many faults the page lists one by one.
const faultsShown = 12

// Write prints the page for people.
func (r *Result) Write(out io.Writer) {
	p := &page{out: out}
	if r.Wire == Live {
		p.line("%s  (live: real processes; what is drawn, from seed %d)", r.Scenario, r.Seed)
	} else {
		p.line("%s  (seed %d, %s wire)", r.Scenario, r.Seed, r.Wire)
	}
	if r.About != "" {
		p.line("%s", strings.TrimSpace(r.About))
	}
	p.line("")
	if r.Verdict != Held {
		r.writeVerdict(p)
		p.line("")
	}
	r.writeExpectations(p)
	r.writeExercised(p)
	r.writeFaults(p)
	r.writeFigures(p)
	r.writeLongest(p)
	r.writeNotObserved(p)
	for _, note := range r.Notes {
		p.line("note: %s", note)
	}
	if len(r.Notes) > 0 {
		p.line("")
	}
	r.writeVerdict(p)
	if r.Wire == Live {
		p.line("run      %s of real time, %d facts", milliseconds(r.VirtualMS), r.Events)
		p.line("again    %s", r.replay())
		return
	}
	p.line("run      %s of virtual time, %d events in %s (%s)", milliseconds(r.VirtualMS), r.Events, milliseconds(r.WallMS), r.speed())
	p.line("digest   %s", r.Digest)
	p.line("replay   %s", r.replay())
}

// replay is the command, and what it was built from as a comment of the shell.
func (r *Result) replay() string {
	if r.Revision == "" {
		return r.Replay
	}
	return r.Replay + "  # built from " + r.Revision
}

func (r *Result) writeExpectations(p *page) {
	p.line("expectations")
	var rows [][]string
	for _, e := range r.failedFirst() {
		mark := "held"
		if e.Unproven != "" {
			mark = "unproven"
		}
		if e.NotAsked {
			mark = "not asked"
		}
		if r.failed(&e) {
			mark = "FAILED"
		}
		detail, more, _ := strings.Cut(e.Detail, "\n")
		if basis := e.basis(); basis != "" {
			detail = strings.TrimPrefix(detail+"; "+basis, "; ")
		}
		rows = append(rows, []string{mark, e.When, e.Name, detail})
		for more != "" {
			var next string
			next, more, _ = strings.Cut(more, "\n")
			rows = append(rows, []string{"", "", "", strings.ReplaceAll(next, "\t", "    ")})
		}
		if e.Means != "" && mark != "held" {
			rows = append(rows, []string{"", "", "", "means: " + e.Means})
		}
	}
	p.table(rows)
	p.line("")
}

// failedFirst are the expectations as people look for them: what failed, all others
// in the order of the scenario.
func (r *Result) failedFirst() (list []Expectation) {
	list = slices.Clone(r.Expectations)
	slices.SortStableFunc(list, func(a, b Expectation) int {
		return cmp.Compare(boolNumber(!r.failed(&a)), boolNumber(!r.failed(&b)))
	})
	return list
}

func boolNumber(b bool) int {
	if b {
		return 1
	}
	return 0
}

// basis is the counts behind a verdict, "" if nothing was counted.
func (e *Expectation) basis() string {
	var parts []string
	if e.Unproven != "" {
		parts = append(parts, e.Unproven)
	}
	if e.Evaluated > 0 {
		parts = append(parts, fmt.Sprintf("%d judged", e.Evaluated))
	}
	for _, why := range slices.Sorted(maps.Keys(e.Excused)) {
		parts = append(parts, fmt.Sprintf("%d excused: %s", e.Excused[why], why))
	}
	return strings.Join(parts, ", ")
}

func (r *Result) writeVerdict(p *page) {
	failed, unproven, open := 0, 0, 0
	for i := range r.Expectations {
		if r.Expectations[i].NotAsked {
			open++
		} else if r.failed(&r.Expectations[i]) {
			failed++
		} else if r.Expectations[i].Unproven != "" {
			unproven++
		}
	}
	text := fmt.Sprintf("held: all %d expectations", len(r.Expectations))
	if failed > 0 {
		text = fmt.Sprintf("failed: %d of %d expectations", failed, len(r.Expectations))
	}
	if open > 0 {
		text += fmt.Sprintf(", %d not asked as the run ended before", open)
	}
	if unproven > 0 {
		text += fmt.Sprintf(", %d of them unproven: nothing was judged (--strict fails)", unproven)
	}
	p.line("verdict  %s", text)
}

// WriteFailures prints the expectations that failed and the command that
// replays them; nothing if all held.
func (r *Result) WriteFailures(out io.Writer) {
	p := &page{out: out}
	if r.Verdict == Held {
		return
	}
	for _, e := range r.Expectations {
		if detail := e.Detail; r.failed(&e) {
			if e.Held {
				detail = e.Unproven
			}
			p.line("seed %d FAILED %s: %s", r.Seed, e.Name, detail)
			if e.Means != "" {
				p.line("  means: %s", e.Means)
			}
		}
	}
	if r.Wire == Live {
		p.line("  again: %s", r.replay())
		return
	}
	p.line("  replay: %s", r.replay())
}

// writeExercised prints the actions, failpoints and faults of the run.
func (r *Result) writeExercised(p *page) {
	var rows [][]string
	for _, a := range r.Exercised.Actions {
		text := fmt.Sprintf("%d done", a.Done)
		if a.Failed > 0 {
			text += fmt.Sprintf(", %d failed", a.Failed)
		}
		if a.Unfinished > 0 {
			text += fmt.Sprintf(", %d unfinished", a.Unfinished)
		}
		rows = append(rows, []string{"action", a.Name, text})
	}
	for _, a := range r.Exercised.Attacks {
		rows = append(rows, []string{"attack", a.Name, fmt.Sprintf("begun %d times", a.Times)})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Exercised.Failpoints)) {
		rows = append(rows, []string{"failpoint", name, fmt.Sprintf("acted %d times", r.Exercised.Failpoints[name])})
	}
	for _, k := range r.faultKinds() {
		text := fmt.Sprintf("%d", k.count)
		if k.without > 0 {
			text += fmt.Sprintf(", %d without effect", k.without)
		}
		rows = append(rows, []string{"fault", k.word, text})
	}
	if len(rows) == 0 {
		rows = [][]string{{"nothing: no action, no fault"}}
	}
	p.line("exercised")
	p.table(rows)
	p.line("")
}

func (r *Result) writeFaults(p *page) {
	if len(r.Faults) == 0 {
		return
	}
	p.line("faults")
	var rows [][]string
	for _, f := range r.Faults[:min(len(r.Faults), faultsShown)] {
		length := ""
		if f.ForMS > 0 {
			length = "for " + milliseconds(f.ForMS).Round(100*time.Millisecond).String()
		}
		what := f.What
		if f.WithoutEffect {
			what += " (without effect)"
		}
		rows = append(rows, []string{"at " + milliseconds(f.AtMS).Round(100*time.Millisecond).String(), length, what})
	}
	p.table(rows)
	if more := len(r.Faults) - faultsShown; more > 0 {
		p.line("  ... and %d more (--json lists them)", more)
	}
	p.line("")
}

// faultKind counts the faults that begin with one word.
type faultKind struct {
	word           string
	count, without int
}

// faultKinds counts the faults by their first word, the most frequent first.
func (r *Result) faultKinds() (kinds []faultKind) {
	for _, f := range r.Faults {
		word, _, _ := strings.Cut(f.What, " ")
		i := slices.IndexFunc(kinds, func(k faultKind) bool { return k.word == word })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, faultKind{word: word})
		}
		kinds[i].count++
		if f.WithoutEffect {
			kinds[i].without++
		}
	}
	slices.SortStableFunc(kinds, func(a, b faultKind) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.word, b.word))
	})
	return kinds
}

func (r *Result) writeFigures(p *page) {
	p.line("figures")
	var rows [][]string
	var zero []string
	for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
		if r.Figures[name] == 0 {
			zero = append(zero, name)
			continue
		}
		rows = append(rows, []string{name, Number(r.Figures[name])})
	}
	p.table(rows)
	if len(zero) > 0 {
		p.wrapped("  zero: ", zero)
	}
	p.line("")
}

// writeLongest names what took longest.
func (r *Result) writeLongest(p *page) {
	if len(r.Longest) == 0 {
		return
	}
	p.line("took longest")
	var rows [][]string
	for _, l := range r.Longest {
		rows = append(rows, []string{l.Of, Number(l.Amount) + " " + l.Unit, l.Object, "until " + milliseconds(l.AtMS).String() + " on " + l.Node})
	}
	p.table(rows)
	p.line("")
}

// writeNotObserved names what is not to be had of real processes.
func (r *Result) writeNotObserved(p *page) {
	for _, n := range r.NotObserved {
		p.line("not observed live: %s because %s", n.What, n.Why)
	}
	if len(r.NotObserved) > 0 {
		p.line("")
	}
}

func (r *Result) speed() string {
	if r.WallMS <= 0 {
		return "in no time"
	}
	return fmt.Sprintf("%.0fx real time, %.0f events/s", float64(r.VirtualMS)/float64(r.WallMS), float64(r.Events)*1000/float64(r.WallMS))
}

// Number prints a figure with at most three decimals.
func Number(x float64) string {
	text := strconv.FormatFloat(x, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// page prints lines and aligned tables.
type page struct{ out io.Writer }

func (p *page) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // an error cannot be reported anywhere else
}

// lineLen is how long a wrapped line gets.
const lineLen = 100

// wrapped prints words, separated by commas, on indented lines.
func (p *page) wrapped(prefix string, words []string) {
	line := prefix
	for i, word := range words {
		if i < len(words)-1 {
			word += ", "
		}
		if len(line)+len(word) > lineLen && len(line) > len(prefix) {
			p.line("%s", strings.TrimRight(line, " "))
			line = strings.Repeat(" ", len(prefix))
		}
		line += word
	}
	p.line("%s", line)
}

// table aligns all columns but the last; a column that is empty in every row
// takes no space.
func (p *page) table(rows [][]string) {
	widths := []int{}
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			if widths[i] > 0 {
				b.WriteString("  " + cell + strings.Repeat(" ", widths[i]-len([]rune(cell))))
			}
		}
		p.line("%s", strings.TrimRight(b.String(), " "))
	}
}
