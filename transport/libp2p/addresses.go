package libp2p

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"

	"github.com/taucloud/tau/transport"
)

// Addresses implements transport.Addressed: the multiaddrs that Announce was told, or on which this host
// listens now.
func (h *Host) Addresses() (addrs []string) {
	if len(h.announced) > 0 {
		return slices.Clone(h.announced)
	}
	for _, a := range h.host.Addrs() {
		addrs = append(addrs, a.String())
	}
	return addrs
}

// SetAddresses implements transport.Addressed, for multiaddrs, also such as "/dnsaddr/cloud.example", which
// are resolved with each dial. What libp2p finds out itself over a connection comes beside them. If none can
// be read, what was known stays. Unlike Learn it reserves no room, since that somebody is told of is no proof that
// it is a member; only how often connections may come from there is bounded apart from strangers (see visits).
func (h *Host) SetAddresses(p transport.Peer, addresses []string) {
	var list []multiaddr.Multiaddr
	for _, text := range addresses {
		if a, err := multiaddr.NewMultiaddr(text); err == nil {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return
	}
	if h.limiter != nil {
		h.limiter.areMembers(list)
	}
	store := h.host.Peerstore()
	store.ClearAddrs(PeerID(p))
	store.AddAddrs(PeerID(p), list, peerstore.PermanentAddrTTL)
}
