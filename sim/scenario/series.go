package scenario

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/sim/check"
)

// Series is what happens on nodes, each time with an amount: figures that may be asked
// for some nodes and for a part of the run.
type Series struct {
	Name, Doc, Unit string
	// Service is what it is about: where none runs, figures that are zero are not
	// reported. "": any.
	Service string
	// OnClient: it is what users notice, and counts for the client.
	OnClient bool
	// Spread: what matters is how the amounts differ, as of durations. The figures are
	// NAME.p50, NAME.p90, NAME.p99 and NAME.max, and the report lists what took most.
	// Else the figure NAME is their sum.
	Spread bool
	// New makes what listens in one run.
	New func() Sampler
}

// Sample is one of a series.
type Sample struct {
	// Node is where it happened: "client" for what users notice.
	Node string
	// Object is what it is about, "" if a report need not name it.
	Object string
	Amount float64
}

// Sampler hears every fact and says what of a series happens with it.
type Sampler interface {
	Sample(f check.Fact) (s Sample, happened bool)
}

// SamplerFunc is a Sampler that remembers nothing.
type SamplerFunc func(f check.Fact) (Sample, bool)

// Sample implements Sampler.
func (s SamplerFunc) Sample(f check.Fact) (Sample, bool) { return s(f) }

// CountFacts makes a series' New that counts the facts of a name that a service
// reports.
func CountFacts(service, name string) func() Sampler {
	return func() Sampler {
		return SamplerFunc(func(f check.Fact) (Sample, bool) {
			return Sample{Node: f.Node, Amount: 1}, f.Service == service && f.Name == name
		})
	}
}

// Between makes a series' New for the time, in seconds, from a fact to the next one of
// another name about the same object, which the field of both names.
func Between(begin, end, object string) func() Sampler {
	return func() Sampler { return &between{begin, end, object, map[string]time.Duration{}} }
}

type between struct {
	begin, end, object string
	begun              map[string]time.Duration
}

// Sample implements Sampler.
func (b *between) Sample(f check.Fact) (Sample, bool) {
	id := f.Text(b.object)
	switch f.Name {
	case b.begin:
		if _, goesOn := b.begun[id]; !goesOn {
			b.begun[id] = f.At
		}
	case b.end:
		if at, known := b.begun[id]; known {
			delete(b.begun, id)
			return Sample{Node: f.Node, Object: id, Amount: (f.At - at).Seconds()}, true
		}
	}
	return Sample{}, false
}

// Quantiles are the figures of a series with spread, and what part of its amounts is
// at most that. Of n amounts in order it is the one at place ceil(q * n).
var Quantiles = []struct {
	Suffix string
	Q      float64
}{{".p50", 0.5}, {".p90", 0.9}, {".p99", 0.99}, {".max", 1}}

// Figures are the names of a series' figures.
func (s *Series) Figures() []string {
	if !s.Spread {
		return []string{s.Name}
	}
	var names []string
	for _, q := range Quantiles {
		names = append(names, s.Name+q.Suffix)
	}
	return names
}

// words document the figures of a series.
func (s *Series) words() (list []Word) {
	doc := s.Doc + "; takes node, after, until and during"
	where := "client"
	if !s.OnClient && s.Service != "" {
		where = "{running: " + s.Service + "}"
	}
	for i, name := range s.Figures() {
		w := Word{Kind: "figure", Name: name, Unit: s.Unit, Doc: doc,
			Example: fmt.Sprintf("expect: {report: {%s: [{min: 1}, {node: %s, after: 30s, max: 100}]}}", name, where)}
		switch {
		case s.Spread && Quantiles[i].Q < 1:
			w.Doc = fmt.Sprintf("%g%% are at most that: %s", 100*Quantiles[i].Q, doc)
		case s.Spread:
			w.Doc = "the longest: " + doc
		}
		list = append(list, w)
	}
	return list
}
