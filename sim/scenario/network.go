package scenario

import (
	"fmt"
	"reflect"

	"github.com/taucloud/tau/sim/fault"
)

type networkDoc struct {
	Latency      fault.Range `yaml:"latency" zero:"no" doc:"one-way, drawn for each message; default 1ms..5ms"`
	Bandwidth    Bandwidth   `yaml:"bandwidth" doc:"of each link and direction, in bytes a second: 64kB/s; default unlimited"`
	Loss         Loss        `yaml:"loss" zero:"no" doc:"of a message to be lost on its way, so that it comes 200ms and more later, and what is behind it waits: 0.1%, up to 50%; default none"`
	WithinZones  shapeDoc    `yaml:"within-zones" doc:"of links within a zone: {latency: 1ms..2ms}"`
	BetweenZones shapeDoc    `yaml:"between-zones" doc:"of links between two zones: {latency: 20ms..60ms, loss: 0.1%}"`
	Links        []linkDoc   `yaml:"links" doc:"other links, {between: [A, B], latency: 80ms}; the last one that fits wins"`
}

// shapeDoc is what a link is like.
type shapeDoc struct {
	Latency   fault.Range `yaml:"latency" zero:"no" doc:"one-way, drawn for each message: 80ms..120ms"`
	Bandwidth Bandwidth   `yaml:"bandwidth" doc:"of each link and direction, in bytes a second: 64kB/s"`
	Loss      Loss        `yaml:"loss" zero:"no" doc:"of a message to be lost on its way, so that it comes later: 0.1%, up to 50%"`
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
	before := len(d.stateful)
	d.intoStruct(v, reflect.ValueOf(l).Elem(), "a link")
	for _, at := range d.stateful[before:] {
		d.fail(at, "select nodes by name, group or zone: links are there before anything happens", "%s: there is no moment here at which it could be asked", at.text)
	}
	d.stateful = d.stateful[:before]
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

// checkZones reports links of zones that there are not.
func (b *builder) checkZones(at *value, n *Network) {
	zones, pairs := b.scenario.roster.zones, 0
	for _, nodes := range zones {
		pairs += len(nodes) - 1
	}
	if b.scenario.roster.unknown() {
		return
	}
	if n.within != (fault.Shape{}) && pairs == 0 {
		b.fail(at.get("within-zones"), "add zone: east to some groups of nodes, and zone: west to others", "within-zones: no zone has two nodes")
	}
	if n.between != (fault.Shape{}) && len(zones) < 2 {
		b.fail(at.get("between-zones"), "add zone: east to some groups of nodes, and zone: west to others", "between-zones: %d zones have nodes", len(zones))
	}
}

func (b *builder) link(l *linkDoc) {
	if l.at.kind != mapping {
		return
	}
	before := b.failures
	said := l.at.get("latency") != nil || l.at.get("bandwidth") != nil || l.at.get("loss") != nil
	if !said && len(l.at.entries) > 0 {
		b.fail(l.at, "add latency: 80ms..120ms, bandwidth: 1MB/s or loss: 1%", "a link that is like all others")
	}
	l.check(b.decoder, l.at, b.scenario.roster)
	for _, s := range l.selectors() {
		if s.of != nil || s.state == nil && s.draws() {
			b.fail(&s.at, "select nodes by name, group or zone", "links are there before anything is drawn: no lot can choose them")
		}
	}
	if b.failures > before {
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
