package scenario

import "github.com/taucloud/tau/sim/fault"

// linkParams say which links: on (all links of nodes), between two sets, or
// one way from one to the other.
type linkParams struct {
	On      *Selector  `yaml:"on" doc:"all links of these nodes"`
	Between []Selector `yaml:"between" doc:"[A, B]: both ways between A and B"`
	From    *Selector  `yaml:"from" doc:"one way, from these"`
	To      *Selector  `yaml:"to" doc:"one way, to these; from or to alone means from or to everybody else"`
}

const linkHint = "write {between: [core-1, monkey-*]}, {from: core-1, to: core-2} or {on: core-1}"

func (p *linkParams) check(d *decoder, at *value, r *roster) {
	before := d.failures
	p.checkSides(d, at, r)
	if d.failures == before && !r.unknown() && !p.links(r) {
		d.fail(at, linkHint, "selects no link: a node has none to itself")
	}
}

func (p *linkParams) checkSides(d *decoder, at *value, r *roster) {
	ways := 0
	for _, given := range []bool{p.On != nil, p.Between != nil, p.From != nil || p.To != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		d.fail(at, linkHint, "expected one way to say which links")
		return
	}
	if p.Between != nil && len(p.Between) != 2 {
		d.fail(at, linkHint, "between: expected two sides, found %d", len(p.Between))
		return
	}
	for _, s := range p.selectors() {
		s.check(d, r)
	}
}

// endParams are links on which faults end: all links of a node are also those with
// the client.
type endParams struct {
	linkParams `yaml:",inline"`
}

func (p *endParams) check(d *decoder, at *value, r *roster) { p.checkSides(d, at, r) }

// selectors are all that it has.
func (p *linkParams) selectors() (list []*Selector) {
	for _, s := range []*Selector{p.On, p.From, p.To} {
		if s != nil {
			list = append(list, s)
		}
	}
	for i := range p.Between {
		list = append(list, &p.Between[i])
	}
	return list
}

// sides are all nodes that may be on both sides.
func (p *linkParams) sides(r *roster) (from, to []string) {
	switch {
	case p.On != nil:
		return p.On.all(r), r.names
	case p.Between != nil:
		return p.Between[0].all(r), p.Between[1].all(r)
	case p.From == nil:
		to = p.To.all(r)
		return r.without(to[:min(len(to), p.To.least(r))]), to
	case p.To == nil:
		from = p.From.all(r)
		return from, r.without(from[:min(len(from), p.From.least(r))])
	}
	return p.From.all(r), p.To.all(r)
}

// links reports whether there may be a link between two nodes.
func (p *linkParams) links(r *roster) bool {
	from, to := p.sides(r)
	alone := len(from) == 1 && len(to) == 1 && from[0] == to[0]
	return len(from) > 0 && len(to) > 0 && !alone
}

// pairs are the links.
func (p *linkParams) pairs(r *roster, draw fault.Draw) fault.Pairs {
	switch {
	case p.On != nil:
		nodes := p.On.nodes(r, draw.Fork("on"))
		return fault.Pairs{From: nodes, To: r.names, TwoWay: true}
	case p.Between != nil:
		return fault.Pairs{From: p.Between[0].nodes(r, draw.Fork("a")), To: p.Between[1].nodes(r, draw.Fork("b")), TwoWay: true}
	case p.From == nil:
		to := p.To.nodes(r, draw.Fork("to"))
		return fault.Pairs{From: r.without(to), To: to}
	case p.To == nil:
		from := p.From.nodes(r, draw.Fork("from"))
		return fault.Pairs{From: from, To: r.without(from)}
	}
	return fault.Pairs{From: p.From.nodes(r, draw.Fork("from")), To: p.To.nodes(r, draw.Fork("to"))}
}

// most bounds how many links there are.
func (p *linkParams) most(r *roster) int {
	from, to := p.sides(r)
	if p.From == nil || p.To == nil { // the others are everybody else, whoever is drawn
		return max(len(from), len(r.names)) * max(len(to), 1)
	}
	return len(from) * len(to)
}
