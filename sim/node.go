package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// Node is one machine of a world: its identity, clocks and disk, which outlive
// crashes, and its current incarnation, which does not.
type Node struct {
	w        *World
	index    int
	name     string
	identity transport.Identity
	services []node.Configured
	listed   []string
	contacts []string
	place    place
	standing check.Standing
	hostile  bool
	// certificate is what the node was given; nil if it is a stranger.
	certificate *membership.Presented
	cloud       *cloud
	astray      bool               // nobody is told of it
	invited     bool               // it has no certificate, and is to get one by its ticket
	ticket      *membership.Ticket // nil: not yet
	// contactsAt is where its contacts are by its configuration, if that was changed (Configure).
	contactsAt map[string]string
	disk       *memdisk.Disk
	faults     diskFaults
	effects    fault.Effects
	lies       fault.Lies
	later      bool
	answers    uint64 // while it lied, for draws
	clocks     clocks
	life       *incarnation // nil while down
	lives      int
	paused     bool
	// suspended: as paused, and the clocks stand still.
	suspended bool
	deferred  []*event // events that were due while it was frozen
	since     time.Duration
	look      func(service string) node.Service // service, made once for all views
	settings  func(service string) any          // configured, likewise
	leaving   bool                              // for ever
	restart   bool                              // start again after the orderly stop
	// orders counts the commands from outside: a supervisor's restart does not override a later
	// command.
	orders int
}

// incarnation is a node from a start to a crash or an orderly end. Everything
// that it was given stops working when it ends.
type incarnation struct {
	node      *Node
	number    int
	over      atomic.Bool
	loops     []*loop
	loopCount int
	host      *host
	tap       *Tap // of a hostile node
	disk      *disk
	main      *loop
	running   *node.Node
	stopping  bool
}

// NodeConfig describes a node to add.
type NodeConfig struct {
	Name     string
	Services []node.Configured
	// Listed are the services under which the directory lists the node; nil
	// means the names of Services.
	Listed []string
	// Contacts are the nodes, by name, that this one is told of: it learns the others from them. nil: it is
	// told of all nodes that the world has, and of what they offer. Nodes that are told of all know a node
	// with contacts from its first start.
	Contacts []string
	// Granted are services that the node may offer beside those that it is listed for.
	Granted []string
	// Issues are the services that it may grant to others.
	Issues []string
	// Cloud is the name of the one that it belongs to; "" is FirstCloud. Nodes that are told of all are told of those of their cloud.
	Cloud string
	// Certified is what its first certificate says. It is listed for no service that this does not name.
	Certified Certified
	// Astray: it belongs to the cloud, but nobody is told of it.
	Astray bool
	// Invited: it has no certificate, and is a stranger until it has come by an invitation (World.Invite).
	Invited bool
	// Stranger: the node is no member of the cloud, whatever it is listed for or granted.
	Stranger bool
	// Hostile: it has a Tap.
	Hostile bool
	// Later: the node is of a later release, whose types have one more field each.
	Later bool
}

// startRetryDelay is the pause before a node whose start failed is started again, as by a
// supervisor.
const startRetryDelay = time.Second

// AddNode adds a node that is down. Its place in the order of additions is part
// of the world's identity.
func (w *World) AddNode(cfg NodeConfig) error {
	if w.byName[cfg.Name] != nil {
		return fmt.Errorf("sim: two nodes are called %s", cfg.Name)
	}
	for _, c := range cfg.Services {
		w.guarded.know(c.Spec.New)
	}
	n := &Node{
		w:        w,
		index:    len(w.nodes),
		name:     cfg.Name,
		identity: transport.NewIdentity(fmt.Appendf(nil, "sim/%d/%s", w.cfg.Seed, cfg.Name)),
		services: cfg.Services,
		listed:   cfg.Listed,
		contacts: cfg.Contacts,
		later:    cfg.Later,
		hostile:  cfg.Hostile,
		cloud:    w.cloud(cfg.Cloud),
		invited:  cfg.Invited,
		astray:   cfg.Astray,
		disk:     memdisk.New(),
	}
	n.look, n.settings = n.service, n.configured
	if n.listed == nil {
		for _, c := range cfg.Services {
			n.listed = append(n.listed, c.Spec.Name)
		}
	}
	if may := cfg.Certified.Services; may != nil {
		n.listed = slices.DeleteFunc(slices.Clone(n.listed), func(s string) bool { return !slices.Contains(may, s) && n.offers(s) })
	}
	w.nodes = append(w.nodes, n)
	w.byName[n.name] = n
	w.byPeer[n.identity.Peer()] = n
	n.standing = standingOf(cfg, n.listed)
	n.admit()
	if n.standing.Member {
		n.certificate = n.cloud.certify(n, cfg.Issues, cfg.Certified.Lifetime)
	}
	return w.net.carrier.addNode(n)
}

// offers reports whether a service is one that nodes are said to offer, and not on every one.
func (n *Node) offers(service string) bool {
	return slices.ContainsFunc(n.services, func(c node.Configured) bool { return c.Spec.Name == service && !c.Spec.Everywhere })
}

// configured returns the settings of a service, nil if there is none.
func (n *Node) configured(service string) any {
	for _, c := range n.services {
		if c.Spec.Name == service && c.Settings == nil {
			return c.Spec.Settings()
		} else if c.Spec.Name == service {
			return c.Settings
		}
	}
	return nil
}

