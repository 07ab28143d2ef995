package jobs

import (
	"fmt"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/sim/check"
)

// slotsKept counts what each monkey builds, by the beginning and the end of each
// build.
type slotsKept struct {
	check.Tally
	evidence.Surroundings
	building map[string]map[[2]string]bool // by node: jobs and tokens
	most     int
}

func newSlotsKept() *slotsKept {
	return &slotsKept{Surroundings: evidence.NewSurroundings(), building: map[string]map[[2]string]bool{}}
}

func (*slotsKept) Name() string { return "slots-are-kept" }

// Fact implements check.OnFact.
func (c *slotsKept) Fact(f check.Fact) error {
	build := [2]string{f.Text("job"), fmt.Sprint(evidence.AttemptOf(f))}
	switch {
	case f.Name == "build-started":
		if c.building[f.Node] == nil {
			c.building[f.Node] = map[[2]string]bool{}
		}
		c.building[f.Node][build] = true
		return c.count(f.Node, len(c.building[f.Node]), "builds")
	case f.Name == "build-ended":
		delete(c.building[f.Node], build)
	case f.Service == "node" && (f.Name == "crashed" || f.Name == "stopped"):
		delete(c.building, f.Node)
	}
	return nil
}

func (c *slotsKept) count(node string, n int, what string) error {
	slots, known := c.Slots[node]
	if !known {
		return nil // before the first poll
	}
	c.Evaluated()
	c.most = max(c.most, n)
	if n > slots {
		return fmt.Errorf("%s has %d slots and %s %d jobs", node, slots, what, n)
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *slotsKept) Poll(v check.View) error {
	c.Look(v)
	for _, n := range v.Nodes() {
		m, ok := n.Service("monkey").(Monkey)
		if !ok || !n.Up {
			continue
		}
		if held := len(m.Holding()); held > 0 {
			if err := c.count(n.Name, held, "holds"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Figures implements check.Figures.
func (c *slotsKept) Figures() map[string]float64 {
	return map[string]float64{"builds.at-once.max": float64(c.most)}
}

// incarnationsRise: each start of a node on a disk has a greater number, so that
// nobody takes what an earlier life said for news.
type incarnationsRise struct {
	check.Tally
	last   map[string]int64
	rotted map[string]bool // since the node last ended
}

func (*incarnationsRise) Name() string { return "incarnations-rise" }

// Fact implements check.OnFact.
func (c *incarnationsRise) Fact(f check.Fact) error {
	if f.Service != "node" {
		return nil
	}
	switch f.Name {
	case "crashed", "stopped":
		if f.Text("disk-lost") == "true" || c.rotted[f.Node] {
			delete(c.last, f.Node)
			delete(c.rotted, f.Node)
		}
	case "disk-rotted": // also what a start has written that is under way
		delete(c.last, f.Node)
		c.rotted[f.Node] = true
	case "started":
		now := f.Int("incarnation")
		c.Evaluated()
		if last := c.last[f.Node]; now <= last || now < 1 {
			return fmt.Errorf("%s starts as incarnation %d after %d", f.Node, now, last)
		}
		c.last[f.Node] = now
	}
	return nil
}
