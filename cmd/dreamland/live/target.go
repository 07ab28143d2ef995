package live

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/live/relay"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/run"
)

var _ run.World = (*World)(nil)

// Crash implements fault.Target: kill -9, and the data directory is removed if the disk is to be lost.
func (w *World) Crash(name string, loseDisk bool) bool {
	m := w.node(name)
	m.again = false
	return m.crash(loseDisk)
}

// Stop implements fault.Target: SIGTERM.
func (w *World) Stop(name string) bool {
	m := w.node(name)
	m.again = false
	return m.stop()
}

// Start implements fault.Target.
func (w *World) Start(name string) bool {
	m := w.node(name)
	switch {
	case m.local != nil:
		return m.startLocal()
	case m.stopping:
		m.again = true
		return true
	case m.proc != nil:
		return false
	}
	m.enlist()
	m.start()
	return true
}

func (m *machine) startLocal() bool {
	if m.up {
		return false
	}
	if err := m.local.start(); err != nil {
		m.w.Fail(fmt.Errorf("%s: %w", m.name, err))
	}
	m.up, m.since = true, m.w.Now()
	return true
}

// Move implements fault.Target: a process keeps its sockets, so a node that moves is restarted in order, with another port.
func (w *World) Move(name string, _ bool) bool {
	m := w.node(name)
	if err := m.move(); err != nil {
		w.Fail(fmt.Errorf("%s: %w", name, err))
		return false
	}
	w.observe(name, "moved")
	for _, other := range w.nodes {
		if other.local != nil {
			other.local.tellAll()
		}
	}
	if m.stop() {
		m.again = true
	}
	return true
}

// Configure implements fault.Target.
func (w *World) Configure(name string) bool {
	m := w.node(name)
	if m.shape == nil {
		return false
	}
	m.shape.Peers = nil
	return len(w.contactsOf(m)) > 0
}

// Leave implements fault.Target; stories in which nodes leave are refused.
func (w *World) Leave(string) bool { return false }

// SetPaused implements fault.Target: SIGSTOP and SIGCONT.
func (w *World) SetPaused(name string, paused bool) { w.node(name).pause(paused) }

// SetSuspended implements fault.Target; refused.
func (w *World) SetSuspended(string, bool) {}

// SetLinks implements fault.Target.
func (w *World) SetLinks(state func(from, to string) fault.LinkState, affected func(from, to string, part fault.LinkPart)) {
	w.links = state
	table := w.table(state) // the ledger's state is for this goroutine only
	w.relay.SetLinks(func(from, to string) relay.State {
		return relay.State{LinkState: table[[2]string{from, to}], Base: w.base(from, to)}
	}, func(from, to string, part fault.LinkPart) {
		w.Between(func() { affected(from, to, part) })
	})
}

// table is the state of all links that faults change.
func (w *World) table(state func(from, to string) fault.LinkState) map[[2]string]fault.LinkState {
	table := map[[2]string]fault.LinkState{}
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if s := state(a.name, b.name); a != b && s != (fault.LinkState{}) {
				table[[2]string{a.name, b.name}] = s
			}
		}
	}
	return table
}

func (w *World) base(from, to string) fault.Shape {
	if w.cfg.Network == nil {
		return fault.Shape{}
	}
	return w.cfg.Network(from, to)
}

// Reset implements fault.Target.
func (w *World) Reset(match func(a, b string) bool) int { return w.relay.Reset(match) }

// SetSkew implements fault.Target; refused.
func (w *World) SetSkew(string, time.Duration) {}

// SetDrift implements fault.Target; refused.
func (w *World) SetDrift(string, int64) {}

// SetDisk implements fault.Target: a disk is full or is not.
func (w *World) SetDisk(name string, c fault.Condition) {
	m := w.node(name)
	if m.full == c.Full {
		return
	}
	m.full = c.Full
	m.effects.Refused++ // it is measured with the next write
	if m.proc != nil {
		m.proc.order(diskOrder(c.Full))
	}
}

// CorruptValues implements fault.Target; refused.
func (w *World) CorruptValues(string, int) int { return 0 }

// SetLies implements fault.Target; refused.
func (w *World) SetLies(string, fault.Lies) {}

// Effects implements fault.Target.
func (w *World) Effects(name string) fault.Effects {
	m := w.node(name)
	e := m.effects
	if m.paused && time.Since(m.pausedAt) >= noticedAfter {
		e.Deferred++ // something was due
	}
	return e
}

// noticedAfter is how long a node is paused that has had something to do meanwhile: beacons are as frequent.
const noticedAfter = 500 * time.Millisecond

// Refuses says why a fault cannot be had of real processes, "" if it can.
func Refuses(f fault.Fault) string {
	switch f := f.(type) {
	case fault.Suspend:
		return "a process cannot stop the clock of its machine"
	case fault.Skew, fault.Drift:
		return "all nodes share the clocks of this machine"
	case fault.Duplicate:
		return "what passes is encrypted: nobody between two nodes can tell a message, or repeat it"
	case fault.Lie:
		return "the program that runs is honest"
	case fault.Corrupt:
		return "nobody writes to the disk of a process beside it"
	case fault.Leave:
		return "a node of the real world is not told to leave by faults"
	case fault.Disk:
		if f.Condition != (fault.Condition{Full: f.Condition.Full}) {
			return "disks are real: they can be full or gone, but not slow, failing or lying"
		}
	case fault.Failpoint:
		if f.Do.Do == fail.Hang {
			return "a turn that never ends is noticed by nobody outside of its process"
		}
	}
	return ""
}
