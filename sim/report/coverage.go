package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Coverage is what many runs reached: by name, in how many of them.
type Coverage struct {
	runs                   int
	marks, passed, moments map[string]int
}

// NewCoverage covers nothing.
func NewCoverage() *Coverage {
	return &Coverage{marks: map[string]int{}, passed: map[string]int{}, moments: map[string]int{}}
}

// Reached lists what a run reached, in order: marks, failpoints, moments at which
// faults hit.
func (e *Exercised) Reached() (names []string) {
	for _, part := range []struct {
		prefix string
		names  map[string]int
	}{{"mark ", e.Marks}, {"failpoint ", e.Passed}, {"", e.Moments}} {
		for _, name := range slices.Sorted(maps.Keys(part.names)) {
			names = append(names, part.prefix+name)
		}
	}
	return names
}

// Add counts what a run reached.
func (c *Coverage) Add(e *Exercised) {
	c.runs++
	for _, part := range []struct{ to, from map[string]int }{{c.marks, e.Marks}, {c.passed, e.Passed}, {c.moments, e.Moments}} {
		for name := range part.from {
			part.to[name]++
		}
	}
}

// MissingMarks has of all marks those that no run has hit.
func (c *Coverage) MissingMarks(all []string) (missing []string) {
	return neverIn(c.marks, all)
}

// CoverageJSON is coverage for machines: by name, in how many runs something was reached,
// and what in none.
type CoverageJSON struct {
	Runs            int            `json:"runs"`
	Marks           map[string]int `json:"marks"`
	MarksNever      []string       `json:"marks_never"`
	Failpoints      map[string]int `json:"failpoints"`
	FailpointsNever []string       `json:"failpoints_never"`
	Moments         map[string]int `json:"moments"`
}

// JSON is the coverage for machines, of all marks and failpoints that there are.
func (c *Coverage) JSON(marks, failpoints []string) CoverageJSON {
	return CoverageJSON{c.runs, c.marks, neverIn(c.marks, marks), c.passed, neverIn(c.passed, failpoints), c.moments}
}

// neverIn has of all names those that were not reached; not nil.
func neverIn(reached map[string]int, all []string) []string {
	return slices.DeleteFunc(append([]string{}, all...), func(name string) bool { return reached[name] > 0 })
}

// rarestShown is how many of the rarest things are listed.
const rarestShown = 12

// Write prints a table of faults and services: at how many different moments of a
// service a fault has hit it. Then what was reached in the fewest runs, and what of
// all marks and failpoints in none.
func (c *Coverage) Write(out io.Writer, marks, failpoints []string) {
	p := &page{out: out}
	p.line("coverage of %d runs: at how many different moments of a service a fault has hit it", c.runs)
	p.table(c.table())
	p.line("reached in the fewest runs")
	p.table(c.rarest())
	for _, part := range []struct {
		what     string
		all      []string
		reached  map[string]int
		complete string
	}{{"marks", marks, c.marks, "all were hit"}, {"failpoints", failpoints, c.passed, "all were passed"}} {
		never := neverIn(part.reached, part.all)
		if len(never) == 0 {
			p.line("of %d %s %s", len(part.all), part.what, part.complete)
			continue
		}
		p.wrapped(fmt.Sprintf("of %d %s never: ", len(part.all), part.what), never)
	}
}

// WriteMissing prints that no run has hit some marks; nothing for none.
func WriteMissing(out io.Writer, marks []string) {
	if len(marks) > 0 {
		(&page{out: out}).wrapped("FAILED  no run has hit ", marks)
	}
}

// table has a row for each kind of fault and a column for each service.
func (c *Coverage) table() (rows [][]string) {
	cells := map[[2]string]int{}
	kinds, services := map[string]bool{}, map[string]bool{}
	for name := range c.moments {
		kind, rest, _ := strings.Cut(name, " ")
		service, _, _ := strings.Cut(rest, " ")
		kinds[kind], services[service] = true, true
		cells[[2]string{kind, service}]++
	}
	columns := slices.Sorted(maps.Keys(services))
	rows = append(rows, append([]string{"fault"}, columns...))
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		row := []string{kind}
		for _, service := range columns {
			row = append(row, fmt.Sprint(cells[[2]string{kind, service}]))
		}
		rows = append(rows, row)
	}
	return rows
}

// rarest has what fewest runs have reached, of each sort as much.
func (c *Coverage) rarest() (rows [][]string) {
	for _, part := range []struct {
		prefix string
		names  map[string]int
		most   int
	}{{"mark ", c.marks, rarestShown / 2}, {"failpoint ", c.passed, rarestShown / 4}, {"", c.moments, rarestShown}} {
		names := slices.SortedFunc(maps.Keys(part.names), func(a, b string) int {
			return cmp.Or(cmp.Compare(part.names[a], part.names[b]), strings.Compare(a, b))
		})
		for _, name := range names[:min(len(names), part.most)] {
			rows = append(rows, []string{fmt.Sprint(part.names[name]), part.prefix + name})
		}
	}
	return rows
}
