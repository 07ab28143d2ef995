package libp2p

import (
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// FuzzAddresses: whatever a member says of where it is, what cannot be read is left out, and the rest is where it is looked for.
func FuzzAddresses(f *testing.F) {
	lh, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.Identity(PrivateKey(transport.NewIdentity([]byte("fuzzed")))))
	require.NoError(f, err)
	defer func() { require.NoError(f, lh.Close()) }()
	h, err := Over(lh)
	require.NoError(f, err)
	peer := transport.NewIdentity([]byte("peer")).Peer()
	f.Add("/ip4/203.0.113.7/tcp/4242 /ip4/203.0.113.7/udp/4242/quic-v1 /dnsaddr/cloud.example")
	f.Add("/ip6/fe80::1%eth0/tcp/1 /p2p/12D3KooWA /unix/x/y /ip4/1.2.3.4/tcp/99999 //")
	f.Fuzz(func(t *testing.T, text string) {
		list := strings.Fields(text)
		h.SetAddresses(peer, list)
		require.LessOrEqual(t, len(lh.Peerstore().Addrs(PeerID(peer))), max(len(list), 3), "those of before stay if none can be read")
		for _, a := range lh.Peerstore().Addrs(PeerID(peer)) {
			_ = addressOf(a)
			_ = hasProtocol(a, 6)
		}
		_ = h.Learn(text)
		lh.Peerstore().ClearAddrs(PeerID(peer))
	})
}
