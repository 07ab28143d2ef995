package scenarios

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// hoarderChecks are what is expected of content that was marked.
func hoarderChecks() []scenario.Check {
	return []scenario.Check{
		{Name: "last-copy-kept", Doc: "no hoarder releases a copy that others do not really hold as often as wanted; nothing that was acknowledged is lost but by lost disks",
			New: func() check.Checker { return &lastCopyKept{model: newHoard()} }},
		{Name: "copies-restored", Doc: "every item has as many live copies as are wanted, or as there are hoarders with room",
			New: func() check.Checker { return &copiesRestored{model: newHoard()} }},
		{Name: "bounded-surplus", Doc: "no item keeps more copies than its target and the tolerated surplus; what nobody wants any more is gone, older snapshots as soon as the newest has its copies",
			New: func() check.Checker { return &boundedSurplus{model: newHoard()} }},
		{Name: "content-intact", Doc: "what a hoarder says it holds is there and has the right bytes",
			New: func() check.Checker { return &contentIntact{read: map[string]seenHoarder{}} }},
		{Name: "capacity-respected", Doc: "no hoarder holds more bytes than its capacity",
			New: func() check.Checker { return capacityRespected{} }},
	}
}

// hoarders lists the hoarders that are up, by node.
func hoarders(v check.View) map[string]*hoarder.Service {
	up := map[string]*hoarder.Service{}
	for _, n := range v.Nodes() {
		if s, ok := n.Service(hoarderapi.Service).(*hoarder.Service); ok && n.Up {
			up[n.Name] = s
		}
	}
	return up
}

// lastCopyKept judges every release at its moment, and looks for items that
// nobody holds.
type lastCopyKept struct {
	model                     *hoard
	claims, releases, refused int
	moved                     int64
	seen                      map[string]seenHoarder
}

// seenHoarder is what was compared last time: a hoarder that has not changed
// since is not looked at again.
type seenHoarder struct {
	service  *hoarder.Service
	revision uint64
}

func (*lastCopyKept) Name() string { return "last-copy-kept" }

func (c *lastCopyKept) Fact(f check.Fact) error {
	c.model.hear(f)
	if f.Service != hoarderapi.Service {
		return nil
	}
	switch f.Name {
	case "item-claimed":
		c.claims++
		c.moved += f.Int("moved")
	case "item-refused":
		c.refused++
	case "item-released":
		c.releases++
		return c.judge(f)
	}
	return nil
}

// judge compares a release with who really holds the item. Copies that faults
// took after the others were asked count: they were confirmed in good faith.
func (c *lastCopyKept) judge(f check.Fact) error {
	c.model.release(f)
	it := c.model.item(f.Text("root"))
	asked := time.Duration(f.Int("asked"))
	others := len(it.holders) + it.lostSince(f.At-asked-asked/10-time.Millisecond)
	switch why := f.Text("why"); {
	case why == "discard" && !it.unwanted && it.acked:
		return fmt.Errorf("%s discarded %s, which is wanted", f.Node, it.root)
	case why == "supersede" && it.acked:
		if !c.model.hasLater(it) {
			return fmt.Errorf("%s released version %d (%s) of %s, which nothing replaces", f.Node, it.version, it.root, it.database)
		}
	case why == "release" && others == 0:
		return fmt.Errorf("%s released the last copy of %s; it believed in %d others", f.Node, it.root, f.Int("copies"))
	case why == "release" && others < it.target:
		return fmt.Errorf("%s released a copy of %s which %d others hold, of %d wanted; it believed in %d", f.Node, it.root, others, it.target, f.Int("copies"))
	}
	return nil
}

// Poll holds the model against what is really on the disks.
func (c *lastCopyKept) Poll(v check.View) error {
	c.model.now = v.Now()
	if c.seen == nil {
		c.seen = map[string]seenHoarder{}
	}
	up := hoarders(v)
	for _, name := range slices.Sorted(maps.Keys(up)) {
		s := up[name]
		now := seenHoarder{s, s.Revision()}
		if c.seen[name] == now {
			continue
		}
		c.seen[name] = now
		if err := c.compare(name, s); err != nil {
			return err
		}
	}
	for _, root := range c.model.roots() {
		it := c.model.items[root]
		if c.model.wanted(it) && len(it.holders) == 0 && len(it.losses) == 0 {
			return fmt.Errorf("nobody holds %s, and no disk was lost", root)
		}
	}
	return nil
}

// compare holds the model against one hoarder. A crash may undo a release, but
// no copy goes without a word.
func (c *lastCopyKept) compare(name string, s *hoarder.Service) error {
	held := map[string]bool{}
	for _, root := range s.Held() {
		held[root] = true
		if it := c.model.item(root); !it.holders[name] && s.Holds(root) {
			it.holders[name] = true
		}
	}
	for _, root := range c.model.roots() {
		if c.model.items[root].holders[name] && !held[root] {
			return fmt.Errorf("%s no longer holds %s and has not said why", name, root)
		}
	}
	return nil
}

// Figures implements check.Figures.
func (c *lastCopyKept) Figures() map[string]float64 {
	marked, lost, lostAlone := 0, 0, 0
	copiesMin := -1
	for _, it := range c.model.items {
		if !it.acked {
			continue
		}
		marked++
		if !c.model.wanted(it) {
			continue
		}
		switch {
		case it.lost() && it.copies < 2: // nobody else could be reached, and the answer said so
			lostAlone++
		case it.lost():
			lost++
		}
		if copiesMin < 0 || len(it.holders) < copiesMin {
			copiesMin = len(it.holders)
		}
	}
	return map[string]float64{
		"items.marked":           float64(marked),
		"items.lost":             float64(lost),
		"items.lost-of-one-copy": float64(lostAlone),
		"items.refused":          float64(c.refused),
		"copies.min":             float64(max(0, copiesMin)),
		"bytes.moved":            float64(c.moved),
		"claims":                 float64(c.claims),
		"releases":               float64(c.releases),
	}
}

