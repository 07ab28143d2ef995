package run

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// beliefsMax bounds what is kept of one service's beliefs, the last ones.
const beliefsMax = 1000

const (
	// wholeLook is the virtual time from one look at everything that is believed to the
	// next, wholeLooksMax how many there are in a run at most, if it is longer. Between
	// them only what facts have named lately is looked at: all that a cloud knows, each
	// second, would cost more than the run.
	wholeLook     = 10 * time.Second
	wholeLooksMax = 60
	// lately is for how long at least a fact is a reason to look, in virtual time: what
	// it tells of is on its way to other nodes.
	lately = 4 * time.Second
)

// beliefs writes to the trace what services believe, as far as it has changed. Nobody
// is asked unless somebody reads the trace.
type beliefs struct {
	known map[[2]string][]scenario.Belief // by node and service, in order of what they are about
	// named are the values of facts since forgot, before those of the time before.
	named, before map[string]bool
	forgot        time.Duration
	whole         time.Duration // of the last look at everything
}

// hear notes what a fact is about. Users learn of everything, and change little.
func (b *beliefs) hear(f check.Fact) {
	if f.Node == scenario.Client {
		return
	}
	if b.named == nil || f.At >= b.forgot+lately {
		b.named, b.before, b.forgot = map[string]bool{}, b.named, f.At
	}
	for _, field := range f.Fields {
		if text, is := field.Value.(string); is {
			b.named[text] = true
		}
	}
}

// heard reports whether a fact has lately named a thing, or all parts of a path.
func (b *beliefs) heard(about string) bool {
	for part := range strings.SplitSeq(about, "/") {
		if !b.named[part] && !b.before[part] && !b.named[about] && !b.before[about] {
			return false
		}
	}
	return true
}

// look compares what is believed now with what was; duration is that of the run.
func (b *beliefs) look(w believers, v check.View, of beliefsOf, duration time.Duration) {
	if now := v.Now(); b.known == nil || now >= b.whole+max(wholeLook, duration/wholeLooksMax) {
		b.whole = now
		b.ask(w, v, of, nil)
		return
	}
	b.ask(w, v, of, b.heard)
}

// beliefsOf is as in a vocabulary.
type beliefsOf func(v check.View, s node.Service, wanted func(string) bool) (list []scenario.Belief, all bool)

func (b *beliefs) ask(w believers, v check.View, of beliefsOf, wanted func(string) bool) {
	if of == nil || !w.Traced() {
		return
	}
	if b.known == nil {
		b.known = map[[2]string][]scenario.Belief{}
	}
	for _, n := range v.Nodes() {
		for _, service := range n.Services {
			key := [2]string{n.Name, service}
			var now []scenario.Belief
			if s := n.Service(service); s != nil {
				list, all := ofOne(v, s, of, wanted)
				if !all && wanted != nil {
					list = with(b.known[key], list)
				}
				now = ordered(list)
			}
			changes(b.known[key], now, func(about, says string) { w.Believes(n.Name, service, about, says) })
			b.known[key] = now
		}
	}
}

// with is what is believed now, and what was of other things.
func with(known, now []scenario.Belief) []scenario.Belief {
	told := map[string]bool{}
	for _, x := range now {
		told[x.About] = true
	}
	for _, x := range known {
		if !told[x.About] {
			now = append(now, x)
		}
	}
	return now
}

func ordered(list []scenario.Belief) []scenario.Belief {
	slices.SortStableFunc(list, byAbout)
	return list[max(0, len(list)-beliefsMax):]
}

// believers are the part of a world that look needs.
type believers interface {
	Traced() bool
	Believes(node, service, about, says string)
}

// ofOne asks one service. A service that has broken down may be in no state to be
// asked, which is no reason to lose what is known of the run.
func ofOne(v check.View, s node.Service, of beliefsOf, wanted func(string) bool) (list []scenario.Belief, all bool) {
	defer func() {
		if recover() != nil {
			list, all = nil, true
		}
	}()
	return of(v, s, wanted)
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
