package scenario

import (
	"fmt"
	"path"
	"slices"

	"github.com/taucloud/tau/sim/fault"
)

// Client is the name of the node outside of the cloud on which actions run. No
// selector but its name selects it.
const Client = "client"

// Selector selects nodes: by name, glob, list, service, or by lot.
type Selector struct {
	at     value  // for messages
	source *value // all that the file has

	pattern string // a node, a group, or a glob over both
	union   []Selector
	running string    // nodes that run this service
	zone    string    // nodes in this zone
	state   *byState  // nodes by what they are like when the fault happens
	allBut  *Selector // all nodes but these
	of      *Selector // from these, pick
	count   int       // this many
}

// selectorKeys are the keys of a selector that is a mapping, but for those by state.
var selectorKeys = []string{"pick", "one-of", "some-of", "count", "random", "all-but", "running", "zone", "by", "from"}

const selectorHint = `write a name (core-1), a glob (core-*), a list of them, or {one-of: monkey-*}`

func (s *Selector) decode(d *decoder, v *value) {
	*s = Selector{at: *v, source: v}
	switch v.kind {
	case scalar:
		s.decodePattern(d, v)
	case sequence:
		if len(v.items) == 0 {
			d.fail(v, selectorHint, "expected nodes, found an empty list")
		}
		s.union = make([]Selector, len(v.items))
		for i, item := range v.items {
			s.union[i].decode(d, item)
		}
	case mapping:
		s.decodeKeys(d, v)
	default:
		d.fail(v, selectorHint, "expected nodes, found %s", v)
	}
}

func (s *Selector) decodePattern(d *decoder, v *value) {
	s.pattern = v.text
	if _, err := path.Match(v.text, "x"); err != nil || v.text == "" {
		d.fail(v, selectorHint, "%s is not a name of nodes", quote(v.text))
	}
}

// ways are the keys of which a selection has exactly one.
func (d *decoder) ways() []string {
	return append([]string{"pick", "one-of", "some-of", "random", "all-but", "running", "zone"}, d.stateKeys()...)
}

func (s *Selector) decodeKeys(d *decoder, v *value) {
	way := s.decodeWay(d, v)
	s.decodeCount(d, v, way)
	if by := v.get("by"); by != nil && !slices.Contains(qualityWords, way) {
		d.fail(by, "write {busiest: monkey-*, by: ...}", "by without busiest, least-loaded or slowest")
	}
	if from := v.get("from"); from != nil && !slices.Contains(reachWords, way) {
		d.fail(from, "write {unreachable: core-*, from: client}", "from without reachable or unreachable")
	}
}

// decodeWay reads the one key that says how to select, and returns it.
func (s *Selector) decodeWay(d *decoder, v *value) (way string) {
	before := d.failures
	ways := d.ways()
	for _, e := range v.entries {
		key := e.key.text
		switch {
		case key == "count" || key == "by" || key == "from":
		case !slices.Contains(ways, key):
			d.unknown(e.key, "key", "in a selection of nodes", append(ways, "count", "by", "from"))
		case way != "":
			d.fail(e.key, "keep one of them, or nest them: {one-of: {running: patrick}}", "%s beside %s: two ways to select nodes", quote(key), quote(way))
		default:
			way = key
			s.decodeBy(d, e, v)
		}
	}
	if way == "" && d.failures == before {
		d.fail(v, selectorHint, "expected a selection of nodes")
	}
	return way
}

func (s *Selector) decodeBy(d *decoder, e entry, whole *value) {
	switch key := e.key.text; key {
	case "pick":
		s.decodePick(d, e)
	case "one-of", "some-of":
		s.of, s.count = new(Selector), 1
		s.of.decode(d, e.value)
	case "random":
		s.of = &Selector{at: *e.value, pattern: "*"}
		if n, ok := d.integer(e.value, key); ok && (n < 1 || n > NodesMax) {
			d.fail(e.value, "write {random: 2}", "random: expected 1 to %d, found %d", NodesMax, n)
		} else if ok {
			s.count = int(n)
		}
	case "all-but":
		s.allBut = new(Selector)
		s.allBut.decode(d, e.value)
	case "running":
		s.running, s.at = d.word(e.value, key), *e.value
	case "zone":
		s.zone, s.at = d.word(e.value, key), *e.value
	default:
		s.decodeState(d, e, whole)
	}
}

// decodePick reads pick, which wraps another selection by lot, {pick: {one-of: monkey-*}}, or
// means one of some nodes.
func (s *Selector) decodePick(d *decoder, e entry) {
	if e.value.kind == mapping {
		s.decode(d, e.value)
		return
	}
	s.of, s.count = new(Selector), 1
	s.of.decode(d, e.value)
}

// decodeCount reads count, which only some ways take.
func (s *Selector) decodeCount(d *decoder, v *value, way string) {
	at := v.get("count")
	takes := way == "some-of" || s.state != nil && way != "pick"
	switch {
	case at == nil && way == "some-of":
		d.fail(v, "add count: 2, or write one-of", "some-of without count: how many?")
	case at == nil || way == "":
		return
	case !takes && way != "one-of":
		d.fail(at, "write {some-of: monkey-*, count: 2}", "%s takes no count", way)
		return
	}
	if at == nil {
		return
	}
	n, ok := d.integer(at, "count")
	switch {
	case !ok:
	case n < 1 || n > NodesMax:
		d.fail(at, "write 1 or more", "count: expected 1 to %d, found %d", NodesMax, n)
	case way == "one-of" && n > 1:
		d.fail(at, fmt.Sprintf("write some-of with count: %d", n), "one-of picks one, not %d", n)
	case s.state != nil:
		s.state.count = int(n)
	default:
		s.count = int(n)
	}
}

// all is every node that the selector could select, in order.
func (s *Selector) all(r *roster) []string {
	switch {
	case !s.draws():
		return s.nodes(r, fault.Draw{})
	case s.of != nil:
		return s.of.all(r)
	case s.state != nil && s.state.of != nil:
		return s.state.of.all(r)
	case s.state != nil || s.allBut != nil:
		return r.names
	}
	any := map[string]bool{}
	for i := range s.union {
		for _, name := range s.union[i].all(r) {
			any[name] = true
		}
	}
	return r.inOrder(any)
}

// draws reports whether it takes a draw, or a look at the world, to know the nodes.
func (s *Selector) draws() bool {
	return s.of != nil || s.state != nil || s.allBut != nil && s.allBut.draws() || slices.ContainsFunc(s.union, func(u Selector) bool { return u.draws() })
}

// nodes selects, in the order of the scenario.
func (s *Selector) nodes(r *roster, draw fault.Draw) []string {
	switch {
	case s.state != nil:
		return r.byState(s.state, draw.Fork("state"))
	case s.of != nil:
		return draw.Fork("pick").Some(s.of.nodes(r, draw.Fork("of")), s.count)
	case s.running != "":
		return r.services[s.running]
	case s.zone != "":
		return r.zones[s.zone]
	case s.allBut != nil:
		return r.without(s.allBut.nodes(r, draw.Fork("all-but")))
	case s.pattern != "":
		return r.match(s.pattern)
	}
	selected := map[string]bool{}
	for i := range s.union {
		for _, name := range s.union[i].nodes(r, draw.Fork("union", i)) {
			selected[name] = true
		}
	}
	return r.inOrder(selected)
}
