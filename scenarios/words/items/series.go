package items

import (
	"time"

	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// Series are what happens with items, by node and moment.
func Series() []scenario.Series {
	hoarder := hoarderapi.Service
	took := func(name string) func() scenario.Sampler {
		return func() scenario.Sampler {
			return scenario.SamplerFunc(func(f check.Fact) (scenario.Sample, bool) {
				d, timed := f.Get("took").(time.Duration)
				return scenario.Sample{Node: f.Node, Object: f.Text("root"), Amount: d.Seconds()}, timed && f.Name == name && f.Text("whole") != "false"
			})
		}
	}
	return []scenario.Series{
		{Name: "claims", Unit: "copies", Service: hoarder, Doc: "copies that a hoarder said that it has from then on", New: scenario.CountFacts(hoarder, "item-claimed")},
		{Name: "releases", Unit: "copies", Service: hoarder, Doc: "copies that a hoarder let go", New: scenario.CountFacts(hoarder, "item-released")},
		{Name: "items.refused", Unit: "items", Service: hoarder, Doc: "items that a hoarder refused to keep", New: scenario.CountFacts(hoarder, "item-refused")},
		{Name: "bytes.moved", Unit: "bytes", Service: hoarder, Doc: "what hoarders fetched for the copies that they claimed", New: func() scenario.Sampler {
			return scenario.SamplerFunc(func(f check.Fact) (scenario.Sample, bool) {
				return scenario.Sample{Node: f.Node, Amount: float64(f.Int("moved"))}, f.Service == hoarder && f.Name == "item-claimed"
			})
		}},
		{Name: "stores.time", Unit: "seconds", OnClient: true, Service: hoarder, Spread: true, Doc: "from the try that was acknowledged to its acknowledgement, of items that users store, on the client", New: took("store-acknowledged")},
		{Name: "retrieves.time", Unit: "seconds", OnClient: true, Service: hoarder, Spread: true, Doc: "how long it took to read stored items back, on the client", New: took("retrieved")},
	}
}

// Figures describe what the checks of this package count.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "items.marked", Unit: "items", Doc: "items that hoarders acknowledged to keep"},
		{Name: "items.withdrawn", Unit: "items", Doc: "of these, those that nobody wants any more"},
		{Name: "items.lost", Unit: "items", Doc: "items that are wanted and that faults have taken from all disks that held them"},
		{Name: "items.lost-of-one-copy", Unit: "items", Doc: "the same, of which the user was told that there was one copy"},
		{Name: "copies.min", Unit: "copies", Doc: "the fewest copies of an item that is wanted, in the end"},
		{Name: "repair.count", Unit: "repairs", Doc: "how often an item that was short of copies had all of them again"},
		{Name: "repair.time.median", Unit: "seconds", Doc: "how long items were short of copies: half of the repairs took at most that"},
		{Name: "repair.time.max", Unit: "seconds", Doc: "the longest of these times"},
	}
}
