// Package live is a node of the real world: it wires the same services that the simulator rehearses to libp2p
// and to a disk on pebble, and lets people on its machine ask it over a unix socket.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/storage/pebbledisk"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// stopTimeout bounds an orderly end: each service may take 10 s, but not all of them.
	stopTimeout = 30 * time.Second
	// loopTimeout bounds the end of a loop's tasks after that.
	loopTimeout = 5 * time.Second
)

// Config is what a node runs on.
type Config struct {
	Shape *shape.Shape
	Paths shape.Paths
	Log   *Log
	// Crash ends the process as a power cut would: the disk has failed.
	Crash func()
	// Ready is called once, when the node has started.
	Ready func()
	// Failpoints lets people on this machine make the node fail on purpose.
	Failpoints bool
	// InOneProcess: other nodes are in this process, so that what ends the process, or holds it up, is not done at anybody's word.
	InOneProcess bool
	// Unsandboxed: builds run with the rights of the node where it has no sandbox.
	Unsandboxed bool
	// Universe is the directory of the universe that the node is one of, "" if of none: nodes of one share what compilers have made of their
	// own libraries, and no hint names an option of tau start.
	Universe string
	// Others, if it is set, are all members of the cloud but this one: what each of the shape's peers offers.
	Others map[string][]string
	// Release names the program, for metrics.
	Release string
	// Reload is told when the configuration is to be read again; nil: never.
	Reload <-chan struct{}
	// Reloading and Reloaded are called around that.
	Reloading, Reloaded func()
	// Stopping is called once, when the node begins to end.
	Stopping func()
	// AcceptEmptyDisk lets a node start without what it had on its disk: others have it, or it is lost.
	AcceptEmptyDisk bool
	// Rehearse is set if the node takes part in a rehearsal.
	Rehearse *Rehearse
	// Through is how the node dials others, if it listens on TCP only; nil: by itself.
	Through libp2p.ContextDialer
}

// ErrKilled is the cause with which the context of Run ends for a node that is to end as much as by kill -9 as it can in a process that
// goes on: it says nothing more to anybody, and writes nothing more. Only what its process had buffered for the disk still gets there.
var ErrKilled = errors.New("the node was killed")

// Run starts a node and returns when ctx has ended and the node is down, or with the reason why it could not
// start or stop.
func Run(ctx context.Context, cfg Config) (err error) {
	lock, err := lockRun(cfg.Paths)
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, end := context.WithCancel(ctx)
	defer end()
	r := &running{cfg: cfg, began: time.Now(), end: end, doing: "the node is starting"}
	admin, err := listen(cfg.Paths, r)
	if err != nil {
		return err
	}
	defer admin.close()
	defer r.faults.over()
	disk, err := r.openDisk(ctx)
	if err != nil || disk == nil {
		return err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	r.keep(func() { r.disk = disk })
	stopReloading := r.reloads()
	defer stopReloading()
	defer r.openOutside(cfg.Shape.MetricsListen)()
	certificate, err := r.certificate(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	config, err := r.configure(certificate)
	if err != nil {
		return err
	}
	config.World.Disk = disk
	defer r.watchStanding(ctx)()
	return r.run(ctx, config)
}

// running is a node from its start to its end.
type running struct {
	cfg   Config
	began time.Time
	main  *clock.Live
	end   func() // ends the node in order

	faults   faults
	standing standing // turn is the loop's of env, why is guarded by mu
	answers  int      // that are made for members, the loop's of env

	mu      sync.Mutex
	doing   string // why it is not ready before it has started
	leaving bool   // the node says that it leaves when it ends
	disk    *pebbledisk.Disk
	host    *libp2p.Host
	loops   []*clock.Live
	node    *node.Node // nil until it has started
	early   *node.Env  // of the agent that speaks for people; nil until it is there
	env     *node.Env  // the same, nil until the node has started
}

// keep changes what others read.
func (r *running) keep(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *running) newLoop(name string) (clock.Loop, func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := clock.NewNamedLive(name, r.cfg.Log.Logger)
	r.loops = append(r.loops, l)
	return l, func() { l.Stop(0) }
}

// ports are the real ends of what lies outside of the cloud.
func ports(cfg Config) services.Ports {
	return services.Ports{Builder: newBuilder(cfg), Fetcher: newFetcher(cfg), Forge: newForge(cfg), Front: newFront(cfg), Vault: newVault(cfg), Look: newLook, Door: newDoor(cfg.Shape.HTTPListen, cfg.Log.Logger), Guests: newGuests(cfg)}
}

// configure wires the node.
func (r *running) configure(certificate *membership.Presented) (node.Config, error) {
	s := r.cfg.Shape
	key, contacts, err := r.told()
	if err != nil {
		return node.Config{}, err
	}
	for _, text := range s.Listen { // libp2p is content if it can listen on one of them
		if what, hint := TryListen(text); what != "" {
			return node.Config{}, fmt.Errorf("p2p-listen: %s (%s)", what, hint)
		}
	}
	rehearse := r.cfg.Rehearse
	host, err := libp2p.New(s.Identity(), s.Listen, nil, libp2p.Announce(s.Announce), r.dialing())
	if err != nil {
		return node.Config{}, whyNoHost(s.Listen, err)
	}
	r.keep(func() { r.host = host })
	cfg := node.Config{Name: s.Name, Identity: s.Identity(), Contacts: contacts, AllContacts: r.cfg.Others != nil, World: node.World{
		NewLoop:    r.newLoop,
		Host:       host,
		Membership: &node.Membership{Cloud: s.Network, Key: key, Certificate: certificate},
		Rand:       func(string) *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) },
		Observer:   rehearse.observing(observer{r.cfg.Log}),
		Log:        r.cfg.Log.Logger,
		Crash: func() {
			r.cfg.Log.Error("the node ends as in a power cut: what it had acknowledged is on its disk")
			r.cfg.Crash()
		},
	}}
	for _, spec := range node.InStartOrder(s.Specs(rehearse.ports(r.cfg)), append(services.Always(), r.speaker())) {
		one, err := rehearse.configured(spec)
		if err != nil {
			return cfg, err
		}
		cfg.Services = append(cfg.Services, one)
	}
	return cfg, nil
}

