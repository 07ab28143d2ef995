// Package check defines how a simulated world is judged: checkers listen to every fact that
// services report, look at the whole world between two turns, and decide after all faults have
// healed whether the cloud has recovered. It knows no service; the checkers of services are below
// scenarios/words, one package for each kind of thing.
package check

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Fact is something that a service reported at the moment it became true.
type Fact struct {
	At      time.Duration // virtual time since the start
	Node    string
	Service string
	Name    string
	Fields  []node.Field
}

// Get returns a field's value, nil if there is none of that name.
func (f Fact) Get(name string) any {
	for _, field := range f.Fields {
		if field.Name == name {
			return field.Value
		}
	}
	return nil
}

// Text returns a field as a string, "" if there is none.
func (f Fact) Text(name string) string {
	switch v := f.Get(name).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// Int returns an integer field, 0 if there is none.
func (f Fact) Int(name string) int64 {
	switch v := f.Get(name).(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case uint64:
		return int64(v)
	case time.Duration:
		return int64(v)
	}
	return 0
}

// View is the whole world, seen from outside. It is only used between turns and must not be kept.
type View interface {
	// Now is the virtual time since the start.
	Now() time.Duration
	// Nodes lists all nodes in the order of the scenario.
	Nodes() []NodeView
	// Node is one of them.
	Node(name string) (NodeView, bool)
	// Connected reports whether a and b can talk both ways right now: both are
	// up, not paused, neither was excluded, and no fault cuts, holds, refuses or delays by more than a
	// second what passes between them.
	Connected(a, b string) bool
}

// NodeView is one node of a View.
type NodeView struct {
	Name     string
	Peer     transport.Peer
	Services []string
	// Up: the node runs and all its services have started.
	Up bool
	// ShouldBeUp: the scenario has booted the node and no fault keeps it down, so that it runs or
	// starts, or the cloud is at fault. Use it for what must be true of running nodes, see
	// [Missing].
	ShouldBeUp bool
	// Paused or suspended: nothing of it runs.
	Paused bool
	// DiskBad: a fault makes its disk slow, full, failing or lying.
	DiskBad bool
	// Lies: a fault makes it answer with wrong blocks; LiesAll: with anything that
	// is wrong.
	Lies, LiesAll bool
	// Since is when the node last came up or went down.
	Since time.Duration
	// Disk is what a power cut at this moment would leave for sure, also while the
	// node is down.
	Disk storage.Durable
	// DiskBytes is the size of all keys and values on the disk.
	DiskBytes int
	// Configured returns a service's settings as its spec has them, nil if the
	// node has no such service.
	Configured func(service string) any
	// Service returns a running service's instance, nil if it is not running.
	Service func(name string) node.Service
}

// Checker is one expectation. A checker implements the parts it needs of:
// OnFact, OnPoll (safety) and OnSettled (liveness).
type Checker interface {
	// Name is the word in a scenario's expect lists.
	Name() string
}

// OnFact is called with every fact, in order. An error is a violation.
type OnFact interface {
	Checker
	Fact(f Fact) error
}

// OnWitness is called with every fact and the world at that moment, in the middle of a turn: it may
// look at disks and connections, but not at services. An error is a violation.
type OnWitness interface {
	Checker
	Witness(v View, f Fact) error
}

// OnPoll looks at the world once every PollInterval of virtual time and at the
// end. An error is a violation.
type OnPoll interface {
	Checker
	Poll(v View) error
}

// OnSettled is called repeatedly after all faults have healed. nil means that the expectation
// holds; it must hold within the scenario's bound and at the end.
type OnSettled interface {
	Checker
	Settled(v View) error
}

// Figures is implemented by a checker that also counts: name to value, shown
// in the report and compared by expect.report. The names are always the same,
// also of a checker that has seen nothing: they are what a scenario may name. A
// figure without a value, such as the median of nothing, is NaN.
type Figures interface {
	Figures() map[string]float64
}

// Excluded is the fact by which a service says that a member does not belong to the cloud any more. Its field subject is the
// member's transport.Peer.
const Excluded = "revocation-known"

// PollInterval is the virtual time between two polls.
const PollInterval = time.Second
