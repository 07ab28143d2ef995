package live

import (
	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/fault"
)

func diskOrder(full bool) rehearsal.Order {
	if full {
		return rehearsal.Order{Disk: "full"}
	}
	return rehearsal.Order{Disk: "sound"}
}

// failpoints are those in force. Each process counts for itself how often a point has acted; that it is not oftener
// in all, this counts by their facts, so that two nodes that pass a point at the same moment may both be hit.
type failpoints struct {
	number int
	active []*activeFailpoint
}

type activeFailpoint struct {
	fault.Failpoint
	number, used int
}

// SetFailpoint implements fault.Failpoints.
func (w *World) SetFailpoint(f fault.Failpoint) (end func(), used func() bool) {
	w.failpoints.number++
	a := &activeFailpoint{f, w.failpoints.number, 0}
	w.failpoints.active = append(w.failpoints.active, a)
	for _, m := range w.nodes {
		if m.proc != nil && f.On(m.name) {
			m.proc.order(a.order())
		}
	}
	return func() { w.endFailpoint(a) }, func() bool { return a.used > 0 }
}

func (a *activeFailpoint) order() rehearsal.Order {
	return rehearsal.Order{Failpoint: a.Point, Do: a.Do.String(), Times: max(0, a.Times-a.used), Number: a.number}
}

func (a *activeFailpoint) spent() bool { return a.Times > 0 && a.used >= a.Times }

func (w *World) endFailpoint(a *activeFailpoint) {
	var left []*activeFailpoint
	for _, other := range w.failpoints.active {
		if other != a {
			left = append(left, other)
		}
	}
	w.failpoints.active = left
	w.withdraw(a)
}

func (w *World) withdraw(a *activeFailpoint) {
	for _, m := range w.nodes {
		if m.proc != nil && a.On(m.name) {
			m.proc.order(rehearsal.Order{Number: a.number, Over: true})
		}
	}
}

// acted notes that a point has acted on a node, and reports whether that ends the node.
func (w *World) acted(node, point string) (ends bool) {
	for _, a := range w.failpoints.active {
		if a.Point != point || !a.On(node) || a.spent() {
			continue
		}
		if a.used++; a.spent() {
			w.withdraw(a)
		}
		return a.Do.Do == fail.Crash || a.Do.Do == fail.Panic
	}
	return true // it has just been withdrawn
}

// of are the failpoints of a node that starts.
func (f *failpoints) of(node string) (orders []rehearsal.Order) {
	for _, a := range f.active {
		if a.On(node) && !a.spent() {
			orders = append(orders, a.order())
		}
	}
	return orders
}
