package sim

import (
	"runtime"
	"time"
)

// clocks are a node's two clocks as functions of virtual time.
type clocks struct {
	skew time.Duration // of the wall clock
	ppm  int64         // how much faster both run, in parts per million
	// base is what elapsed showed at virtual time from, when ppm was last set.
	base, from int64
}

func (n *Node) elapsed() time.Duration {
	return time.Duration(n.clocks.elapsedAt(n.w.nowNS()))
}

func (n *Node) wallClock() time.Time {
	return epoch.Add(n.elapsed() + n.clocks.skew)
}

func (c *clocks) elapsedAt(virtual int64) int64 {
	passed := virtual - c.from
	return c.base + passed + passed/1e6*c.ppm + passed%1e6*c.ppm/1e6
}

// toWorld is how long d on the node's clock takes in virtual time.
func (n *Node) toWorld(d time.Duration) int64 {
	if n.clocks.ppm == 0 {
		return int64(d)
	}
	return int64(float64(d) / (1 + float64(n.clocks.ppm)/1e6))
}

func (c *clocks) setDrift(virtual, ppm int64) {
	c.base, c.from, c.ppm = c.elapsedAt(virtual), virtual, ppm
}

// exitTask ends the calling task; its deferred functions run.
func exitTask() { runtime.Goexit() }
