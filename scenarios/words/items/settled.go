package items

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
)

// copiesRestored measures repairs and demands them. It also counts.
type copiesRestored struct {
	check.Tally
	model *hoard
	disks verified
	sizes map[string]int64
	// short is since when an item that had all its copies has been short of
	// them; complete are those that ever had.
	short    map[string]time.Duration
	complete map[string]bool
	repairs  []time.Duration
	// cursor is which item is looked at next.
	cursor int
}

func newCopiesRestored() *copiesRestored {
	return &copiesRestored{model: newHoard(), disks: newVerified(), sizes: map[string]int64{}, short: map[string]time.Duration{}, complete: map[string]bool{}}
}

func (*copiesRestored) Name() string { return "copies-restored" }

// Fact implements check.OnFact.
func (c *copiesRestored) Fact(f check.Fact) error {
	c.disks.fact(f)
	c.model.hear(f)
	c.model.release(f)
	return nil
}

// timedPerPoll bounds the items whose repair is timed: all of a small world.
const timedPerPoll = 512

// Poll times how long items are short of live copies.
func (c *copiesRestored) Poll(v check.View) error {
	c.model.now = v.Now()
	up := map[string]bool{}
	for _, n := range v.Nodes() {
		up[n.Name] = n.Up
	}
	for range min(timedPerPoll, len(c.model.order)) {
		c.cursor = (c.cursor + 1) % len(c.model.order)
		c.time(c.model.order[c.cursor], up)
	}
	return nil
}

func (c *copiesRestored) time(it *hoardItem, up map[string]bool) {
	if !c.model.wanted(it) {
		delete(c.short, it.root)
		return
	}
	live, target := 0, c.model.target(it)
	for name := range it.holders {
		if up[name] {
			live++
		}
	}
	began, wasShort := c.short[it.root]
	switch {
	case live >= target && wasShort:
		c.repairs = append(c.repairs, c.model.now-began)
		delete(c.short, it.root)
	case live >= target:
		c.complete[it.root] = true
	case !wasShort && c.complete[it.root]:
		c.short[it.root] = c.model.now
	}
}

// Settled implements check.OnSettled.
func (c *copiesRestored) Settled(v check.View) error {
	c.model.now = v.Now()
	if err := check.Missing(v, hoarderapi.Service); err != nil {
		return err
	}
	nodes := check.Expected(v, hoarderapi.Service)
	for _, it := range c.model.order {
		switch {
		case !c.model.wanted(it):
			continue
		case it.lost():
			c.Excused("faults have taken all disks that held it")
			continue
		}
		c.Evaluated()
		if err := c.restored(nodes, it); err != nil {
			return err
		}
	}
	return nil
}

func (c *copiesRestored) restored(nodes []check.NodeView, it *hoardItem) error {
	copies, target := 0, c.model.target(it)
	var lack []check.NodeView
	for _, n := range nodes {
		switch {
		case !it.holders[n.Name]:
			lack = append(lack, n)
		case c.disks.holds(n, it.root):
			copies++
		case c.disks.unread(n):
			c.Excused("a fault has touched a disk that is scrubbed seldom")
			copies++
		default: // whatever it says
			lack = append(lack, n)
		}
	}
	if copies >= target {
		return nil
	}
	possible := copies
	for _, n := range lack {
		if evidence.HoarderSettings(n).Capacity-usedOnDisk(n, c.sizes) >= it.bytes+it.bytes/10+1<<10 {
			possible++
		}
	}
	if copies < min(target, max(1, possible)) {
		return fmt.Errorf("%s is on %d disks of hoarders that run, %d are wanted; %d hold it or have room", it.root, copies, target, possible)
	}
	c.Excused("no more hoarders have room")
	return nil
}

