package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Summary is what many runs come to, those of one scenario usually. It keeps the
// figures of all and of each cause of failure one run; it forgets the others, so
// that a million of them fit into memory.
type Summary struct {
	Scenario, Wire string

	runs, held int
	virtualMS  int64
	digests    map[string]struct{}
	values     map[string][]float64
	causes     []*byCause
}

// NewSummary summarises runs of a scenario on a wire; "" for that of the first run.
func NewSummary(scenario, wire string) *Summary {
	return &Summary{Scenario: scenario, Wire: wire, digests: map[string]struct{}{}, values: map[string][]float64{}}
}

// digestKeyLen is how much of a digest tells it from others.
const digestKeyLen = 16

// Add counts a run. The order makes no difference.
func (s *Summary) Add(r *Result) {
	s.Scenario, s.Wire = cmp.Or(s.Scenario, r.Scenario), cmp.Or(s.Wire, r.Wire)
	s.runs++
	s.virtualMS += r.VirtualMS
	s.digests[r.Digest[:min(len(r.Digest), digestKeyLen)]] = struct{}{}
	for name, x := range r.Figures {
		s.values[name] = append(s.values[name], x)
	}
	s.values["(events)"] = append(s.values["(events)"], float64(r.Events))
	s.values["(virtual s)"] = append(s.values["(virtual s)"], float64(r.VirtualMS)/1000)
	s.values["(wall s)"] = append(s.values["(wall s)"], float64(r.WallMS)/1000)
	cause, failed := r.Cause()
	if !failed {
		s.held++
		return
	}
	at := slices.IndexFunc(s.causes, func(g *byCause) bool { return g.cause == cause })
	if at < 0 {
		at = len(s.causes)
		s.causes = append(s.causes, &byCause{cause: cause})
	}
	s.causes[at].add(r)
}

// Runs, Failed and VirtualMS are the number of runs, of those that failed, and the
// virtual time that they took together.
func (s *Summary) Runs() int { return s.runs }

// Failed is the number of runs that did not hold.
func (s *Summary) Failed() int { return s.runs - s.held }

// VirtualMS is the virtual time of all runs together.
func (s *Summary) VirtualMS() int64 { return s.virtualMS }

// byCause are runs that failed of the same.
type byCause struct {
	cause    Cause
	runs     int
	seeds    []uint64 // the lowest ones, in order
	smallest *Result  // that with the fewest events
}

// seedsShown is how many seeds a cause lists.
const seedsShown = 20

func (g *byCause) add(r *Result) {
	g.runs++
	at, _ := slices.BinarySearch(g.seeds, r.Seed)
	g.seeds = slices.Insert(g.seeds, at, r.Seed)
	g.seeds = g.seeds[:min(len(g.seeds), seedsShown)]
	if g.smallest == nil || cmp.Or(cmp.Compare(r.Events, g.smallest.Events), cmp.Compare(r.Seed, g.smallest.Seed)) < 0 {
		brief := r.Brief()
		g.smallest = &brief
	}
}

// ordered has those causes first of which most runs failed.
func (s *Summary) ordered() []*byCause {
	return slices.SortedFunc(slices.Values(s.causes), func(a, b *byCause) int {
		return cmp.Or(cmp.Compare(b.runs, a.runs), cmp.Compare(a.seeds[0], b.seeds[0]), strings.Compare(a.cause.Text, b.cause.Text))
	})
}

// Smallest has of the runs that failed one for each cause, that with the fewest
// events.
func (s *Summary) Smallest() (list []*Result) {
	for _, g := range s.ordered() {
		list = append(list, g.smallest)
	}
	return list
}

// Write prints the spread of every figure, and of what the runs failed.
func (s *Summary) Write(out io.Writer) {
	if s.runs == 0 {
		return
	}
	p := &page{out: out}
	p.line("%s  (%d seeds, %s wire)", s.Scenario, s.runs, s.Wire)
	p.line("")
	if s.Failed() > 0 { // before screens of figures
		s.writeVerdict(p)
		s.WriteCauses(out)
		p.line("")
	}
	rows, zero := s.spread()
	p.table(rows)
	if len(zero) > 0 {
		p.wrapped("  always zero: ", zero)
	}
	p.line("")
	s.writeVerdict(p)
}

func (s *Summary) writeVerdict(p *page) {
	p.line("verdict  %d of %d seeds held, %d different digests", s.held, s.runs, len(s.digests))
}

// WriteCauses prints of what runs failed: one paragraph for each cause, with the run
// that had the fewest events.
func (s *Summary) WriteCauses(out io.Writer) {
	p := &page{out: out}
	for _, g := range s.ordered() {
		seeds := ""
		for _, seed := range g.seeds {
			seeds += fmt.Sprintf(" %d", seed)
		}
		if more := g.runs - len(g.seeds); more > 0 {
			seeds += fmt.Sprintf(" and %d more", more)
		}
		p.line("%d of %d seeds:%s", g.runs, s.runs, seeds)
		g.smallest.WriteFailures(out)
	}
}

// Spread is how a figure is spread over runs: percentiles by nearest rank.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	rank := func(percent int) float64 { return sorted[max(1, (n*percent+99)/100)-1] }
	return Spread{sorted[0], (sorted[(n-1)/2] + sorted[n/2]) / 2, rank(90), rank(99), sorted[n-1]}
}

// Figures is the spread of every figure. Those in brackets are of the runs
// themselves.
func (s *Summary) Figures() map[string]Spread {
	out := map[string]Spread{}
	for name, values := range s.values {
		out[name] = spreadOf(values)
	}
	return out
}

// spread is a table of all figures, and the names of those that are always zero.
func (s *Summary) spread() (rows [][]string, zero []string) {
	rows = [][]string{{"figure", "min", "median", "p90", "p99", "max"}}
	figures := s.Figures()
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		x := figures[name]
		if x.Min == 0 && x.Max == 0 {
			zero = append(zero, name)
			continue
		}
		rows = append(rows, []string{name, Number(x.Min), Number(x.Median), Number(x.P90), Number(x.P99), Number(x.Max)})
	}
	return rows, zero
}

// SummaryJSON is a summary for machines.
type SummaryJSON struct {
	Scenario  string            `json:"scenario"`
	Wire      string            `json:"wire"`
	Seeds     int               `json:"seeds"`
	Held      int               `json:"held"`
	Digests   int               `json:"digests"`
	VirtualMS int64             `json:"virtual_ms"`
	Causes    []CauseJSON       `json:"causes"`
	Figures   map[string]Spread `json:"figures"`
}

// CauseJSON is a cause of failure. Seeds are the lowest ones.
type CauseJSON struct {
	Expectation string   `json:"expectation"`
	When        string   `json:"when"`
	Text        string   `json:"text"`
	Runs        int      `json:"runs"`
	Seeds       []uint64 `json:"seeds"`
	Replay      string   `json:"replay"`
}

// JSON is the summary for machines.
func (s *Summary) JSON() SummaryJSON {
	out := SummaryJSON{Scenario: s.Scenario, Wire: s.Wire, Seeds: s.runs, Held: s.held, Digests: len(s.digests), VirtualMS: s.virtualMS, Causes: []CauseJSON{}, Figures: s.Figures()}
	for _, g := range s.ordered() {
		out.Causes = append(out.Causes, CauseJSON{g.cause.Name, g.cause.When, g.cause.Text, g.runs, g.seeds, g.smallest.Replay})
	}
	return out
}
