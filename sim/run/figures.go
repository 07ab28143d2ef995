package run

import (
	"maps"
	"math"
	"runtime"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// figures are the counted figures, and those measured in the world at the end.
func (r *runner) figures() map[string]float64 {
	out := r.counted()
	maps.Copy(out, r.measured)
	maps.DeleteFunc(out, func(_ string, x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	return out
}

// figuresNow are the figures in the middle of a run.
func (r *runner) figuresNow() map[string]float64 {
	r.measured = r.measure()
	return r.figures()
}

// counted are what checkers counted, and what the runner itself did.
func (r *runner) counted() map[string]float64 {
	out := map[string]float64{}
	for _, one := range r.judges.all {
		if counter, ok := one.checker.(check.Figures); ok {
			maps.Copy(out, counter.Figures())
		}
	}
	r.series.figures(out)
	out[scenario.FigureNodes] = float64(len(r.scenario.Nodes))
	out[scenario.FigureFaults] = float64(len(r.faults))
	total := r.actions.total()
	out[scenario.FigureDone] = float64(total.done)
	out[scenario.FigureFailed] = float64(total.failed)
	out[scenario.FigureUnfinished] = float64(total.begun - total.done - total.failed)
	if r.settledAt > 0 {
		out[scenario.FigureRecovery] = (r.settledAt - r.healedAt).Seconds()
	}
	hits := 0
	for _, n := range r.failpoints() {
		hits += n
	}
	out[scenario.FigureHits] = float64(hits)
	return out
}

// measure reads figures off the world.
func (r *runner) measure() map[string]float64 {
	view, out := r.view(), map[string]float64{}
	for _, m := range r.words.Measures {
		if !r.live {
			out[m.Name] = m.Of(view)
		}
	}
	disk := 0
	for _, n := range view.Nodes() {
		disk += n.DiskBytes
	}
	out[scenario.FigureDisk] = float64(disk)
	if r.expectsHeap() {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		out[scenario.FigureHeap] = float64(stats.HeapAlloc)
	}
	return out
}

// expectsHeap reports whether a heap figure is expected: measuring takes time, and its result
// differs between machines.
func (r *runner) expectsHeap() bool {
	heap := func(list []scenario.Bound) bool {
		return slices.ContainsFunc(list, func(b scenario.Bound) bool { return b.Figure == scenario.FigureHeap })
	}
	return heap(r.scenario.Expect.Report) || slices.ContainsFunc(r.scenario.Moments(), func(m *scenario.Moment) bool { return heap(m.Report) })
}

// figuresSettled reports whether the figures with a time limit hold, and records those whose time
// is over.
func (r *runner) figuresSettled() bool {
	settled := true
	var figures map[string]float64
	for _, b := range r.scenario.Expect.Report {
		if b.Within == 0 || r.live && r.unmeasured(b.Figure) {
			continue
		}
		if figures == nil {
			figures = r.figuresNow()
		}
		held := figureVerdict(b, figures).Held
		r.late[b.Label()] = !held && r.world.Now() >= r.healedAt+b.Within
		settled = settled && (held || r.late[b.Label()])
	}
	return settled
}

// reported are the figures without those that are zero because their services do not run in the
// scenario. Figures named by the scenario stay.
func (r *runner) reported() map[string]float64 {
	out := r.figures()
	for _, c := range r.words.Checks {
		i := slices.IndexFunc(r.judges.all, func(one *judge) bool { return one.name == c.Name })
		if i < 0 || len(c.Of) == 0 || slices.ContainsFunc(c.Of, r.runs) {
			continue
		}
		counter, ok := r.judges.all[i].checker.(check.Figures)
		if !ok {
			continue
		}
		for name := range counter.Figures() {
			named := slices.ContainsFunc(r.scenario.Expect.Report, func(b scenario.Bound) bool { return b.Figure == name })
			if out[name] == 0 && !named {
				delete(out, name)
			}
		}
	}
	for i := range r.words.Series {
		s := &r.words.Series[i]
		if s.Service == "" || r.runs(s.Service) || s.Spread {
			continue
		}
		if named := slices.ContainsFunc(r.scenario.Expect.Report, func(b scenario.Bound) bool { return b.Figure == s.Name }); out[s.Name] == 0 && !named {
			delete(out, s.Name)
		}
	}
	return out
}

// runs reports whether some node of the scenario has a service.
func (r *runner) runs(service string) bool {
	return slices.ContainsFunc(r.scenario.Nodes, func(n scenario.Node) bool {
		return slices.ContainsFunc(n.Services, func(c node.Configured) bool { return c.Spec.Name == service })
	})
}
