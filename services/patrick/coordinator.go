package patrick

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// The coordinator of a branch is the best-ranked patrick that can be reached. Each
// patrick finds out on demand and remembers for a while; nobody sends
// heartbeats. Requests are passed on to better-ranked patricks only, so they
// come to an end.
const (
	pingTimeout = 1500 * time.Millisecond
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

// contact is this patrick's view of another one. Times are Elapsed.
type contact struct {
	up      bool
	until   time.Duration
	probing bool
	waiting []func()
}

func newReach(env node.Env) *reach {
	return &reach{env: env, known: map[transport.Peer]contact{}}
}

// learn records that a peer did or did not answer.
func (r *reach) learn(p transport.Peer, up bool) {
	c := r.known[p]
	c.up, c.until = up, r.env.Loop.Elapsed()+doubtFor
	if up {
		c.until = r.env.Loop.Elapsed() + trustFor
	}
	r.known[p] = c
}

// ask reports whether p answers, from memory if that is fresh. Concurrent callers share one ping,
// whose timeout does not depend on any of them: a caller with a short deadline must not make others
// believe that p is down. The error is that of ctx's end.
func (r *reach) ask(ctx context.Context, p transport.Peer) (up bool, err error) {
	if c := r.known[p]; r.env.Loop.Elapsed() < c.until {
		return c.up, nil
	}
	err = r.env.Loop.Park(ctx, func(wake func()) {
		c := r.known[p]
		c.waiting = append(c.waiting, wake)
		if !c.probing {
			c.probing = true
			r.env.Loop.Go("ping", func(ctx context.Context) { r.probe(ctx, p) })
		}
		r.known[p] = c
	})
	return err == nil && r.known[p].up, err
}

// probe pings and wakes the callers that wait for it.
func (r *reach) probe(ctx context.Context, p transport.Peer) {
	defer func() {
		c := r.known[p]
		waiting := c.waiting
		c.probing, c.waiting = false, nil
		r.known[p] = c
		for _, wake := range waiting {
			wake()
		}
	}()
	ctx, cancel := clock.WithTimeout(ctx, r.env.Loop, pingTimeout)
	defer cancel()
	_, err := ping.Call(ctx, r.env.Wire, p, pingRequest{})
	r.learn(p, err == nil)
}

// forget makes the next ask ping again.
func (r *reach) forget(p transport.Peer) {
	c := r.known[p]
	c.until = 0
	r.known[p] = c
}

// part forgets those that are no patricks any more, by the directory.
func (r *reach) part() {
	peers, _ := r.env.Wire.Directory().Lookup(patrickapi.Service)
	maps.DeleteFunc(r.known, func(p transport.Peer, c contact) bool { return !c.probing && !slices.Contains(peers, p) })
}

// errUnknownPatricks is why a patrick does not take itself for a branch's coordinator.
var errUnknownPatricks = transport.New(transport.Refused, patrickapi.Service, "it is not known yet who else is a patrick")

// knowsOthers reports whether the directory lists all patricks.
func (r *reach) knowsOthers() bool {
	_, known := r.env.Wire.Directory().Lookup(patrickapi.Service)
	return known
}

// coordinator finds the coordinator of a branch: a better-ranked patrick that answers, or
// this one, unless there may be others that nobody has told it of. The error is that, or ctx's end.
func (r *reach) coordinator(ctx context.Context, branchID string) (coordinator transport.Peer, isSelf bool, err error) {
	for _, p := range patrickapi.Ranked(r.env.Wire.Directory(), branchID) {
		if p == r.env.Self {
			break
		}
		if up, err := r.ask(ctx, p); up || err != nil {
			return p, false, err
		}
	}
	if !r.knowsOthers() {
		return transport.Peer{}, false, errUnknownPatricks
	}
	return r.env.Self, true, nil
}

// others lists the other patricks in the order in which they are the coordinator of a
// branch.
func (r *reach) others(branchID string) []transport.Peer {
	var list []transport.Peer
	for _, p := range patrickapi.Ranked(r.env.Wire.Directory(), branchID) {
		if p != r.env.Self {
			list = append(list, p)
		}
	}
	return list
}

// serveAtCoordinator serves a method at the coordinator of the branch that a request is
// about, and passes the request on elsewhere.
func serveAtCoordinator[Req, Resp any](s *Service, m transport.Method[Req, Resp], branchID func(Req) string, local handler[Req, Resp]) {
	m.Serve(s.env.Wire, atCoordinator(s, m, branchID, local))
}

type handler[Req, Resp any] = func(ctx context.Context, from transport.Peer, req Req) (Resp, error)

// serveForHolder is serveAtCoordinator for what only the holder of a lock, or who is to
// be it, may ask: it asks itself, and a patrick passes on only what it was asked so.
func serveForHolder[Req, Resp any](s *Service, m transport.Method[Req, Resp], about func(Req) (job string, holder transport.Peer), local handler[Req, Resp]) {
	serve := atCoordinator(s, m, func(r Req) string { job, _ := about(r); return patrickapi.BranchOf(job) }, local)
	m.Serve(s.env.Wire, func(ctx context.Context, from transport.Peer, req Req) (Resp, error) {
		if _, holder := about(req); holder != from && !s.isPatrick(from) {
			var none Resp
			return none, transport.New(transport.NotAllowed, m.Name, "a monkey speaks for itself")
		}
		return serve(ctx, from, req)
	})
}

func atCoordinator[Req, Resp any](s *Service, m transport.Method[Req, Resp], branchID func(Req) string, local handler[Req, Resp]) handler[Req, Resp] {
	return func(ctx context.Context, from transport.Peer, req Req) (Resp, error) {
		for {
			coordinator, isSelf, err := s.peers.coordinator(ctx, branchID(req))
			if err != nil {
				var none Resp
				return none, err
			}
			if isSelf {
				return local(ctx, from, req)
			}
			resp, err := m.Call(ctx, s.env.Wire, coordinator, req)
			if transport.KindOf(err) != transport.Unreachable || transport.Answered(err) {
				return resp, err
			}
			s.peers.learn(coordinator, false) // and try the next in rank
		}
	}
}
