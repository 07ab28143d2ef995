package run

import (
	"time"

	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
	"github.com/taucloud/tau/transport/membership"
)

// World is what a scenario is carried out on: the simulated one ([sim.World]), or processes of the real one. All of it
// is called, and calls back, between turns of whatever runs in it, one after the other.
type World interface {
	check.View
	fault.Target
	Timetable
	Clouds

	// AddNode adds a node that is down.
	AddNode(cfg sim.NodeConfig) error
	// OnFact and OnDelivery hear of everything, in order.
	OnFact(f func(check.Fact))
	OnDelivery(f func(check.Delivery))
	// Tap is the host of a hostile node.
	Tap(name string) *sim.Tap
	// Traced reports whether somebody reads the trace; then Believes writes to it.
	Traced() bool
	Believes(node, service, about, says string)
}

// Timetable is the time of a world, from its start.
type Timetable interface {
	Now() time.Duration
	// At and After have f called; label is for traces.
	At(at time.Duration, label string, f func())
	After(d time.Duration, label string, f func())
	// RunUntil lets time pass. The error is that of Fail, or says why the world could not go on.
	RunUntil(end time.Duration) error
	Fail(err error)
	// Between calls f between two turns: at once, if nothing else has a turn, or soon. Tasks of nodes that belong to the
	// world - those of users - tell by it what came of what they did.
	Between(f func())
	// Inside calls f in a turn of a node of the world's own, and waits for it.
	Inside(node string, f func())
}

// Clouds is what the people have who run the clouds of a world.
type Clouds interface {
	Custody(cloud string) sim.Custody
	Invite(node string, t membership.Ticket)
	Joined(node string, services []string)
	Unlist(node string)
	Says(node string) (said addressbook.Signed, up bool)
	AddressesOf(p transport.Peer) []string
}

// simulated is the simulated world, in which one task at a time has a turn: whoever asks has it.
type simulated struct{ *sim.World }

func (simulated) Between(f func())          { f() }
func (simulated) Inside(_ string, f func()) { f() }

var _ World = simulated{}
