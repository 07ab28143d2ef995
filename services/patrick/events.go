package patrick

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

const (
	// liveTimeout bounds the query to tns for the live order.
	liveTimeout = time.Second
	// liveDoubtFor is the pause before tns is asked again after it did not answer.
	liveDoubtFor = 10 * time.Second
)

// newEvent gives an order to a new event. tns is asked as well: if all patricks have lost their
// disks, the next push must still be newer than the live version.
func (s *Service) newEvent(ctx context.Context, _ transport.Peer, req patrickapi.EventRequest) (patrickapi.EventResponse, error) {
	var none patrickapi.EventResponse
	if err := areNames(req.Project, req.Repository, req.Branch); err != nil {
		return none, transport.New(transport.Invalid, "patrick/event", textOf(err))
	}
	if s.env.Presence(tnsapi.Service) == transport.Unknown {
		return none, transport.New(transport.Refused, "patrick/event", "it is not known yet whether there is a tns")
	}
	live := s.liveOrder(ctx, req.Project, req.Branch)
	if err := context.Cause(ctx); err != nil {
		return none, err
	}
	key := patrickapi.BranchID(req.Repository, req.Branch)
	if known := max(live, s.board.highest(key)); req.Seen > known+patrickapi.OrderStepMax || known >= patrickapi.OrderMax {
		return none, transport.New(transport.Invalid, "patrick/event", "the order that was seen is absurd")
	}
	return patrickapi.EventResponse{Order: s.board.giveOrder(key, live, req.Seen)}, nil
}

// liveOrder is the order of a branch's live version, 0 if there is none or tns does not answer.
func (s *Service) liveOrder(ctx context.Context, project, branch string) uint64 {
	if s.env.Presence(tnsapi.Service) != transport.Somebody || s.env.Loop.Elapsed() < s.tnsSilentUntil {
		return 0
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, liveTimeout)
	defer cancel()
	v, err := s.tns.Current(ctx, project, branch)
	if err != nil && transport.KindOf(err) != transport.NotFound {
		s.tnsSilentUntil = s.env.Loop.Elapsed() + liveDoubtFor
	}
	return v.Order
}
