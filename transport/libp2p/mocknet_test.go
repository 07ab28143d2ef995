package libp2p_test

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/transporttest"
)

// TestMocknet uses simulated hosts in real time. Their hosts stay when a node
// restarts: only its conns are reset.
func TestMocknet(t *testing.T) {
	t.Parallel()
	transporttest.Run(t, transporttest.Live(func(t *testing.T, ids []transport.Identity, _ transport.Directory) transporttest.Start {
		net := mocknet.New()
		t.Cleanup(func() { require.NoError(t, net.Close()) })
		var hosts []host.Host
		for _, id := range ids {
			h, err := net.AddPeer(libp2p.PrivateKey(id), multiaddr.StringCast("/ip4/10.0.0.1/tcp/1"))
			require.NoError(t, err)
			for _, other := range hosts {
				_, err := net.LinkPeers(h.ID(), other.ID())
				require.NoError(t, err)
			}
			hosts = append(hosts, h)
		}
		return func(i int) (transport.Host, []transport.Option) {
			h, err := libp2p.Over(hosts[i])
			require.NoError(t, err)
			return h, nil
		}
	}))
}
