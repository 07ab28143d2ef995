// Package fault has the faults of a simulated world as small values: the nodes or links and the
// kind of fault, without anything left to chance. A [Ledger] inflicts them on a [Target] and makes
// them compose; a plan ([Churn], [CrashLoop], ...) unfolds into many of them by a keyed [Draw].
package fault

import (
	"fmt"
	"strings"
	"time"
)

// Fault is something bad, or the end of it. Its String is one readable line.
type Fault interface {
	// Begin inflicts the fault and returns the function that ends it, nil if it is over at once.
	Begin(l *Ledger) (end func())
	String() string
}

// Crash ends nodes as a power cut does, until the fault ends: then they boot from their disks.
type Crash struct {
	Nodes    []string
	LoseDisk bool
	// Zone is where the power fails, if that is why.
	Zone string
}

// Begin implements Fault.
func (c Crash) Begin(l *Ledger) func() {
	var e ends
	for _, node := range c.Nodes {
		e = append(e, l.Down(node))
		l.affect(l.target.Crash(node, c.LoseDisk))
	}
	return e.all
}

func (c Crash) String() string {
	if c.Zone != "" {
		return "power cut in " + c.Zone + ": " + names(c.Nodes)
	}
	if c.LoseDisk {
		return "crash " + names(c.Nodes) + ", losing the disk"
	}
	return "crash " + names(c.Nodes)
}

// Stop ends nodes in order, until the fault ends.
type Stop struct{ Nodes []string }

// Begin implements Fault.
func (s Stop) Begin(l *Ledger) func() {
	var e ends
	for _, node := range s.Nodes {
		e = append(e, l.Down(node))
		l.affect(l.target.Stop(node))
	}
	return e.all
}

func (s Stop) String() string { return "stop " + names(s.Nodes) }

// Start boots nodes, whatever kept them down. It does nothing to those that run.
type Start struct{ Nodes []string }

// Begin implements Fault.
func (s Start) Begin(l *Ledger) func() {
	for _, node := range s.Nodes {
		l.affect(l.Start(node))
	}
	return nil
}

func (s Start) String() string { return "start " + names(s.Nodes) }

// Restart ends nodes in order and boots them again as soon as they have ended.
type Restart struct{ Nodes []string }

// Begin implements Fault.
func (r Restart) Begin(l *Ledger) func() {
	for _, node := range r.Nodes {
		l.affect(l.target.Stop(node))
		l.affect(l.Start(node))
	}
	return nil
}

func (r Restart) String() string { return "restart " + names(r.Nodes) }

// Move gives nodes another address, or another port only. It stays.
type Move struct {
	Nodes    []string
	PortOnly bool
}

// Begin implements Fault.
func (m Move) Begin(l *Ledger) func() {
	for _, node := range m.Nodes {
		l.affect(l.target.Move(node, m.PortOnly))
	}
	return nil
}

func (m Move) String() string {
	if m.PortOnly {
		return "move the port of " + names(m.Nodes)
	}
	return "move " + names(m.Nodes)
}

// Configure tells nodes, for their next start, where those of their configuration are now. It stays.
type Configure struct{ Nodes []string }

// Begin implements Fault.
func (c Configure) Begin(l *Ledger) func() {
	for _, node := range c.Nodes {
		l.affect(l.target.Configure(node))
	}
	return nil
}

func (c Configure) String() string { return "configure " + names(c.Nodes) }

// Leave makes nodes leave the cloud for ever: those that are up say so. They are no part of the cloud any
// more, and no healing brings them back.
type Leave struct{ Nodes []string }

// Begin implements Fault.
func (f Leave) Begin(l *Ledger) func() {
	for _, node := range f.Nodes {
		if l.left[node] {
			continue
		}
		l.left[node] = true
		l.affect(l.target.Leave(node))
	}
	return nil
}

func (f Leave) String() string { return names(f.Nodes) + " leave for ever" }

// Pause freezes nodes whole. What arrives for them waits. A node that crashes
// and is started while it is paused boots when the pause ends.
type Pause struct{ Nodes []string }

// Begin implements Fault.
func (p Pause) Begin(l *Ledger) func() { return l.freeze(&l.pauses, p.Nodes) }

// freeze pauses or suspends nodes.
func (l *Ledger) freeze(way *tally[string], nodes []string) func() {
	var e ends
	for _, node := range nodes {
		e = append(e, way.begin(node))
		l.watchNode(node, func(e Effects) uint64 { return e.Deferred })
	}
	return e.all
}

func (p Pause) String() string { return "pause " + names(p.Nodes) }

// Suspend puts nodes to sleep as laptops: a pause during which their monotonic
// clocks stand still. Their wall clocks jump ahead when they wake.
type Suspend struct{ Nodes []string }

// Begin implements Fault.
func (s Suspend) Begin(l *Ledger) func() { return l.freeze(&l.suspensions, s.Nodes) }

func (s Suspend) String() string { return "suspend " + names(s.Nodes) }

// Resume ends all pauses and suspensions of nodes.
type Resume struct{ Nodes []string }

// Begin implements Fault.
func (r Resume) Begin(l *Ledger) func() {
	for _, node := range r.Nodes {
		paused, suspended := l.pauses.clear(node), l.suspensions.clear(node)
		l.affect(paused || suspended)
	}
	return nil
}

func (r Resume) String() string { return "resume " + names(r.Nodes) }

// Heal ends every active fault and boots every node that is down.
type Heal struct{}

// Begin implements Fault.
func (Heal) Begin(l *Ledger) func() {
	l.affect(true)
	l.Heal()
	return nil
}

func (Heal) String() string { return "heal everything" }

// namesMax is how many names a fault's line spells out.
const namesMax = 6

func names(list []string) string {
	switch n := len(list); {
	case n == 0:
		return "nobody"
	case n > namesMax:
		return fmt.Sprintf("%s and %d more", strings.Join(list[:namesMax], " "), n-namesMax)
	}
	return strings.Join(list, " ")
}

func span(lo, hi time.Duration) string {
	if lo == hi {
		return lo.String()
	}
	return lo.String() + ".." + hi.String()
}
