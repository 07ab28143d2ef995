package libp2p

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/taucloud/tau/transport"
)

// libp2p has one connection to a peer and puts all streams on it, so that over TCP bulk would still
// delay control traffic. A real host therefore has a second one of the same identity, which listens
// nowhere and only dials, for the conns of class Bulk; it is built when it is first needed. A peer
// sees two connections of one node, and may open streams on either: those that come to the second
// host are served by the first one's handlers.

// dialer is a libp2p host that dials, with the state of its dials.
type dialer struct {
	host  host.Host
	dials *dials
}

// dialer returns the dialer for conns of a class.
func (h *Host) dialer(class transport.Class, to peer.ID) (dialer, error) {
	if class != transport.Bulk || !h.owned {
		return dialer{h.host, h.dials}, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return dialer{}, errClosed
	}
	if h.bulk == nil {
		if err := h.startBulk(); err != nil {
			return dialer{}, err
		}
	}
	known := h.bulk.host.Peerstore()
	known.ClearAddrs(to)
	known.AddAddrs(to, h.host.Peerstore().Addrs(to), peerstore.TempAddrTTL)
	return *h.bulk, nil
}

func (h *Host) startBulk() error {
	bulk := dialer{dials: &dials{open: map[peer.ID]*dial{}, through: h.through}}
	options := h.options(bulk.dials, sharedLimits{h.limiter})
	var err error
	if bulk.host, err = libp2p.New(append(options, libp2p.NoListenAddrs)...); err != nil {
		return fmt.Errorf("libp2p: new host for bulk: %w", err)
	}
	bulk.host.Network().SetStreamHandler(h.dispatch)
	h.bulk = &bulk
	return nil
}

// sharedLimits are the limits of the first host, which closes them.
type sharedLimits struct{ network.ResourceManager }

// Close implements network.ResourceManager.
func (sharedLimits) Close() error { return nil }

// dispatch serves a stream that a peer has opened to the second host.
func (h *Host) dispatch(s network.Stream) {
	_ = s.SetDeadline(time.Now().Add(OpenTimeout))
	id, handle, err := h.host.Mux().Negotiate(s)
	if err == nil {
		err = s.SetProtocol(id)
	}
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.SetDeadline(time.Time{})
	handle(id, s)
}

// letGo closes the libp2p connection of a bulk conn, and that of a stranger, if no other conn uses it. A
// stranger whose conn was ended for what it said does not go on with the next stream at no price.
func (h *Host) letGo(c *conn) {
	under := c.stream.Conn()
	goes := c.bulk || h.ofStranger(under)
	h.mu.Lock()
	used := h.closed || h.bulk == nil && c.bulk || !goes
	for other := range h.conns {
		used = used || other.stream.Conn() == under
	}
	h.mu.Unlock()
	if !used {
		go func() { _ = under.Close() }()
	}
}

// ofStranger reports whether a connection was opened by one who could have proven to be a member.
func (h *Host) ofStranger(c network.Conn) bool {
	if h.limiter == nil || c.Stat().Direction != network.DirInbound {
		return false
	}
	is, provable := h.member(c.RemotePeer())
	return provable && !is
}
