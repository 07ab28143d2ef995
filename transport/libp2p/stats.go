package libp2p

import (
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
)

// traffic counts what conns have carried: frames and their bytes, without what TLS and muxers add.
type traffic struct {
	framesIn, framesOut, bytesIn, bytesOut atomic.Uint64
}

// Stats are figures about a host: counts since it began, and what there is now.
type Stats struct {
	FramesIn, FramesOut, BytesIn, BytesOut uint64
	// Conns are frames' conns, of which a connection carries several.
	Conns                       int
	ConnectionsIn, Connections  int
	Streams, Descriptors        int
	Memory                      int64 // of the muxers' buffers, in bytes
	ConnectionsMax, FilesMax    int
	StrangersMax, HandshakesMax int
}

// Stats returns them.
func (h *Host) Stats() Stats {
	s := Stats{
		FramesIn: h.traffic.framesIn.Load(), FramesOut: h.traffic.framesOut.Load(), BytesIn: h.traffic.bytesIn.Load(), BytesOut: h.traffic.bytesOut.Load(),
		ConnectionsMax: connsMax, FilesMax: filesMax(), StrangersMax: strangersMax, HandshakesMax: handshakesMax,
	}
	h.mu.Lock()
	s.Conns = len(h.conns)
	h.mu.Unlock()
	if h.limiter == nil {
		return s
	}
	_ = h.limiter.ViewSystem(func(scope network.ResourceScope) error {
		stat := scope.Stat()
		s.ConnectionsIn, s.Connections = stat.NumConnsInbound, stat.NumConnsInbound+stat.NumConnsOutbound
		s.Streams, s.Descriptors, s.Memory = stat.NumStreamsInbound+stat.NumStreamsOutbound, stat.NumFD, stat.Memory
		return nil
	})
	return s
}
