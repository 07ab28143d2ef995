package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport/libp2p"
)

// local is a node in this process: that of a cloud's users, or of somebody who attacks it.
type local struct {
	m    *machine
	host *libp2p.Host
	tap  *sim.Tap // of a hostile one
	main *clock.Live
	node *node.Node
	env  node.Env // of the first service

	mu    sync.Mutex
	loops []*clock.Live
}

// localStop bounds the end of a local node's tasks.
const localStop = 5 * time.Second

// isLocal reports whether a node is one of users or attackers.
func (w *World) isLocal(cfg sim.NodeConfig) bool {
	return cfg.Hostile || len(cfg.Services) > 0 && cfg.Services[0].Spec.Name == scenario.Client
}

func newLocal(m *machine) *local { return &local{m: m} }

func (l *local) newLoop(name string) (clock.Loop, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	loop := clock.NewNamedLive(name, nil)
	l.loops = append(l.loops, loop)
	return loop, func() { loop.Stop(0) }
}

// start starts the node, and waits until it has.
func (l *local) start() error {
	m := l.m
	host, err := libp2p.New(m.identity, []string{"/ip4/127.0.0.1/tcp/0"}, nil, libp2p.Through(rehearsal.Dialer{Relay: m.w.relay.Address(), From: m.name}))
	if err != nil {
		return err
	}
	l.host = host
	cfg := node.Config{Name: m.name, Identity: m.identity, World: node.World{
		NewLoop: l.newLoop, Host: l.host, Disk: memdisk.New(), Directory: m.cloud.directory,
		Rand:     func(string) *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) },
		Observer: l, Log: m.w.logger(m.name), Crash: func() { panic("live: users do not crash") },
	}}
	if m.cfg.Hostile {
		l.tap = sim.NewTap(host)
		cfg.World.Host = l.tap
	}
	membership := &node.Membership{Cloud: m.cloud.network, Key: m.cloud.key.Peer()}
	if !m.cfg.Stranger {
		certificate, err := m.certify()
		if err != nil {
			return errors.Join(err, host.Close())
		}
		membership.Certificate = &certificate
	}
	cfg.World.Membership = membership
	for _, c := range m.cfg.Services {
		if c.Spec.Everywhere && m.cfg.Hostile {
			continue // it finds its victims without
		}
		spec := c.Spec
		if make := spec.New; l.env.Loop == nil {
			spec.New = func(env node.Env, settings any) (node.Service, error) {
				if l.env.Loop == nil {
					l.env = env
				}
				return make(env, settings)
			}
		}
		cfg.Services = append(cfg.Services, node.Configured{Spec: spec, Settings: c.Settings})
	}
	l.tellAll()
	loop, _ := l.newLoop("node")
	l.main = loop.(*clock.Live)
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	var started error
	err = clock.Do(ctx, l.main, func(ctx context.Context) { l.node, started = node.Start(ctx, l.main, cfg) })
	return errors.Join(err, started)
}

// tellAll tells the node where all others are: users know it, and attackers find out.
func (l *local) tellAll() {
	if l.host == nil {
		return
	}
	for _, other := range l.m.w.nodes {
		if other.local == nil {
			l.host.SetAddresses(other.identity.Peer(), []string{multiaddr(other.address)})
		}
	}
}

// inside calls f in a turn of the first service.
func (l *local) inside(f func()) {
	if l.env.Loop == nil {
		return
	}
	_ = clock.Do(context.Background(), l.env.Loop, func(context.Context) { f() }) // it runs as long as the story
}

// Observe implements node.Observer.
func (l *local) Observe(name, service, fact string, fields []node.Field) {
	l.m.w.report(time.Now().UnixNano(), check.Fact{Node: name, Service: service, Name: fact, Fields: fields})
}

// close ends the node's tasks where they are: what users still wait for does not come.
func (l *local) close() error {
	var err error
	if l.host != nil {
		err = l.host.Close()
	}
	l.mu.Lock()
	loops := l.loops
	l.mu.Unlock()
	for _, loop := range loops {
		loop.Stop(0)
	}
	for _, loop := range loops {
		if !loop.Stop(localStop) {
			err = errors.Join(err, fmt.Errorf("%s: a task does not end", l.m.name))
		}
	}
	return err
}

// logHandler fails the run when a node in this process logs an error.
type logHandler struct {
	slog.Handler
	w    *World
	name string
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	h.w.Between(func() { h.w.Fail(fmt.Errorf("%s logs an error: %s", h.name, text)) })
	return nil
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(string) slog.Handler { return h }

// enlist tells users of a node.
func (m *machine) enlist() {
	if m.local == nil && m.name != m.cloud.finder {
		m.cloud.directory.Add(m.identity.Peer(), offered(m)...)
	}
}

func offered(m *machine) (names []string) {
	for _, c := range m.cfg.Services {
		if !c.Spec.Everywhere {
			names = append(names, c.Spec.Name)
		}
	}
	return names
}
