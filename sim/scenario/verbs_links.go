package scenario

import (
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

type partitionParams struct {
	Groups []Selector `yaml:"groups" doc:"lists of nodes"`
}

func (p *partitionParams) check(d *decoder, at *value, r *roster) {
	if len(p.Groups) < 2 {
		d.fail(at, "", "partition: expected at least two groups, found %d", len(p.Groups))
		return
	}
	rest := 0
	for i := range p.Groups {
		g := &p.Groups[i]
		g.check(d, r)
		if g.isRest() {
			rest++
		}
	}
	if rest > 1 {
		d.fail(at, "", `partition: two groups are "*", everybody else`)
	}
	p.checkOverlap(d, r)
	p.checkRest(d, r)
}

// checkRest reports that nobody is left for "*".
func (p *partitionParams) checkRest(d *decoder, r *roster) {
	if r.unknown() {
		return
	}
	named, drawn := map[string]bool{}, 0
	for i := range p.Groups {
		g := &p.Groups[i]
		switch {
		case g.isRest():
		case g.draws():
			drawn = max(drawn, g.least(r))
		default:
			for _, name := range g.all(r) {
				named[name] = true
			}
		}
	}
	delete(named, Client)
	if max(len(named), drawn) < len(r.names) {
		return
	}
	for i := range p.Groups {
		if p.Groups[i].isRest() {
			d.fail(&p.Groups[i].at, "leave some nodes to it", `partition: nobody is left for "*"`)
		}
	}
}

// checkOverlap reports a node that is surely in two groups.
func (p *partitionParams) checkOverlap(d *decoder, r *roster) {
	seen := map[string]bool{}
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.isRest() || g.draws() {
			continue
		}
		for _, name := range g.all(r) {
			if seen[name] {
				d.fail(&g.at, "name each node in one group", "partition: %s is in two groups", name)
				return
			}
			seen[name] = true
		}
	}
}

// isRest reports whether a group means all nodes that are in no other.
func (s *Selector) isRest() bool {
	return s.pattern == "*" || len(s.union) == 1 && s.union[0].isRest()
}

func partitionFaults(params any, o occurrence) []fault.Timed {
	p := params.(*partitionParams)
	groups := make([][]string, len(p.Groups))
	var named []string
	for i := range p.Groups {
		if g := &p.Groups[i]; !g.isRest() {
			// a node drawn into two groups stays in the first
			groups[i] = slices.DeleteFunc(slices.Clone(g.nodes(o.roster, o.draw.Fork("group", i))),
				func(n string) bool { return slices.Contains(named, n) })
			named = append(named, groups[i]...)
		}
	}
	for i := range p.Groups {
		if p.Groups[i].isRest() {
			groups[i] = o.roster.without(named)
		}
	}
	return o.one(fault.Partition{Groups: groups})
}

// isolateParams are of nodes that others can be cut off from.
type isolateParams struct {
	On *Selector `yaml:"on" doc:"nodes"`
}

func (p *isolateParams) check(d *decoder, at *value, r *roster) {
	before := d.failures
	checkOn(d, p.On, at, r)
	links := linkParams{On: p.On}
	if d.failures == before && !r.unknown() && !links.links(r) {
		d.fail(at, "add nodes, or cut the client off: cut: [client, core]", "isolate: there is no other node to be cut off from")
	}
}

func isolateFaults(params any, o occurrence) []fault.Timed {
	nodes := o.nodes(params.(*isolateParams).On)
	return o.one(fault.Isolate{Pairs: fault.Pairs{From: nodes, To: o.roster.names, TwoWay: true}})
}

type slowParams struct {
	linkParams `yaml:",inline"`
	shapeDoc   `yaml:",inline"`
}

func (p *slowParams) check(d *decoder, at *value, r *roster) {
	p.linkParams.check(d, at, r)
	if p.shape() == (fault.Shape{}) {
		d.fail(at, "", "slow-link: expected latency, bandwidth or loss")
	}
}

func slowFaults(params any, o occurrence) []fault.Timed {
	p := params.(*slowParams)
	return o.one(fault.Slow{Pairs: p.pairs(o.roster, o.draw), Shape: p.shape()})
}

type flakyParams struct {
	linkParams `yaml:",inline"`
	Every      fault.Range `yaml:"every" doc:"from one reset of a link to the next; default 2s..10s"`
}

func (p *flakyParams) check(d *decoder, at *value, r *roster) {
	p.linkParams.check(d, at, r)
	checkCycle(d, at, p.Every)
}

func flakySteps(params any, length time.Duration, r *roster) int {
	p := params.(*flakyParams)
	return p.most(r) * rounds(length, p.Every.Min)
}

func flakyFaults(params any, o occurrence) []fault.Timed {
	p := params.(*flakyParams)
	return fault.Flaky{Pairs: p.pairs(o.roster, o.draw), Every: p.Every, For: o.total()}.Unfold(o.draw)
}

func onLinks(make func(fault.Pairs) fault.Fault) func(any, occurrence) []fault.Timed {
	return func(params any, o occurrence) []fault.Timed {
		links := params.(interface {
			pairs(*roster, fault.Draw) fault.Pairs
		})
		return o.one(make(links.pairs(o.roster, o.draw)))
	}
}

// withClient includes the client where all links of nodes are meant: ending faults must also end
// those of the client.
func withClient(p fault.Pairs) fault.Pairs {
	if p.TwoWay {
		p.To = append(slices.Clone(p.To), Client)
	}
	return p
}
