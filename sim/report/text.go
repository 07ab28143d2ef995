package report

import (
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
	p.line("%s  (seed %d, %s wire)", r.Scenario, r.Seed, r.Wire)
	if r.About != "" {
		p.line("%s", strings.TrimSpace(r.About))
	}
	p.line("")
	r.writeExpectations(p)
	r.writeFaults(p)
	r.writeFigures(p)
	for _, note := range r.Notes {
		p.line("note: %s", note)
	}
	if len(r.Notes) > 0 {
		p.line("")
	}
	failed := 0
	for _, e := range r.Expectations {
		if !e.Held {
			failed++
		}
	}
	if failed == 0 {
		p.line("verdict  held: all %d expectations", len(r.Expectations))
	} else {
		p.line("verdict  failed: %d of %d expectations", failed, len(r.Expectations))
	}
	p.line("run      %s of virtual time, %d events in %s (%s)", milliseconds(r.VirtualMS), r.Events, milliseconds(r.WallMS), r.speed())
	p.line("digest   %s", r.Digest)
	p.line("replay   %s", r.Replay)
}

func (r *Result) writeExpectations(p *page) {
	p.line("expectations")
	var rows [][]string
	for _, e := range r.Expectations {
		mark := "held"
		if !e.Held {
			mark = "FAILED"
		}
		detail, more, _ := strings.Cut(e.Detail, "\n")
		rows = append(rows, []string{mark, e.When, e.Name, detail})
		for more != "" {
			var next string
			next, more, _ = strings.Cut(more, "\n")
			rows = append(rows, []string{"", "", "", strings.ReplaceAll(next, "\t", "    ")})
		}
	}
	p.table(rows)
	p.line("")
}

func (r *Result) writeFaults(p *page) {
	if len(r.Faults) == 0 {
		p.line("faults: none")
		p.line("")
		return
	}
	p.line("faults (%d)", len(r.Faults))
	if len(r.Faults) > faultsShown {
		p.wrapped("  ", r.faultKinds())
	}
	var rows [][]string
	for _, f := range r.Faults[:min(len(r.Faults), faultsShown)] {
		length := ""
		if f.ForMS > 0 {
			length = "for " + milliseconds(f.ForMS).Round(100*time.Millisecond).String()
		}
		rows = append(rows, []string{"at " + milliseconds(f.AtMS).Round(100*time.Millisecond).String(), length, f.What})
	}
	p.table(rows)
	if more := len(r.Faults) - faultsShown; more > 0 {
		p.line("  ... and %d more (--json lists them)", more)
	}
	p.line("")
}

// faultKinds counts the faults by their first word, the most frequent first.
func (r *Result) faultKinds() []string {
	count := map[string]int{}
	for _, f := range r.Faults {
		word, _, _ := strings.Cut(f.What, " ")
		count[word]++
	}
	words := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(words, func(a, b string) int { return count[b] - count[a] })
	for i, word := range words {
		words[i] = fmt.Sprintf("%d %s", count[word], word)
	}
	return words
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
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // nobody to tell if nobody reads
}

// lineLen is how long a wrapped line gets.
const lineLen = 100

// wrapped prints words, separated by commas, on lines that begin alike.
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
