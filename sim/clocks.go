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
	n.effects.ElapsedReads++
	return time.Duration(n.clocks.elapsedAt(n.w.nowNS()))
}

func (n *Node) wallClock() time.Time {
	n.effects.WallReads++
	return epoch.Add(n.elapsed() + n.clocks.skew)
}

func (c *clocks) elapsedAt(virtual int64) int64 {
	passed := virtual - c.from
	return c.base + passed + passed/1e6*c.ppm + passed%1e6*c.ppm/1e6
}

// virtualAt is the first virtual time at which elapsed is at least e. It is
// exact: a timer that fires a nanosecond early by its node's own clock may be
// set again for that nanosecond, for ever.
func (c *clocks) virtualAt(e int64) int64 {
	d := e - c.base
	if c.ppm == 0 {
		return c.from + d
	}
	const million = 1_000_000
	rate := million + c.ppm
	at := c.from + d/rate*million + d%rate*million/rate
	for c.elapsedAt(at) >= e {
		at--
	}
	for c.elapsedAt(at) < e {
		at++
	}
	return at
}

func (c *clocks) setDrift(virtual, ppm int64) {
	c.base, c.from, c.ppm = c.elapsedAt(virtual), virtual, ppm
}

// exitTask ends the calling task; its deferred functions run.
func exitTask() { runtime.Goexit() }
