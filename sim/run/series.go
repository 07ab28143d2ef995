package run

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// longestMax is how many objects a report names for each spread.
const longestMax = 3

// series are the figures that are counted by node and moment.
type series struct {
	all []oneSeries
	// labelled are the faults that windows speak of, by label.
	labelled map[string][]*fault.Inflicted
}

// oneSeries is a series with all that is asked of it.
type oneSeries struct {
	of      *scenario.Series
	sampler scenario.Sampler
	windows []*window // the first one is everything
	longest []report.Longest
}

// window adds up what happens in a part of the run. Of a spread it keeps all amounts:
// eight bytes for each.
type window struct {
	scenario.Window
	figures []string // labels, in the order of the series' figures; "" for one that nobody asks for
	sum     float64
	amounts []float64
}

func newSeries(r *runner) series {
	s := series{labelled: map[string][]*fault.Inflicted{}}
	bounds := slices.Clone(r.scenario.Expect.Report)
	for _, m := range r.scenario.Moments() {
		bounds = append(bounds, m.Report...)
	}
	for i := range r.words.Series {
		of := &r.words.Series[i]
		one := oneSeries{of: of, sampler: of.New(), windows: []*window{{figures: of.Figures()}}}
		for _, b := range bounds {
			if at := slices.Index(of.Figures(), b.Figure); at >= 0 && !b.Window.Everything() {
				w := &window{Window: b.Window, figures: make([]string, len(of.Figures()))}
				w.figures[at] = b.Label()
				one.windows = append(one.windows, w)
			}
		}
		s.all = append(s.all, one)
	}
	return s
}

func (s *series) hear(f check.Fact) {
	for i := range s.all {
		one := &s.all[i]
		sample, happened := one.sampler.Sample(f)
		if !happened {
			continue
		}
		for _, w := range one.windows {
			if s.within(w, sample.Node, f.At) {
				w.add(sample.Amount, one.of.Spread)
			}
		}
		if one.of.Spread && sample.Object != "" {
			one.note(report.Longest{Of: one.of.Name, Unit: one.of.Unit, Object: sample.Object, Node: sample.Node, Amount: sample.Amount, AtMS: f.At.Milliseconds()})
		}
	}
}

// within reports whether something that happens on a node now is in a window.
func (s *series) within(w *window, node string, now time.Duration) bool {
	switch {
	case w.Nodes != nil && !slices.Contains(w.Nodes, node), now < w.From, w.To > 0 && now >= w.To:
		return false
	case w.During == "":
		return true
	}
	return slices.ContainsFunc(s.labelled[w.During], (*fault.Inflicted).Active)
}

func (w *window) add(amount float64, spread bool) {
	w.sum += amount
	if spread {
		w.amounts = append(w.amounts, amount)
	}
}

// note keeps the longest, those that came first among equals.
func (o *oneSeries) note(l report.Longest) {
	i, _ := slices.BinarySearchFunc(o.longest, l, func(a, b report.Longest) int {
		return cmp.Or(-cmp.Compare(a.Amount, b.Amount), -1)
	})
	if i < longestMax {
		o.longest = slices.Insert(o.longest, i, l)
		o.longest = o.longest[:min(len(o.longest), longestMax)]
	}
}

// figures adds all that was counted.
func (s *series) figures(out map[string]float64) {
	for _, one := range s.all {
		for _, w := range one.windows {
			slices.Sort(w.amounts)
			for i, name := range w.figures {
				switch {
				case name == "":
				case one.of.Spread:
					out[name] = quantile(w.amounts, scenario.Quantiles[i].Q)
				default:
					out[name] = w.sum
				}
			}
		}
	}
}

// quantile is the amount that a part of them does not exceed; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

// longest are what took longest, of all spreads.
func (s *series) longest() (list []report.Longest) {
	for _, one := range s.all {
		list = append(list, one.longest...)
	}
	return list
}
