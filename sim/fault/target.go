package fault

import "time"

// Target is the world as faults see it. Package sim's World implements it.
//
// Every method is atomic, is called in a turn of the world, and takes effect at
// once. All but Crash, Reset and CorruptValues set a state and are idempotent:
// setting what is already so does nothing. A Target does not count: that two
// pauses may overlap and end one at a time is the business of a [Ledger], which
// is the only caller. An unknown node is a bug and panics.
type Target interface {
	Processes
	Links
	Clocks
	Disks
	// SetLies replaces how a node lies; the zero Lies is an honest node.
	SetLies(node string, lies Lies)
	// Effects counts since the start of the world, also while the node is down.
	Effects(node string) Effects
}

// Processes starts and ends nodes.
type Processes interface {
	// Crash ends a node as a power cut does: a part of what was not synced is
	// lost. A crash clears a pause. Crashing a node that is down does nothing,
	// but loseDisk empties the disk in any case. It reports whether there was
	// anything to end or to lose.
	Crash(node string, loseDisk bool) bool
	// Stop begins an orderly end, which takes virtual time. A node that is down
	// or already stopping is left alone; it reports whether it was not.
	Stop(node string) bool
	// Start boots a node from its disk. A node that is up or booting is left
	// alone; one that is stopping boots once it has stopped. It reports whether
	// the node was down or stopping.
	Start(node string) bool
	// Move gives a node another address, or only another port of the same, also while it is down. Its conns
	// break. It reports whether it has.
	Move(node string, portOnly bool) bool
	// Configure writes into a node's configuration where its contacts are now, for its next start. It reports whether it
	// has any.
	Configure(node string) bool
	// Leave makes a node that is up announce that it leaves for ever, and then ends it in order; one that is
	// down is gone without a word. It never starts again. It reports whether it was there.
	Leave(node string) bool
	// SetPaused freezes a running node whole, as SIGSTOP would: its tasks do
	// not run and its timers do not fire, while the network keeps what arrives
	// for it. Its clocks go on. On a node that is down it does nothing.
	SetPaused(node string, paused bool)
	// SetSuspended puts a running node to sleep, as a laptop: like a pause, but its
	// monotonic clock stands still, its wall clock jumps ahead when it wakes, and
	// the other ends of its conns give up as over a cut link. A crash clears it. On
	// a node that is down it does nothing.
	SetSuspended(node string, suspended bool)
}

// Links changes what the network does with the frames from one node to
// another.
type Links interface {
	// SetLinks replaces what faults do to links. The world asks state about the
	// links in use, at once and in a canonical order, and about others when
	// they come into use, so that a fault of a million links costs nothing for
	// those that nobody uses. state stays valid until the next call. affected is
	// called when a part of the state has made a difference on a link for the
	// first time since this call.
	SetLinks(state func(from, to string) LinkState, affected func(from, to string, part LinkPart))
	// Reset ends all conns between nodes for which match says so, of either
	// direction, and returns how many there were.
	Reset(match func(a, b string) bool) int
}

// Failpoints is implemented by a Target whose nodes are other processes: failpoints are those of each of
// them. end takes the failpoint back; used reports whether it has acted.
type Failpoints interface {
	SetFailpoint(f Failpoint) (end func(), used func() bool)
}

// LinkPart is a kind of effect of faults on a link.
type LinkPart uint8

// The parts of a LinkState.
const (
	PartCut LinkPart = 1 << iota
	PartHeld
	PartRefused
	PartShape
	PartAgain
)

// has reports whether a state has a part.
func (s LinkState) has(p LinkPart) bool {
	switch p {
	case PartCut:
		return s.Cut
	case PartHeld:
		return s.Held
	case PartRefused:
		return s.Refused
	case PartShape:
		return s.Shape != Shape{}
	case PartAgain:
		return s.Again.Chance > 0
	}
	return false
}

// LinkState is the effect of all faults on the link from one node to another. The zero state is a
// healthy link.
type LinkState struct {
	// Cut loses every frame, and dials that need this direction are not
	// answered. Conns stall, as TCP's do, until the link is back or an end
	// gives up.
	Cut bool
	// Held keeps frames instead of delivering them. They arrive in order when
	// the hold ends; a crash of either end loses them.
	Held bool
	// Refused makes new dials in this direction fail; existing conns stay.
	Refused bool
	// Shape replaces latency and bandwidth.
	Shape Shape
	// Again delivers requests, notes and publications twice.
	Again Again
}

// Again is how often a message comes twice, and how much later the second time.
// The answer to a second request is dropped.
type Again struct {
	Chance   float64
	Min, Max time.Duration
}

// Lies is the probability that an answer to a request is wrong: bits of it are flipped above the
// checksums of the network.
type Lies struct {
	Chance float64
	// All: also answers other than blocks, which the receiver cannot verify.
	All bool
}

// Shape is the latency and bandwidth of a link. A zero part means: as without the fault.
type Shape struct {
	// LatencyMin and LatencyMax bound the one-way delay; both zero is unset.
	LatencyMin, LatencyMax time.Duration
	// Bandwidth is in bytes a second; zero is unset.
	Bandwidth int64
	// Loss is the probability that a frame is lost on its way; zero is unset. Conns
	// are reliable: what is lost is sent again, later, and what was sent behind it
	// waits.
	Loss float64
}

// LossMax bounds Loss.
const LossMax = 0.5

// Clocks changes the clocks of a node.
type Clocks interface {
	// SetSkew makes the wall clock (Now) differ from true time by d. Elapsed
	// is not affected.
	SetSkew(node string, d time.Duration)
	// SetDrift makes both clocks of a node run fast (positive) or slow, in
	// parts per million, from now on. Neither clock jumps.
	SetDrift(node string, ppm int64)
}

// Effects counts the events on a node that faults of nodes affect: a fault without such an event
// has hit nothing.
type Effects struct {
	// Deferred counts events that were due during a pause or a suspension.
	Deferred uint64
	// WallReads and ElapsedReads count readings of the two clocks; timers count as the second.
	WallReads, ElapsedReads uint64
	// Disk operations that were slower, refused for want of room, failed, or
	// returned something else than was written; records that were lost or went
	// astray; syncs that lost what they should have written.
	SlowSyncs, Refused, Failed, CorruptReads, Lost, Misdirected, LostSyncs uint64
	// Lies counts wrong answers.
	Lies uint64
}

// Disks changes what a node's disk does. It survives crashes of the node.
type Disks interface {
	// SetDisk replaces the condition of a disk; the zero Condition is healthy.
	SetDisk(node string, c Condition)
	// CorruptValues flips a bit in each of n stored values, drawn by the
	// world's seed; fewer if there are fewer. It returns how many it did.
	CorruptValues(node string, n int) int
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
	// LossProbability is that of a written record to be acknowledged and lost,
	// MisdirectProbability that of one to overwrite another. The node sees what it
	// wrote until it starts anew.
	LossProbability, MisdirectProbability float64
	// SyncLossProbability is that of a sync to fail and drop its writes: the next sync succeeds,
	// but they are lost.
	SyncLossProbability float64
}
