package libp2p_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/transporttest"
)

// network starts real hosts on loopback that know each other, also after one
// has been started again on another port.
func network(listen string) func(t *testing.T, ids []transport.Identity) func(i int) transport.Host {
	return func(t *testing.T, ids []transport.Identity) func(i int) transport.Host {
		hosts := make([]*libp2p.Host, len(ids))
		return func(i int) transport.Host {
			h, err := libp2p.New(ids[i], []string{listen}, nil)
			require.NoError(t, err)
			hosts[i] = h
			for j, other := range hosts {
				if other == nil || j == i {
					continue
				}
				other.Forget(h.ID())
				for _, a := range h.Addrs() {
					require.NoError(t, other.Learn(a))
				}
				for _, a := range other.Addrs() {
					require.NoError(t, h.Learn(a))
				}
			}
			return h
		}
	}
}

func TestTCP(t *testing.T) {
	transporttest.Run(t, transporttest.Live(network("/ip4/127.0.0.1/tcp/0")))
}

func TestQUIC(t *testing.T) {
	transporttest.Run(t, transporttest.Live(network("/ip4/127.0.0.1/udp/0/quic-v1")))
}
