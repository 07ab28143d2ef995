// Package rendezvous ranks peers for a key: by highest random weight, after Thaler and Ravishankar
// ("A name-based mapping scheme for rendezvous", 1998). All that know the same peers compute the
// same order without communication, each peer is first for its share of the keys, and a peer that
// is added or removed does not change the order of the others. It is pure.
//
// All placement, and every choice of which peer acts first, uses it: the coordinator of a branch,
// the monkeys that an offer goes to, the hoarders of an item, the seers that hear a node's beacons.
package rendezvous

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"

	"github.com/taucloud/tau/transport"
)

// Order is the total order of all peers for one key. It depends on nothing else, so it is usable
// between peers with different knowledge.
type Order struct{ hash uint64 }

// Of returns the order for a key.
func Of(key string) Order {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // never fails
	return Order{h.Sum64()}
}

// Weight is a peer's weight: the greatest is the best. It mixes with the finaliser of SplitMix64. A
// public key is practically random, so eight of its bytes represent the peer.
func (o Order) Weight(p transport.Peer) uint64 {
	x := o.hash ^ binary.BigEndian.Uint64(p[:8])
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Better reports whether a ranks before b. Of equal weights the smaller peer does.
func (o Order) Better(a, b transport.Peer) bool { return o.compare(a, b) < 0 }

func (o Order) compare(a, b transport.Peer) int {
	if c := cmp.Compare(o.Weight(b), o.Weight(a)); c != 0 {
		return c
	}
	return a.Compare(b)
}

// Rank returns the peers in this order, the best first.
func (o Order) Rank(peers []transport.Peer) []transport.Peer {
	ranked := slices.Clone(peers)
	slices.SortFunc(ranked, o.compare)
	return ranked
}

// Ahead counts the peers that rank before p.
func (o Order) Ahead(p transport.Peer, peers []transport.Peer) (n int) {
	for _, q := range peers {
		if q != p && o.Better(q, p) {
			n++
		}
	}
	return n
}

// Rank returns peers in the order for a key, the best first.
func Rank(key string, peers []transport.Peer) []transport.Peer { return Of(key).Rank(peers) }

// Before moves p to the front of list, if it is in it; the others stay in their
// order. It changes list.
func Before(p transport.Peer, list []transport.Peer) []transport.Peer {
	if i := slices.Index(list, p); i > 0 {
		list = slices.Insert(slices.Delete(list, i, i+1), 0, p)
	}
	return list
}