// start boots the node from its disk.
func (n *Node) start() {
	if n.leaving {
		return
	}
	if n.life != nil {
		n.restart = n.life.stopping
		return
	}
	n.lives++
	if n.lives == 1 && (n.standing.Member || n.invited) && !n.astray {
		n.cloud.dir.Add(n.identity.Peer(), n.listed...)
	}
	life := &incarnation{node: n, number: n.lives}
	n.life, n.since = life, n.w.Now()
	life.host = n.w.net.newHost(life)
	if n.hostile {
		life.tap = NewTap(life.host)
	}
	life.disk = newDisk(life)
	life.main = life.newLoop("node")
	life.main.Go("start", life.boot)
}

func (life *incarnation) rand(name string) *rand.Rand {
	return life.node.w.newRand(uint64(life.node.index), uint64(life.number), hashText(name))
}

// stop ends the node in order.
func (n *Node) stop() {
	life := n.life
	if life == nil || life.stopping {
		return
	}
	if life.running == nil { // still starting
		n.crash(false)
		return
	}
	life.stopping = true
	life.main.Go("stop", func(ctx context.Context) {
		end := life.running.Stop
		if n.leaving {
			end = life.running.Leave
		}
		if err := end(ctx); err != nil {
			n.w.observe(n.name, "node", "stop-failed", node.F("error", err.Error()))
		}
		n.w.After(0, "end of "+n.name, func() {
			if n.life != life {
				return
			}
			n.leave(life)
			n.disk.Flush(func(error) {}) // the machine runs on and writes back
			n.w.observe(n.name, "node", "stopped")
			if n.restart {
				n.restart = false
				n.start()
			}
		})
	})
}

// crash ends the node as a power cut does.
func (n *Node) crash(loseDisk bool) {
	w := n.w
	if n.life == nil && loseDisk {
		w.observe(n.name, "node", "crashed", node.F("unsynced", 0), node.F("kept", 0), node.F("disk-lost", true))
	}
	if life := n.life; life != nil {
		unsynced := n.disk.Unsynced()
		n.leave(life)
		at := w.draw(drawCrash, uint64(n.index), uint64(n.lives))
		keep := int(within(at, 0, int64(unsynced)))
		n.disk = n.disk.Crash(keep, chance(mix(at), tornProbability))
		w.observe(n.name, "node", "crashed", node.F("unsynced", unsynced), node.F("kept", keep), node.F("disk-lost", loseDisk))
	}
	if loseDisk {
		n.disk = n.disk.Wipe()
	}
}

// tornProbability is the probability that the last write that survives a crash is torn.
const tornProbability = 0.3

// leave ends the incarnation.
func (n *Node) leave(life *incarnation) {
	n.life, n.since = nil, n.w.Now()
	n.setPaused(false)
	n.setSuspended(false)
	life.end()
}

// crashFromWithin is a crash that a task of the node itself asks for: nothing
// of the node works from here on, and the task ends.
func (life *incarnation) crashFromWithin() {
	n := life.node
	if life.over.Swap(true) {
		exitTask()
	}
	n.w.register(&event{
		at: n.w.nowNS(), tie: 1, kind: kindCrash, a: uint64(n.index), b: uint64(n.lives), label: n.name,
		fire: func() {
			if n.life == life {
				n.crash(false)
				n.supervise(ownCrashRestart)
			}
		},
	})
	exitTask()
}

// ownCrashRestart is when a node that crashed by a failpoint starts again.
const ownCrashRestart = 5 * time.Second

// supervise starts a node again that went down by itself, unless there is a command for it
// meanwhile.
func (n *Node) supervise(delay time.Duration) {
	orders := n.orders
	n.w.After(delay, "restart "+n.name, func() {
		if n.orders == orders {
			n.start()
		}
	})
}

func (life *incarnation) ended() bool { return life.over.Load() }

// end revokes everything: tasks end at their park, handles return ErrStopped,
// conns reset. World's thread only.
func (life *incarnation) end() {
	life.over.Store(true)
	for _, l := range life.loops {
		l.kill()
	}
	life.node.w.settle()
	life.host.crash()
	life.node.deferred = nil
}

// setPaused freezes one node, or lets it go on: then everything that was due happens now, in the
// order in which it was due.
func (n *Node) setPaused(paused bool) {
	if n.paused == paused || (paused && n.life == nil) {
		return
	}
	n.paused = paused
	n.thaw()
}

// setSuspended puts one node to sleep, as a laptop whose lid is closed, or wakes
// it. It is a pause during which its monotonic clock stands still, and those that
// talk to it hear nothing, not even from its network stack.
func (n *Node) setSuspended(suspended bool) {
	if n.suspended == suspended || (suspended && n.life == nil) {
		return
	}
	n.suspended = suspended
	n.clocks.setStopped(n.w.nowNS(), suspended)
	if n.life != nil {
		n.life.host.silence(suspended)
	}
	n.thaw()
}

// frozen: nothing of the node runs.
func (n *Node) frozen() bool { return n.paused || n.suspended }

// thaw fires the events that were due, unless the node is still frozen for another reason.
func (n *Node) thaw() {
	if n.frozen() {
		return
	}
	late := n.deferred
	n.deferred = nil
	for i, e := range late {
		if e.fire != nil {
			e.at, e.tie = n.w.nowNS(), uint64(i)+2
			n.w.register(e)
		}
	}
}

// Observe implements node.Observer.
func (w *World) Observe(nodeName, service, fact string, fields []node.Field) {
	w.trace.fact(w.nowNS(), nodeName, service, fact, fields)
	for _, f := range w.onFact {
		f(check.Fact{At: w.Now(), Node: nodeName, Service: service, Name: fact, Fields: fields})
	}
}

func (w *World) observe(nodeName, service, fact string, fields ...node.Field) {
	w.Observe(nodeName, service, fact, fields)
}
