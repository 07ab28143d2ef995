package tns

import (
	"context"
	"fmt"

	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

// Whoever may publish may not publish anything: a token counts if a patrick has granted the job
// under it, of the branch, commit and order that are to be published. tns asks the patricks, in the order in
// which they decide about the branch, before it takes a fence or a version of a monkey; when none
// that knows of the grant answers, the monkey is to ask again.

// claim is what a peer wants to do under a token. Commit and order are not known of a fence.
type claim struct {
	job, project, branch, commit string
	order                        uint64
	token                        fencing.Token
}

// grantsKept bounds the claims that are remembered as granted, asksMax the questions that are under
// way at once.
const grantsKept, asksMax = 1024, 64

// grants remembers the claims that patricks have confirmed, the oldest of which is forgotten first.
type grants struct {
	known map[claim]bool
	order []claim
	asks  int
}

func (g *grants) remember(c claim) {
	if g.known == nil {
		g.known = map[claim]bool{}
	}
	if g.known[c] {
		return
	}
	if len(g.order) >= grantsKept {
		delete(g.known, g.order[0])
		g.order = g.order[1:]
	}
	g.known[c] = true
	g.order = append(g.order, c)
}

// mayClaim decides whether a peer may do something under a token: a monkey under its own, if a
// patrick has granted it; a patrick, which could grant itself anything, under its own as well.
func (s *Service) mayClaim(ctx context.Context, from transport.Peer, c claim) error {
	if c.token.Attempt == 0 || c.token.Attempt > tnsapi.AttemptMax {
		return transport.New(transport.Invalid, tnsapi.Service, fmt.Sprintf("attempts count from 1 to %d, not %d", tnsapi.AttemptMax, c.token.Attempt))
	}
	if c.token.Holder != from {
		return transport.New(transport.NotAllowed, tnsapi.Service, "a holder speaks for itself")
	}
	if s.isPatrick(from) || s.grants.known[c] || s.env.Presence(patrickapi.Service) == transport.Nobody {
		return nil
	}
	if err := s.registry.stale(c); err != nil { // a late one is told so at once
		return err
	}
	return s.askPatricks(ctx, c)
}

// mayClose decides whether a peer may fence a job without having it: a patrick that closes it.
func (s *Service) mayClose(from transport.Peer, t fencing.Token) bool {
	return t.Holder.IsZero() && t.Attempt > 0 && t.Attempt <= tnsapi.AttemptMax && s.isPatrick(from)
}

func (s *Service) isPatrick(p transport.Peer) bool {
	grants, known := s.env.Wire.Grants(p)
	return known && grants.Offers(patrickapi.Service)
}

func (s *Service) askPatricks(ctx context.Context, c claim) error {
	if s.grants.asks >= asksMax {
		return transport.New(transport.Refused, tnsapi.Service, "too many tokens are being looked up")
	}
	s.grants.asks++
	defer func() { s.grants.asks-- }()
	err := s.patrick.Granted(ctx, patrickapi.GrantedRequest{
		Job: c.job, Token: c.token, Project: c.project, Branch: c.branch, Commit: c.commit, Order: c.order,
	})
	switch transport.KindOf(err) {
	case 0:
		s.grants.remember(c)
		return nil
	case transport.NotFound:
		return transport.New(transport.NotAllowed, tnsapi.Service, "no patrick has granted that")
	}
	return err
}
