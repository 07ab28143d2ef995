package replicated

import (
	"context"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// rumoursLen is how many peers a replica tells at once of deltas that arrived by anti-entropy: so
// news cross a healed partition in round trips, not in intervals.
const rumoursLen = 2

// startAntiEntropy compares heads with one peer after the other, for ever.
func (r *Store) startAntiEntropy() {
	r.cfg.Loop.Go("anti-entropy", func(context.Context) {
		for {
			if err := clock.Sleep(r.ctx, r.cfg.Loop, clock.Jittered(r.cfg.Rand, r.cfg.AntiEntropyInterval)); err != nil {
				return
			}
			r.expireFolds()
			r.tellNext()
		}
	})
}

// tellNext tells the next peer of the round our heads.
func (r *Store) tellNext() {
	if len(r.rounds) == 0 {
		r.rounds = r.shuffledOthers()
	}
	if len(r.rounds) > 0 {
		r.tellHeads(r.rounds[0], false)
		r.rounds = r.rounds[1:]
	}
}

// spread tells a few more peers of deltas that were new here: they are probably new to them too.
func (r *Store) spread() {
	for range min(rumoursLen, len(r.others())) {
		r.tellNext()
	}
}

// onHeads is half of anti-entropy: a replica that lacks a head of the other one pulls. If both have
// processed the same deltas and hold different contents, one of them is damaged.
func (r *Store) onHeads(_ context.Context, from transport.Peer, m headsNote) {
	if r.ctx.Err() != nil || r.standing().joins() {
		return
	}
	o := r.replica.index
	if m.Context == o.vector.sum {
		if m.Contents != o.sum {
			r.pullLater(lag{from: from, whole: true})
			r.answer(from, m)
		}
		return
	}
	theirs, err := decodeHeads(m.Heads)
	if err != nil {
		return
	}
	if !r.hasAll(theirs) {
		r.pullLater(lag{from: from, rumour: true})
	}
	if slices.ContainsFunc(o.headList(), func(h *head) bool {
		return !slices.ContainsFunc(theirs, func(t namedHead) bool { return t.cid == h.cid })
	}) {
		r.answer(from, m)
	}
}

// answer sends our heads to a peer that has sent its own.
func (r *Store) answer(to transport.Peer, m headsNote) {
	if !m.Answer {
		r.tellHeads(to, true)
	}
}

func (r *Store) tellHeads(to transport.Peer, answer bool) {
	m := headsNote{
		Heads:    r.encodedHeads(),
		Context:  r.replica.index.vector.sum,
		Contents: r.replica.index.sum,
		Answer:   answer,
	}
	_ = r.exchange.heads.Tell(r.cfg.Endpoint, to, m) // the next round tells again
}
