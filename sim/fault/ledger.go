package fault

import "slices"

// Ledger knows which faults are active and makes overlapping ones compose: a
// link is cut as long as any fault cuts it, a node is down as long as any
// fault keeps it down. It is the only caller of its Target.
type Ledger struct {
	target Target
	nodes  []string // that have been booted, in that order
	booted map[string]bool

	links       rules
	downs       tally[string]
	pauses      tally[string]
	suspensions tally[string]
	disks       layers[string, Condition]
	lies        layers[string, Lies]
	skews       map[string]offset
	// starting are nodes to boot as soon as they are no longer paused or suspended.
	starting map[string]bool
	// left are no part of the cloud any more.
	left map[string]bool

	active []*Inflicted
	// current is what Inflict is about to begin.
	current *Inflicted
}

// Inflicted is a fault that has begun.
type Inflicted struct {
	Fault Fault

	ledger *Ledger
	undo   func() // nil for a fault that is over at once
	hit    bool
	// watches tell whether something has been hit since.
	watches []func() bool
}

// NewLedger returns a ledger without active faults and without nodes.
func NewLedger(target Target) *Ledger {
	l := &Ledger{target: target, booted: map[string]bool{}, skews: map[string]offset{}, starting: map[string]bool{}, left: map[string]bool{}}
	l.links.target = target
	l.pauses.set = func(node string, on bool) { target.SetPaused(node, on); l.thaw(node) }
	l.suspensions.set = func(node string, on bool) { target.SetSuspended(node, on); l.thaw(node) }
	l.downs.set = func(node string, down bool) {
		if !down {
			l.start(node)
		}
	}
	l.disks.set = func(node string, c Condition) { target.SetDisk(node, c) }
	l.disks.merge = mergeConditions
	l.lies.set, l.lies.merge = target.SetLies, mergeLies
	return l
}

// Boot makes a node known and starts it, unless a fault keeps it down already.
func (l *Ledger) Boot(node string) {
	l.nodes = append(l.nodes, node)
	l.booted[node] = true
	if !l.downs.on(node) {
		l.start(node)
	}
}

// DisableFailpoints ends the faults that outlive a world, when it is over.
func (l *Ledger) DisableFailpoints() {
	for _, a := range slices.Clone(l.active) {
		if _, ok := a.Fault.(Failpoint); ok {
			a.End()
		}
	}
}

// Begin inflicts a fault. It returns the function that ends it, which may be called any number of
// times, or nil if the fault has no duration.
func (l *Ledger) Begin(f Fault) (end func()) {
	if a := l.Inflict(f); a.Lasts() {
		return a.End
	}
	return nil
}

// Inflict is Begin for callers that also need the fault's effect.
func (l *Ledger) Inflict(f Fault) *Inflicted {
	a := &Inflicted{Fault: f, ledger: l}
	outer := l.current
	l.current = a
	a.undo = f.Begin(l)
	l.current = outer
	if a.undo != nil {
		l.active = append(l.active, a)
	}
	return a
}

// Lasts reports whether the fault has a duration.
func (a *Inflicted) Lasts() bool { return a.undo != nil }

// End ends the fault, once.
func (a *Inflicted) End() {
	l := a.ledger
	for i, other := range l.active {
		if other == a {
			l.active = append(l.active[:i], l.active[i+1:]...)
			a.look()
			a.watches = nil
			a.undo()
			return
		}
	}
}

// Active reports whether the fault is in force.
func (a *Inflicted) Active() bool { return slices.Contains(a.ledger.active, a) }

// HadEffect reports whether the fault has hit anything so far: whether, as far as can be seen
// locally, the run would have differed without it.
func (a *Inflicted) HadEffect() bool {
	a.look()
	return a.hit
}

// look evaluates the watches; after the end of the fault none is left.
func (a *Inflicted) look() {
	for _, hit := range a.watches {
		a.hit = a.hit || hit()
	}
}

// affect records whether the fault that begins now has hit something.
func (l *Ledger) affect(hit bool) {
	if l.current != nil {
		l.current.hit = l.current.hit || hit
	}
}

// watch registers how to find out later whether the fault that begins now has hit anything.
func (l *Ledger) watch(hit func() bool) {
	if l.current != nil {
		l.current.watches = append(l.current.watches, hit)
	}
}

// watchNode watches a count of a node's effects.
func (l *Ledger) watchNode(node string, count func(Effects) uint64) {
	before := count(l.target.Effects(node))
	l.watch(func() bool { return count(l.target.Effects(node)) > before })
}

// Active lists the faults that go on, in the order in which they began.
func (l *Ledger) Active() []Fault {
	out := make([]Fault, len(l.active))
	for i, a := range l.active {
		out[i] = a.Fault
	}
	return out
}

// Heal ends every fault, the youngest first, and boots every node that is down for whatever reason.
// Wall clocks stay as wrong as they are, as nothing sets them back in a real cloud either, but none
// drifts any more.
func (l *Ledger) Heal() {
	l.links.quiet(func() {
		for len(l.active) > 0 {
			l.active[len(l.active)-1].End()
		}
	})
	for _, node := range l.nodes {
		l.pauses.clear(node)
		l.suspensions.clear(node)
		l.Start(node)
	}
}

// ShouldBeUp reports whether a node has been booted and no fault keeps it down, nor
// from booting.
func (l *Ledger) ShouldBeUp(node string) bool {
	return l.booted[node] && !l.left[node] && !l.downs.on(node) && !l.starting[node]
}

// Left reports whether a node has left for ever.
func (l *Ledger) Left(node string) bool { return l.left[node] }

// DiskBad reports whether a fault makes a node's disk slow, full, failing or
// lying.
func (l *Ledger) DiskBad(node string) bool { return len(l.disks.stack[node]) > 0 }

// Start boots a node, whatever kept it down, and reports whether it was down.
func (l *Ledger) Start(node string) bool {
	if l.downs.clear(node) {
		return true
	}
	return l.start(node) // it may have crashed without a fault of ours
}

func (l *Ledger) start(node string) bool {
	if !l.booted[node] || l.left[node] {
		return false // it boots later, or never again
	}
	if l.frozen(node) {
		l.starting[node] = true
		return true
	}
	return l.target.Start(node)
}

// Down keeps a node down until the returned function is called. The caller
// brings it down.
func (l *Ledger) Down(node string) (end func()) {
	delete(l.starting, node)
	return l.downs.begin(node)
}

func (l *Ledger) frozen(node string) bool { return l.pauses.on(node) || l.suspensions.on(node) }

// thaw boots a node that should have been booted while it was frozen.
func (l *Ledger) thaw(node string) {
	if !l.frozen(node) && l.starting[node] && !l.left[node] {
		delete(l.starting, node)
		l.target.Start(node)
	}
}

// offset is the error of a node's clocks.
type offset struct {
	skew  int64 // nanoseconds
	drift int64 // parts per million
}

// mergeConditions adds up what is wrong with a disk.
func mergeConditions(list []Condition) (c Condition) {
	for _, one := range list {
		c.SyncMin = max(c.SyncMin, one.SyncMin)
		c.SyncMax = max(c.SyncMax, one.SyncMax)
		c.Full = c.Full || one.Full
		c.ErrorProbability = max(c.ErrorProbability, one.ErrorProbability)
		c.CorruptProbability = max(c.CorruptProbability, one.CorruptProbability)
		c.LossProbability = max(c.LossProbability, one.LossProbability)
		c.MisdirectProbability = max(c.MisdirectProbability, one.MisdirectProbability)
		c.SyncLossProbability = max(c.SyncLossProbability, one.SyncLossProbability)
	}
	return c
}
