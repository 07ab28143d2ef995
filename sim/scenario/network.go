package scenario

import (
	"fmt"
	"reflect"

	"github.com/taucloud/tau/sim/fault"
)

type networkDoc struct {
	Latency      fault.Range `yaml:"latency" doc:"one-way, drawn for each message; default 1ms..5ms"`
	Bandwidth    Bandwidth   `yaml:"bandwidth" doc:"of each link and direction, in bytes a second: 64kB/s; default unlimited"`
	Loss         Loss        `yaml:"loss" doc:"of a message to be lost on its way, so that it comes 200ms and more later, and what is behind it waits: 0.1%, up to 50%; default none"`
	WithinZones  shapeDoc    `yaml:"within-zones" doc:"of links within a zone: {latency: 1ms..2ms}"`
	BetweenZones shapeDoc    `yaml:"between-zones" doc:"of links between two zones: {latency: 20ms..60ms, loss: 0.1%}"`
	Links        []linkDoc   `yaml:"links" doc:"other links, {between: [A, B], latency: 80ms}; the last one that fits wins"`
}

// shapeDoc is what a link is like.
type shapeDoc struct {
	Latency   fault.Range `yaml:"latency" doc:"one-way, drawn for each message: 80ms..120ms"`
	Bandwidth Bandwidth   `yaml:"bandwidth" doc:"of each link and direction, in bytes a second: 64kB/s"`
	Loss      Loss        `yaml:"loss" doc:"of a message to be lost on its way, so that it comes later: 0.1%, up to 50%"`
}

func (s shapeDoc) shape() fault.Shape {
	return fault.Shape{LatencyMin: s.Latency.Min, LatencyMax: s.Latency.Max, Bandwidth: int64(s.Bandwidth), Loss: float64(s.Loss)}
}

// shapeKeys are the keys of a shape in a file, none for those that are not set.
func shapeKeys(s fault.Shape) []string {
	return given([]string{
		optional(s.LatencyMax > 0, "latency: "+span(s.LatencyMin, s.LatencyMax)),
		optional(s.Bandwidth > 0, fmt.Sprintf("bandwidth: %d", s.Bandwidth)),
		optional(s.Loss > 0, "loss: "+decimal(s.Loss)),
	})
}

// linkDoc is an entry of network.links.
type linkDoc struct {
	linkParams `yaml:",inline"`
	shapeDoc   `yaml:",inline"`

	at *value
}

func (l *linkDoc) decode(d *decoder, v *value) {
	l.at = v
	d.intoStruct(v, reflect.ValueOf(l).Elem(), "a link")
}

func (b *builder) network(root *value, doc *networkDoc) {
	n := &b.scenario.Network
	n.Default = n.Default.With(shapeDoc{doc.Latency, doc.Bandwidth, doc.Loss}.shape())
	n.within, n.between, n.zones = doc.WithinZones.shape(), doc.BetweenZones.shape(), map[string]string{}
	for _, one := range b.scenario.Nodes {
		n.zones[one.Name] = one.Zone
	}
	b.checkZones(root.get("network"), n)
	for i := range doc.Links {
		b.link(&doc.Links[i])
	}
}

// checkZones complains about links of zones that there are not.
func (b *builder) checkZones(at *value, n *Network) {
	for key, shape := range map[string]fault.Shape{"within-zones": n.within, "between-zones": n.between} {
		zones := len(b.scenario.roster.zones)
		if shape != (fault.Shape{}) && (zones == 0 || zones == 1 && key == "between-zones") {
			b.fail(at.get(key), "add zone: east to some groups of nodes, and zone: west to others", "%s: %d zones have nodes", key, zones)
		}
	}
}

func (b *builder) link(l *linkDoc) {
	if l.at.kind != mapping {
		return
	}
	if l.shape() == (fault.Shape{}) {
		b.fail(l.at, "add latency: 80ms..120ms, bandwidth: 1MB/s or loss: 1%", "a link that is like all others")
	}
	l.check(b.decoder, l.at, b.scenario.roster)
	if len(b.errors) > 0 {
		return
	}
	pairs := l.pairs(b.scenario.roster, fault.NewDraw(0))
	rule := linkRule{from: map[string]bool{}, to: map[string]bool{}, twoWay: pairs.TwoWay, shape: l.shape()}
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
