package jobs

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/ports"
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
	"github.com/taucloud/tau/transport/membership"
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

// certificate says that a node is a member and may offer what it runs.
func (n *liveNode) certificate(t *testing.T, cloud transport.Identity) *membership.Presented {
	c := membership.Certificate{Cloud: "live.example.com", Subject: n.id.Peer(), Name: n.name, NotBefore: time.Now().Unix(), NotAfter: time.Now().Add(time.Hour).Unix()}
	for _, s := range n.specs {
		c.Services = append(c.Services, s.Name)
	}
	slices.Sort(c.Services)
	signed, err := membership.Issue(cloud, c)
	require.NoError(t, err)
	return &membership.Presented{Certificate: signed}
}

// start boots a node that is told of nothing but one member, and of the cloud's key.
func (n *liveNode) start(t *testing.T, cloud transport.Identity, contact node.Contact) {
	main, _ := n.newLoop("node")
	cfg := node.Config{Name: n.name, Identity: n.id, Contacts: []node.Contact{contact}, World: node.World{
		NewLoop:    n.newLoop,
		Host:       n.host,
		Disk:       memdisk.New(),
		Membership: &node.Membership{Cloud: "live.example.com", Key: cloud.Peer(), Certificate: n.certificate(t, cloud)},
		Rand:       func(string) *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) },
		Observer:   nobody{},
		Log:        slog.New(slog.DiscardHandler),
		Crash:      func() { panic("nothing crashes here") },
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

// TestTheSameCodeLive: what the simulator rehearses is what runs. Nodes that know one address find each
// other, and a push to a cloud of real libp2p hosts on loopback becomes a published version.
func TestTheSameCodeLive(t *testing.T) {
	var env node.Env
	client := node.Spec{
		Name: "client", Settings: func() any { return nil },
		New: func(e node.Env, _ any) (node.Service, error) { env = e; return idle{}, nil },
	}
	nodes := []*liveNode{
		{name: "core-1", specs: []node.Spec{seer.Spec(), tns.Spec(), hoarder.Spec(), patrick.Spec(patrick.Ends{})}},
		{name: "core-2", specs: []node.Spec{seer.Spec(), tns.Spec(), hoarder.Spec(), patrick.Spec(patrick.Ends{})}},
		{name: "monkey-1", specs: []node.Spec{monkey.Spec(quickBuilder, nil)}},
		{name: "client", specs: []node.Spec{client}},
	}
	cloud := transport.NewIdentity([]byte("live cloud"))
	var contact node.Contact
	for i, n := range nodes {
		n.id = transport.NewIdentity([]byte("live " + n.name))
		host, err := libp2p.New(n.id, nil, nil)
		require.NoError(t, err)
		n.host = host
		if i == 0 {
			contact = node.Contact{Peer: n.id.Peer(), Addresses: host.Addresses()}
		}
		n.specs = slices.Concat([]node.Spec{seer.DiscoverySpec()}, n.specs, []node.Spec{seer.BeaconSpec()})
		n.start(t, cloud, contact)
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
