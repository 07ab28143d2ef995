package patrickapi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// What a client makes of what patricks say of a grant, the first one and, if it has to ask another, the second.
func TestWhatIsKnownOfAGrant(t *testing.T) {
	const yes, silent = transport.Kind(0), transport.Timeout
	for _, c := range []struct {
		first, second transport.Kind
		want          transport.Kind
		asked         int
	}{
		{yes, yes, 0, 1},
		{transport.NotFound, yes, 0, 2},
		{silent, yes, 0, 2},
		{transport.Refused, yes, 0, 2},
		{transport.NotFound, transport.NotFound, transport.NotFound, 2},
		{transport.NotFound, silent, transport.Unreachable, 2},
		{silent, transport.NotFound, transport.Unreachable, 2},
		{transport.NotFound, transport.Refused, transport.Unreachable, 2},
		{transport.Refused, transport.NotFound, transport.Unreachable, 2},
		{silent, silent, transport.Unreachable, 2},
		{transport.Conflict, yes, transport.Conflict, 1},
		{transport.NotFound, transport.Conflict, transport.Conflict, 2},
		{silent, transport.Conflict, transport.Conflict, 2},
	} {
		t.Run(fmt.Sprint(c.first, ", ", c.second), func(t *testing.T) {
			nodetest.Run(t, func(cloud *nodetest.Cloud) {
				asked := 0
				for _, name := range []string{"a", "b"} {
					cloud.Add(name, node.Configured{Spec: nodetest.Part("patrick", func(env node.Env) {
						patrickapi.Granted.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ patrickapi.GrantedRequest) (resp patrickapi.GrantedResponse, err error) {
							kind := c.first
							if asked++; asked > 1 {
								kind = c.second
							}
							switch kind {
							case yes:
								return resp, nil
							case silent:
								return resp, clock.Sleep(ctx, env.Loop, time.Hour)
							}
							return resp, transport.New(kind, "test", "as told")
						})
					})}).Start()
				}
				user := cloud.Caller("user", "tns")
				user.Do(func(ctx context.Context) {
					began := time.Now()
					err := patrickapi.NewClient(user.Env.Wire).Granted(ctx, patrickapi.GrantedRequest{Job: patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: "e", Order: 1})})
					require.Equal(t, c.want, transport.KindOf(err), "%v", err)
					require.LessOrEqual(t, time.Since(began), 3*time.Second)
				})
				require.Equal(t, c.asked, asked)
			})
		})
	}
}
