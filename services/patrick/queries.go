package patrick

import (
	"context"

	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// openJobs lists the claimable jobs that this patrick knows, oldest first, but for those whose trees it still has to get.
func (s *Service) openJobs(_ context.Context, _ transport.Peer, req patrickapi.OpenRequest) (patrickapi.Announcement, error) {
	limit := within(req.Limit, patrickapi.AnnounceLenMax)
	monkeys, _ := s.env.Wire.Directory().Lookup(monkeyapi.Service)
	resp := patrickapi.Announcement{Monkeys: len(monkeys)}
	for _, j := range s.board.open() {
		if len(resp.Jobs) == limit {
			break
		}
		if s.claimableNow(j) && s.wants[j.state.Spec.Source] == nil {
			resp.Jobs = append(resp.Jobs, offerOf(j))
		}
	}
	return resp, nil
}

func (s *Service) getJob(_ context.Context, _ transport.Peer, req patrickapi.JobRequest) (patrickapi.Job, error) {
	state := s.read(req.Job)
	if state.Status == patrickapi.Unknown {
		return patrickapi.Job{}, transport.New(transport.NotFound, "patrick/status", "no such job here")
	}
	return state.job(req.Job), nil
}

func (s *Service) list(_ context.Context, _ transport.Peer, req patrickapi.ListRequest) (patrickapi.ListResponse, error) {
	var resp patrickapi.ListResponse
	ids, more, err := s.board.page(req.Project, req.Branch, req.After, within(req.Limit, patrickapi.ListLenMax))
	if err != nil {
		return resp, transport.New(transport.NotFound, "patrick/list", err.Error())
	}
	for _, id := range ids {
		resp.Jobs = append(resp.Jobs, s.read(id).job(id))
	}
	resp.More = more
	return resp, nil
}

// within is n if it is between 1 and limit, and limit otherwise.
func within(n, limit int) int {
	if n <= 0 || n > limit {
		return limit
	}
	return n
}
