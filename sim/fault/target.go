package fault

import "time"

// Target is the world as faults see it. Package sim's World implements it.
//
// Every method is atomic, is called in a turn of the world, and takes effect at
// once. All but Crash, Reset and CorruptValues set a state and are idempotent:
// setting what is already so does nothing. A Target does not count: that two
// partitions may overlap and end one at a time is the business of a [Ledger],
// which is the only caller. An unknown node is a bug and panics.
type Target interface {
	Processes
	Links
	Clocks
	Disks
}

// Processes starts and ends nodes.
type Processes interface {
	// Crash ends a node as a power cut does: a part of what was not synced is
	// lost. A crash clears a pause. Crashing a node that is down does nothing,
	// but loseDisk empties the disk in any case.
	Crash(node string, loseDisk bool)
	// Stop begins an orderly end, which takes virtual time. A node that is down
	// or already stopping is left alone.
	Stop(node string)
	// Start boots a node from its disk. A node that is up or booting is left
	// alone; one that is stopping boots once it has stopped.
	Start(node string)
	// SetPaused freezes a running node whole, as SIGSTOP would: its tasks do
	// not run and its timers do not fire, while the network keeps what arrives
	// for it. Its clocks go on. On a node that is down it does nothing.
	SetPaused(node string, paused bool)
}

// Links changes what the network does with the frames from one node to
// another. Both names may be equal to no effect.
type Links interface {
	// SetCut loses every frame on its way from from to to and refuses dials
	// that need this direction. Conns between the two are reset.
	SetCut(from, to string, cut bool)
	// SetHeld keeps frames instead of delivering them. They are delivered in
	// order, at once, when the hold ends; a crash of either end loses them.
	SetHeld(from, to string, held bool)
	// SetRefused makes new dials from from to to fail, existing conns stay.
	SetRefused(from, to string, refused bool)
	// Reset ends all conns between two nodes.
	Reset(a, b string)
	// Shape replaces latency and bandwidth; the zero Shape gives the link back
	// what the scenario's network says.
	Shape(from, to string, s Shape)
}

// Shape is how slow a link is. A zero part means: as without the fault.
type Shape struct {
	// LatencyMin and LatencyMax bound the one-way delay; both zero is unset.
	LatencyMin, LatencyMax time.Duration
	// Bandwidth is in bytes a second; zero is unset.
	Bandwidth int64
}

// Clocks changes the clocks of a node.
type Clocks interface {
	// SetSkew makes the wall clock (Now) differ from true time by d. Elapsed
	// is not affected.
	SetSkew(node string, d time.Duration)
	// SetDrift makes both clocks of a node run fast (positive) or slow, in
	// parts per million, from now on. Neither clock jumps.
	SetDrift(node string, ppm int64)
}

// Disks changes what a node's disk does. It survives crashes of the node.
type Disks interface {
	// SetDisk replaces the condition of a disk; the zero Condition is healthy.
	SetDisk(node string, c Condition)
	// CorruptValues flips a bit in each of n stored values, drawn by the
	// world's seed; fewer if there are fewer.
	CorruptValues(node string, n int)
}

// Condition is the state of a disk.
type Condition struct {
	// SyncMin and SyncMax bound how much longer than usual a sync takes.
	SyncMin, SyncMax time.Duration
	// Full makes every write fail.
	Full bool
	// ErrorProbability is that of a write or a sync to fail, 0 to 1.
	ErrorProbability float64
	// CorruptProbability is that of a read to return a flipped bit, 0 to 1.
	CorruptProbability float64
}
