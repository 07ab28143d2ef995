package scenario

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// Quality is what nodes differ in at a moment, and by which a story selects some of
// them: {busiest: NODES, by: NAME} are those with the most of it.
type Quality struct {
	Name, Doc, Unit string
	// Service is whose nodes have it, "" for all.
	Service string
	// Words are the selectors that mean this quality of nodes with that service if the
	// story does not say by what: busiest, least-loaded, slowest.
	Words []string
	// New makes what measures it in one run.
	New func() Gauge
}

// Gauge measures a quality of nodes. One that also implements Listener hears facts.
type Gauge interface {
	// Of is the value of a node at this moment; NaN if it has none.
	Of(v check.View, n check.NodeView) float64
}

// GaugeFunc is a Gauge that needs only a look.
type GaugeFunc func(v check.View, n check.NodeView) float64

// Of implements Gauge.
func (f GaugeFunc) Of(v check.View, n check.NodeView) float64 { return f(v, n) }

// Look makes a quality's New of a function that needs only a look.
func Look(f GaugeFunc) func() Gauge { return func() Gauge { return f } }

// Place is a selector for the nodes where an object is at a moment, or that decide
// about it: {holder-of: {branch: b-3}}.
type Place struct {
	// Name is the key of the selector.
	Name, Doc, Example string
	// Params returns a pointer to a struct with yaml tags, holding the defaults.
	Params func() any
	// New makes what finds them in one run.
	New func() Finder
}

// Finder finds the nodes of a place. One that also implements Listener hears facts.
type Finder interface {
	// Find names nodes, the likeliest first, none if the object is nowhere.
	Find(v check.View, params any) []string
}

// Listener hears every fact of a run as it happens.
type Listener interface {
	Hear(f check.Fact)
}

// The selectors by a quality: those with the most of it, or the least.
const (
	busiest     = "busiest"
	leastLoaded = "least-loaded"
	slowest     = "slowest"
)

var qualityWords = []string{busiest, leastLoaded, slowest}

// State is the world at the moment of a fault, as selectors by state see it.
type State interface {
	// Measure is the quality of a node; NaN if it has none.
	Measure(quality, node string) float64
	// Find names the nodes of a place.
	Find(place string, params any) []string
	// Connected reports whether two nodes can talk to each other, as check.View does.
	Connected(a, b string) bool
}

// byState is the part of a selector that depends on the world at the moment of the
// fault.
type byState struct {
	word    string
	quality string // of a selector by a quality
	place   *Place // of the others
	params  any
	count   int // 0: all
	of      *Selector
	from    *Selector // of reachable and unreachable
}

// stateful are keys of selectors by state with their values.
func (d *decoder) stateKeys() (keys []string) {
	keys = append(slices.Clone(qualityWords), reachWords...)
	for _, p := range d.places {
		keys = append(keys, p.Name)
	}
	return keys
}

// decodeState reads {busiest: NODES, by: QUALITY}, or {holder-of: {...}}.
func (s *Selector) decodeState(d *decoder, e entry, whole *value) {
	s.state = &byState{word: e.key.text, count: 1}
	s.at = *e.key
	d.stateful = append(d.stateful, e.key)
	if i := slices.IndexFunc(d.places, func(p Place) bool { return p.Name == e.key.text }); i >= 0 {
		s.state.place, s.state.params = &d.places[i], d.places[i].Params()
		if params := reflect.ValueOf(s.state.params).Elem(); len(fieldsOf(params.Type())) > 0 || len(e.value.entries) > 0 {
			d.into(e.value, params, e.key.text)
		}
		if e.value.kind == null {
			d.fail(e.key, "for example "+d.places[i].Example, "%s: expected to be told of what", e.key.text)
		}
		return
	}
	s.state.of = new(Selector)
	s.state.of.decode(d, e.value)
	if slices.Contains(reachWords, e.key.text) {
		s.decodeReach(d, whole)
		return
	}
	if by := whole.get("by"); by != nil {
		s.state.quality = d.word(by, "by")
	}
}

// checkState finds the quality that is meant.
func (s *Selector) checkState(d *decoder, r *roster) {
	st := s.state
	if st.place != nil || st.from != nil {
		return
	}
	candidates := st.of.all(r)
	runBy := func(q Quality) bool {
		return q.Service == "" || len(candidates) > 0 && !slices.ContainsFunc(candidates, func(n string) bool { return !slices.Contains(r.services[q.Service], n) })
	}
	var known, meant []string
	for _, q := range d.qualities {
		if !runBy(q) {
			continue
		}
		known = append(known, q.Name)
		if slices.Contains(q.Words, st.word) {
			meant = append(meant, q.Name)
		}
	}
	switch {
	case st.quality == "" && len(meant) == 1:
		st.quality = meant[0]
	case st.quality == "" && len(meant) == 0:
		d.fail(&s.at, "add by, one of: "+list(known), "%s: these nodes have no quality that it means", st.word)
	case st.quality == "":
		d.fail(&s.at, "add by, one of: "+list(meant), "%s: these nodes run several services, each with its own load", st.word)
	case !slices.Contains(known, st.quality):
		d.fail(&s.at, suggest(st.quality, known), "by: these nodes have no quality %s", quote(st.quality))
	}
}

