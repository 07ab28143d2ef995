package blocks

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/transport"
)

// TestBlocksAreForMembers, whatever they offer.
func TestBlocksAreForMembers(t *testing.T) {
	clustertest.Run(t, 1, func(c *clustertest.Cluster) {
		m := c.Members[0]
		_, err := Open(m.Endpoint, m.Disk)
		require.NoError(t, err)
		ask := func(from *clustertest.Member) (err error) {
			from.In(func(ctx context.Context) { _, err = getBlocks.Call(ctx, from.Endpoint, m.Peer, getRequest{SizeMax: 1}) })
			return err
		}
		require.NoError(t, ask(c.Outsider("a member", "monkey")))
		require.Equal(t, transport.NotAllowed, transport.KindOf(ask(c.Outsider("a stranger"))))
	})
}