// copiesRestored measures repairs and demands them.
type copiesRestored struct {
	model *hoard
	// short is since when an item that had all its copies has been short of
	// them; complete are those that ever had.
	short    map[string]time.Duration
	complete map[string]bool
	repairs  []time.Duration
}

func (*copiesRestored) Name() string { return "copies-restored" }

func (c *copiesRestored) Fact(f check.Fact) error {
	c.model.hear(f)
	c.model.release(f)
	return nil
}

// Poll times how long items are short of live copies.
func (c *copiesRestored) Poll(v check.View) error {
	c.model.now = v.Now()
	if c.short == nil {
		c.short, c.complete = map[string]time.Duration{}, map[string]bool{}
	}
	up := map[string]bool{}
	for _, n := range v.Nodes() {
		up[n.Name] = n.Up
	}
	for _, root := range c.model.roots() {
		it := c.model.items[root]
		if !c.model.wanted(it) {
			delete(c.short, root)
			continue
		}
		live := 0
		for name := range it.holders {
			if up[name] {
				live++
			}
		}
		began, wasShort := c.short[root]
		switch {
		case live >= it.target && wasShort:
			c.repairs = append(c.repairs, v.Now()-began)
			delete(c.short, root)
		case live >= it.target:
			c.complete[root] = true
		case !wasShort && c.complete[root]:
			c.short[root] = v.Now()
		}
	}
	return nil
}

func (c *copiesRestored) Settled(v check.View) error {
	up := hoarders(v)
	names := slices.Sorted(maps.Keys(up))
	for _, root := range c.model.roots() {
		it := c.model.items[root]
		if !c.model.wanted(it) || it.lost() {
			continue
		}
		copies, possible := 0, 0
		for _, name := range names {
			switch {
			case up[name].Holds(root):
				copies++
				possible++
			case up[name].Room(it.bytes):
				possible++
			}
		}
		if copies < min(it.target, max(1, possible)) {
			return fmt.Errorf("%s has %d live copies of %d wanted; %d hoarders hold it or have room", root, copies, it.target, possible)
		}
	}
	return nil
}

// Figures implements check.Figures.
func (c *copiesRestored) Figures() map[string]float64 {
	figures := map[string]float64{"repair.count": float64(len(c.repairs)), "repair.time.median": math.NaN(), "repair.time.max": math.NaN()}
	if len(c.repairs) > 0 {
		sorted := slices.Sorted(slices.Values(c.repairs))
		figures["repair.time.median"] = sorted[len(sorted)/2].Seconds()
		figures["repair.time.max"] = sorted[len(sorted)-1].Seconds()
	}
	return figures
}

// boundedSurplus demands that there is not too much of anything.
type boundedSurplus struct{ model *hoard }

func (*boundedSurplus) Name() string { return "bounded-surplus" }

func (c *boundedSurplus) Fact(f check.Fact) error {
	c.model.hear(f)
	c.model.release(f)
	return nil
}

func (c *boundedSurplus) Settled(v check.View) error {
	copies := map[string]int{}
	tolerated := 0
	up := hoarders(v)
	for _, s := range up {
		tolerated = max(tolerated, s.SurplusMax())
		for _, root := range s.Held() {
			copies[root]++
		}
	}
	for _, root := range c.model.roots() {
		it := c.model.items[root]
		limit := 0
		newest := c.model.newest(it.database)
		switch {
		case c.model.wanted(it):
			limit = it.target + tolerated
		case !it.acked, it.vague, newest == it, newest != nil && !newest.acked:
			continue
		case newest != nil && copies[newest.root] < min(newest.target, len(up)):
			continue // it stands in until there is room for more of the newest
		}
		if copies[root] > limit {
			return fmt.Errorf("%s has %d copies, at most %d are tolerated", root, copies[root], limit)
		}
	}
	return nil
}

// contentIntact reads everything that is held, and once all was right only what
// has changed since: nothing rots after the faults are over.
type contentIntact struct{ read map[string]seenHoarder }

func (*contentIntact) Name() string { return "content-intact" }

func (c *contentIntact) Settled(v check.View) error {
	up := hoarders(v)
	for _, name := range slices.Sorted(maps.Keys(up)) {
		now := seenHoarder{up[name], up[name].Revision()}
		if c.read[name] == now {
			continue
		}
		for _, root := range up[name].Held() {
			if !up[name].Intact(context.Background(), root) {
				return fmt.Errorf("%s says it holds %s, but the content is not there or not right", name, root)
			}
		}
		c.read[name] = now
	}
	return nil
}

// capacityRespected compares what is held with what may be.
type capacityRespected struct{}

func (capacityRespected) Name() string { return "capacity-respected" }

func (capacityRespected) Poll(v check.View) error {
	up := hoarders(v)
	for _, name := range slices.Sorted(maps.Keys(up)) {
		if used, capacity := up[name].Bytes(); used > capacity {
			return fmt.Errorf("%s holds %d bytes of %d", name, used, capacity)
		}
	}
	return nil
}

// Settled holds it to the same at the end.
func (c capacityRespected) Settled(v check.View) error { return c.Poll(v) }
