package replicated

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// pushTimeout is how long a peer has to make our state durable, plus the time for the push's
	// own deltas at pushRate bytes a second.
	pushTimeout = 2 * time.Second
	pushRate    = 4 << 10
	// pushPatience is how long a peer may be silent before a spare one is asked
	// as well; of these there are up to pushSparesMax.
	pushPatience  = 300 * time.Millisecond
	pushSparesMax = 8
	// pushSizeMax bounds the deltas that a push carries along.
	pushSizeMax = 32 << 10
)

// Replicate implements storage.Replicated.
func (r *Store) Replicate(ctx context.Context, copies int) (int, error) {
	if err := r.commit(); err != nil {
		return 0, err
	}
	request := r.pushRequest()
	if err := r.Sync(ctx); err != nil {
		return 0, err
	}
	if err := r.awaitOthers(ctx, copies-1); err != nil {
		return 1, nil
	}
	return 1 + r.pushToAny(ctx, copies-1, request), nil
}

// awaitOthers waits until enough other replicas are known to push to, or all that there are.
func (r *Store) awaitOthers(ctx context.Context, enough int) error {
	return transport.AwaitDirectory(ctx, r.cfg.Loop, r.cfg.Endpoint.Directory(), func() bool {
		return r.knowsOthers() || len(r.others()) >= enough
	})
}

// pushToAny pushes to peers until need have acknowledged, and returns how many have. It begins with
// need of them; another is asked when one has failed, or none has answered for a while.
func (r *Store) pushToAny(ctx context.Context, need int, request pushRequest) (acks int) {
	peers := r.rotatedPeers()
	need = min(need, len(peers))
	if need <= 0 {
		return 0
	}
	peers = peers[:min(len(peers), need+pushSparesMax)]
	enough, stop := context.WithCancel(ctx)
	defer stop()
	failures := clock.NewQueue[struct{}](r.cfg.Loop, len(peers))
	_ = clock.First(ctx, r.cfg.Loop, len(peers), len(peers), func(_ context.Context, i int) error {
		if spare := i - need + 1; spare > 0 {
			wait, cancel := clock.WithTimeout(enough, r.cfg.Loop, time.Duration(spare)*pushPatience)
			_, _ = failures.Pop(wait)
			cancel()
		}
		if enough.Err() != nil {
			return nil
		}
		if r.pushTo(enough, peers[i], request) != nil {
			_ = failures.TryPush(struct{}{})
		} else if acks++; acks == need {
			stop()
		}
		return nil
	})
	return acks
}

// rotatedPeers are the other replicas, beginning with another one each time.
func (r *Store) rotatedPeers() []transport.Peer {
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

// pushRequest includes the deltas of the heads, if they are small: the others may lack nothing
// else.
func (r *Store) pushRequest() pushRequest {
	request := pushRequest{Heads: r.encodedHeads()}
	size := 0
	for _, h := range r.replica.index.headList() {
		s := r.replica.index.tail.get(h.dot)
		if s == nil || size+s.size > pushSizeMax {
			continue // replicas that lack it ask
		}
		if d, err := r.replica.block(s); err == nil {
			size += s.size
			request.Deltas = append(request.Deltas, d.raw)
		}
	}
	return request
}

func (r *Store) pushTo(ctx context.Context, to transport.Peer, request pushRequest) error {
	size := 0
	for _, raw := range request.Deltas {
		size += len(raw)
	}
	ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, pushTimeout+time.Duration(size)*time.Second/pushRate)
	defer cancel()
	_, err := r.exchange.push.Call(ctx, r.cfg.Endpoint, to, request)
	return err
}

// onPush acknowledges once the heads are durable here.
func (r *Store) onPush(ctx context.Context, from transport.Peer, request pushRequest) (pushResponse, error) {
	if r.standing().joins() {
		return pushResponse{}, transport.New(transport.Refused, r.exchange.push.Name, "the replica is catching up")
	}
	heads, err := decodeHeads(request.Heads)
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
