package patrick

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// Whoever holds a job under a live grant does, and nobody else: not before, not under another token, not after the lease.
func TestWhoHoldsAJob(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		auth := o.Caller("auth", "auth")
		held := func(req patrickapi.HeldRequest) (resp patrickapi.HeldResponse, kind transport.Kind) {
			auth.Do(func(ctx context.Context) {
				var err error
				resp, err = patrickapi.NewClient(auth.Env.Wire).Held(ctx, req)
				kind = transport.KindOf(err)
			})
			return resp, kind
		}
		_, kind := held(patrickapi.HeldRequest{Job: job})
		require.Equal(t, transport.Conflict, kind, "nobody does")
		token := o.monkeys[0].mustClaim(job)
		resp, kind := held(patrickapi.HeldRequest{Job: job, Token: token})
		require.Zero(t, kind)
		require.Equal(t, patrickapi.HeldResponse{Project: "p", Repository: "r", Branch: "b", Commit: "c"}, resp)
		other := token
		other.Attempt++
		_, kind = held(patrickapi.HeldRequest{Job: job, Token: other})
		require.Equal(t, transport.Conflict, kind)
		nodetest.Sleep(DefaultSettings().Lease + 15*time.Second)
		_, kind = held(patrickapi.HeldRequest{Job: job, Token: token})
		require.Equal(t, transport.Conflict, kind, "the lease has ended")
	})
}
