// Package node turns a list of services and a world (clock, network, disk) into
// a running node: it builds them in catalogue order, starts them in that order
// and stops them in reverse. The same code serves `tau start` and the simulator;
// what differs is the World it is given.
package node

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// Env is everything that a service is given. It must not use anything else: no package variables,
// no clock of its own, no environment.
type Env struct {
	// Node is the node's name for people; Self is its name on the wire.
	Node string
	Self transport.Peer
	// Identity signs as this node. It holds the node's key: it is in no log, fact or message.
	Identity transport.Identity
	// Authority is how the node knows who is a member, nil if a directory says that.
	Authority *credentials.Authority
	// Ticket is the invitation by which the node is to come into its cloud, nil if there is none.
	Ticket *membership.Ticket
	// Loop is the service's own thread of control.
	Loop clock.Loop
	// Wire is the network as seen from Loop.
	Wire *transport.Endpoint
	// Local is the service's own part of the disk.
	Local storage.Local
	// Blocks is the node's block store, seen from Loop.
	Blocks storage.Blocks
	// Rand is the service's own source, keyed by node, service and incarnation.
	Rand *rand.Rand
	// Incarnation counts the starts of this node, from 1. It survives a crash,
	// but not the loss of the disk.
	Incarnation uint64
	// Log is for people. A record at Error level fails a simulated run.
	Log *slog.Logger

	world  World
	name   string
	gauges *gauges
	// services are those of this node
	services []string
	members  *Members
}

// Service is one running service instance.
type Service interface {
	// Start registers handlers and starts tasks. It may park (to open a
	// replica, say); ctx bounds it. It has no other side effects before it.
	Start(ctx context.Context) error
	// Stop ends in order: it syncs and tells other services. The loop is stopped after it. A crash
	// does not call it.
	Stop(ctx context.Context) error
}

// Leaver is a Service that has something to say when its node leaves the cloud for ever. It is stopped after it.
type Leaver interface {
	Leave(ctx context.Context) error
}

// Spec is a kind of service: one entry of the catalogue.
type Spec struct {
	// Name is the service's name in configuration and on the wire.
	Name string
	// Doc is one line for help texts.
	Doc string
	// Everywhere: every node runs it, so it is no service that a node is said to offer. Early: it starts
	// before the others, and stops after them.
	Everywhere, Early bool
	// Settings returns a pointer to the default settings, a struct with yaml
	// tags and ranges; configuration is decoded strictly over it, see
	// [Spec.Decode].
	Settings func() any
	// ReadyWithin is how long after its start, or after all faults are over, an
	// instance that is a [Readier] may refuse to serve; zero is 30 s.
	ReadyWithin time.Duration
	// New builds an instance without side effects. settings is what Settings
	// returned, decoded over and within its ranges.
	New func(env Env, settings any) (Service, error)
}

// InStartOrder is the order in which a node starts its own services, in catalogue order, and what runs everywhere.
func InStartOrder(own, everywhere []Spec) (list []Spec) {
	for _, s := range everywhere {
		if s.Early {
			list = append(list, s)
		}
	}
	list = append(list, own...)
	for _, s := range everywhere {
		if !s.Early {
			list = append(list, s)
		}
	}
	return list
}

// Field is one datum of a fact. Value is a string, an integer, a bool, a
// time.Duration or a transport.Peer.
type Field struct {
	Name  string
	Value any
}

// F is short for Field.
func F(name string, value any) Field { return Field{Name: name, Value: value} }

// Observer receives the facts that services report.
type Observer interface {
	Observe(node, service, fact string, fields []Field)
}

// Observe reports a fact at the moment it became true ("job-locked"): it goes to the trace and the
// checkers of a simulated world, to metrics and the debug log of a live one. It must not have side
// effects on the service.
func (e Env) Observe(fact string, fields ...Field) {
	e.world.Observer.Observe(e.Node, e.name, fact, fields)
}

// Crash ends the node as a power cut would: no service is told, nothing is
// flushed. It is for failpoints. The calling task ends here.
func (e Env) Crash() { e.world.Crash() }

// OpenReplicated opens a replicated store whose replicas are held by every node
// that runs this service. history, zero for the default, bounds what it keeps for
// replicas that lag behind.
func (e Env) OpenReplicated(ctx context.Context, namespace string, history storage.History) (storage.Replicated, error) {
	store, err := replicated.Open(ctx, replicated.Config{
		Loop:      e.Loop,
		Endpoint:  e.Wire,
		Disk:      e.world.Disk,
		Rand:      e.Rand,
		Service:   e.name,
		Namespace: namespace,
		History:   history,
		Observe: func(fact string, pairs ...any) {
			fields := []Field{F("namespace", namespace)}
			for i := 0; i < len(pairs); i += 2 {
				fields = append(fields, F(pairs[i].(string), pairs[i+1]))
			}
			e.Observe(fact, fields...)
		},
	})
	if err != nil {
		return nil, err // and no interface that holds a nil store
	}
	return store, nil
}

// Members is the directory that this node learns, for the agent that fills it; nil if it was given another.
func (e Env) Members() *Members { return e.members }

// Cloud is the name of the cloud that the node is of, "" if it was set up without one.
func (e Env) Cloud() string { return e.world.cloud() }

// Presence is whether some member of the cloud offers a service, dead or alive, as far as this node
// knows. Who does without a service that nobody offers must not do so while it is Unknown.
func (e Env) Presence(service string) transport.Presence {
	return transport.PresenceOf(e.Wire.Directory(), service)
}

// OnDirectory calls f, in a turn of the service's loop, after changes of what the node knows of the
// cloud, for as long as the loop runs. Changes that follow each other closely may be told once.
func (e Env) OnDirectory(f func()) {
	e.Loop.Go("directory", func(ctx context.Context) {
		told := e.Wire.Directory().Version()
		for transport.AwaitDirectory(ctx, e.Loop, e.Wire.Directory(), func() bool { return e.Wire.Directory().Version() != told }) == nil {
			told = e.Wire.Directory().Version()
			f()
		}
	})
}

// Replicate makes all writes to a replicated store durable, here and on other replicas, until there
// are copies of them, if enough replicas answer within limit. It returns the number of copies:
// fewer than copies is no error if the other replicas are known. Who they are is waited for, and if it
// does not become known in time, too few copies are an error of Kind Refused: somebody might hold more.
// Any other error means that there is no copy, not even here.
func (e Env) Replicate(ctx context.Context, store storage.Replicated, copies int, limit time.Duration) (int, error) {
	ctx, cancel := clock.WithTimeout(ctx, e.Loop, limit)
	defer cancel()
	n, err := store.Replicate(ctx, copies)
	if n == 0 {
		return 0, err
	}
	if _, known := e.Wire.Directory().Lookup(e.name); n < copies && !known {
		return n, transport.New(transport.Refused, "replicate", "it is not known yet who holds the other replicas")
	}
	return n, nil
}
