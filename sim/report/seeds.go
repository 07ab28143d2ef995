package report

import (
	"io"
	"maps"
	"slices"
)

// WriteSeeds prints what many seeds of one scenario came to: of what they failed,
// with the command that replays one of each, and the spread of every figure.
func WriteSeeds(out io.Writer, results []Result) {
	if len(results) == 0 {
		return
	}
	p := &page{out: out}
	failing := 0
	digests := map[string]bool{}
	for _, r := range results {
		digests[r.Digest] = true
		if r.Verdict != Held {
			failing++
		}
	}
	p.line("%s  (%d seeds, %s wire)", results[0].Scenario, len(results), results[0].Wire)
	p.line("")
	rows, zero := spread(results)
	p.table(rows)
	if len(zero) > 0 {
		p.wrapped("  always zero: ", zero)
	}
	p.line("")
	WriteCauses(out, results)
	p.line("verdict  %d of %d seeds held, %d different digests", len(results)-failing, len(results), len(digests))
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
		}
	}
	p.line("  replay: %s", r.replay())
}

// spread is a table of minimum, median and maximum of every figure, and the
// names of those that are always zero.
func spread(results []Result) (rows [][]string, zero []string) {
	values := map[string][]float64{}
	for _, r := range results {
		for name, x := range r.Figures {
			values[name] = append(values[name], x)
		}
		values["(events)"] = append(values["(events)"], float64(r.Events))
		values["(virtual s)"] = append(values["(virtual s)"], float64(r.VirtualMS)/1000)
		values["(wall s)"] = append(values["(wall s)"], float64(r.WallMS)/1000)
	}
	rows = [][]string{{"figure", "min", "median", "max"}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list := values[name]
		slices.Sort(list)
		if list[0] == 0 && list[len(list)-1] == 0 {
			zero = append(zero, name)
			continue
		}
		rows = append(rows, []string{name, Number(list[0]), Number(median(list)), Number(list[len(list)-1])})
	}
	return rows, zero
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
