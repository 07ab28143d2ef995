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
	"github.com/taucloud/tau/transport/rendezvous"
)

// A client asks the patricks of a job in the order of rank until one answers, with
// a result or an error that another one would give too, and asks who did not answer
// last for a while.
func TestAClientAsksOnUntilOneAnswers(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		job := patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: "e", Order: 1})
		fails, asked := map[transport.Peer]error{}, []transport.Peer{}
		slow := map[transport.Peer]time.Duration{}
		for i := range 3 {
			c.Add(fmt.Sprint("patrick-", i), node.Configured{Spec: nodetest.Part("patrick", func(env node.Env) {
				patrickapi.GetJob.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ patrickapi.JobRequest) (patrickapi.Job, error) {
					asked = append(asked, env.Self)
					if slow[env.Self] > 0 {
						return patrickapi.Job{}, clock.Sleep(ctx, env.Loop, slow[env.Self]) // until the caller gives up
					}
					return patrickapi.Job{ID: job}, fails[env.Self]
				})
			})}).Start()
		}
		user := c.Caller("user", "monkey")
		ranked := rendezvous.Rank(patrickapi.BranchOf(job), c.Directory.Peers("patrick"))
		client := patrickapi.NewClient(user.Env.Wire)
		ask := func(want transport.Kind, by ...transport.Peer) {
			t.Helper()
			asked = nil
			user.Do(func(ctx context.Context) {
				j, err := client.Job(ctx, job)
				require.Equal(t, want, transport.KindOf(err), "%v", err)
				if err == nil {
					require.Equal(t, job, j.ID)
				}
			})
			require.Equal(t, by, asked)
		}
		ask(0, ranked[0])
		fails[ranked[0]] = transport.New(transport.Internal, "t", "broken")
		ask(0, ranked[0], ranked[1])
		ask(0, ranked[1])
		fails[ranked[0]] = nil
		nodetest.Sleep(5*time.Second - time.Millisecond)
		ask(0, ranked[1])
		nodetest.Sleep(time.Millisecond)
		ask(0, ranked[0])
		for _, kind := range []transport.Kind{transport.NotFound, transport.Conflict, transport.Invalid} {
			fails[ranked[0]] = transport.New(kind, "t", "as it is")
			ask(kind, ranked[0])
		}
		fails[ranked[0]] = nil
		slow[ranked[0]] = time.Hour
		began := user.Env.Loop.Elapsed()
		ask(0, ranked[0], ranked[1])
		require.Equal(t, 5*time.Second, user.Env.Loop.Elapsed()-began)
		for _, p := range ranked {
			fails[p], slow[p] = transport.New(transport.Refused, "t", "no"), 0
		}
		ask(transport.Refused, ranked[1], ranked[2], ranked[0])
	})
	nodetest.Run(t, func(c *nodetest.Cloud) {
		user := c.Caller("user", "monkey")
		user.Do(func(ctx context.Context) {
			client := patrickapi.NewClient(user.Env.Wire)
			_, err := client.Job(ctx, "j")
			require.Equal(t, transport.Unreachable, transport.KindOf(err))
			client.SendLog(patrickapi.LogNote{})
		})
	})
}
