package patrick

import (
	"context"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// rebuildsMax bounds how often a job is begun anew, and so its records.
const rebuildsMax = 100

// rebuild begins a job anew that has ended without success: the same job, with
// the same order, and further attempts. A repetition of the request while it is
// being built changes nothing.
func (s *Service) rebuild(ctx context.Context, _ transport.Peer, req patrickapi.RebuildRequest) (patrickapi.RebuildResponse, error) {
	var none patrickapi.RebuildResponse
	state := s.read(req.Job)
	if err := rebuildable(state); err != nil {
		return none, err
	}
	if state.Status.Final() && state.Rebuilds < req.N { // else the request comes once more
		if err := s.rebuildWith(ctx, req.Job, state); err != nil {
			return none, err
		}
	}
	if _, err := s.secure(ctx, req.Job); err != nil {
		return none, err
	}
	s.offerNow(req.Job)
	state = s.read(req.Job)
	return patrickapi.RebuildResponse{Status: state.Status, Rebuilds: state.Rebuilds}, nil
}

// rebuildable reports whether a job may be begun anew, or is being built anew.
func rebuildable(state State) error {
	const op = "patrick/rebuild"
	switch {
	case state.Status == patrickapi.Unknown:
		return transport.New(transport.NotFound, op, "no such job here")
	case state.Status == patrickapi.Success:
		return transport.New(transport.Conflict, op, "it has succeeded: what is pushed once more is a new event")
	case !state.Status.Final() && state.Rebuilds == 0:
		return transport.New(transport.Conflict, op, "it has not ended")
	case state.Rebuilds >= rebuildsMax:
		return transport.New(transport.Conflict, op, fmt.Sprintf("it was begun anew %d times", rebuildsMax))
	}
	return nil
}

// rebuildWith writes the rebuild after the tree has been fetched.
func (s *Service) rebuildWith(ctx context.Context, id string, state State) error {
	root, err := cid.Decode(state.Spec.Source)
	if err != nil {
		return transport.New(transport.Internal, "patrick/rebuild", err.Error())
	}
	if !s.HasSource(state.Spec.Source) {
		if err := s.fetch(ctx, root, s.peers.others(patrickapi.BranchOf(id)), treeSizeMax); err != nil {
			return err
		}
	}
	now := s.read(id)
	if now.Rebuilds != state.Rebuilds || !now.Status.Final() || now.Status == patrickapi.Success {
		return nil // a concurrent request was faster
	}
	r := rebuild{N: now.Rebuilds + 1, After: now.nextAttempt() - 1, By: s.env.Self}
	if err := s.addRecords(id, r); err != nil {
		return err
	}
	s.env.Observe("job-rebuilt", node.F("job", id), node.F("rebuilds", r.N))
	return nil
}
