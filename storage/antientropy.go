package storage

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// catchUpLanes is how many peers are asked at once when a replica opens.
const catchUpLanes = 2

// peers are the other replicas, in an order of our own.
func (r *Replicated) peers() []transport.Peer {
	self := r.cfg.Endpoint.Self()
	all := r.cfg.Endpoint.Directory().Peers(r.cfg.Service)
	others := slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == self })
	r.cfg.Rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return others
}

// catchUp takes what one other replica has, if one answers soon.
func (r *Replicated) catchUp(ctx context.Context) {
	peers := r.peers()
	lanes := min(len(peers), catchUpLanes)
	ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, catchUpTimeout)
	defer cancel()
	next := 0
	_ = clock.First(ctx, r.cfg.Loop, lanes, 1, func(ctx context.Context, _ int) error {
		for {
			if next >= len(peers) {
				return ErrNotFound
			}
			peer := peers[next]
			next++
			if err := r.pull(ctx, peer); err == nil || ctx.Err() != nil {
				return err
			}
		}
	})
}

// startAntiEntropy compares heads with one peer after the other, for ever.
func (r *Replicated) startAntiEntropy() {
	r.cfg.Loop.Go("anti-entropy", func(context.Context) {
		for {
			// 75% to 125% of the interval, so that replicas do not march in step.
			half := int64(r.cfg.AntiEntropyInterval / 2)
			wait := r.cfg.AntiEntropyInterval*3/4 + time.Duration(r.cfg.Rand.Int64N(half+1))
			if err := clock.Sleep(r.ctx, r.cfg.Loop, wait); err != nil {
				return
			}
			if len(r.rounds) == 0 {
				r.rounds = r.peers()
			}
			if len(r.rounds) > 0 {
				r.tellHeads(r.rounds[0], false)
				r.rounds = r.rounds[1:]
			}
		}
	})
}

// Replicate makes all that this replica has now durable here and, by asking up
// to as many reachable peers as needed, on copies-1 other nodes. It returns how
// many copies, this one included, are known to be durable: fewer than asked for
// when ctx ends or no more peers answer. An error means that not even this node
// has a durable copy.
func (r *Replicated) Replicate(ctx context.Context, copies int) (int, error) {
	if err := r.commit(); err != nil {
		return 0, err
	}
	request := r.pushRequest()
	if err := r.Sync(ctx); err != nil {
		return 0, err
	}
	peers := r.rotatedPeers()
	durable, next := 1, 0
	lanes := min(copies-1, len(peers))
	// A lane goes from peer to peer until one has acknowledged.
	_ = clock.First(ctx, r.cfg.Loop, lanes, lanes, func(ctx context.Context, _ int) error {
		for next < len(peers) && ctx.Err() == nil {
			peer := peers[next]
			next++
			if r.pushTo(ctx, peer, request) == nil {
				durable++
				return nil
			}
		}
		return nil
	})
	return durable, nil
}

// rotatedPeers are the other replicas, beginning with another one each time.
func (r *Replicated) rotatedPeers() []transport.Peer {
	self := r.cfg.Endpoint.Self()
	all := r.cfg.Endpoint.Directory().Peers(r.cfg.Service)
	others := slices.DeleteFunc(slices.Clone(all), func(p transport.Peer) bool { return p == self })
	if len(others) == 0 {
		return nil
	}
	if r.pushes == 0 {
		r.pushes = r.cfg.Rand.IntN(len(others))
	}
	r.pushes++
	at := r.pushes % len(others)
	return append(others[at:], others[:at]...)
}

// pushRequest carries the heads themselves along, if they are small: they may
// be all that the others lack.
func (r *Replicated) pushRequest() pushRequest {
	request := pushRequest{Heads: r.encodedHeads()}
	size := 0
	for _, c := range r.replica.heads() {
		d, err := r.replica.dag.get(c)
		if err != nil {
			continue // whoever lacks it asks
		}
		if size += len(d.raw); size > pushSizeMax {
			break
		}
		request.Deltas = append(request.Deltas, d.raw)
	}
	return request
}

func (r *Replicated) pushTo(ctx context.Context, to transport.Peer, request pushRequest) error {
	ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, pushTimeout)
	defer cancel()
	_, err := r.exchange.push.Call(ctx, r.cfg.Endpoint, to, request)
	return err
}
