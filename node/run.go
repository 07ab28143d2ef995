package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// startTimeout bounds the start of one service, which may have to fetch a whole replicated store
// over a slow link (storage gives up by itself without progress); stopTimeout bounds its orderly
// end.
const (
	startTimeout = 2 * time.Hour
	stopTimeout  = 10 * time.Second
)

// Config describes a node.
type Config struct {
	Name     string
	Identity transport.Identity
	// Services in the order in which they start; the catalogue's order.
	Services []Configured
	// Contacts are members by which this node finds the others, unless it still knows some.
	Contacts []Contact
	// AllContacts: there are no members but Contacts, of which all services are known, and this node. So it waits for nobody to say so.
	AllContacts bool
	World       World
}

// Configured is a spec with its settings (what Spec.Settings returned, decoded
// over; nil means the defaults).
type Configured struct {
	Spec     Spec
	Settings any
}

// Node is a running node.
type Node struct {
	cfg         Config
	loop        clock.Loop
	engine      *transport.Engine
	blocks      *blocks.Store
	running     []*instance
	byName      map[string]Service
	incarnation uint64
	gauges      gauges
	authority   *credentials.Authority // nil: as World.Membership says
	members     *Members               // nil: it was given a directory
}

// instance is one service on its loop.
type instance struct {
	name     string
	service  Service
	loop     clock.Loop
	stopLoop func()
	endpoint *transport.Endpoint
}

// Start builds and starts a node from what is on its disk. It must be called by
// a task of loop, the node's own, and waits until all services have started. If
// one does not, those that did are stopped again, and nothing is left: all loops
// that the node made have been stopped, and its host is closed.
func Start(ctx context.Context, loop clock.Loop, cfg Config) (*Node, error) {
	cfg.World.Disk = suspect(cfg.World, loop, cfg.Name)
	n := &Node{cfg: cfg, loop: loop, byName: map[string]Service{}}
	if err := n.countIncarnation(ctx); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Name, errors.Join(err, cfg.World.Host.Close()))
	}
	options, err := n.authorize(loop)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Name, errors.Join(err, cfg.World.Host.Close()))
	}
	n.engine = transport.NewEngine(cfg.World.Host, loop, n.directory(), options...)
	if n.blocks, err = blocks.Open(n.engine.Endpoint(loop), cfg.World.Disk); err != nil {
		return nil, fmt.Errorf("node %s: %w", cfg.Name, errors.Join(err, n.Stop(ctx)))
	}
	for _, c := range cfg.Services {
		if err := n.startService(ctx, c); err != nil {
			return nil, fmt.Errorf("node %s: start %s: %w", cfg.Name, c.Spec.Name, errors.Join(err, n.Stop(ctx)))
		}
	}
	return n, nil
}

// directory is what the world gives, or one that is learned.
func (n *Node) directory() transport.Directory {
	if n.cfg.World.Directory != nil {
		return n.cfg.World.Directory
	}
	n.members = newMembers(n.cfg, n.incarnation)
	if n.authority != nil {
		n.members.revoked = n.authority.Revoked
	}
	return n.members
}

// ticket is the invitation that the node was given, if any.
func (n *Node) ticket() *membership.Ticket {
	if n.cfg.World.Membership == nil {
		return nil
	}
	return n.cfg.World.Membership.Ticket
}