// select selects by state. Of nodes with equal values the lot decides.
func (st *byState) nodes(r *roster, draw fault.Draw) []string {
	if r.state == nil {
		return nil
	}
	if st.place != nil {
		found := r.state.Find(st.place.Name, st.params)
		return found[:min(st.count, len(found))]
	}
	if st.from != nil {
		return st.reach(r, draw)
	}
	type one struct {
		name  string
		value float64
	}
	var all []one
	lot := shuffled(st.of.nodes(r, draw.Fork("of")), draw.Fork("tie"))
	for _, name := range lot {
		if value := r.state.Measure(st.quality, name); !math.IsNaN(value) {
			all = append(all, one{name, value})
		}
	}
	slices.SortStableFunc(all, func(a, b one) int {
		if a.value == b.value {
			return 0
		}
		if (a.value > b.value) != (st.word == leastLoaded) {
			return -1
		}
		return 1
	})
	selected := map[string]bool{}
	for _, one := range all[:min(st.count, len(all))] {
		selected[one.name] = true
	}
	return r.inOrder(selected)
}

// shuffled are names in an order by lot.
func shuffled(names []string, draw fault.Draw) []string {
	out := slices.Clone(names)
	for i := len(out) - 1; i > 0; i-- {
		j := draw.Fork(i).Below(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// atRun is a roster for selectors that are asked in a run: it answers as the world
// is, and writes down what it answered.
func (r *roster) atRun(state State) (at *roster, chosen *[][]string) {
	at = new(*r)
	at.state, at.chosen = state, new([][]string)
	return at, at.chosen
}

// again is a roster that answers what was answered in a run.
func (r *roster) again(chosen [][]string) *roster {
	at := new(*r)
	at.replay = slices.Clone(chosen)
	at.replayed = true
	return at
}

// byState answers for a selector by state.
func (r *roster) byState(st *byState, draw fault.Draw) []string {
	if r.replayed {
		if len(r.replay) == 0 {
			return nil
		}
		next := r.replay[0]
		r.replay = r.replay[1:]
		return next
	}
	found := st.nodes(r, draw)
	if r.chosen != nil {
		*r.chosen = append(*r.chosen, slices.Clone(found))
	}
	return found
}

// Qualities are all that a story may select nodes by: those of the words, and those
// that the world itself knows of.
func Qualities(v Vocabulary) []Quality { return append(worldQualities(), v.Qualities...) }

func worldQualities() []Quality {
	return []Quality{
		{Name: "disk.bytes", Unit: "bytes", Doc: "keys and values on the disk of a node",
			New: Look(func(_ check.View, n check.NodeView) float64 { return float64(n.DiskBytes) })},
		{Name: "uptime", Unit: "seconds", Doc: "since when a node is up; one that is down has none",
			New: Look(func(v check.View, n check.NodeView) float64 {
				if !n.Up {
					return math.NaN()
				}
				return (v.Now() - n.Since).Seconds()
			})},
	}
}

// selectWords documents the ways to select nodes, and the qualities.
func selectWords(v Vocabulary) []Word {
	out := []Word{
		{Kind: "select", Name: "one-of", Doc: "one of these nodes, by lot", Example: "crash: {one-of: core-*}"},
		{Kind: "select", Name: "some-of", Doc: "count of these nodes, by lot", Example: "crash: {some-of: core-*, count: 2}"},
		{Kind: "select", Name: "random", Doc: "so many of all nodes, by lot", Example: "crash: {random: 2}"},
		{Kind: "select", Name: "all-but", Doc: "all nodes but these", Example: "pause: {all-but: core-1}"},
		{Kind: "select", Name: "running", Doc: "the nodes that run a service", Example: "restart: {running: seer}"},
		{Kind: "select", Name: "zone", Doc: "the nodes of a zone", Example: "crash: {zone: west}"},
		{Kind: "select", Name: busiest, Doc: "the node of these that has most of a quality when the fault happens; count: so many. By lot among equals", Example: "disk: {busiest: core-*, by: disk.bytes, full: true}"},
		{Kind: "select", Name: leastLoaded, Doc: "the node of these that has least of a quality when the fault happens", Example: "crash: {least-loaded: core-*, by: disk.bytes}"},
		{Kind: "select", Name: slowest, Doc: "the node of these that is slowest by a quality when the fault happens", Example: "crash: {slowest: core-*, by: uptime}"},
	}
	out = append(out, reachWordDocs()...)
	for _, p := range v.Places {
		out = append(out, Word{Kind: "select", Name: p.Name, Doc: p.Doc, Example: p.Example, Keys: keyDocs(p.Params(), "")})
	}
	for _, q := range Qualities(v) {
		doc := q.Doc + ", in " + q.Unit
		if q.Service != "" {
			doc += " (of nodes that run " + q.Service + ")"
		}
		if len(q.Words) > 0 {
			doc += "; what " + list(q.Words) + " means there"
		}
		word, of := busiest, "core"
		if q.Service != "" {
			of = "{running: " + q.Service + "}"
		}
		out = append(out, Word{Kind: "quality", Name: q.Name, Doc: doc, Example: fmt.Sprintf("crash: {%s: %s, by: %s}, for: 10s", word, of, q.Name)})
	}
	return out
}
