package libp2p

import (
	"context"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptransport "github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// watchedWS is libp2p's WebSocket transport, for networks that let only HTTP out: "/ip4/.../tcp/80/ws". What is
// secured inside is the same as over TCP, so is what is bounded. It tells of dials that failed, as watchedTCP does.
type watchedWS struct {
	*websocket.WebsocketTransport
	dials *dials
}

func (d *dials) newWS(upgrader libp2ptransport.Upgrader, m network.ResourceManager) (*watchedWS, error) {
	t, err := websocket.New(gatingUpgrader{upgrader, m}, m, nil, websocket.WithHandshakeTimeout(OpenTimeout))
	return &watchedWS{t, d}, err
}

// Dial implements transport.Transport.
func (t *watchedWS) Dial(ctx context.Context, addr multiaddr.Multiaddr, p peer.ID) (libp2ptransport.CapableConn, error) {
	c, err := t.WebsocketTransport.Dial(ctx, addr, p)
	if err != nil {
		t.dials.failed(p)
	}
	return c, err
}

// gatingUpgrader has the limiter close connections of a listener also in the middle of a handshake, HTTP's as well.
type gatingUpgrader struct {
	libp2ptransport.Upgrader
	limits network.ResourceManager
}

// GateMaListener implements transport.Upgrader.
func (u gatingUpgrader) GateMaListener(l manet.Listener) libp2ptransport.GatedMaListener {
	return gatedListener{l, u.limits}
}
