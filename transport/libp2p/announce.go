package libp2p

import (
	"context"
	"net"
)

// Announce makes a host say that it is reached at these multiaddrs, in place of those on which it listens: behind
// a router, say. None: it says where it listens.
func Announce(addresses []string) Option { return func(h *Host) { h.announced = addresses } }

// ContextDialer is how a host dials TCP, in place of the system's way.
type ContextDialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Through makes a host dial TCP by a dialer, that of a proxy say, and QUIC not at all: it is to listen on TCP only.
func Through(d ContextDialer) Option { return func(h *Host) { h.through = d } }
