package seer

import (
	"context"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/transport"
)

// inquiries are questions to several peers, each once at a time. Nobody waits for those who do not answer.
type inquiries struct {
	loop     clock.Loop
	name     string
	underWay map[transport.Peer]bool
}

func newInquiries(loop clock.Loop, name string) *inquiries {
	return &inquiries{loop: loop, name: name, underWay: map[transport.Peer]bool{}}
}

// ask puts a question to some peers, but those that are being asked, and waits until one has given a good
// answer, or all have ended. The others have seerapi.TryTimeout.
func (q *inquiries) ask(ctx context.Context, peers []transport.Peer, put func(context.Context, transport.Peer) (good bool)) {
	left, done := 0, false
	wake := func() {}
	for _, p := range peers {
		if q.underWay[p] {
			continue
		}
		q.underWay[p] = true
		left++
		q.loop.Go(q.name, func(ctx context.Context) {
			ctx, cancel := clock.WithTimeout(ctx, q.loop, seerapi.TryTimeout)
			defer cancel()
			good := put(ctx, p)
			delete(q.underWay, p)
			left--
			done = done || good
			wake()
		})
	}
	for left > 0 && !done {
		if q.loop.Park(ctx, func(f func()) { wake = f }) != nil {
			return
		}
	}
}
