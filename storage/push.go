package storage

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// pushTimeout is how long a peer has to make what we have durable.
	pushTimeout = 2 * time.Second
	// pushSizeMax bounds the deltas that a push carries along.
	pushSizeMax = 64 << 10
)

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
	others := r.others()
	if len(others) == 0 {
		return nil
	}
	if r.pushes == 0 {
		r.pushes = r.cfg.Rand.IntN(len(others))
	}
	r.pushes++
	at := r.pushes % len(others)
	return slices.Concat(others[at:], others[:at])
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

// onPush acknowledges what is durable here.
func (r *Replicated) onPush(ctx context.Context, from transport.Peer, request pushRequest) (pushResponse, error) {
	heads, err := decodeCIDs(request.Heads)
	if err != nil {
		return pushResponse{}, err
	}
	if err := r.take(request.Deltas); err != nil && !errors.Is(err, errMissing) {
		return pushResponse{}, err
	}
	if !r.hasAll(heads) {
		if err := r.pull(ctx, from); err != nil {
			return pushResponse{}, err
		}
	}
	if !r.hasAll(heads) {
		return pushResponse{}, transport.New(transport.Conflict, r.exchange.push.Name, "heads were not served")
	}
	return pushResponse{}, r.Sync(ctx)
}
