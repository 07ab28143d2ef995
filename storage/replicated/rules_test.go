package replicated

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

// TestReplicasSpeakWithReplicas: whoever does not offer the service gets no state, and what it sends
// is not taken.
func TestReplicasSpeakWithReplicas(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		c.openAll()
		c.members[0].put("a", "1")
		c.converge()
		before := c.members[0].contents()
		other := c.members[1]
		var delta []byte
		c.members[0].In(func(context.Context) {
			require.NoError(t, c.members[0].r.commit())
			delta = c.members[0].r.pushRequest().Deltas[0]
		})
		for _, services := range [][]string{nil, {"monkey"}} {
			outsider := c.Outsider("outsider of "+t.Name()+string(rune('0'+len(services))), services...)
			outsider.In(func(ctx context.Context) {
				to, ep := other.Peer, outsider.Endpoint
				x := &c.members[0].r.exchange
				_, fetch := x.fetch.Call(ctx, ep, to, fetchRequest{SizeMax: 1000})
				_, push := x.push.Call(ctx, ep, to, pushRequest{Deltas: [][]byte{delta}})
				for _, err := range []error{fetch, push} {
					require.Equal(t, transport.NotAllowed, transport.KindOf(err), "%v", err)
				}
				require.NoError(t, x.heads.Tell(ep, to, headsNote{Context: 1 << 40}))
				x.news.Publish(ep, newsNote{Delta: delta})
			})
		}
		asked := 0
		other.In(func(context.Context) { asked = len(other.r.lagging) })
		time.Sleep(time.Second)
		require.Zero(t, asked, "nobody is asked for what a stranger says it has")
		require.Equal(t, before, other.contents())
	})
}
