package patrick

import (
	"context"

	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// moveRequest says, to the coordinator of a branch, that the branch has moved at its forge. Number counts the moves of the branch, and
// Event names this one: equal ones are one job. Commit is patrickapi.NoCommit if the branch was deleted.
type moveRequest struct {
	Project, Repository, Branch, Commit string
	Event                               string
	Number                              uint64
	NewestWins                          bool
}

// moved makes the job of a move. Only patricks say so, of what they have asked the forge themselves.
func (s *Service) moved(ctx context.Context, _ transport.Peer, req moveRequest) (patrickapi.PushResponse, error) {
	order, err := s.orderOfMove(ctx, req)
	if err != nil {
		return patrickapi.PushResponse{}, err
	}
	return s.take(ctx, patrickapi.PushRequest{
		Project: req.Project, Repository: req.Repository, Branch: req.Branch, Commit: req.Commit, NewestWins: req.NewestWins,
		Tree:  patrickapi.Origin{Repository: req.Repository, Ref: "refs/heads/" + req.Branch, Commit: req.Commit}.Encode(),
		Event: patrickapi.Event{ID: req.Event, Order: order},
	}, seriesOf(req.Project))
}

// seriesOf names the series that the jobs of all moves of a project's repositories are in: a version is made of all of them, so of two moves of
// one branch one is newer, whichever repositories they are of. No repository has such a name.
func seriesOf(project string) string { return "/" + project }

// orderOfMove is the move's number, which is the same for all who see the move, wherever they are and however often they ask. Only where
// somebody has pushed by hand to the same branch, or another repository of the project has moved there, it may be too small: then it is one
// more than all that is known.
func (s *Service) orderOfMove(ctx context.Context, req moveRequest) (uint64, error) {
	id := patrickapi.JobIDIn(seriesOf(req.Project), req.Repository, req.Branch, req.Commit, patrickapi.Event{ID: req.Event, Order: req.Number})
	known := func() bool {
		_, is := s.board.briefs[id]
		return is || s.board.memoryOf(id).knows(id)
	}
	if known() {
		return req.Number, nil
	}
	live := s.liveOrder(ctx, req.Project, req.Branch)
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	branch := patrickapi.BranchID(seriesOf(req.Project), req.Branch)
	if known() || req.Number > max(live, s.board.highest(branch)) {
		return req.Number, nil
	}
	for _, other := range s.board.ids() { // a repeated move of such a branch
		if patrickapi.BranchOf(other) == branch && s.read(other).Spec.Event == req.Event {
			return patrickapi.OrderOf(other), nil
		}
	}
	return max(live, s.board.highest(branch)) + 1, nil
}
