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

// draws reports whether the nodes are chosen by lot.
func (s *Selector) draws() bool {
	return s.of != nil || s.state != nil || s.allBut != nil && s.allBut.draws() || slices.ContainsFunc(s.union, func(u Selector) bool { return u.draws() })
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

func isolateFaults(params any, o occurrence) []fault.Timed {
	nodes := o.nodes(params.(*nodesParams).On)
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
