package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// check reports what selects nothing, and more than there is.
func (s *Selector) check(d *decoder, r *roster) {
	before := d.failures
	for _, inner := range s.parts() {
		inner.check(d, r)
	}
	switch {
	case s.pattern != "" && len(r.match(s.pattern)) == 0 && !r.maybe(s.pattern):
		d.fail(&s.at, suggest(s.pattern, r.known()), "no node is called %s", quote(s.pattern))
	case s.running != "" && len(r.services[s.running]) == 0 && !r.unknown():
		d.fail(&s.at, "services on nodes: "+list(r.serviceNames()), "no node runs service %s", quote(s.running))
	case s.zone != "" && len(r.zones[s.zone]) == 0 && !r.unknown():
		d.fail(&s.at, suggest(s.zone, sortedKeys(r.zones)), "no node is in zone %s", quote(s.zone))
	case s.state != nil:
		s.checkState(d, r)
	}
	if d.failures == before && !r.unknown() {
		s.checkNumber(d, r)
	}
}

// checkNumber reports a selection of nobody, and one of more nodes than there are.
func (s *Selector) checkNumber(d *decoder, r *roster) {
	if s.allBut != nil && s.most(r) == 0 {
		d.fail(&s.at, selectorHint, "selects nobody: there is no other node")
		return
	}
	wanted, from := s.count, s.of
	if s.state != nil {
		wanted, from = s.state.count, s.state.of
	}
	if wanted < 2 {
		return
	}
	there := len(r.names)
	if from != nil {
		there = from.most(r)
	}
	if there < wanted {
		d.fail(&s.at, fmt.Sprintf("pick at most %d", there), "picks %d nodes of %d", wanted, there)
	}
}

// checkRuns reports each part of a selection of which no node runs a service that what is about
// must have.
func (s *Selector) checkRuns(d *decoder, r *roster, service, what string) {
	if len(s.union) > 0 {
		for i := range s.union {
			s.union[i].checkRuns(d, r, service, what)
		}
		return
	}
	runs := slices.Concat(r.services[service], r.pretended[service])
	if slices.ContainsFunc(s.all(r), func(name string) bool { return slices.Contains(runs, name) }) {
		return
	}
	hint := "no node does: add it to the services of a group"
	if len(runs) > 0 {
		hint = "nodes that do: " + list(runs)
	}
	d.fail(&s.at, hint, "%s: no node here runs %s", what, service)
}

// parts are the selectors that it is made of.
func (s *Selector) parts() (list []*Selector) {
	for i := range s.union {
		list = append(list, &s.union[i])
	}
	for _, inner := range []*Selector{s.of, s.allBut} {
		if inner != nil {
			list = append(list, inner)
		}
	}
	if s.state != nil && s.state.of != nil {
		list = append(list, s.state.of)
	}
	if s.state != nil && s.state.from != nil {
		list = append(list, s.state.from)
	}
	return list
}

// most is how many nodes it selects at most, least how many at least.
func (s *Selector) most(r *roster) int {
	switch {
	case !s.draws():
		return len(s.all(r))
	case s.of != nil:
		return min(s.count, s.of.most(r))
	case s.state != nil && s.state.count == 0:
		return s.state.of.most(r)
	case s.state != nil && s.state.of != nil:
		return min(s.state.count, s.state.of.most(r))
	case s.state != nil:
		return min(s.state.count, len(r.names))
	case s.allBut != nil:
		return len(r.names) - s.allBut.least(r)
	}
	sum := 0
	for i := range s.union {
		sum += s.union[i].most(r)
	}
	return min(sum, len(r.names)+1) // and the client
}

func (s *Selector) least(r *roster) (n int) {
	switch {
	case !s.draws():
		return len(s.all(r))
	case s.of != nil:
		return min(s.count, s.of.least(r))
	case s.state != nil:
		return 0 // who has no value is not selected
	case s.allBut != nil:
		return max(0, len(r.names)-s.allBut.most(r))
	}
	for i := range s.union {
		n = max(n, s.union[i].least(r))
	}
	return n
}

// unknown reports whether it is not known which nodes there are, and what they run.
func (r *roster) unknown() bool { return r.unsure || r.open }

// maybe reports whether a pattern may select nodes of a group with mistakes.
func (r *roster) maybe(pattern string) bool {
	literal := pattern
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		literal = pattern[:i]
	}
	return r.open || slices.ContainsFunc(r.uncounted, func(group string) bool {
		return strings.HasPrefix(pattern, group+"-") || literal != pattern && strings.HasPrefix(group+"-", literal)
	})
}
