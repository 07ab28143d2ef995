package report

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Cause is what made a run fail, without what differs between runs that fail of
// the same: numbers, names with numbers, ids. Runs with equal causes most likely
// show one bug.
type Cause struct {
	// Name and When are those of the expectation.
	Name, When string
	Text       string
}

var (
	// varying are words that have a digit, or are ids of letters in both cases.
	varying = regexp.MustCompile(`[\w.µ-]*[0-9][\w.µ-]*|\b[A-Za-z]*[a-z][A-Z][A-Za-z]*\b`)
	// many of them in a row are one.
	lists = regexp.MustCompile(`#([ ,/]+#)+`)
)

// Cause is that of the first expectation that failed. A run that held has none.
func (r *Result) Cause() (c Cause, failed bool) {
	for i := range r.Expectations {
		e := &r.Expectations[i]
		if !r.failed(e) {
			continue
		}
		text, _, _ := strings.Cut(e.Detail, "\n")
		if e.Held {
			text = e.Unproven
		}
		switch b := r.Breakdown; {
		case e.When == "report":
			_, text, _ = strings.Cut(text, ", ") // without what was measured
		case b != nil && e.Name == unexpected:
			where := ""
			if len(b.Stack) > 0 {
				where, _, _ = strings.Cut(b.Stack[0], " ")
			}
			text = b.Kind + ": " + b.What + " in " + where
		}
		return Cause{e.Name, e.When, normal(text)}, true
	}
	return Cause{}, r.Verdict != Held
}

// unexpected is the expectation that a run breaks off for reasons of its own.
const unexpected = "no-unexpected-errors"

func normal(text string) string {
	return lists.ReplaceAllString(varying.ReplaceAllString(text, "#"), "#")
}

// byCause are runs that failed of the same.
type byCause struct {
	cause   Cause
	results []*Result
}

// groups puts runs that failed in order: those first of which there are most.
func groups(results []Result) (list []*byCause) {
	for i := range results {
		c, failed := results[i].Cause()
		if !failed {
			continue
		}
		at := slices.IndexFunc(list, func(g *byCause) bool { return g.cause == c })
		if at < 0 {
			at = len(list)
			list = append(list, &byCause{cause: c})
		}
		list[at].results = append(list[at].results, &results[i])
	}
	slices.SortStableFunc(list, func(a, b *byCause) int { return len(b.results) - len(a.results) })
	return list
}

// SmallestByCause has of the runs that failed one for each cause, that with the
// fewest events.
func SmallestByCause(results []Result) (list []*Result) {
	for _, g := range groups(results) {
		list = append(list, g.smallest())
	}
	return list
}

func (g *byCause) smallest() *Result {
	return slices.MinFunc(g.results, func(a, b *Result) int { return cmp.Compare(a.Events, b.Events) })
}

// seedsShown is how many seeds a cause lists.
const seedsShown = 20

// WriteCauses prints of what runs of one scenario failed: one paragraph for each
// cause, with the run that had the fewest events.
func WriteCauses(out io.Writer, results []Result) {
	p := &page{out: out}
	for _, g := range groups(results) {
		seeds := ""
		for _, r := range g.results[:min(len(g.results), seedsShown)] {
			seeds += fmt.Sprintf(" %d", r.Seed)
		}
		if more := len(g.results) - seedsShown; more > 0 {
			seeds += fmt.Sprintf(" and %d more", more)
		}
		p.line("%d of %d seeds:%s", len(g.results), len(results), seeds)
		g.smallest().WriteFailures(out)
	}
}
