package run

import (
	"cmp"
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// beliefsMax bounds what is kept of one service's beliefs, the last ones.
const beliefsMax = 1000

// beliefs writes to the trace what services believe, as far as it has changed. Nobody
// is asked unless somebody reads the trace.
type beliefs struct {
	known map[[2]string][]scenario.Belief // by node and service, in order of what they are about
}

// look compares what is believed now with what was.
func (b *beliefs) look(w believers, v check.View, of func(check.View, node.Service) []scenario.Belief) {
	if of == nil || !w.Traced() {
		return
	}
	if b.known == nil {
		b.known = map[[2]string][]scenario.Belief{}
	}
	for _, n := range v.Nodes() {
		for _, service := range n.Services {
			var now []scenario.Belief
			if s := n.Service(service); s != nil {
				now = ofOne(v, s, of)
			}
			key := [2]string{n.Name, service}
			changes(b.known[key], now, func(about, says string) { w.Believes(n.Name, service, about, says) })
			b.known[key] = now
		}
	}
}

// believers are the part of a world that look needs.
type believers interface {
	Traced() bool
	Believes(node, service, about, says string)
}

// ofOne asks one service. A service that has broken down may be in no state to be
// asked, which is no reason to lose what is known of the run.
func ofOne(v check.View, s node.Service, of func(check.View, node.Service) []scenario.Belief) (list []scenario.Belief) {
	defer func() {
		if recover() != nil {
			list = nil
		}
	}()
	list = of(v, s)
	slices.SortStableFunc(list, byAbout)
	return list[max(0, len(list)-beliefsMax):]
}

func byAbout(a, b scenario.Belief) int { return cmp.Compare(a.About, b.About) }

// changes merges two lists in order; what is gone says nothing.
func changes(was, is []scenario.Belief, tell func(about, says string)) {
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].About < is[0].About:
			tell(was[0].About, "")
			was = was[1:]
		case len(was) == 0 || is[0].About < was[0].About:
			tell(is[0].About, is[0].Says)
			is = is[1:]
		default:
			if was[0].Says != is[0].Says {
				tell(is[0].About, is[0].Says)
			}
			was, is = was[1:], is[1:]
		}
	}
}
