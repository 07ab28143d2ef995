package seer

import (
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// A node that has moved, and whose seers and everybody else whom it uses have moved as well, finds the cloud by any
// member that has not. So each node knows, beside those that it uses, some acquaintances: in a cloud
// of at most acquaintancesMax members everybody, in a larger one between acquaintancesMax/4 and
// acquaintancesMax, drawn by a hash of the two peers. Seers know everybody.

const acquaintancesMax = 64

// acquaintances are whom a node is to know although it does not use them.
type acquaintances struct {
	all    bool
	sparse uint
	order  rendezvous.Order
}

func (r *register) acquaintances(of transport.Peer) acquaintances {
	m := r.members[of]
	return acquaintances{all: m != nil && m.offers(seerapi.Service), sparse: r.sparse, order: rendezvous.Of(string(of[:]))}
}

func (a acquaintances) has(p transport.Peer) bool {
	return a.all || a.order.Weight(p)>>(64-a.sparse) == 0
}

// thin adapts how many acquaintances nodes have to the number of members. All are told anew then, so that
// nobody keeps for ever whom it is not told of any more.
func (r *register) thin() {
	was := r.sparse
	for len(r.members) > acquaintancesMax<<r.sparse {
		r.sparse++
	}
	for r.sparse > 0 && len(r.members) < acquaintancesMax/4<<r.sparse {
		r.sparse--
	}
	if r.sparse != was {
		r.version++
		r.forgotten = r.version
	}
}
