package libp2p

// Announce makes a host say that it is reached at these multiaddrs, in place of those on which it listens: behind
// a router, say. None: it says where it listens.
func Announce(addresses []string) Option { return func(h *Host) { h.announced = addresses } }
