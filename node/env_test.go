package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// part is a service of a node whose Env a test looks into.
func part(name string, env *node.Env) node.Configured {
	return node.Configured{Spec: nodetest.Part(name, func(e node.Env) { *env = e })}
}

// What a service is given is its own, but for what a node has once.
func TestWhatAServiceIsGiven(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		var a, b, other node.Env
		m := c.Add("one", part("a", &a), part("b", &b)).Start()
		c.Add("two", part("a", &other)).Start()
		require.Equal(t, "one", a.Node)
		require.Equal(t, m.Peer(), a.Self)
		require.EqualValues(t, 1, a.Incarnation)
		require.Equal(t, []string{"a", "b"}, a.ServiceNames())
		require.Equal(t, []string{"a"}, other.ServiceNames())

		require.Empty(t, a.Gauges())
		a.SetGauge("a.free", 3)
		b.SetGauge("b.free", 4)
		b.SetGauge("b.free", 5)
		require.Equal(t, map[string]int64{"a.free": 3, "b.free": 5}, a.Gauges())
		copied := a.Gauges()
		copied["a.free"] = 9
		require.EqualValues(t, 3, b.Gauges()["a.free"], "a copy")
		require.Empty(t, other.Gauges())

		a.Observe("seen", node.F("n", 7))
		require.Equal(t, []nodetest.Fact{{Node: "one", Name: "seen", Fields: map[string]any{"n": 7}}}, c.Facts("seen"))

		require.NoError(t, storage.Put(a.Local, "/k", []byte("of a")))
		_, err := b.Local.Get("/k")
		require.ErrorIs(t, err, storage.ErrNotFound)
		require.True(t, m.Service("a") != nil && m.Service("c") == nil)
		m.Stop()
		m.Start()
		require.EqualValues(t, 2, a.Incarnation)
		require.Empty(t, a.Gauges(), "of this life")
	})
}

// Replicate says on how many it is: itself is one, and that nobody else answers in time is
// no error.
func TestReplicateSaysHowMany(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		envs, stores := make([]node.Env, 2), make([]storage.Replicated, 2)
		var machines []*nodetest.Machine
		for i, name := range []string{"one", "two"} {
			machines = append(machines, c.Add(name, node.Configured{Spec: nodetest.Part("s", func(e node.Env) {
				var err error
				envs[i] = e
				stores[i], err = e.OpenReplicated(context.Background(), "main", storage.DefaultHistory())
				require.NoError(t, err)
			})}))
		}
		replicate := func(copies int) (n int, took time.Duration, err error) {
			caller := &nodetest.Caller{Machine: machines[0], Env: envs[0]}
			caller.Do(func(ctx context.Context) {
				began := envs[0].Loop.Elapsed()
				n, err = envs[0].Replicate(ctx, stores[0], copies, 3*time.Second)
				took = envs[0].Loop.Elapsed() - began
			})
			return n, took, err
		}
		machines[0].Start()
		machines[1].Start()
		time.Sleep(10 * time.Second)
		opened := c.Facts("replica-state")
		require.NotEmpty(t, opened)
		require.Equal(t, "main", opened[0].Fields["namespace"])
		require.NotEqual(t, "state", opened[0].Fields["state"])
		require.NotEmpty(t, opened[0].Fields["state"])
		require.NoError(t, storage.Put(stores[0], "/k", []byte("1")))
		n, _, err := replicate(2)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		machines[1].Vanish()
		require.NoError(t, storage.Put(stores[0], "/k", []byte("2")))
		n, took, err := replicate(2)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.LessOrEqual(t, took, 3*time.Second)
		require.NoError(t, stores[0].Close())
		n, _, err = replicate(1)
		require.Error(t, err)
		require.Zero(t, n)
	})
}

var point = fail.Register("node-test/point", "only here")

// What each action does to who passes a point.
func TestWhatActionsDo(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		caller := c.Caller("one")
		hit := func(do string) (took time.Duration, err error) {
			if do != "" {
				action, err := fail.ParseAction(do)
				require.NoError(t, err)
				disable, used, err := fail.EnableCounted(fail.Rule{Point: point.Name(), Do: action, Times: 1})
				require.NoError(t, err)
				defer func() { require.Equal(t, 1, used()); disable() }()
			}
			caller.Do(func(ctx context.Context) {
				began := caller.Env.Loop.Elapsed()
				err = point.Hit(ctx, caller.Env)
				took = caller.Env.Loop.Elapsed() - began
			})
			return took, err
		}
		took, err := hit("")
		require.NoError(t, err)
		require.Zero(t, took)
		require.Empty(t, c.Facts("failpoint"))
		_, err = hit("error")
		require.Equal(t, transport.Internal, transport.KindOf(err))
		require.True(t, strings.HasPrefix(err.Error(), "node-test/point"))
		_, err = hit("drop")
		require.ErrorIs(t, err, fail.ErrDrop)
		took, err = hit("delay 3s")
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, took)
		require.Len(t, c.Facts("failpoint"), 3)
		require.Equal(t, "node-test/point", c.Facts("failpoint")[0].Fields["point"])
		require.Panics(t, func() {
			disable, err := fail.Enable(fail.Rule{Point: point.Name(), Do: fail.Action{Do: fail.Panic}})
			require.NoError(t, err)
			defer disable()
			_ = point.Hit(context.Background(), caller.Env)
		})
		require.Panics(t, func() { fail.Register(point.Name(), "twice") })
		names := 0
		for i, p := range fail.Points() {
			if p.Name() == point.Name() {
				names++
				require.Equal(t, "only here", p.Doc())
			}
			require.True(t, i == 0 || fail.Points()[i-1].Name() < p.Name(), "in order")
		}
		require.Equal(t, 1, names)
	})
}
