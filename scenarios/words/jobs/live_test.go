package jobs

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// liveNode is a node of the other world: real libp2p, real time.
type liveNode struct {
	name  string
	specs []node.Spec
	id    transport.Identity
	host  *libp2p.Host
	node  *node.Node

	mu    sync.Mutex
	loops []*clock.Live
}

func quickBuilder(env node.Env) monkey.Builder {
	return &ports.Builder{Loop: env.Loop, Rand: env.Rand, TimeMin: 10 * time.Millisecond, TimeMax: 50 * time.Millisecond}
}

func (n *liveNode) newLoop(string) (clock.Loop, func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := clock.NewLive()
	n.loops = append(n.loops, l)
	return l, func() { l.Stop(0) }
}

// on runs f as a task and waits for it.
func on(l clock.Loop, f func(ctx context.Context)) {
	done := make(chan struct{})
	l.Go("test", func(ctx context.Context) {
		defer close(done)
		f(ctx)
	})
	<-done
}

func (n *liveNode) start(t *testing.T, dir transport.Directory) {
	main, _ := n.newLoop("node")
	cfg := node.Config{Name: n.name, Identity: n.id, World: node.World{
		NewLoop:   n.newLoop,
		Host:      n.host,
		Disk:      memdisk.New(),
		Directory: dir,
		Rand:      func(string) *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) },
		Observer:  nobody{},
		Log:       slog.New(slog.DiscardHandler),
		Crash:     func() { panic("nothing crashes here") },
	}}
	for _, s := range n.specs {
		cfg.Services = append(cfg.Services, node.Configured{Spec: s, Settings: s.Settings()})
	}
	on(main, func(ctx context.Context) {
		var err error
		n.node, err = node.Start(ctx, main, cfg)
		require.NoError(t, err)
	})
	t.Cleanup(func() {
		on(main, func(ctx context.Context) { require.NoError(t, n.node.Stop(ctx)) })
		for _, l := range n.loops {
			require.True(t, l.Stop(5*time.Second), "tasks of %s are left", n.name)
		}
	})
}

type nobody struct{}

func (nobody) Observe(string, string, string, []node.Field) {}

// TestTheSameCodeLive: what the simulator rehearses is what runs. A push to a
// cloud of real libp2p hosts on loopback becomes a published version.
func TestTheSameCodeLive(t *testing.T) {
	var env node.Env
	client := node.Spec{
		Name: "client", Settings: func() any { return nil },
		New: func(e node.Env, _ any) (node.Service, error) { env = e; return idle{}, nil },
	}
	nodes := []*liveNode{
		{name: "core-1", specs: []node.Spec{seer.Spec(), tns.Spec(), hoarder.Spec(), patrick.Spec()}},
		{name: "core-2", specs: []node.Spec{seer.Spec(), tns.Spec(), hoarder.Spec(), patrick.Spec()}},
		{name: "monkey-1", specs: []node.Spec{monkey.Spec(quickBuilder)}},
		{name: "client", specs: []node.Spec{client}},
	}
	dir := transport.NewStaticDirectory()
	var known []string
	for _, n := range nodes {
		n.id = transport.NewIdentity([]byte("live " + n.name))
		host, err := libp2p.New(n.id, nil, known)
		require.NoError(t, err)
		n.host = host
		known = append(known, host.Addrs()...)
		if n.name != "client" {
			n.specs = append(n.specs, services.Always()...)
		}
		for _, s := range n.specs {
			dir.Add(n.id.Peer(), s.Name)
		}
	}
	for _, n := range nodes {
		for _, addr := range known {
			require.NoError(t, n.host.Learn(addr))
		}
		n.start(t, dir)
	}
	on(env.Loop, func(ctx context.Context) {
		ctx, cancel := clock.WithTimeout(ctx, env.Loop, 60*time.Second)
		defer cancel()
		push := pushParams{Project: "hello", Branch: "main", Commit: "0123456789012345678901234567890123456789", Deliveries: 1, RetryFor: 30 * time.Second}
		require.NoError(t, push.run(ctx, env))
		jobs := patrickapi.NewClient(env.Wire)
		id, err := (&jobParams{Project: "hello", Branch: "main", Commit: push.Commit}).job(ctx, jobs)
		require.NoError(t, err)
		var job patrickapi.Job
		require.NoError(t, clock.Every(ctx, env.Loop, 100*time.Millisecond, func(ctx context.Context) bool {
			var err error
			job, err = jobs.Job(ctx, id)
			return err != nil || !job.Status.Final()
		}))
		require.Equal(t, patrickapi.Success, job.Status)
		version, err := tnsapi.NewClient(env.Wire).Current(ctx, "hello", "main")
		require.NoError(t, err)
		require.Equal(t, push.Commit, version.Commit)
	})
}

type idle struct{}

func (idle) Start(context.Context) error { return nil }
func (idle) Stop(context.Context) error  { return nil }
