package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

var _ fault.Target = (*World)(nil)

// node returns a node that must exist.
func (w *World) node(name string) *Node {
	n := w.byName[name]
	if n == nil {
		panic(fmt.Sprintf("sim: no node is called %q", name))
	}
	return n
}

// Crash implements fault.Target.
func (w *World) Crash(name string, loseDisk bool) {
	n := w.node(name)
	n.orders++
	n.crash(loseDisk)
}

// Stop implements fault.Target.
func (w *World) Stop(name string) {
	n := w.node(name)
	n.orders++
	n.restart = false
	n.stop()
}

// Start implements fault.Target.
func (w *World) Start(name string) {
	n := w.node(name)
	n.orders++
	n.start()
}

// SetPaused implements fault.Target.
func (w *World) SetPaused(name string, paused bool) { w.node(name).setPaused(paused) }

// SetLinks implements fault.Target.
func (w *World) SetLinks(state func(from, to string) fault.LinkState) {
	w.net.faults = state
	reshaped := map[*link]bool{}
	for _, l := range w.net.inUse() {
		if w.net.apply(l, state(l.from.name, l.to.name)) {
			reshaped[l] = true
		}
	}
	if len(reshaped) > 0 {
		w.net.retime(reshaped)
	}
}

// Reset implements fault.Target.
func (w *World) Reset(match func(a, b string) bool) {
	for _, key := range slices.Sorted(maps.Keys(w.net.pairs)) {
		for _, c := range w.net.pairs[key] {
			l := c.ends[0].link
			if !match(l.from.name, l.to.name) {
				continue
			}
			for _, e := range c.ends {
				w.After(0, "reset "+e.link.label, func() { e.end(errReset) })
			}
		}
	}
}

// SetSkew implements fault.Target.
func (w *World) SetSkew(name string, d time.Duration) { w.node(name).clocks.skew = d }

// SetDrift implements fault.Target.
func (w *World) SetDrift(name string, ppm int64) { w.node(name).clocks.setDrift(w.nowNS(), ppm) }

// SetDisk implements fault.Target.
func (w *World) SetDisk(name string, c fault.Condition) { w.node(name).faults.condition = c }

// CorruptValues implements fault.Target.
func (w *World) CorruptValues(name string, n int) {
	if err := w.node(name).corrupt(n); err != nil {
		w.Fail(err)
	}
}
