package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
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
func (w *World) Crash(name string, loseDisk bool) bool {
	n := w.node(name)
	n.orders++
	hit := n.life != nil || loseDisk && n.disk.Bytes() > 0
	n.crash(loseDisk)
	return hit
}

// Stop implements fault.Target.
func (w *World) Stop(name string) bool {
	n := w.node(name)
	n.orders++
	n.restart = false
	hit := n.life != nil && !n.life.stopping
	n.stop()
	return hit
}

// Start implements fault.Target.
func (w *World) Start(name string) bool {
	n := w.node(name)
	n.orders++
	hit := n.life == nil || n.life.stopping
	n.start()
	return hit
}

// Leave implements fault.Target.
func (w *World) Leave(name string) bool {
	n := w.node(name)
	n.orders++
	hit := n.life != nil && !n.life.stopping
	n.leaving, n.restart = true, false
	n.cloud.dir.Remove(n.identity.Peer())
	w.observe(n.name, "node", "leaves", node.F("peer", n.identity.Peer()), node.F("told", hit))
	n.stop()
	return hit
}

// Unlist takes a node out of the directory of those that are told of all, as users are: they hear that it was excluded. The
// node goes on.
func (w *World) Unlist(name string) {
	n := w.node(name)
	n.cloud.dir.Remove(n.identity.Peer())
}

// Effects implements fault.Target.
func (w *World) Effects(name string) fault.Effects { return w.node(name).effects }

// SetPaused implements fault.Target.
func (w *World) SetPaused(name string, paused bool) { w.node(name).setPaused(paused) }

// SetSuspended implements fault.Target.
func (w *World) SetSuspended(name string, suspended bool) { w.node(name).setSuspended(suspended) }

// SetLinks implements fault.Target.
func (w *World) SetLinks(state func(from, to string) fault.LinkState, affected func(from, to string, part fault.LinkPart)) {
	w.net.faults, w.net.affected = state, affected
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
func (w *World) Reset(match func(a, b string) bool) (conns int) {
	for _, key := range slices.Sorted(maps.Keys(w.net.pairs)) {
		for _, c := range w.net.pairs[key] {
			l := c.ends[0].link
			if !match(l.from.name, l.to.name) {
				continue
			}
			conns++
			for _, e := range c.ends {
				w.After(0, "reset "+e.link.label, func() { e.end(errReset) })
			}
		}
	}
	return conns
}

// SetSkew implements fault.Target.
func (w *World) SetSkew(name string, d time.Duration) { w.node(name).clocks.skew = d }

// SetDrift implements fault.Target.
func (w *World) SetDrift(name string, ppm int64) { w.node(name).clocks.setDrift(w.nowNS(), ppm) }

// SetDisk implements fault.Target.
func (w *World) SetDisk(name string, c fault.Condition) {
	n := w.node(name)
	n.faults.condition = c
	n.setDiskFaults()
}

// SetLies implements fault.Target.
func (w *World) SetLies(name string, lies fault.Lies) { w.node(name).lies = lies }

// CorruptValues implements fault.Target.
func (w *World) CorruptValues(name string, n int) int {
	done, err := w.node(name).corrupt(n)
	if err != nil {
		w.Fail(err)
	}
	return done
}
