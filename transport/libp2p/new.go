package libp2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/taucloud/tau/transport"
)

// DefaultListen is loopback, TCP and QUIC, on ports that the system chooses.
var DefaultListen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

// New starts a real host that listens on multiaddrs (DefaultListen if there are
// none) and knows where other nodes are ("/ip4/.../tcp/.../p2p/12D3..."). It
// speaks TCP with TLS 1.3 or noise and yamux, and QUIC. It relays for nobody, maps no ports
// and asks nobody about its own reachability: the operator of a node knows its
// addresses.
func New(id transport.Identity, listen, known []string) (*Host, error) {
	if len(listen) == 0 {
		listen = DefaultListen
	}
	lh, err := libp2p.New(
		libp2p.Identity(PrivateKey(id)),
		libp2p.ListenAddrStrings(listen...),
		// Dialing from the listening port is for punching holes; two nodes that
		// dial each other at once would meet in a TCP simultaneous open, which
		// the handshake does not survive.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(), // no probes
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.Ping(false),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("tau"),
	)
	if err != nil {
		return nil, fmt.Errorf("libp2p: new host: %w", err)
	}
	h, err := Over(lh)
	if err != nil {
		return nil, err
	}
	h.owned = true
	for _, addr := range known {
		if err := h.Learn(addr); err != nil {
			_ = lh.Close()
			return nil, err
		}
	}
	return h, nil
}

// Learn remembers where a node is: a multiaddr that ends in /p2p/<peer>.
func (h *Host) Learn(addr string) error {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return fmt.Errorf("libp2p: address %q: %w", addr, err)
	}
	if _, err := FromPeerID(info.ID); err != nil {
		return err
	}
	h.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	return nil
}

// Forget drops all that is known about where a node is.
func (h *Host) Forget(p transport.Peer) { h.host.Peerstore().ClearAddrs(PeerID(p)) }

// Addrs are this host's own addresses, as Learn takes them.
func (h *Host) Addrs() (addrs []string) {
	for _, a := range h.host.Addrs() {
		addrs = append(addrs, a.String()+"/p2p/"+h.host.ID().String())
	}
	return addrs
}
