package sweep

import (
	"math/rand/v2"
	"slices"
)

// Choice is how a story is made up, beside its number.
type Choice struct {
	// Weights are how likely a kind of fault is compared with others: 1 if it is not
	// named, 0 for never.
	Weights map[string]float64 `json:"weights,omitempty"`
	// Only: kinds that are not named have the weight 0.
	Only bool `json:"only,omitempty"`
	// Rate is by how much there are more faults of a kind than usual; 0 is 1.
	Rate float64 `json:"rate,omitempty"`
	// Knobs: settings of services are drawn as well, from stated values.
	Knobs bool `json:"knobs,omitempty"`
	// Base, if not 0, is another story, of which the cloud and the users are taken.
	Base uint64 `json:"base,omitempty"`
}

// Weight is that of a kind.
func (c Choice) Weight(kind string) float64 {
	if w, named := c.Weights[kind]; named {
		return w
	}
	if c.Only {
		return 0
	}
	return 1
}

// Batch is how many stories are made up from what is known at one moment. All of
// them are from what earlier batches came to, so that it makes no difference which
// run ends first.
const Batch = 32

// corpusMax bounds how many stories are gone on from, the latest that reached
// something new.
const corpusMax = 256

// Guide prefers what was rarely tried and what still finds something. What it
// chooses follows from what it has learnt, in the order of the stories.
type Guide struct {
	seen   map[string]bool
	used   map[string]float64 // stories with a kind of fault
	found  map[string]float64 // what was new in them, shared by their kinds
	corpus []uint64
}

// NewGuide knows nothing.
func NewGuide() *Guide {
	return &Guide{seen: map[string]bool{}, used: map[string]float64{}, found: map[string]float64{}}
}

// Learn takes in what a story with kinds of faults reached, and returns what of it
// none before has.
func (g *Guide) Learn(number uint64, kinds, reached []string) (fresh []string) {
	for _, name := range reached {
		if !g.seen[name] {
			g.seen[name] = true
			fresh = append(fresh, name)
		}
	}
	for _, kind := range kinds {
		g.used[kind]++
		g.found[kind] += float64(len(fresh)) / float64(len(kinds))
	}
	if len(fresh) > 0 {
		g.corpus = append(g.corpus, number)
		g.corpus = g.corpus[max(0, len(g.corpus)-corpusMax):]
	}
	return fresh
}

// Corpus are the stories that reached something new.
func (g *Guide) Corpus() []uint64 { return slices.Clone(g.corpus) }

// Choose is how the next story is made up: a kind of fault weighs what it has found
// in each story that had it, and one that was never tried as much as if it found
// something each time. Every second story has the cloud and the users of one that
// reached something new.
func (g *Guide) Choose(number uint64, kinds []string, c Choice) Choice {
	weights := map[string]float64{}
	for _, kind := range kinds {
		weights[kind] = c.Weight(kind) * (1 + g.found[kind]) / (1 + g.used[kind])
	}
	c.Weights = weights
	if n := len(g.corpus); n > 0 {
		if draw := rand.New(rand.NewPCG(number, 11)); draw.IntN(2) == 0 {
			c.Base = g.corpus[draw.IntN(n)]
		}
	}
	return c
}