// Figures implements check.Figures.
func (c *copiesRestored) Figures() map[string]float64 {
	figures := c.counts()
	figures["repair.count"], figures["repair.time.median"], figures["repair.time.max"] = float64(len(c.repairs)), math.NaN(), math.NaN()
	if len(c.repairs) > 0 {
		sorted := slices.Sorted(slices.Values(c.repairs))
		figures["repair.time.median"] = sorted[len(sorted)/2].Seconds()
		figures["repair.time.max"] = sorted[len(sorted)-1].Seconds()
	}
	return figures
}

func (c *copiesRestored) counts() map[string]float64 {
	marked, lost, lostAlone, withdrawn := 0, 0, 0, 0
	copiesMin := -1
	for _, it := range c.model.order {
		if !it.acked {
			continue
		}
		marked++
		if c.model.word(it) == done {
			withdrawn++
		}
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
		"items.withdrawn":        float64(withdrawn),
		"items.lost":             float64(lost),
		"items.lost-of-one-copy": float64(lostAlone),
		"copies.min":             float64(max(0, copiesMin)),
	}
}

// boundedSurplus demands that there is not too much of anything.
type boundedSurplus struct {
	check.Tally
	model *hoard
}

func (*boundedSurplus) Name() string { return "bounded-surplus" }

// Fact implements check.OnFact.
func (c *boundedSurplus) Fact(f check.Fact) error {
	c.model.hear(f)
	c.model.release(f)
	return nil
}

// Settled implements check.OnSettled.
func (c *boundedSurplus) Settled(v check.View) error {
	c.model.now = v.Now()
	if err := check.Missing(v, hoarderapi.Service); err != nil {
		return err
	}
	copies := map[string]int{}
	tolerated := 0
	nodes := check.Expected(v, hoarderapi.Service)
	for _, n := range nodes {
		tolerated = max(tolerated, evidence.HoarderSettings(n).SurplusMax)
		for _, root := range heldOnDisk(n) {
			copies[root]++
		}
	}
	for _, it := range c.model.order {
		limit, judged := c.limit(it, copies, len(nodes), tolerated)
		if !judged {
			continue
		}
		c.Evaluated()
		if copies[it.root] > limit {
			return fmt.Errorf("%s is on %d disks, at most %d are tolerated", it.root, copies[it.root], limit)
		}
	}
	return c.forgotten(nodes, hoarders(v))
}

// forgetsSoon is how short a hoarder's forget-after must be for a run to wait for it.
const forgetsSoon = 90 * time.Second

// forgotten demands, where that is soon, that nothing is remembered of what
// nobody wants. Deletions are nothing that a hoarder would sync for, so this is
// asked of the store, not of the disk.
func (c *boundedSurplus) forgotten(nodes []check.NodeView, up map[string]Hoarder) error {
	for _, n := range nodes {
		if evidence.HoarderSettings(n).ForgetAfter > forgetsSoon {
			continue
		}
		for _, it := range c.model.order {
			if c.model.word(it) != done {
				continue
			}
			c.Evaluated()
			entries, err := up[n.Name].Replica().List(storage.K("withdrawn", it.root))
			if err != nil || len(entries) > 0 {
				return fmt.Errorf("%s still remembers %d withdrawals of %s, which is gone", n.Name, len(entries), it.root)
			}
		}
	}
	return nil
}

// limit is how many copies there may be of an item, if that is known.
func (c *boundedSurplus) limit(it *hoardItem, copies map[string]int, hoarders, tolerated int) (limit int, judged bool) {
	newest := c.model.newest(it.database)
	switch word := c.model.word(it); {
	case c.model.wanted(it):
		return c.model.targetMax(it) + tolerated, true
	case word == done:
		return 0, true
	case !it.acked:
		c.Excused("the mark was never acknowledged")
	case word != wants || newest == it || newest != nil && !newest.acked:
		c.Excused("what its owner said may have been heard or not")
	case newest != nil && copies[newest.root] < min(c.model.target(newest), hoarders):
		c.Excused("it stands in until there is room for more of the newest")
	default:
		return 0, true
	}
	return 0, false
}

