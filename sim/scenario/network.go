package scenario

import (
	"reflect"

	"github.com/taucloud/tau/sim/fault"
)

type networkDoc struct {
	Latency   fault.Range `yaml:"latency" doc:"one-way, drawn for each message; default 1ms..5ms"`
	Bandwidth Bandwidth   `yaml:"bandwidth" doc:"of each link; default unlimited"`
	Links     []linkDoc   `yaml:"links" doc:"other links; the last one that fits wins"`
}

// linkDoc is an entry of network.links.
type linkDoc struct {
	linkParams `yaml:",inline"`
	Latency    fault.Range `yaml:"latency" doc:"one-way, drawn for each message"`
	Bandwidth  Bandwidth   `yaml:"bandwidth" doc:"bytes a second"`

	at *value
}

func (l *linkDoc) decode(d *decoder, v *value) {
	l.at = v
	d.intoStruct(v, reflect.ValueOf(l).Elem(), "a link")
}

func (b *builder) network(doc *networkDoc) {
	n := &b.scenario.Network
	if doc.Latency != (fault.Range{}) {
		n.Default.LatencyMin, n.Default.LatencyMax = doc.Latency.Min, doc.Latency.Max
	}
	n.Default.Bandwidth = int64(doc.Bandwidth)
	for i := range doc.Links {
		b.link(&doc.Links[i])
	}
}

func (b *builder) link(l *linkDoc) {
	if l.at.kind != mapping {
		return
	}
	if l.Latency == (fault.Range{}) && l.Bandwidth == 0 {
		b.fail(l.at, "add latency: 80ms..120ms or bandwidth: 1MB/s", "a link that is like all others")
	}
	l.check(b.decoder, l.at, b.scenario.roster)
	if len(b.errors) > 0 {
		return
	}
	pairs := l.pairs(b.scenario.roster, fault.NewDraw(0))
	rule := linkRule{from: map[string]bool{}, to: map[string]bool{}, twoWay: pairs.TwoWay, shape: fault.Shape{
		LatencyMin: l.Latency.Min, LatencyMax: l.Latency.Max, Bandwidth: int64(l.Bandwidth)}}
	for _, name := range pairs.From {
		rule.from[name] = true
	}
	for _, name := range pairs.To {
		rule.to[name] = true
	}
	b.scenario.Network.links = append(b.scenario.Network.links, rule)
}

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
	for _, s := range []*Selector{p.On, p.From, p.To} {
		if s != nil {
			s.check(d, r)
		}
	}
	for i := range p.Between {
		p.Between[i].check(d, r)
	}
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
	sides := [2]int{len(r.names), len(r.names)}
	switch {
	case p.On != nil:
		sides[0] = len(p.On.all(r))
	case p.Between != nil:
		sides = [2]int{len(p.Between[0].all(r)), len(p.Between[1].all(r))}
	default:
		if p.From != nil {
			sides[0] = len(p.From.all(r))
		}
		if p.To != nil {
			sides[1] = len(p.To.all(r))
		}
	}
	return sides[0] * sides[1]
}
