package node

import (
	"log/slog"
	"math/rand/v2"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// cloud is the name of the node's cloud, "" if it was told of none.
func (w *World) cloud() string {
	if w.Membership == nil {
		return ""
	}
	return w.Membership.Cloud
}

// World is what a node runs on: real parts, or simulated ones.
type World struct {
	// NewLoop makes a loop for one part of the node and the function that
	// stops it. Loops that still run when the node ends are the world's to end.
	// A live world names its loops and gives them the log (clock.NewNamedLive),
	// so that turns that take too long are noticed.
	NewLoop func(name string) (clock.Loop, func())
	Host    transport.Host
	Disk    storage.Disk
	// Directory lists the members of a cloud whose members are all told of each other, as in tests; nil:
	// the node learns them, see [Members].
	Directory transport.Directory
	// Membership is what the node was told of its cloud when it was set up. nil leaves
	// it to the Directory who is a member, if that is an Authority: for tests.
	Membership *Membership
	// Rand returns a new source, keyed by its name: equal names, equal draws.
	Rand     func(name string) *rand.Rand
	Observer Observer
	Log      *slog.Logger
	// Crash ends the node at once, as a power cut would.
	Crash func()
}