// contentIntact compares what hoarders say they hold with what is on their disks.
type contentIntact struct {
	check.Tally
	disks verified
}

func (*contentIntact) Name() string { return "content-intact" }

// Fact implements check.OnFact.
func (c *contentIntact) Fact(f check.Fact) error {
	c.disks.fact(f)
	return nil
}

// Settled implements check.OnSettled.
func (c *contentIntact) Settled(v check.View) error {
	if err := check.Missing(v, hoarderapi.Service); err != nil {
		return err
	}
	up := hoarders(v)
	for _, n := range check.Expected(v, hoarderapi.Service) {
		h, runs := up[n.Name]
		if !runs {
			continue // a bad member, which is known for a service that it does not run; others are missing above
		}
		held := heldOnDisk(n)
		said := h.Held()
		lacks := func(root string) bool { return !slices.Contains(said, root) }
		if len(held) < len(said) && !slices.ContainsFunc(held, lacks) && c.disks.unread(n) {
			said = held
			c.Excused("a fault has touched a disk that is scrubbed seldom")
		}
		c.Evaluated()
		if !slices.Equal(said, held) {
			return fmt.Errorf("%s says it holds %d items, and has a record of %d on its disk", n.Name, len(said), len(held))
		}
		for _, root := range held {
			if !c.disks.holds(n, root) && c.disks.unread(n) {
				c.Excused("a fault has touched a disk that is scrubbed seldom")
				continue
			}
			c.Evaluated()
			if !c.disks.holds(n, root) {
				return fmt.Errorf("%s says it holds %s, but the content is not on its disk or not right", n.Name, root)
			}
		}
		if alone(n) {
			c.Evaluated()
			if left := leftOnDisk(n); len(left) > 0 {
				return fmt.Errorf("%s has %d blocks on its disk that belong to nothing that it holds, such as %s", n.Name, len(left), left[0])
			}
		}
	}
	return nil
}

// alone reports whether no other service of a node keeps blocks.
func alone(n check.NodeView) bool {
	return !slices.ContainsFunc(n.Services, func(s string) bool { return s == "patrick" || s == "monkey" })
}

// capacityRespected compares what is on the disks with what may be.
type capacityRespected struct {
	check.Tally
	sizes   map[string]int64
	changed map[string]bool // nodes that have taken something since they were looked at
}

func (*capacityRespected) Name() string { return "capacity-respected" }

// Fact implements check.OnFact.
func (c *capacityRespected) Fact(f check.Fact) error {
	if f.Name == "item-claimed" || f.Name == "copy-mended" || f.Name == "inventory" {
		c.changed[f.Node] = true
	}
	return nil
}

// Poll looks at those who have taken something, and at what all set aside.
func (c *capacityRespected) Poll(v check.View) error {
	up := hoarders(v)
	for _, name := range sortedNames(up) {
		c.Evaluated()
		if bytes, transfers := up[name].Reserved(); bytes != 0 && transfers == 0 {
			return fmt.Errorf("%s sets aside %d bytes, and fetches nothing", name, bytes)
		}
	}
	for _, name := range sortedNames(c.changed) {
		delete(c.changed, name)
		if n, found := v.Node(name); found {
			if err := c.compare(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *capacityRespected) compare(n check.NodeView) error {
	used, capacity := usedOnDisk(n, c.sizes), evidence.HoarderSettings(n).Capacity
	c.Evaluated()
	if used > capacity {
		return fmt.Errorf("%s holds %d bytes of %d", n.Name, used, capacity)
	}
	return nil
}

// Settled holds all to it at the end.
func (c *capacityRespected) Settled(v check.View) error {
	for _, n := range check.Expected(v, hoarderapi.Service) {
		if err := c.compare(n); err != nil {
			return err
		}
	}
	return nil
}

func sortedNames[T any](set map[string]T) []string { return slices.Sorted(maps.Keys(set)) }
