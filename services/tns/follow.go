package tns

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// followLenMax bounds one message to a follower, in bytes of names, roughly.
const followLenMax = 32 << 10

// follower is a client that follows a branch of all projects, "": all branches.
type follower struct {
	branch  string
	pending map[tnsapi.BranchRequest]bool // of which there is news
	changed *clock.Queue[struct{}]        // at most one: how often does not matter
}

func (f *follower) follows(branch string) bool { return f.branch == "" || f.branch == branch }

func (f *follower) note(b tnsapi.BranchRequest) {
	f.pending[b] = true
	_ = f.changed.TryPush(struct{}{}) // full: the follower is told of all that is pending
}

// follow serves a client: all current versions, then those that change. A replica that has not caught up tells nothing.
func (s *Service) follow(ctx context.Context, _ transport.Peer, hello []byte, stream *transport.Stream) {
	var req tnsapi.FollowRequest
	if transport.Decode(hello, &req) != nil || len(req.Branch) > tnsapi.NameLenMax || s.watched() >= s.settings.WatchersMax || s.Ready() != nil {
		return
	}
	f := &follower{branch: req.Branch, pending: map[tnsapi.BranchRequest]bool{}, changed: clock.NewQueue[struct{}](s.env.Loop, 1)}
	s.followers = append(s.followers, f)
	defer func() {
		s.followers = slices.DeleteFunc(slices.Clone(s.followers), func(o *follower) bool { return o == f })
	}()
	if s.allPending(f) != nil {
		return
	}
	for s.tellAll(ctx, f, stream) == nil {
		if err := s.await(ctx, f.changed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// allPending notes each branch that is followed.
func (s *Service) allPending(f *follower) error {
	stored, err := s.store.List(storage.K(versions))
	for _, e := range stored {
		if b, ok := branchOf(e.Key); ok && f.follows(b.Branch) {
			f.pending[b] = true
		}
	}
	return err
}

// tellAll sends what is pending, in parts; the last one says that it was all.
func (s *Service) tellAll(ctx context.Context, f *follower, stream *transport.Stream) error {
	for {
		part, size := tnsapi.FollowResponse{}, 0
		for _, b := range slices.SortedFunc(maps.Keys(f.pending), tnsapi.BranchRequest.Compare) {
			if size > followLenMax {
				break
			}
			delete(f.pending, b)
			v, err := s.registry.current(b.Project, b.Branch)
			if transport.KindOf(err) == transport.NotFound {
				continue
			}
			if err != nil {
				return err
			}
			part.Versions = append(part.Versions, v)
			size += 512 + len(v.Project) + len(v.Branch) + len(v.Commit) + len(v.Job)
		}
		part.Whole = len(f.pending) == 0
		if err := s.send(ctx, part, stream); err != nil || part.Whole {
			return err
		}
	}
}
