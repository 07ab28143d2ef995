package sim

import (
	"fmt"
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
func (w *World) SetPaused(name string, paused bool) {
	n := w.node(name)
	if n.paused != paused {
		n.setPaused(paused)
	}
}

func (w *World) linkBetween(from, to string) *link {
	if from == to {
		return &link{} // a node always reaches itself
	}
	return w.net.link(w.node(from), w.node(to))
}

// SetCut implements fault.Target.
func (w *World) SetCut(from, to string, cut bool) {
	if from != to {
		w.net.setCut(w.linkBetween(from, to), cut)
	}
}

// SetHeld implements fault.Target.
func (w *World) SetHeld(from, to string, held bool) {
	if from != to {
		w.net.setHeld(w.linkBetween(from, to), held)
	}
}

// SetRefused implements fault.Target.
func (w *World) SetRefused(from, to string, refused bool) {
	w.linkBetween(from, to).refused = refused
}

// Reset implements fault.Target.
func (w *World) Reset(a, b string) {
	for _, c := range w.net.pairs[pairKey(w.node(a), w.node(b))] {
		for _, e := range c.ends {
			w.After(0, "reset "+e.link.label, func() { e.end(errReset) })
		}
	}
}

// Shape implements fault.Target.
func (w *World) Shape(from, to string, s fault.Shape) {
	l := w.linkBetween(from, to)
	l.shape = overlay(l.base, s)
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
