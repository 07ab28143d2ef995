package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/transport"
)

type mover struct{ env node.Env }

func (m *mover) Start(context.Context) error {
	m.env.Wire.Handle("mover/ping", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) { return nil, nil })
	return nil
}
func (m *mover) Stop(context.Context) error { return nil }

// A node is reached where it was said to be, not where it was before it moved; it tells of its new address,
// and whom it dials itself knows that, too. Who is told of all knows where everybody is.
func TestANodeThatMovedIsReachedWhereItIs(t *testing.T) {
	for _, wire := range []sim.WireKind{sim.Direct, sim.Mocknet} {
		movers := map[string]*mover{}
		spec := node.Spec{Name: "mover", Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
			movers[env.Node] = &mover{env}
			return movers[env.Node], nil
		}}
		_, err := sim.Run(sim.Config{Seed: 1, Wire: wire}, func(w *sim.World) error {
			for _, n := range []struct {
				name     string
				contacts []string
			}{{"a", []string{"b"}}, {"b", []string{}}, {"all", nil}} {
				if err := w.AddNode(sim.NodeConfig{Name: n.name, Services: []node.Configured{{Spec: spec}}, Contacts: n.contacts}); err != nil {
					return err
				}
				w.Start(n.name)
			}
			at := time.Duration(0)
			ping := func(from, to string) (err error) {
				env := movers[from].env
				err = context.DeadlineExceeded
				env.Loop.Go("ping", func(ctx context.Context) { _, err = env.Wire.Call(ctx, movers[to].env.Self, "mover/ping", nil) })
				at += 30 * time.Second
				require.NoError(t, w.RunUntil(at))
				return err
			}
			at += time.Second
			require.NoError(t, w.RunUntil(at))
			said := func() []string { return movers["b"].env.Members().Known(movers["b"].env.Self).Addresses }
			before := said()
			require.NoError(t, ping("a", "b"))
			require.True(t, w.Move("b", false))
			require.Error(t, ping("a", "b"), "nobody is there any more")
			require.NoError(t, ping("all", "b"))
			movers["b"].env.Members().Moved()
			require.NotEqual(t, before, said())
			require.NoError(t, ping("b", "a"), "it still knows it as of a conn")
			require.NoError(t, ping("a", "b"), "by the conn that it was called on")
			require.True(t, w.Move("b", true))
			require.Error(t, ping("a", "b"))
			require.Equal(t, 3, len(w.Nodes()))
			require.True(t, w.Leave("b"))
			at += time.Minute
			require.NoError(t, w.RunUntil(at))
			require.False(t, w.Start("b") && func() bool { n, _ := w.Node("b"); return n.Up }(), "it has left for ever")
			return nil
		})
		require.NoError(t, err)
	}
}
