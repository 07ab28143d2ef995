package replicated

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// orphanGrace is how long news wait for their ancestors, which come from another replica over
	// another path.
	orphanGrace = 100 * time.Millisecond
	// orphansLenMax bounds how many wait.
	orphansLenMax = 64
	// newsSizeMax bounds the deltas that are sent unasked; longer ones are fetched in pages whose
	// size suits the link.
	newsSizeMax = 32 << 10
)

// orphan is news whose ancestors are not here yet.
type orphan struct {
	from  transport.Peer
	delta []byte
	lacks dot // it cannot be merged without this one
}

// publish tells all other replicas of a delta.
func (r *Store) publish(d *delta) {
	m := newsNote{Delta: d.raw}
	if len(d.raw) > newsSizeMax {
		m = newsNote{Heads: r.encodedHeads()}
	}
	r.exchange.news.Publish(r.cfg.Endpoint, m)
}

func (r *Store) onNews(_ context.Context, from transport.Peer, m newsNote) {
	if r.standing().joins() {
		return // it fetches all there is
	}
	if len(m.Delta) == 0 {
		if heads, err := decodeHeads(m.Heads); err == nil && !r.hasAll(heads) {
			r.pullLater(lag{from: from})
		}
		return
	}
	if err := r.take([][]byte{m.Delta}); !errors.Is(err, errMissing) {
		return
	}
	if len(r.orphans) >= orphansLenMax {
		r.pullForOrphans()
	}
	r.orphans = append(r.orphans, orphan{from: from, delta: m.Delta, lacks: r.replica.lacks(m.Delta)})
	if r.awaiting {
		return
	}
	r.awaiting = true
	r.cfg.Loop.AfterFunc(orphanGrace, func() {
		r.awaiting = false
		r.pullForOrphans()
	})
}

// mergeOrphans merges the orphans whose ancestors have arrived.
func (r *Store) mergeOrphans() {
	for adopted := true; adopted && len(r.orphans) > 0; {
		before := len(r.orphans)
		r.orphans = slices.DeleteFunc(r.orphans, func(o orphan) bool {
			return r.replica.has(o.lacks) && !errors.Is(r.replica.ingest([][]byte{o.delta}), errMissing)
		})
		adopted = len(r.orphans) < before
	}
}

// pullForOrphans asks their senders, who have the ancestors.
func (r *Store) pullForOrphans() {
	for _, o := range r.orphans {
		r.pullLater(lag{from: o.from})
	}
	r.orphans = nil
}
