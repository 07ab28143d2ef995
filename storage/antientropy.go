package storage

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// catchUpTimeout bounds how long opening waits for another replica.
	catchUpTimeout = 2 * time.Second
	// catchUpPause is between two attempts.
	catchUpPause = 100 * time.Millisecond
	// catchUpLanes is how many peers are asked at once when a replica opens,
	// catchUpPeersMax how many in one attempt.
	catchUpLanes    = 2
	catchUpPeersMax = 6
	// rumoursLen is how many peers a replica tells at once of what came by
	// anti-entropy: that heals a partition in round trips, not in intervals.
	rumoursLen = 2
)

// catchUp takes what one other replica has. One attempt must do for a replica
// that has something itself; an empty one goes on for a while.
func (r *Replicated) catchUp(ctx context.Context) {
	ctx, cancel := clock.WithTimeout(ctx, r.cfg.Loop, min(catchUpTimeout, r.cfg.AntiEntropyInterval))
	defer cancel()
	for len(r.others()) > 0 && r.tryCatchUp(ctx) != nil && len(r.replica.heads()) == 0 {
		if clock.Sleep(ctx, r.cfg.Loop, catchUpPause) != nil {
			return
		}
	}
}

func (r *Replicated) tryCatchUp(ctx context.Context) error {
	peers := r.shuffledOthers()
	peers = peers[:min(len(peers), catchUpPeersMax)]
	next := 0
	return clock.First(ctx, r.cfg.Loop, min(len(peers), catchUpLanes), 1, func(ctx context.Context, _ int) error {
		for next < len(peers) {
			peer := peers[next]
			next++
			if err := r.pull(ctx, peer); err == nil || ctx.Err() != nil {
				return err
			}
		}
		return ErrNotFound
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
			r.tellNext()
		}
	})
}

// tellNext tells the next peer of the round our heads.
func (r *Replicated) tellNext() {
	if len(r.rounds) == 0 {
		r.rounds = r.shuffledOthers()
	}
	if len(r.rounds) > 0 {
		r.tellHeads(r.rounds[0], false)
		r.rounds = r.rounds[1:]
	}
}

// spread tells a few more: what was new to us is new to others.
func (r *Replicated) spread() {
	for range min(rumoursLen, len(r.others())) {
		r.tellNext()
	}
}

// onHeads is half of anti-entropy: whoever lacks a head of the other pulls.
func (r *Replicated) onHeads(_ context.Context, from transport.Peer, m headsNote) {
	if r.ctx.Err() != nil {
		return
	}
	theirs, err := decodeCIDs(m.Heads)
	if err != nil {
		return
	}
	if !r.hasAll(theirs) {
		r.pullLater(from, true)
	}
	lacked := func(c CID) bool { return !slices.Contains(theirs, c) }
	if !m.Answer && slices.ContainsFunc(r.replica.heads(), lacked) {
		r.tellHeads(from, true)
	}
}

func (r *Replicated) tellHeads(to transport.Peer, answer bool) {
	m := headsNote{Heads: r.encodedHeads(), Answer: answer}
	_ = r.exchange.heads.Tell(r.cfg.Endpoint, to, m) // the next round tells again
}
