package libp2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"

	"github.com/taucloud/tau/transport"
)

// Option changes a host that New starts.
type Option func(*Host)

// DefaultListen is loopback, TCP and QUIC, on ports that the system chooses.
var DefaultListen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

// New starts a real host that listens on multiaddrs (DefaultListen if there are none) and knows
// where other nodes are ("/ip4/.../tcp/.../p2p/12D3..."). It speaks TCP with TLS 1.3 or noise and
// yamux, the same over WebSocket ("/ip4/.../tcp/.../ws"), and QUIC. It does not relay, map ports or probe its own reachability: the operator of a
// node knows its addresses.
//
// Members have room that strangers do not get: see limits.go. Who is one, the engine says (see
// transport.Doorkeeper); until it does, those are members that the host was told of (known, Learn).
func New(id transport.Identity, listen, known []string, changes ...Option) (*Host, error) {
	if len(listen) == 0 {
		listen = DefaultListen
	}
	h := newHost()
	for _, o := range changes {
		o(h)
	}
	h.dials.through = h.through
	limits, err := newLimiter(h.limits, h.member)
	if err != nil {
		return nil, err
	}
	h.limiter = limits
	h.options = func(d *dials, limits network.ResourceManager) []libp2p.Option { return options(id, d, limits) }
	lh, err := libp2p.New(append(h.options(h.dials, limits), libp2p.ListenAddrStrings(listen...))...)
	if err != nil {
		_ = limits.Close()
		return nil, fmt.Errorf("libp2p: new host: %w", err)
	}
	h.host, h.self, h.owned = lh, id.Peer(), true
	lh.Network().Notify(&network.NotifyBundle{ConnectedF: connected})
	for _, addr := range known {
		if err := h.Learn(addr); err != nil {
			_ = lh.Close()
			return nil, err
		}
	}
	return h, nil
}

// options are those of all hosts of a node.
func options(id transport.Identity, d *dials, limits network.ResourceManager) []libp2p.Option {
	others := libp2p.ChainOptions(libp2p.Transport(d.newWS), libp2p.Transport(libp2pquic.NewTransport))
	if d.through != nil { // what dials in its place knows TCP only
		others = libp2p.ChainOptions()
	}
	return []libp2p.Option{
		libp2p.Identity(PrivateKey(id)),
		libp2p.Transport(d.newTCP),
		others,
		libp2p.SwarmOpts(swarmOptions()...),
		// A few dead peers do not make us believe that UDP or IPv6 do not work.
		libp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil),
		libp2p.ResourceManager(limits),
		// The connection manager would close connections at random above its limit.
		libp2p.ConnectionManager(&connmgr.NullConnMgr{}),
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(), // no probes
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.Ping(false),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("tau"),
	}
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
	h.mu.Lock()
	h.learned[info.ID] = true
	h.mu.Unlock()
	h.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	return nil
}

// Forget drops all that Learn was told of a node.
func (h *Host) Forget(p transport.Peer) {
	h.mu.Lock()
	delete(h.learned, PeerID(p))
	h.mu.Unlock()
	h.host.Peerstore().ClearAddrs(PeerID(p))
}

// Addrs are this host's own addresses, as Learn takes them.
func (h *Host) Addrs() (addrs []string) {
	for _, a := range h.host.Addrs() {
		addrs = append(addrs, a.String()+"/p2p/"+h.host.ID().String())
	}
	return addrs
}