// run starts the node, and stops it when ctx ends.
func (r *running) run(ctx context.Context, cfg node.Config) error {
	loop, _ := r.newLoop("node")
	r.main = loop.(*clock.Live)
	failed, told := make(chan error, 1), ctx
	r.main.Go("start", func(ctx context.Context) {
		n, err := node.Start(ctx, r.main, cfg)
		if err != nil && told.Err() != nil {
			return // it was told to end before it had started, which is no failure
		}
		r.cfg.Rehearse.started(n, cfg.Identity.Peer(), err)
		if err != nil {
			failed <- err
			return
		}
		r.mu.Lock()
		r.node, r.env = n, r.early
		r.mu.Unlock()
		r.cfg.Log.Info("ready", slog.String("node", cfg.Name), slog.String("peer", cfg.Identity.Peer().String()), slog.String("after", time.Since(r.began).Round(time.Millisecond).String()))
		r.cfg.Ready()
	})
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), ErrKilled) {
			r.kill(cfg)
			break
		}
		r.cfg.Log.Info("stopping")
		if r.cfg.Stopping != nil {
			r.cfg.Stopping()
		}
		err = r.stop(cfg)
	}
	for _, l := range r.loops {
		if !l.Stop(loopTimeout) {
			err = errors.Join(err, errors.New("a task did not end"))
		}
	}
	if err == nil && r.hasLeft() {
		return ErrLeft
	}
	return err
}

// ErrLeft is what Run returns after the node was told to leave, and has.
var ErrLeft = errors.New("the node has left its cloud")

func (r *running) hasLeft() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving
}

// stop drains the node: its services say that they end, and sync. One that has not started yet has nothing
// to say.
func (r *running) stop(cfg node.Config) error {
	n := r.started()
	if n == nil {
		r.main.Stop(0)
		return cfg.World.Host.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var stopped error
	r.mu.Lock()
	stop := n.Stop
	if r.leaving {
		stop = n.Leave
	}
	r.mu.Unlock()
	if err := clock.Do(ctx, r.main, func(ctx context.Context) { stopped = stop(ctx) }); err != nil {
		return fmt.Errorf("stop: not within %s: %w", stopTimeout, err)
	}
	return stopped
}

// kill takes the network and the disk away from the node; what runs of it then ends, and has no effect any more.
func (r *running) kill(cfg node.Config) {
	r.cfg.Log.Info("killed")
	_ = cfg.World.Host.Close()
	_ = r.disk.Close()
	if n := r.started(); n != nil {
		ctx, cancel := context.WithTimeout(context.Background(), loopTimeout)
		defer cancel()
		_ = clock.Do(ctx, r.main, func(ctx context.Context) { _ = n.Stop(ctx) })
	}
}

// dialing is how the node's host dials.
func (r *running) dialing() libp2p.Option {
	if r.cfg.Through == nil {
		return r.cfg.Rehearse.dialing(r.cfg.Shape.Name)
	}
	return libp2p.Through(r.cfg.Through)
}

func (r *running) started() *node.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.node
}

// WriteFile writes a file of secrets whole or not at all, and makes it durable.
func WriteFile(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