// countIncarnation reads how often this node has started and writes one more.
func (n *Node) countIncarnation(ctx context.Context) error {
	local, err := localkv.Open(n.loop, n.cfg.World.Disk, storage.K("node"))
	if err != nil {
		return err
	}
	key := storage.K("incarnation")
	raw, err := local.Get(key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if len(raw) == 8 {
		n.incarnation = binary.BigEndian.Uint64(raw)
	}
	n.incarnation++
	if err := storage.Put(local, key, binary.BigEndian.AppendUint64(nil, n.incarnation)); err != nil {
		return err
	}
	return local.Sync(ctx)
}

func (n *Node) startService(ctx context.Context, c Configured) error {
	name := c.Spec.Name
	loop, stopLoop := n.cfg.World.NewLoop(name)
	endpoint := n.engine.Endpoint(loop)
	in := &instance{name: name, loop: loop, stopLoop: stopLoop, endpoint: endpoint}
	built := false
	defer func() {
		if !built { // Stop does not cover it
			in.end()
		}
	}()
	local, err := localkv.Open(loop, n.cfg.World.Disk, storage.K("local", name))
	if err != nil {
		return err
	}
	settings, err := c.settings()
	if err != nil {
		return err
	}
	in.service, err = c.Spec.New(Env{
		Node:        n.cfg.Name,
		Self:        n.cfg.Identity.Peer(),
		Identity:    n.cfg.Identity,
		Authority:   n.authority,
		Ticket:      n.ticket(),
		Loop:        loop,
		Wire:        endpoint,
		Local:       local,
		Blocks:      n.blocks.On(name, loop, endpoint),
		Rand:        n.cfg.World.Rand(fmt.Sprintf("%s/%d", name, n.incarnation)),
		Incarnation: n.incarnation,
		Log:         n.cfg.World.Log.With(slog.String("service", name)),
		world:       n.cfg.World,
		name:        name,
		gauges:      &n.gauges,
		services:    n.serviceNames(),
		members:     n.members,
	}, settings)
	if err != nil {
		return err
	}
	built = true
	n.running = append(n.running, in)
	n.byName[name] = in.service
	return n.on(ctx, in, "start", startTimeout, in.service.Start)
}

// end takes the instance off the wire and stops its loop.
func (in *instance) end() {
	in.endpoint.Close()
	in.stopLoop()
}

func (n *Node) serviceNames() []string {
	var names []string
	for _, c := range n.cfg.Services {
		if !c.Spec.Everywhere {
			names = append(names, c.Spec.Name)
		}
	}
	return names
}

// on runs f as a task of the instance's loop and waits for it on the node's.
func (n *Node) on(ctx context.Context, in *instance, what string, limit time.Duration, f func(context.Context) error) error {
	result := clock.ErrStopped
	err := n.loop.Park(ctx, func(wake func()) {
		in.loop.Go(what, func(ctx context.Context) {
			defer wake()
			ctx, cancel := clock.WithTimeout(ctx, in.loop, limit)
			defer cancel()
			result = f(ctx)
		})
	})
	if err != nil {
		return err
	}
	return result
}

// Leave is Stop for a node that leaves the cloud for ever: its services say so before, each within 10 s.
func (n *Node) Leave(ctx context.Context) error {
	var errs []error
	for _, in := range n.running {
		if l, ok := in.service.(Leaver); ok {
			if err := n.on(ctx, in, "leave", stopTimeout, l.Leave); err != nil {
				errs = append(errs, fmt.Errorf("leave %s: %w", in.name, err))
			}
		}
	}
	return errors.Join(append(errs, n.Stop(ctx))...)
}

// Stop ends all services in reverse order, each within 10 s, and closes
// the network. It must be called by a task of the node's loop.
func (n *Node) Stop(ctx context.Context) error {
	var errs []error
	for len(n.running) > 0 {
		in := n.running[len(n.running)-1]
		n.running = n.running[:len(n.running)-1]
		if err := n.on(ctx, in, "stop", stopTimeout, in.service.Stop); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", in.name, err))
		}
		in.end()
	}
	return errors.Join(append(errs, n.engine.Close())...)
}

// Served lists what the services of this node serve, and who may use it.
func (n *Node) Served() []transport.Served { return n.engine.Served() }

// Members is what the node has learned of the others, nil if it was given a directory.
func (n *Node) Members() *Members { return n.members }

// Service returns a running service, or nil. Only a checker of a simulated world may inspect it,
// between turns.
func (n *Node) Service(name string) Service { return n.byName[name] }

// Incarnation is how often this node has started on its disk.
func (n *Node) Incarnation() uint64 { return n.incarnation }
