package storage

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// orphanGrace is how long news wait for what they build on: that comes from
	// another replica, on another way.
	orphanGrace = 100 * time.Millisecond
	// orphansLenMax bounds how many wait.
	orphansLenMax = 64
)

// orphan is news whose ancestors are not here yet.
type orphan struct {
	from  transport.Peer
	delta []byte
}

// publish tells everybody of a delta.
func (r *Replicated) publish(d *delta) {
	r.cfg.Endpoint.Publish(r.exchange.news, d.raw)
}

func (r *Replicated) onNews(_ context.Context, from transport.Peer, delta []byte) {
	if err := r.take([][]byte{delta}); !errors.Is(err, errMissing) {
		return
	}
	if len(r.orphans) >= orphansLenMax {
		r.pullForOrphans()
	}
	r.orphans = append(r.orphans, orphan{from: from, delta: delta})
	if r.awaiting {
		return
	}
	r.awaiting = true
	r.cfg.Loop.AfterFunc(orphanGrace, func() {
		r.awaiting = false
		r.pullForOrphans()
	})
}

// adopt takes the orphans whose ancestors have come.
func (r *Replicated) adopt() {
	for adopted := true; adopted && len(r.orphans) > 0; {
		before := len(r.orphans)
		r.orphans = slices.DeleteFunc(r.orphans, func(o orphan) bool {
			return !errors.Is(r.replica.ingest([][]byte{o.delta}), errMissing)
		})
		adopted = len(r.orphans) < before
	}
}

// pullForOrphans asks their senders, who have the ancestors.
func (r *Replicated) pullForOrphans() {
	for _, o := range r.orphans {
		r.pullLater(o.from, false)
	}
	r.orphans = nil
}
