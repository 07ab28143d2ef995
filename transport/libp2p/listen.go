package libp2p

import (
	"github.com/libp2p/go-libp2p/core/network"
	libp2ptransport "github.com/libp2p/go-libp2p/core/transport"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Listen implements transport.Transport. Unlike libp2p's it lets the limiter close a connection at any time, also
// in the middle of its handshake.
func (t *watchedTCP) Listen(at multiaddr.Multiaddr) (libp2ptransport.Listener, error) {
	l, err := manet.Listen(at)
	if err != nil {
		return nil, err
	}
	return t.upgrader.UpgradeGatedMaListener(t, gatedListener{l, t.limits}), nil
}

// gatedListener accepts connections within limits.
type gatedListener struct {
	manet.Listener
	limits network.ResourceManager
}

// Accept implements transport.GatedMaListener.
func (l gatedListener) Accept() (manet.Conn, network.ConnManagementScope, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, nil, err
		}
		// As libp2p sets them: a closed connection leaves nothing behind, a dead one is found out.
		if t, ok := c.(interface {
			SetLinger(seconds int) error
			SetKeepAlive(on bool) error
		}); ok {
			_, _ = t.SetLinger(0), t.SetKeepAlive(true)
		}
		scope, err := l.limits.OpenConnection(network.DirInbound, true, c.RemoteMultiaddr())
		if err != nil {
			_ = c.Close()
			continue
		}
		if s, ok := scope.(*inboundScope); ok {
			s.closeBy(c.Close)
		}
		return c, scope, nil
	}
}
