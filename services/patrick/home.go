package patrick

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// The home of a branch is the best-ranked patrick that can be reached. Each
// patrick finds out on demand and remembers for a while; nobody sends
// heartbeats. Requests are passed on to better-ranked patricks only, so they
// come to an end.
const (
	pingTimeout = time.Second
	// trustFor is how long an answer proves a patrick reachable, doubtFor how
	// long silence proves the contrary.
	trustFor = 2 * time.Second
	doubtFor = 3 * time.Second
)

// reach remembers which patricks answered.
type reach struct {
	env   node.Env
	known map[transport.Peer]contact
}

// contact is what is known of one patrick. Times are Elapsed.
type contact struct {
	up      bool
	until   time.Duration
	probing bool
	waiting []func()
}

func newReach(env node.Env) *reach {
	return &reach{env: env, known: map[transport.Peer]contact{}}
}

// note records that a peer did or did not answer.
func (r *reach) note(p transport.Peer, up bool) {
	c := r.known[p]
	c.up, c.until = up, r.env.Loop.Elapsed()+doubtFor
	if up {
		c.until = r.env.Loop.Elapsed() + trustFor
	}
	r.known[p] = c
}

// ask reports whether p answers, from memory if that is fresh. Callers that
// come while a ping is on its way wait for it.
func (r *reach) ask(ctx context.Context, p transport.Peer) bool {
	c := r.known[p]
	if r.env.Loop.Elapsed() < c.until {
		return c.up
	}
	if c.probing {
		return r.await(ctx, p)
	}
	c.probing = true
	r.known[p] = c
	defer r.probed(p)
	return r.ping(ctx, p)
}

// ping asks now.
func (r *reach) ping(ctx context.Context, p transport.Peer) bool {
	pingCtx, cancel := clock.WithTimeout(ctx, r.env.Loop, pingTimeout)
	defer cancel()
	_, err := patrickapi.Ping.Call(pingCtx, r.env.Wire, p, patrickapi.PingRequest{})
	if err == nil || ctx.Err() == nil { // not when the caller ran out of time
		r.note(p, err == nil)
	}
	return err == nil
}

// probed wakes those that waited for a ping.
func (r *reach) probed(p transport.Peer) {
	c := r.known[p]
	waiting := c.waiting
	c.probing, c.waiting = false, nil
	r.known[p] = c
	for _, wake := range waiting {
		wake()
	}
}

func (r *reach) await(ctx context.Context, p transport.Peer) bool {
	ctx, cancel := clock.WithTimeout(ctx, r.env.Loop, pingTimeout)
	defer cancel()
	err := r.env.Loop.Park(ctx, func(wake func()) {
		c := r.known[p]
		c.waiting = append(c.waiting, wake)
		r.known[p] = c
	})
	return err == nil && r.known[p].up
}

// home finds the home of a branch: a better-ranked patrick that answers, or
// this one.
func (r *reach) home(ctx context.Context, branchID string) (p transport.Peer, isSelf bool) {
	for _, p := range patrickapi.Rank(branchID, r.env.Wire.Directory().Peers("patrick")) {
		if p == r.env.Self {
			break
		}
		if r.ask(ctx, p) {
			return p, false
		}
	}
	return r.env.Self, true
}

// others lists the other patricks in the order in which they are the home of a
// branch.
func (r *reach) others(branchID string) []transport.Peer {
	var list []transport.Peer
	for _, p := range patrickapi.Rank(branchID, r.env.Wire.Directory().Peers("patrick")) {
		if p != r.env.Self {
			list = append(list, p)
		}
	}
	return list
}

// serveAtHome serves a method at the home of the branch that a request is
// about, and passes the request on elsewhere.
func serveAtHome[Req, Resp any](s *Service, m transport.Method[Req, Resp], branchID func(Req) string, local func(ctx context.Context, from transport.Peer, req Req) (Resp, error)) {
	m.Serve(s.env.Wire, func(ctx context.Context, from transport.Peer, req Req) (Resp, error) {
		for {
			home, isSelf := s.peers.home(ctx, branchID(req))
			if ctx.Err() != nil {
				var none Resp
				return none, context.Cause(ctx)
			}
			if isSelf {
				return local(ctx, from, req)
			}
			resp, err := m.Call(ctx, s.env.Wire, home, req)
			if transport.KindOf(err) != transport.Unreachable {
				return resp, err
			}
			s.peers.note(home, false) // and ask who is next
		}
	})
}
