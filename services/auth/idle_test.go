package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// An agent that knows of no auth has no turns, but keeps what its node learns by others, and asks the first
// auth that comes.
func TestAnAgentWithoutAnAuthIsIdle(t *testing.T) {
	inTown(t, 0, func(w *town) {
		var env node.Env
		spec := auth.AgentSpec()
		inner := spec.New
		spec.New = func(e node.Env, settings any) (node.Service, error) {
			env = e
			return inner(e, settings)
		}
		m := w.Add("a", node.Configured{Spec: nodetest.Part("part", func(node.Env) {})}, node.Configured{Spec: spec}).Start()
		turns := func() uint64 { return env.Loop.(interface{ Turns() clock.TurnStats }).Turns().Count() }
		nodetest.Sleep(time.Minute)
		before := turns()
		nodetest.Sleep(time.Hour)
		require.Equal(t, before, turns(), "nothing to do")

		later := transport.NewIdentity([]byte("a later cloud key"))
		rotation := membership.Rotate(cloudKey, membership.Rotation{Cloud: m.Membership.Cloud, To: later.Peer(), Until: time.Now().Add(time.Hour).Unix()})
		var err error
		done := make(chan struct{})
		env.Loop.Go("hello of another", func(context.Context) {
			defer close(done)
			_, err = env.Authority.Rotate(rotation)
		})
		<-done
		require.NoError(t, err)
		nodetest.Sleep(5 * time.Second)
		m.Vanish()
		m.Start()
		require.Len(t, env.Authority.Rotations(), 1, "it was kept")
	})
}
