package hoarderapi

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"

	"github.com/taucloud/tau/transport"
)

// Order is the total order of peers for one root, by their weights in rendezvous
// (highest random weight) hashing, after Thaler and Ravishankar (1998). Everybody
// computes the same without talking, and the loss of a peer moves only what that
// peer held. It depends on nothing but the root, which is what makes it usable
// between peers that see different worlds.
type Order struct{ hash uint64 }

// OrderOf returns the order for a root.
func OrderOf(root string) Order { return Order{hashOf(root)} }

// Weight is a peer's weight: the greatest is the best.
func (o Order) Weight(p transport.Peer) uint64 { return weigh(o.hash, p) }

// Better reports whether a ranks before b.
func (o Order) Better(a, b transport.Peer) bool { return compare(o.hash, a, b) < 0 }

// Weight is a peer's weight for a root.
func Weight(root string, p transport.Peer) uint64 { return OrderOf(root).Weight(p) }

func hashOf(root string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(root)) // never fails
	return h.Sum64()
}

// weigh mixes with the finaliser of SplitMix64. A public key is as good as
// random, so eight of its bytes stand for the peer.
func weigh(rootHash uint64, p transport.Peer) uint64 {
	x := rootHash ^ binary.BigEndian.Uint64(p[:8])
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Better reports whether a ranks before b in the order for a root.
func Better(root string, a, b transport.Peer) bool { return OrderOf(root).Better(a, b) }

func compare(rootHash uint64, a, b transport.Peer) int {
	if c := cmp.Compare(weigh(rootHash, b), weigh(rootHash, a)); c != 0 {
		return c
	}
	return a.Compare(b)
}

// Rank returns peers in the total order for root, the best first.
func Rank(root string, peers []transport.Peer) []transport.Peer {
	h := hashOf(root)
	ranked := slices.Clone(peers)
	slices.SortFunc(ranked, func(a, b transport.Peer) int { return compare(h, a, b) })
	return ranked
}

// Ahead counts the peers that rank before p for root.
func Ahead(root string, p transport.Peer, peers []transport.Peer) int {
	h := hashOf(root)
	n := 0
	for _, q := range peers {
		if q != p && compare(h, q, p) < 0 {
			n++
		}
	}
	return n
}
