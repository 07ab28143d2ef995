package items

import (
	"math"
	"slices"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// Qualities are what hoarders are selected by.
func Qualities() []scenario.Quality {
	return []scenario.Quality{{
		Name: "items.held", Unit: "items", Doc: "copies that a hoarder holds", Service: hoarderapi.Service, Words: []string{"busiest", "least-loaded"},
		New: scenario.Look(func(_ check.View, n check.NodeView) float64 {
			h, ok := n.Service(hoarderapi.Service).(Hoarder)
			if !ok || !n.Up {
				return math.NaN()
			}
			return float64(len(h.Held()))
		}),
	}}
}

// Places are where items are.
func Places() []scenario.Place {
	return []scenario.Place{{
		Name: "keeper-of", Doc: "the hoarders that say that they hold a copy of a stored item", Example: "crash: {keeper-of: {item: 3}, lose-disk: true}, for: 10s",
		Params: func() any { return &whichItem{} }, New: func() scenario.Finder { return &itemPlace{} },
	}}
}

type whichItem struct {
	Item int `yaml:"item" range:"0..1000000" doc:"its number, from 0, in the order in which users were told that items are kept"`
}

// itemPlace remembers what was stored.
type itemPlace struct{ roots []string }

// Hear implements scenario.Listener.
func (p *itemPlace) Hear(f check.Fact) {
	if root := f.Text("root"); f.Name == "store-acknowledged" && !slices.Contains(p.roots, root) {
		p.roots = append(p.roots, root)
	}
}

// Find implements scenario.Finder.
func (p *itemPlace) Find(v check.View, params any) (list []string) {
	item := params.(*whichItem).Item
	if item >= len(p.roots) {
		return nil
	}
	for _, n := range v.Nodes() {
		if h, ok := n.Service(hoarderapi.Service).(Hoarder); ok && n.Up && slices.Contains(h.Held(), p.roots[item]) {
			list = append(list, n.Name)
		}
	}
	return list
}
