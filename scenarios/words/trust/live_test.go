package trust

import (
	"context"
	"crypto/rand"
	"log/slog"
	randv2 "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

const liveCloud = "live.example.com"

var liveKey = transport.NewIdentity([]byte("live cloud"))

// liveNode is a node of the other world, with a part that greets members.
type liveNode struct {
	*testing.T
	id   transport.Identity
	host *libp2p.Host
	env  node.Env // of the part

	mu    sync.Mutex
	loops []*clock.Live
}

func (n *liveNode) newLoop(string) (clock.Loop, func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := clock.NewLive()
	n.loops = append(n.loops, l)
	return l, func() { l.Stop(0) }
}

// live starts a node that knows one member. certified: it has a certificate; otherwise it comes by an invitation.
func live(t *testing.T, name string, certified bool, contact *liveNode, specs ...node.Spec) *liveNode {
	n := &liveNode{T: t, id: transport.NewIdentity([]byte(name))}
	var err error
	n.host, err = libp2p.New(n.id, nil, nil)
	require.NoError(t, err)
	part := nodetest.Part("part", func(env node.Env) {
		n.env = env
		env.Wire.Handle("part/greet", transport.Member, func(context.Context, transport.Peer, []byte) ([]byte, error) { return []byte("hello"), nil })
	})
	specs = slices.Concat([]node.Spec{seer.DiscoverySpec()}, specs, []node.Spec{part, auth.AgentSpec(), seer.BeaconSpec()})
	m := &node.Membership{Cloud: liveCloud, Key: liveKey.Peer()}
	if certified {
		m.Certificate = n.certificate(specs)
	}
	cfg := node.Config{Name: name, Identity: n.id, World: node.World{
		NewLoop: n.newLoop, Host: n.host, Disk: memdisk.New(), Membership: m,
		Rand:     func(string) *randv2.Rand { return randv2.New(randv2.NewPCG(randv2.Uint64(), randv2.Uint64())) },
		Observer: nobody{}, Log: slog.New(slog.DiscardHandler), Crash: func() { panic("nothing crashes here") },
	}}
	if contact != nil {
		cfg.Contacts = []node.Contact{{Peer: contact.id.Peer(), Addresses: contact.host.Addresses()}}
	}
	for _, s := range specs {
		cfg.Services = append(cfg.Services, node.Configured{Spec: s, Settings: s.Settings()})
	}
	main, _ := n.newLoop("node")
	var running *node.Node
	on(main, func(ctx context.Context) {
		running, err = node.Start(ctx, main, cfg)
		require.NoError(t, err)
	})
	t.Cleanup(func() {
		on(main, func(ctx context.Context) { require.NoError(t, running.Stop(ctx)) })
		for _, l := range n.loops {
			require.True(t, l.Stop(5*time.Second), "tasks of %s are left", name)
		}
	})
	return n
}

type nobody struct{}

func (nobody) Observe(string, string, string, []node.Field) {}

func on(l clock.Loop, f func(ctx context.Context)) {
	done := make(chan struct{})
	l.Go("test", func(ctx context.Context) {
		defer close(done)
		ctx, cancel := clock.WithTimeout(ctx, l, time.Minute)
		defer cancel()
		f(ctx)
	})
	<-done
}

func (n *liveNode) certificate(specs []node.Spec) *membership.Presented {
	c := membership.Certificate{Cloud: liveCloud, Serial: 1, Subject: n.id.Peer(), Name: "n", NotBefore: time.Now().Add(-time.Minute).Unix(), NotAfter: time.Now().Add(time.Hour).Unix()}
	for _, s := range specs {
		c.Services = append(c.Services, s.Name)
	}
	slices.Sort(c.Services)
	if slices.Contains(c.Services, authapi.Service) {
		c.Issues = slices.Clone(c.Services)
		c.Issues = slices.DeleteFunc(c.Issues, func(s string) bool { return s == authapi.Service })
	}
	signed, err := membership.Issue(liveKey, c)
	require.NoError(n, err)
	return &membership.Presented{Certificate: signed}
}

func (n *liveNode) greet(to *liveNode) (err error) {
	on(n.env.Loop, func(ctx context.Context) {
		n.host.SetAddresses(to.id.Peer(), to.host.Addresses())
		_, err = n.env.Wire.Call(ctx, to.id.Peer(), "part/greet", nil)
	})
	return err
}

// until tries until it is so, and returns how long that took.
func (n *liveNode) until(within time.Duration, is func(err error) bool, try func() error) time.Duration {
	n.Helper()
	began := time.Now()
	err := try()
	for ; !is(err); err = try() {
		require.Less(n, time.Since(began), within, "%v", err)
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

func works(err error) bool   { return err == nil }
func refused(err error) bool { return transport.KindOf(err) == transport.NotAllowed }

// TestTheCloudLive: real nodes on loopback. A revocation reaches who has not taken it within 5 s, and who comes by an
// invitation is a member.
func TestTheCloudLive(t *testing.T) {
	t.Parallel()
	first := live(t, "auth-1", true, nil, seer.Spec(), auth.Spec(auth.Ends{}))
	second := live(t, "auth-2", true, first, seer.Spec(), auth.Spec(auth.Ends{}))
	a, bad := live(t, "a", true, second), live(t, "bad", true, first)
	bad.until(time.Minute, works, func() error { return bad.greet(a) })
	first.until(time.Minute, works, func() (err error) {
		on(first.env.Loop, func(ctx context.Context) { _, err = authapi.NewClient(first.env.Wire).Revoke(ctx, bad.id.Peer()) })
		return err
	})
	took := bad.until(time.Minute, refused, func() error { return bad.greet(a) })
	require.Less(t, took, 20*time.Second, "5 s in simulated time; a busy machine takes longer")
	bad.until(time.Minute, refused, func() error { return bad.greet(second) })

	newcomer := live(t, "newcomer", false, first)
	require.True(t, refused(newcomer.greet(a)))
	var ticket membership.Ticket
	on(first.env.Loop, func(ctx context.Context) {
		var err error
		ticket, err = authapi.NewClient(first.env.Wire).Invite(ctx, []byte(rand.Text()), liveKey.Peer(), []string{"part"}, time.Hour, 1)
		require.NoError(t, err)
	})
	join := func(n *liveNode) (err error) {
		on(n.env.Loop, func(ctx context.Context) {
			var p membership.Presented
			if p, err = authapi.Join(ctx, n.env.Wire, ticket, "newcomer", []string{"part"}); err == nil {
				err = n.env.Authority.SetOwn(p)
			}
		})
		return err
	}
	newcomer.until(time.Minute, works, func() error { return join(newcomer) })
	newcomer.until(time.Minute, works, func() error { return newcomer.greet(a) })
	require.Equal(t, transport.Conflict, transport.KindOf(join(bad)), "a revoked key does not come back")
}
