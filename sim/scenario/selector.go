package scenario

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/sim/fault"
)

// Client is the name of the node outside of the cloud on which actions run. No
// selector but its name selects it.
const Client = "client"

// Selector selects nodes: by name, glob, list, service, or by lot.
type Selector struct {
	at value // for messages

	pattern string // a node, a group, or a glob over both
	union   []Selector
	running string    // nodes that run this service
	zone    string    // nodes in this zone
	state   *byState  // nodes by what they are like when the fault happens
	allBut  *Selector // all nodes but these
	of      *Selector // from these, pick
	count   int       // this many
}

// selectorKeys are the keys of a selector that is a mapping.
var selectorKeys = []string{"pick", "one-of", "some-of", "count", "random", "all-but", "running", "zone", "by"}

const selectorHint = `write a name (core-1), a glob (core-*), a list of them, or {one-of: monkey-*}`

func (s *Selector) decode(d *decoder, v *value) {
	*s = Selector{at: *v}
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

func (s *Selector) decodeKeys(d *decoder, v *value) {
	s.count = 1
	for _, e := range v.entries {
		switch key := e.key.text; key {
		case "pick", "one-of", "some-of", "random":
			if s.of != nil {
				d.fail(e.key, "keep one of them", "%s beside another way to pick", quote(key))
			}
			s.decodePick(d, e)
		case "count":
			if n, ok := d.integer(e.value, key); ok && (n < 1 || n > NodesMax) {
				d.fail(e.value, "", "count: expected 1 to %d, found %d", NodesMax, n)
			} else if ok {
				s.count = int(n)
			}
		case "all-but":
			s.allBut = new(Selector)
			s.allBut.decode(d, e.value)
		case "running":
			s.running, _ = d.text(e.value, key)
			s.at = *e.value
		case "by":
			if !slices.ContainsFunc(qualityWords, func(word string) bool { return v.get(word) != nil }) {
				d.fail(e.key, "write {busiest: monkey-*, by: ...}", "by without busiest, least-loaded or slowest")
			}
		case "zone":
			s.zone, _ = d.text(e.value, key)
			s.at = *e.value
		default:
			if slices.Contains(d.stateKeys(), key) {
				s.decodeState(d, e, v)
				continue
			}
			d.unknown(e.key, "key", "in a selection of nodes", append(slices.Clone(selectorKeys), d.stateKeys()...))
		}
	}
	if s.of == nil && s.allBut == nil && s.running == "" && s.zone == "" && s.state == nil && len(d.errors) == 0 {
		d.fail(v, selectorHint, "expected a selection of nodes")
	}
	if s.state != nil {
		s.state.count = s.count
	} else if v.get("count") != nil && s.of == nil {
		d.fail(v, "write {some-of: monkey-*, count: 2}", "count without some-of")
	}
}

// decodePick reads one-of and its relatives. "pick" is an optional wrapper: {pick: {one-of:
// monkey-*}}; {random: 2} picks two of all.
func (s *Selector) decodePick(d *decoder, e entry) {
	if e.key.text == "pick" && e.value.kind == mapping {
		inner := Selector{}
		inner.decode(d, e.value)
		inner.at = *e.value
		*s = inner
		return
	}
	s.of = new(Selector)
	if n, err := parseInt(e.value.text); e.key.text == "random" && e.value.kind == scalar && err == nil {
		if n < 1 || n > NodesMax {
			d.fail(e.value, "", "random: expected 1 to %d, found %d", NodesMax, n)
		}
		s.of.at, s.of.pattern, s.count = *e.value, "*", int(n)
		return
	}
	s.of.decode(d, e.value)
}

// roster is the nodes that selectors select from.
type roster struct {
	names    []string // without the client and strangers
	outside  []string // strangers
	exists   map[string]bool
	group    map[string][]string
	services map[string][]string // service to nodes
	zones    map[string][]string // zone to nodes

	state    State       // in a run; nil before it
	chosen   *[][]string // what selectors by state have answered in it
	replay   [][]string  // what they answer again
	replayed bool
}

// check reports names that select nothing.
func (s *Selector) check(d *decoder, r *roster) {
	for i := range s.union {
		s.union[i].check(d, r)
	}
	for _, inner := range []*Selector{s.of, s.allBut} {
		if inner != nil {
			inner.check(d, r)
		}
	}
	if s.pattern != "" && len(r.match(s.pattern)) == 0 {
		d.fail(&s.at, suggest(s.pattern, r.known()), "no node is called %s", quote(s.pattern))
	}
	if s.running != "" && len(r.services[s.running]) == 0 {
		d.fail(&s.at, "services on nodes: "+list(r.serviceNames()), "no node runs service %s", quote(s.running))
	}
	if s.zone != "" && len(r.zones[s.zone]) == 0 {
		d.fail(&s.at, suggest(s.zone, sortedKeys(r.zones)), "no node is in zone %s", quote(s.zone))
	}
	if s.state != nil {
		s.checkState(d, r)
	}
	if s.of != nil && s.count > 1 {
		if n := len(s.of.all(r)); n > 0 && n < s.count {
			d.fail(&s.at, fmt.Sprintf("pick at most %d", n), "picks %d nodes of %d", s.count, n)
		}
	}
}

// all is every node that the selector could select, in order.
func (s *Selector) all(r *roster) []string {
	if s.of != nil {
		return s.of.all(r)
	}
	if s.state != nil && s.state.of != nil {
		return s.state.of.all(r)
	}
	if s.state != nil {
		return r.names
	}
	return s.nodes(r, fault.Draw{})
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

func (r *roster) inOrder(selected map[string]bool) (out []string) {
	for _, name := range slices.Concat(r.names, r.outside, []string{Client}) {
		if selected[name] {
			out = append(out, name)
		}
	}
	return out
}

func (r *roster) without(names []string) []string {
	gone := make(map[string]bool, len(names))
	for _, n := range names {
		gone[n] = true
	}
	return slices.DeleteFunc(slices.Clone(r.names), func(n string) bool { return gone[n] })
}

// match finds nodes by name, group or glob. A group of one node answers to
// both forms of its name.
func (r *roster) match(pattern string) (out []string) {
	if pattern == Client {
		return []string{Client}
	}
	if !strings.ContainsAny(pattern, `*?[\`) {
		if r.exists[pattern] {
			return []string{pattern}
		}
		if group := r.group[pattern]; group != nil {
			return group
		}
		if first, ok := strings.CutSuffix(pattern, "-1"); ok && len(r.group[first]) == 1 {
			return r.group[first]
		}
		return nil
	}
	for _, name := range r.names {
		one, _ := path.Match(pattern, name)
		if alone := len(r.group[name]) == 1; alone && !one {
			one, _ = path.Match(pattern, name+"-1")
		}
		if one {
			out = append(out, name)
		}
	}
	return out
}

// known lists groups before nodes: a large group's nodes would hide them.
func (r *roster) known() []string {
	words := slices.DeleteFunc(sortedKeys(r.group), func(group string) bool { return r.exists[group] })
	return append(slices.Concat(words, r.names, r.outside), Client)
}

func (r *roster) serviceNames() []string { return sortedKeys(r.services) }
