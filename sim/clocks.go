package sim

import (
	"runtime"
	"time"
)

// clocks are a node's two clocks as functions of virtual time.
type clocks struct {
	skew time.Duration // by how much the wall clock is wrong
	ppm  int64         // how much faster both run, in parts per million
	// base is what elapsed showed at virtual time from, when ppm was last set or
	// the clocks last stopped or went on.
	base, from int64
	// stopped: elapsed stands still since from. slept is the sum of earlier standstills, which the
	// wall clock has caught up on.
	stopped bool
	slept   time.Duration
}

func (n *Node) elapsed() time.Duration {
	n.effects.ElapsedReads++
	return time.Duration(n.clocks.elapsedAt(n.w.nowNS()))
}

func (n *Node) wallClock() time.Time {
	n.effects.WallReads++
	return epoch.Add(n.elapsed() + n.clocks.slept + n.clocks.skew)
}

func (c *clocks) elapsedAt(virtual int64) int64 {
	if c.stopped {
		return c.base
	}
	return c.running(virtual)
}

// running is elapsedAt of clocks that do not stand still.
func (c *clocks) running(virtual int64) int64 {
	passed := virtual - c.from
	return c.base + passed + passed/1e6*c.ppm + passed%1e6*c.ppm/1e6
}

// virtualAt is the first virtual time at which elapsed is at least e. It is exact: a timer that
// fires a nanosecond early by its node's own clock may be set again for that nanosecond, for ever.
// While the clocks stand still it assumes that they go on now: the result is too early, and its
// user checks again.
func (c *clocks) virtualAt(e int64) int64 {
	d := e - c.base
	if c.ppm == 0 {
		return c.from + d
	}
	const million = 1_000_000
	rate := million + c.ppm
	at := c.from + d/rate*million + d%rate*million/rate
	for c.running(at) >= e {
		at--
	}
	for c.running(at) < e {
		at++
	}
	return at
}

func (c *clocks) setDrift(virtual, ppm int64) {
	if c.stopped {
		c.slept += time.Duration(virtual - c.from)
	}
	c.base, c.from, c.ppm = c.elapsedAt(virtual), virtual, ppm
}

// setStopped makes elapsed stand still, or go on from where it stopped while the
// wall clock jumps ahead by the time that has passed.
func (c *clocks) setStopped(virtual int64, stopped bool) {
	if c.stopped && !stopped {
		c.slept += time.Duration(virtual - c.from)
	}
	c.base, c.from, c.stopped = c.elapsedAt(virtual), virtual, stopped
}

// exitTask ends the calling task after its deferred functions.
func exitTask() { runtime.Goexit() }
